// SPDX-License-Identifier: MIT
/** Checks of a doctor on the state directory: who may read it, who uses it, whether the journal is whole, room. Only reads. */

import { whyUnreadable } from "../configuration/arguments.ts";
import { EXIT } from "../configuration/exit.ts";
import { APP_TOKENS } from "../configuration/options.ts";
import { type JournalReport, keySealer, plainSealer, recoverJournal } from "../journal/index.ts";
import { JOURNAL_RESERVE_BYTES, JOURNAL_SEGMENT_BYTES_MAX, STATE_FREE_BYTES_WARN } from "../limits.ts";
import { bindingOf } from "../user-agent/start.ts";
import type { CryptoProvider, RandomFill } from "../webpush/crypto.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

/** What lies at a path; a symbolic link counts as it is. */
export interface Looked {
  readonly kind: "directory" | "file" | "other";
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly size: number;
}

/** What is asked of the file system. What throws has a `code`. */
export interface DoctorFiles {
  /** Whose process this is; null where there are no users. */
  readonly uid: number | null;
  /** Null when nothing is there, or it cannot be seen. */
  look(path: string): Looked | null;
  /** Names in a directory. */
  list(path: string): readonly string[];
  read(path: string): Uint8Array;
  freeBytes(path: string): number;
}

export interface StateSurroundings {
  readonly files: DoctorFiles;
  /** What the journal is bound to. */
  readonly deviceId: string;
  readonly provider: CryptoProvider;
  readonly randomFill: RandomFill;
}

const OTHERS = 0o077;
const FILES_NAMED_MAX = 5;
const JOURNALS = ["journal-0", "journal-1"];

/** @param deviceKey 32 bytes, or null where the journal is not sealed */
export function* checkStateDirectory(
  directory: string,
  deviceKey: Uint8Array | null,
  surroundings: StateSurroundings,
): Generator<Finding> {
  const { files } = surroundings;
  const found = files.look(directory);
  if (found === null) {
    yield ok("state", `${directory} is not there yet; the agent makes it`);
    return;
  }
  const state = checkDirectory(directory, found, files.uid);
  yield state;
  let names: readonly string[];
  try {
    names = files.list(directory);
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
  yield checkModes(directory, names, files);
  yield checkJournal(directory, deviceKey, surroundings);
  if (names.some((name) => JOURNALS.includes(name))) yield checkReserve(directory, files);
  yield roomFinding(directory, files.freeBytes(directory));
}

function checkDirectory(directory: string, found: Looked, uid: number | null): Finding {
  if (found.kind !== "directory")
    return fail("state", EXIT.config, `${directory} is no directory`, "name another one with --state");
  const mode = found.mode & 0o777;
  if ((mode & OTHERS) !== 0)
    return fail(
      "state",
      EXIT.config,
      `${directory} has mode 0${mode.toString(8)}: others may look inside`,
      `chmod 700 ${directory}`,
    );
  if (uid !== null && found.uid !== uid)
    return warn(
      "state",
      `${directory} belongs to user ${found.uid}, and this is user ${uid}`,
      "run this, and everything that asks the agent, as the agent's user",
    );
  return ok("state", `${directory}, mode 0700`);
}

/** Everything in it holds something that is nobody else's business, also the sockets' tokens. */
function checkModes(directory: string, names: readonly string[], files: DoctorFiles): Finding {
  const tokens = namesIn(`${directory}/${APP_TOKENS}`, files).map((name) => `${APP_TOKENS}/${name}`);
  const readable = [...names, ...tokens]
    .map((name) => `${directory}/${name}`)
    .filter((path) => {
      const found = files.look(path);
      return found?.kind === "file" && (found.mode & OTHERS) !== 0;
    });
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

function namesIn(directory: string, files: DoctorFiles): readonly string[] {
  try {
    return files.list(directory);
  } catch {
    return [];
  }
}

function checkJournal(
  directory: string,
  deviceKey: Uint8Array | null,
  { files, deviceId, provider, randomFill }: StateSurroundings,
): Finding {
  const images: Uint8Array[] = [];
  for (const name of JOURNALS) {
    const path = `${directory}/${name}`;
    const found = files.look(path);
    if (found === null) continue;
    try {
      images.push(found.size > JOURNAL_SEGMENT_BYTES_MAX ? new Uint8Array(0) : files.read(path));
    } catch (error) {
      return fail("journal", EXIT.config, `${path} ${whyUnreadable(error)}`, "run this as the agent's user");
    }
  }
  if (images.length === 0) return ok("journal", "none yet");
  const sealer = deviceKey === null ? plainSealer() : keySealer(deviceKey, randomFill);
  const recovery = recoverJournal(images, { deviceBinding: bindingOf(deviceId, provider), sealer });
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
      "give the right --device-key-file; without it the state is lost: stop the agent and remove the state directory",
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

function checkReserve(directory: string, files: DoctorFiles): Finding {
  const bytes = files.look(`${directory}/reserve`)?.size ?? 0;
  if (bytes >= JOURNAL_RESERVE_BYTES) return ok("reserve", `${bytes} bytes for opting out on a full disk`);
  return warn(
    "reserve",
    `${bytes} of ${JOURNAL_RESERVE_BYTES} bytes: opting out may fail on a full disk`,
    "free some disk and start the agent again, which lays it in",
  );
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

function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? "" : "s"}`;
}
