// SPDX-License-Identifier: MIT
// Goal: what the storage confirms survives, whatever fails; removed bytes are gone; nobody shares a directory. Method: the
// real file system for modes and reopening; one in memory for faults.
import { mkdtemp, readdir, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { GodwitError } from "../../src/errors.ts";
import { JournalState } from "../../src/journal/state.ts";
import type { JournalWriter } from "../../src/journal/writer.ts";
import { JOURNAL_RESERVE_BYTES } from "../../src/limits.ts";
import { JournalFiles } from "../../src/node/journal-files.ts";
import { systemRandomFill } from "../../src/node/platform.ts";
import type { ProcessTable } from "../../src/user-agent/directory-lock.ts";
import { JournalDirectory } from "../../src/user-agent/journal-directory.ts";
import {
  ascii,
  fold,
  HISTORY,
  message,
  plain,
  recover,
  subscription,
  writerAfter,
} from "../journal/support.ts";
import { CrashFileSystem, SURVIVALS } from "./crash-file-system.ts";

const DIRECTORY = "/state";

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof GodwitError ? error.code : `not a GodwitError: ${String(error)}`;
  }
  return "no error";
}

/** A process that runs as long as nobody else was started after it: enough to test what a restart finds. */
function processes(pid: number, running: readonly number[] = [pid]): ProcessTable {
  return {
    self: () => ({ pid, startTicks: "1", bootId: "a" }),
    isRunning: (identity) => running.includes(identity.pid),
  };
}

function around(fileSystem: CrashFileSystem) {
  return { directory: DIRECTORY, fileSystem, randomFill: systemRandomFill };
}

function openFake(fileSystem: CrashFileSystem, pid = 1): Promise<JournalDirectory> {
  return JournalDirectory.open({ ...around(fileSystem), processes: processes(pid) });
}

/** Opened, read, and with the checkpoint of an empty state written. */
async function started(
  fileSystem: CrashFileSystem,
): Promise<{ files: JournalDirectory; writer: JournalWriter }> {
  const files = await openFake(fileSystem);
  const writer = writerAfter(recover(await files.read()));
  await files.checkpoint(writer.checkpointBytes(new JournalState()), { urgent: false });
  return { files, writer };
}

/** What the next start would recover. */
async function recoveredFrom(fileSystem: CrashFileSystem, pid = 2): Promise<ReturnType<typeof recover>> {
  const files = await openFake(fileSystem, pid);
  const recovery = recover(await files.read());
  await files.close();
  return recovery;
}

describe("on the real file system", () => {
  let base = "";
  let directory = "";
  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), "godwit-files-"));
    directory = join(base, "state");
  });
  afterEach(() => rm(base, { recursive: true, force: true }));

  test("keeps a history over a restart, in private files", async () => {
    const files = await JournalFiles.open({ directory });
    const writer = writerAfter(recover(await files.read()));
    await files.checkpoint(writer.checkpointBytes(new JournalState()), { urgent: false });
    for (const record of HISTORY) await files.append(writer.appendBytes([record]));
    await files.close();

    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect((await readdir(directory)).sort()).toEqual(["journal-1", "reserve"]);
    for (const name of await readdir(directory)) {
      expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
    }
    const again = await JournalFiles.open({ directory });
    const recovery = recover(await again.read());
    expect(plain(recovery.state)).toEqual(plain(fold(HISTORY)));
    const more = writerAfter(recovery).appendBytes([message(70)]);
    await again.append(more);
    await again.close();
    const third = await JournalFiles.open({ directory });
    expect(recover(await third.read()).state.messages.has("7:70")).toBe(true);
    await third.close();
  });

  test("the reserve takes real blocks", async () => {
    await (await JournalFiles.open({ directory })).close();
    const reserve = await stat(join(directory, "reserve"));
    expect(reserve.size).toBe(JOURNAL_RESERVE_BYTES);
    expect(reserve.blocks * 512).toBeGreaterThanOrEqual(JOURNAL_RESERVE_BYTES);
  });

  test("a directory is used once at a time", async () => {
    const files = await JournalFiles.open({ directory });
    expect(await codeOf(JournalFiles.open({ directory }))).toBe("ERR_JOURNAL_IN_USE");
    await files.close();
    await (await JournalFiles.open({ directory })).close();
  });

  test("the lock of a process with the same pid, started at another time, is taken over", async () => {
    await (await JournalFiles.open({ directory })).close();
    const files = await JournalFiles.open({ directory });
    const [pid, ticks, ...boot] = (await readlink(join(directory, "lock"))).split(".");
    await files.close();
    expect(pid).toBe(String(process.pid));
    await symlink(`${pid}.${Number(ticks) - 1}.${boot.join(".")}`, join(directory, "lock"));
    await (await JournalFiles.open({ directory })).close();
  });

  test("a path that is a file is an error of the environment", async () => {
    await writeFile(directory, "");
    expect(await codeOf(JournalFiles.open({ directory }))).toBe("ERR_JOURNAL_IO");
  });
});

