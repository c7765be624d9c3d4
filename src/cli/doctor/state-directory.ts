// SPDX-License-Identifier: MIT
/** Checks of `godwit doctor` on the state directory: who may read it, who uses it, whether the journal is whole, room. Only reads. */

import { type Dirent, lstatSync, readdirSync, readFileSync, type Stats, statfsSync } from "node:fs";
import { join } from "node:path";
import { whyUnreadable } from "../../configuration/arguments.ts";
import { EXIT } from "../../configuration/exit.ts";
import { type JournalReport, keySealer, plainSealer, recoverJournal } from "../../journal/index.ts";
import { JOURNAL_RESERVE_BYTES, JOURNAL_SEGMENT_BYTES_MAX, STATE_FREE_BYTES_WARN } from "../../limits.ts";
import { nodeProvider } from "../../node/crypto.ts";
import { systemRandomFill } from "../../node/platform.ts";
import { machineId } from "../../node/user-agent.ts";
import { bindingOf } from "../../user-agent/start.ts";
import { APP_TOKENS } from "../apps.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const OTHERS = 0o077;
const FILES_NAMED_MAX = 5;
const JOURNALS = ["journal-0", "journal-1"];

/** @param deviceKey 32 bytes, or null where the journal is not sealed */
export function* checkStateDirectory(directory: string, deviceKey: Uint8Array | null): Generator<Finding> {
  const found = statOf(directory);
  if (found === null) {
    yield ok("state", `${directory} is not there yet; the agent makes it`);
    return;
  }
  const state = checkDirectory(directory, found);
  yield state;
  let entries: Dirent[];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (state.result !== "fail")
      yield fail(
        "files",
        EXIT.config,
        `${directory} ${whyUnreadable(error)}`,
        "run this as the agent's user",
      );
    return;
  }
  yield checkModes(directory, entries);
  yield checkJournal(directory, deviceKey);
  if (entries.some(({ name }) => JOURNALS.includes(name))) yield checkReserve(directory);
  yield checkDisk(directory);
}

function checkDirectory(directory: string, found: Stats): Finding {
  if (!found.isDirectory())
    return fail("state", EXIT.config, `${directory} is no directory`, "name another one with --state");
  const mode = found.mode & 0o777;
  if ((mode & OTHERS) !== 0)
    return fail(
      "state",
      EXIT.config,
      `${directory} has mode 0${mode.toString(8)}: others may look inside`,
      `chmod 700 ${directory}`,
    );
  const uid = process.getuid?.() ?? found.uid;
  if (found.uid !== uid)
    return warn(
      "state",
      `${directory} belongs to user ${found.uid}, and this is user ${uid}`,
      "run this, and everything that asks the agent, as the agent's user",
    );
  return ok("state", `${directory}, mode 0700`);
}

/** Everything in it holds something that is nobody else's business, also the sockets' tokens. */
function checkModes(directory: string, entries: readonly Dirent[]): Finding {
  const readable = [...entries, ...entriesOf(join(directory, APP_TOKENS))]
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => ((statOf(path)?.mode ?? 0) & OTHERS) !== 0);
  if (readable.length === 0) return ok("files", "none that others may read");
  const named = readable.slice(0, FILES_NAMED_MAX);
  const more = readable.length - named.length;
  return fail(
    "files",
    EXIT.config,
    `others may read ${named.join(", ")}${more === 0 ? "" : ` and ${more} more`}`,
    `chmod 600 ${more === 0 ? named.join(" ") : `${directory}/*`}`,
  );
}

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}

function checkJournal(directory: string, deviceKey: Uint8Array | null): Finding {
  const images: Uint8Array[] = [];
  for (const name of JOURNALS) {
    const path = join(directory, name);
    const found = statOf(path);
    if (found === null) continue;
    try {
      images.push(
        found.size > JOURNAL_SEGMENT_BYTES_MAX ? new Uint8Array(0) : new Uint8Array(readFileSync(path)),
      );
    } catch (error) {
      return fail("journal", EXIT.config, `${path} ${whyUnreadable(error)}`, "run this as the agent's user");
    }
  }
  if (images.length === 0) return ok("journal", "none yet");
  const sealer = deviceKey === null ? plainSealer() : keySealer(deviceKey, systemRandomFill);
  const recovery = recoverJournal(images, { deviceBinding: bindingOf(machineId(), nodeProvider), sealer });
  const { subscriptions } = recovery.state;
  return (
    journalProblem(recovery.report, images.length) ??
    ok(
      "journal",
      `whole, ${images.reduce((sum, { length }) => sum + length, 0)} bytes, ${count(subscriptions.size, "subscription")}`,
    )
  );
}

function journalProblem(report: JournalReport, segments: number): Finding | null {
  if (report.wrongKey)
    return fail(
      "journal",
      EXIT.config,
      "sealed under another device key, or there is none now",
      "give the right --device-key-file; without it the state is lost: godwit reset",
    );
  if (report.newerVersion)
    return fail("journal", EXIT.config, "written by a later release", "install that release again");
  if (report.foreignDevice)
    return warn(
      "journal",
      "of another device: it is ignored and written anew",
      "nothing, where the disk was copied; apps subscribe again",
    );
  if (report.damaged || report.unreadableSegments > 0)
    return fail(
      "journal",
      EXIT.failure,
      report.unreadableSegments === segments
        ? "damaged: no segment can be read"
        : `damaged: ${count(report.corruptRecords, "bad place")}, ${count(report.salvagedRecords, "record")} saved from behind`,
      "start the agent, which saves what is left and asks the push service for the rest; look after the disk",
    );
  if (report.unopenedRecords > 0)
    return warn(
      "journal",
      `${count(report.unopenedRecords, "record")} cannot be opened`,
      "apps subscribe again by themselves; look after the disk",
    );
  return null;
}

function checkReserve(directory: string): Finding {
  const bytes = statOf(join(directory, "reserve"))?.size ?? 0;
  if (bytes >= JOURNAL_RESERVE_BYTES) return ok("reserve", `${bytes} bytes for opting out on a full disk`);
  return warn(
    "reserve",
    `${bytes} of ${JOURNAL_RESERVE_BYTES} bytes: opting out may fail on a full disk`,
    "free some disk and start the agent again, which lays it in",
  );
}

function checkDisk(directory: string): Finding {
  const { bavail, bsize } = statfsSync(directory);
  return roomFinding(directory, Number(bavail) * Number(bsize));
}

export function roomFinding(directory: string, freeBytes: number): Finding {
  const free = `${freeBytes} bytes free in ${directory}`;
  if (freeBytes >= STATE_FREE_BYTES_WARN) return ok("disk", free);
  if (freeBytes >= JOURNAL_RESERVE_BYTES) return warn("disk", free, "free some disk soon");
  return fail(
    "disk",
    EXIT.failure,
    free,
    "free some disk: nothing can be written down, so messages wait at the service",
  );
}

function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? "" : "s"}`;
}
