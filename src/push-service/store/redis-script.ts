// SPDX-License-Identifier: MIT
/** A Lua script of the Redis store, and what Redis lets scripts of each kind do. `head` runs in front of `body`. */

import { createHash } from "node:crypto";

export interface Script {
  readonly text: string;
  /** SHA-1, in hex: what Redis knows a script by. */
  readonly sha: string;
}

/** Allowed when Redis has no memory left: it makes room, or what makes room needs it. */
export function script(body: string, head = ""): Script {
  return flagged("allow-oom", `${head}${body}`);
}

/** Brings something in that stays. */
export function growing(body: string, head: string): Script {
  return flagged("", `${head}${body}`);
}

export function reading(body: string, head: string): Script {
  return flagged("no-writes", `${head}${body}`);
}

/** Reads what is on the one primary it is sent to, in whichever slots. */
export function acrossSlots(body: string): Script {
  return flagged("no-writes,allow-cross-slot-keys", body);
}

function flagged(flags: string, code: string): Script {
  const text = `#!lua${flags === "" ? "" : ` flags=${flags}`}\n${code}`;
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}