describe("writing", () => {
  test("appends of one turn share one fdatasync", async () => {
    const fileSystem = new CrashFileSystem();
    const { files, writer } = await started(fileSystem);
    fileSystem.log.length = 0;
    await Promise.all([1, 2, 3].map((id) => files.append(writer.appendBytes([message(id)]))));
    expect(fileSystem.log.filter((line) => line.startsWith("datasync")).length).toBe(1);
    expect((await recoveredFrom(fileSystem.afterPowerCut("nothing"))).state.messages.size).toBe(3);
  });

  test("appends during a write go together into the next", async () => {
    const fileSystem = new CrashFileSystem();
    const { files, writer } = await started(fileSystem);
    fileSystem.log.length = 0;
    const first = files.append(writer.appendBytes([message(1)]));
    await Promise.resolve();
    await Promise.resolve();
    const rest = [2, 3, 4].map((id) => files.append(writer.appendBytes([message(id)])));
    await Promise.all([first, ...rest]);
    expect(fileSystem.log.filter((line) => line.startsWith("datasync")).length).toBe(2);
  });

  test("appends and checkpoints keep their order", async () => {
    const fileSystem = new CrashFileSystem();
    const { files, writer } = await started(fileSystem);
    const state = fold([message(1), message(2)]);
    const all = [
      files.append(writer.appendBytes([message(1)])),
      files.append(writer.appendBytes([message(2)])),
    ];
    all.push(files.checkpoint(writer.checkpointBytes(state), { urgent: false }));
    all.push(files.append(writer.appendBytes([message(3)])));
    await Promise.all(all);
    const recovery = await recoveredFrom(fileSystem.afterPowerCut("nothing"));
    expect([...recovery.state.messages.keys()]).toEqual(["7:1", "7:2", "7:3"]);
    expect(recovery.report.damaged).toBe(false);
    expect(fileSystem.paths()).toEqual(["/state/journal-0", "/state/lock", "/state/reserve"]);
  });

  test("short writes are completed", async () => {
    const fileSystem = new CrashFileSystem();
    const { files, writer } = await started(fileSystem);
    fileSystem.writeBytesMax = 7;
    await files.append(writer.appendBytes([message(1)]));
    await files.checkpoint(writer.checkpointBytes(fold(HISTORY)), { urgent: false });
    const recovery = await recoveredFrom(fileSystem.afterPowerCut("nothing"));
    expect(plain(recovery.state)).toEqual(plain(fold(HISTORY)));
  });

  test("after close nothing is written", async () => {
    const { files, writer } = await started(new CrashFileSystem());
    const last = files.append(writer.appendBytes([message(1)]));
    await files.close();
    await last;
    expect(await codeOf(files.append(new Uint8Array(1)))).toBe("ERR_JOURNAL_IO");
    await files.close();
  });

  test("bytes that are no segment are no checkpoint", async () => {
    const { files } = await started(new CrashFileSystem());
    expect(await codeOf(files.checkpoint(new Uint8Array(100), { urgent: false }))).toBe("ERR_JOURNAL_RECORD");
  });
});

