// SPDX-License-Identifier: MIT
// Goal: a secret file is the old one or the new one, whatever fails, and never one that others may read. Method: the file system in
// memory, cut at every step, with every way the unsynced may survive.

import { expect, test } from "vitest";
import { privateFilesIn } from "../../src/user-agent/private-files.ts";
import { CrashFileSystem, SURVIVALS } from "./crash-file-system.ts";

const NAME = "admin.token";

/** With the old text in place, and the power going after so many steps more. */
async function withOld(stepsMax = Number.POSITIVE_INFINITY): Promise<CrashFileSystem> {
  const fileSystem = new CrashFileSystem();
  await privateFilesIn("/state", fileSystem).write(NAME, "old");
  fileSystem.powerCutAt = fileSystem.steps + stepsMax;
  return fileSystem;
}

test("a power cut at every step of a replacement leaves the old text or the new, and the new once it is written", async () => {
  const whole = await withOld();
  const before = whole.steps;
  await privateFilesIn("/state", whole).write(NAME, "new");
  const steps = whole.steps - before;
  expect(steps).toBeGreaterThan(4);
  for (let cut = 0; cut <= steps; cut++) {
    const fileSystem = await withOld(cut);
    const isWritten = await privateFilesIn("/state", fileSystem)
      .write(NAME, "new")
      .then(
        () => true,
        () => false,
      );
    expect(isWritten).toBe(cut === steps);
    for (const survival of SURVIVALS) {
      const files = privateFilesIn("/state", fileSystem.afterPowerCut(survival));
      expect(isWritten ? ["new"] : ["old", "new"]).toContain(await files.read(NAME));
      await files.write(NAME, "third");
      expect(await files.read(NAME)).toBe("third");
    }
  }
});

test("a full disk is said to be one, another failure not, and the old text stays", async () => {
  for (const [systemCode, code] of [
    ["ENOSPC", "ERR_JOURNAL_FULL"],
    ["EDQUOT", "ERR_JOURNAL_FULL"],
    ["EIO", "ERR_JOURNAL_IO"],
  ] as const) {
    const fileSystem = await withOld();
    fileSystem.fault = (operation) => (operation === "write" ? systemCode : null);
    const files = privateFilesIn("/state", fileSystem);
    await expect(files.write(NAME, "new")).rejects.toMatchObject({ code });
    expect(await files.read(NAME)).toBe("old");
  }
});

test("what is not there is null, and what others may read is refused", async () => {
  const files = privateFilesIn("/state", await withOld());
  expect(await files.read("page.key")).toBeNull();
  const open = await withOld();
  const stat = open.stat.bind(open);
  open.stat = async (path) => ({ ...(await stat(path)), mode: 0o100644 });
  const refused = {
    code: "ERR_CONFIG",
    message: expect.stringContaining("/state/admin.token holds a secret"),
  };
  await expect(privateFilesIn("/state", open).read(NAME)).rejects.toMatchObject(refused);
});
