// SPDX-License-Identifier: MIT
// Goal: what a host confirmed of the journal is there after the next start, for one process at a time and for nobody else's eyes.
// Method: real directories, looked at from outside.

import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { encodeHeader, makeSalt } from "../../src/journal/segment.ts";
import { JOURNAL_RESERVE_BYTES } from "../../src/limits.ts";
import { systemRandomFill } from "../../src/node/platform.ts";
import { lockHolder } from "../../src/node/system-processes.ts";
import type { Stage } from "./stage.ts";

export function describeJournal(stage: Stage): void {
  let above: string;
  let directory: string;
  beforeEach(() => {
    above = mkdtempSync(join(tmpdir(), "godwit-contract-"));
    directory = join(above, "of", "state");
  });
  afterEach(() => rmSync(above, { recursive: true, force: true }));

  const bits = (path: string) => statSync(path).mode & 0o777;
  /** Another start of the same host. */
  const again = async () => {
    await stage.host.end();
    stage.host = await stage.make({ ca: null });
  };

  describe("journal", () => {
    test("what was confirmed is there after the next start", async () => {
      const { operations } = stage.host;
      await operations.openJournal(directory);
      expect(await operations.readJournal()).toEqual([]);
      await operations.checkpoint(segment(1), false);
      await operations.append(Uint8Array.of(1), Uint8Array.of(2, 3));
      await operations.append(Uint8Array.of(4));
      await operations.closeJournal();
      await again();
      await stage.host.operations.openJournal(directory);
      const images = await stage.host.operations.readJournal();
      expect(images.map((image) => image.subarray(segment(1).length))).toEqual([Uint8Array.of(1, 2, 3, 4)]);
      await stage.host.operations.append(Uint8Array.of(5));
      await stage.host.operations.closeJournal();
      expect(new Uint8Array(readFileSync(join(directory, "journal-1"))).at(-1)).toBe(5);
    });

    test("a checkpoint takes the place of all before, in the other file", async () => {
      const { operations } = stage.host;
      await operations.openJournal(directory);
      await operations.readJournal();
      await operations.checkpoint(segment(1), false);
      await operations.append(Uint8Array.of(1));
      await operations.checkpoint(concatBytes(segment(2), Uint8Array.of(7)), true);
      await operations.append(Uint8Array.of(8));
      expect(readdirSync(directory).filter((name) => name.startsWith("journal"))).toEqual(["journal-0"]);
      expect(readFileSync(join(directory, "journal-0")).subarray(-2)).toEqual(Buffer.of(7, 8));
      await operations.closeJournal();
    });

    test("it is ours alone: directories 0700, files 0600, room for a full disk", async () => {
      const { operations } = stage.host;
      await operations.openJournal(directory);
      await operations.readJournal();
      await operations.checkpoint(segment(2), false);
      expect([bits(join(above, "of")), bits(directory)]).toEqual([0o700, 0o700]);
      expect([bits(join(directory, "journal-0")), bits(join(directory, "reserve"))]).toEqual([0o600, 0o600]);
      expect(statSync(join(directory, "reserve")).size).toBe(JOURNAL_RESERVE_BYTES);
      await operations.closeJournal();
    });

    test("a long segment", async () => {
      const { operations } = stage.host;
      await operations.openJournal(directory);
      await operations.readJournal();
      const large = concatBytes(
        segment(4),
        new Uint8Array(300_000).map((_, i) => i % 251),
      );
      await operations.checkpoint(large, false);
      await operations.closeJournal();
      await again();
      await stage.host.operations.openJournal(directory);
      const [image = new Uint8Array(0)] = await stage.host.operations.readJournal();
      expect(Buffer.compare(image, large)).toBe(0);
      await stage.host.operations.closeJournal();
    });

    test("one process at a time; its lock is what the Node host reads, and goes with it", async () => {
      const { operations } = stage.host;
      await operations.openJournal(directory);
      expect(lockHolder(directory)).toMatchObject({
        isRunning: true,
        startTicks: expect.stringMatching(/^\d+$/),
      });
      const other = await stage.make({ ca: null });
      await expect(other.operations.openJournal(directory)).rejects.toMatchObject({
        code: "ERR_JOURNAL_IN_USE",
      });
      await operations.closeJournal();
      expect(lockHolder(directory)).toBe(null);
      await other.operations.openJournal(directory);
      await other.operations.closeJournal();
      await other.end();
    });

    test.each([
      ["of a process that is gone", () => `4194304.1.${bootId()}`],
      ["of an earlier boot", () => `${process.pid}.1.another-boot`],
      ["of a process that had our number", () => `${process.pid}.1.${bootId()}`],
      ["that says nothing proper", () => "nonsense"],
    ])("a lock %s is taken over", async (_what, target) => {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      symlinkSync(target(), join(directory, "lock"));
      await stage.host.operations.openJournal(directory);
      expect(lockHolder(directory)).toMatchObject({ isRunning: true });
      await stage.host.operations.closeJournal();
    });

    test("a directory others may write into is refused", async () => {
      mkdirSync(directory, { recursive: true });
      chmodSync(directory, 0o770);
      await expect(stage.host.operations.openJournal(directory)).rejects.toMatchObject({
        code: "ERR_CONFIG",
      });
    });

    test.skipIf(process.getuid?.() !== 0)("a directory of another user is refused (needs root)", async () => {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      chownSync(directory, 65_534, 65_534);
      await expect(stage.host.operations.openJournal(directory)).rejects.toMatchObject({
        code: "ERR_CONFIG",
      });
    });

    test("a directory that cannot be made: a code, and no lock", async () => {
      writeFileSync(join(above, "file"), "");
      const path = join(above, "file", "state");
      await expect(stage.host.operations.openJournal(path)).rejects.toMatchObject({ code: "ERR_JOURNAL_IO" });
    });
  });

  describe("files of secrets", () => {
    beforeEach(() => mkdirSync(directory, { recursive: true, mode: 0o700 }));

    test("are replaced whole, and read as they were written", async () => {
      const { operations } = stage.host;
      expect(await operations.readPrivateFile(directory, "tokens.json")).toBe(null);
      for (const text of ["{}", "ä€😀".repeat(30_000), ""]) {
        await operations.writePrivateFile(directory, "tokens.json", text);
        expect(await operations.readPrivateFile(directory, "tokens.json")).toBe(text);
        expect(readFileSync(join(directory, "tokens.json"), "utf8")).toBe(text);
      }
      expect(bits(join(directory, "tokens.json"))).toBe(0o600);
      expect(readdirSync(directory)).toEqual(["tokens.json"]);
    });

    test("that others may read are refused", async () => {
      await stage.host.operations.writePrivateFile(directory, "tokens.json", "{}");
      chmodSync(join(directory, "tokens.json"), 0o640);
      await expect(stage.host.operations.readPrivateFile(directory, "tokens.json")).rejects.toMatchObject({
        code: "ERR_CONFIG",
      });
    });
  });
}

/** Nothing but a header. */
function segment(generation: number): Uint8Array {
  const salt = makeSalt(systemRandomFill);
  return encodeHeader({ generation, deviceBinding: new Uint8Array(16), salt, isSealed: false });
}

function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}