describe("faults", () => {
  test("after a failed fdatasync the descriptor is never written again", async () => {
    const fileSystem = new CrashFileSystem();
    const { files, writer } = await started(fileSystem);
    fileSystem.fault = (operation) => (operation === "datasync" ? "EIO" : null);
    const both = [1, 2].map((id) => codeOf(files.append(writer.appendBytes([message(id)]))));
    expect(await Promise.all(both)).toEqual(["ERR_JOURNAL_IO", "ERR_JOURNAL_IO"]);
    fileSystem.fault = () => null;
    fileSystem.log.length = 0;
    expect(await codeOf(files.append(writer.appendBytes([message(3)])))).toBe("ERR_JOURNAL_IO");
    expect(fileSystem.log).toEqual([]);

    writer.abandonSegment();
    await files.checkpoint(writer.checkpointBytes(fold([message(4)])), { urgent: false });
    await files.append(writer.appendBytes([message(5)]));
    const recovery = await recoveredFrom(fileSystem.afterPowerCut("nothing"));
    expect([...recovery.state.messages.keys()]).toEqual(["7:4", "7:5"]);
  });

  test("what was read at a start survives a power cut, though its fdatasync had failed", async () => {
    const fileSystem = new CrashFileSystem();
    const { files, writer } = await started(fileSystem);
    fileSystem.fault = (operation) => (operation === "datasync" ? "EIO" : null);
    expect(await codeOf(files.append(writer.appendBytes([message(1)])))).toBe("ERR_JOURNAL_IO");
    fileSystem.fault = () => null;
    const found = await recoveredFrom(fileSystem);
    expect(found.state.messages.size).toBe(1);
    const { state } = await recoveredFrom(fileSystem.afterPowerCut("nothing"), 3);
    expect(plain(state)).toEqual(plain(found.state));
  });

  test("likewise a segment whose directory entry had not reached the disk", async () => {
    const fileSystem = new CrashFileSystem();
    const files = await openFake(fileSystem);
    const writer = writerAfter(recover(await files.read()));
    fileSystem.fault = (operation, path) => (operation === "sync" && path === "/state" ? "EIO" : null);
    const image = writer.checkpointBytes(fold([message(1)]));
    expect(await codeOf(files.checkpoint(image, { urgent: false }))).toBe("ERR_JOURNAL_IO");
    fileSystem.fault = () => null;
    const found = await recoveredFrom(fileSystem);
    expect(found.state.messages.size).toBe(1);
    const { state } = await recoveredFrom(fileSystem.afterPowerCut("nothing"), 3);
    expect(plain(state)).toEqual(plain(found.state));
  });

  test("a checkpoint that fails at any step leaves the old segment or the new one, and refuses appends", async () => {
    const old = plain(fold([message(1)]));
    const next = plain(fold([message(1), message(2)]));
    for (let failAt = 0; ; failAt++) {
      const fileSystem = new CrashFileSystem();
      const { files, writer } = await started(fileSystem);
      await files.append(writer.appendBytes([message(1)]));
      let count = 0;
      fileSystem.fault = () => (count++ === failAt ? "EIO" : null);
      const image = writer.checkpointBytes(fold([message(1), message(2)]));
      const outcome = await codeOf(files.checkpoint(image, { urgent: false }));
      fileSystem.fault = () => null;
      // Once it is confirmed, what fails is the reserve, and that is nobody's concern.
      if (outcome === "no error") break;
      expect(outcome).toBe("ERR_JOURNAL_IO");
      expect(await codeOf(files.append(writer.appendBytes([message(9)])))).toBe("ERR_JOURNAL_IO");
      for (const survival of SURVIVALS) {
        const { state, report } = await recoveredFrom(fileSystem.afterPowerCut(survival));
        expect([old, next]).toContainEqual(plain(state));
        expect(report.damaged).toBe(false);
      }
      await files.checkpoint(writer.checkpointBytes(fold([message(3)])), { urgent: false });
      const { state } = await recoveredFrom(fileSystem.afterPowerCut("nothing"));
      expect(plain(state)).toEqual(plain(fold([message(3)])));
    }
  });

  test("a slot that cannot be read, or is too long, counts as damaged", async () => {
    const fileSystem = new CrashFileSystem();
    fileSystem.put("/state/journal-0", new Uint8Array(10));
    fileSystem.fault = (operation, path) => (operation === "readFile" && path.endsWith("0") ? "EIO" : null);
    const { report, state } = await recoveredFrom(fileSystem);
    expect(report.unreadableSegments).toBe(1);
    expect(report.damaged).toBe(true);
    expect(plain(state)).toEqual([]);
  });

  test("an interrupted checkpoint is cleared away", async () => {
    const fileSystem = new CrashFileSystem();
    fileSystem.put("/state/journal.new", new Uint8Array(10));
    await (await openFake(fileSystem)).close();
    expect(fileSystem.paths()).toEqual(["/state/reserve"]);
  });
});

describe("a full disk", () => {
  async function full(): Promise<{
    fileSystem: CrashFileSystem;
    files: JournalDirectory;
    writer: JournalWriter;
  }> {
    const fileSystem = new CrashFileSystem();
    const { files, writer } = await started(fileSystem);
    await files.append(writer.appendBytes([subscription(1), subscription(2)]));
    fileSystem.capacityBytes = 0;
    return { fileSystem, files, writer };
  }

  test("an append fails as full and nothing confirmed is lost", async () => {
    const { fileSystem, files, writer } = await full();
    expect(await codeOf(files.append(writer.appendBytes([message(1)])))).toBe("ERR_JOURNAL_FULL");
    const { state } = await recoveredFrom(fileSystem.afterPowerCut("nothing"));
    expect([...state.subscriptions.keys()]).toEqual([1, 2]);
  });

  test("an ordinary checkpoint fails and keeps the reserve", async () => {
    const { fileSystem, files, writer } = await full();
    const image = writer.checkpointBytes(fold([subscription(1)]));
    expect(await codeOf(files.checkpoint(image, { urgent: false }))).toBe("ERR_JOURNAL_FULL");
    expect(fileSystem.paths()).toContain("/state/reserve");
    expect(fileSystem.paths()).not.toContain("/state/journal.new");
  });

  test("an urgent one uses the reserve, which comes back when there is room", async () => {
    const { fileSystem, files, writer } = await full();
    fileSystem.capacityBytes = JOURNAL_RESERVE_BYTES + 2000;
    const filler = new Uint8Array(2000);
    fileSystem.put("/state/others", filler);
    await files.checkpoint(writer.checkpointBytes(fold([subscription(1)])), { urgent: true });
    const { state } = await recoveredFrom(fileSystem.afterPowerCut("nothing"));
    expect([...state.subscriptions.keys()]).toEqual([1]);

    fileSystem.capacityBytes = Number.POSITIVE_INFINITY;
    await files.checkpoint(writer.checkpointBytes(fold([subscription(1)])), { urgent: false });
    await files.close();
    expect((await fileSystem.stat("/state/reserve")).size).toBe(JOURNAL_RESERVE_BYTES);
  });

  test("the reserve grows with the journal, so that an urgent checkpoint fits", async () => {
    const fileSystem = new CrashFileSystem();
    const { files, writer } = await started(fileSystem);
    const state = new JournalState();
    for (let id = 1; id <= 40; id++) state.apply(message(id, { body: new Uint8Array(4000) }));
    const image = writer.checkpointBytes(state);
    await files.checkpoint(image, { urgent: false });
    await files.close();
    expect((await fileSystem.stat("/state/reserve")).size).toBeGreaterThanOrEqual(image.length);
  });

  test("starting works", async () => {
    const { fileSystem, files } = await full();
    await files.close();
    const restarted = fileSystem.afterPowerCut("everything");
    restarted.capacityBytes = 0;
    const { state } = await recoveredFrom(restarted);
    expect([...state.subscriptions.keys()]).toEqual([1, 2]);
  });
});

describe("the lock", () => {
  const holder = (pid: number): Uint8Array => ascii(`${pid}.1.a`);

  test("of a running process keeps others out", async () => {
    const fileSystem = new CrashFileSystem();
    fileSystem.put("/state/lock", holder(7));
    const opening = JournalDirectory.open({ ...around(fileSystem), processes: processes(1, [1, 7]) });
    expect(await codeOf(opening)).toBe("ERR_JOURNAL_IN_USE");
    expect(fileSystem.paths()).toEqual(["/state/lock"]);
  });

  test("of a process that is gone is taken over, also in the middle of a take-over", async () => {
    const fileSystem = new CrashFileSystem();
    fileSystem.put("/state/lock", holder(7));
    fileSystem.put("/state/lock.takeover", holder(8));
    const files = await openFake(fileSystem);
    expect(fileSystem.paths()).toEqual(["/state/lock", "/state/reserve"]);
    await files.close();
    expect(fileSystem.paths()).toEqual(["/state/reserve"]);
  });

  test.each(["", "0.1.a", "seven", "7", "7.1.a/b"])(
    "that says %j is not ours and is taken over",
    async (text) => {
      const fileSystem = new CrashFileSystem();
      fileSystem.put("/state/lock", ascii(text));
      await (await openFake(fileSystem)).close();
    },
  );

  test("left over and found by several at once goes to one of them", async () => {
    for (let round = 0; round < 20; round++) {
      const fileSystem = new CrashFileSystem();
      fileSystem.put("/state/lock", holder(9));
      const outcomes = await Promise.all(
        [1, 2, 3, 4].map(async (pid) => {
          for (let i = 0; i < (round * pid) % 7; i++) await Promise.resolve();
          const table = processes(pid, [1, 2, 3, 4]);
          return codeOf(JournalDirectory.open({ ...around(fileSystem), processes: table }));
        }),
      );
      expect(outcomes.filter((outcome) => outcome === "no error").length).toBe(1);
    }
  });
});

describe("segments on disk", () => {
  test("are what was handed over, byte for byte", async () => {
    const fileSystem = new CrashFileSystem();
    const files = await openFake(fileSystem);
    const writer = writerAfter(recover(await files.read()));
    const image = writer.checkpointBytes(fold(HISTORY));
    const more = writer.appendBytes([message(5)]);
    await files.checkpoint(image, { urgent: false });
    await files.append(more);
    const [found] = await files.read();
    expect(found).toEqual(concatBytes(image, more));
    expect(Object.getPrototypeOf(found)).toBe(Uint8Array.prototype);
  });
});
