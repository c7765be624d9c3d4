// SPDX-License-Identifier: MIT
// Goal: the memory and the LMDB store keep the contract; LMDB also across reopening, a SIGKILL right after a
// resolved promise, and a full disk. Method: the contract suite, a reopened directory, a child process that kills itself.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type LmdbStoreOptions, openLmdbStore } from "../../src/push-service/store/lmdb.ts";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import type { Store } from "../../src/push-service/store/store.ts";
import { bundledScript } from "../bundled-script.ts";
import { messageOf, storeContract, uaidOf } from "./store-contract.ts";

const NOW_MS = 1_600_000_000_000;
const opened: Store[] = [];
const directories: string[] = [];

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "godwit-store-"));
  directories.push(directory);
  return directory;
}

async function openAt(directory: string, options: Omit<LmdbStoreOptions, "directory"> = {}): Promise<Store> {
  const store = await openLmdbStore({ directory, ...options });
  opened.push(store);
  return store;
}

afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

storeContract("memory", async (quota) => new MemoryStore(quota));
storeContract("lmdb", (quota) => openAt(newDirectory(), quota === undefined ? {} : { quota }));

describe("LMDB store", () => {
  const uaid = uaidOf(1);

  test("keeps everything across reopening, and marks the messages of the earlier run", async () => {
    const directory = newDirectory();
    const store = await openAt(directory);
    await store.createDevice(uaid, NOW_MS);
    await store.register(uaid, uaidOf(9), new Uint8Array(65).fill(4), NOW_MS);
    await store.putMessage(uaid, 1, messageOf({ topic: "t" }));
    await store.close();
    const again = await openAt(directory);
    expect(again.epoch).toBe(store.epoch);
    const { messages } = await again.messages(uaid, { afterId: 0, limit: 9, nowMs: NOW_MS });
    expect(messages).toMatchObject([{ id: 1, mayHaveBeenSent: true, topic: "t" }]);
    expect(await again.register(uaid, uaidOf(9), new Uint8Array(65).fill(4), NOW_MS)).toMatchObject({
      channel: 1,
      created: false,
    });
    expect(await again.putMessage(uaid, 1, messageOf({ topic: "t" }))).toMatchObject({
      id: 2,
      replacedId: 1,
    });
  });

  test("a new store has another epoch", async () => {
    const epochs = [(await openAt(newDirectory())).epoch, (await openAt(newDirectory())).epoch];
    expect(epochs[0]).not.toBe(epochs[1]);
  });

  test("loses nothing when the process is killed right after the promise resolved", async () => {
    const directory = newDirectory();
    const script = `
      import { openLmdbStore } from "./src/push-service/store/lmdb.ts";
      const store = await openLmdbStore({ directory: ${JSON.stringify(directory)} });
      const uaid = new Uint8Array(16).fill(1);
      await store.createDevice(uaid, ${NOW_MS});
      await store.register(uaid, new Uint8Array(16).fill(9), null, ${NOW_MS});
      const message = { ttlS: 60, urgency: "normal", topic: null, saysNotification: false, body: new Uint8Array(4000),
        receivedMs: ${NOW_MS} };
      for (let i = 0; i < 20; i++) await store.putMessage(uaid, 1, message);
      process.kill(process.pid, "SIGKILL");
    `;
    const child = spawnSync(process.execPath, ["--input-type=module"], {
      input: await bundledScript(script),
      timeout: 20_000,
    });
    expect(child.signal).toBe("SIGKILL");
    const store = await openAt(directory);
    const { messages } = await store.messages(uaid, { afterId: 0, limit: 99, nowMs: NOW_MS });
    expect(messages.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  test("refuses writes while the disk has no room, and changes nothing", async () => {
    const directory = newDirectory();
    const store = await openAt(directory);
    await store.createDevice(uaid, NOW_MS);
    await store.close();
    const full = await openAt(directory, { freeBytesMin: Number.MAX_SAFE_INTEGER });
    await expect(full.register(uaid, uaidOf(9), null, NOW_MS)).rejects.toMatchObject({ code: "ERR_STORE" });
    expect(await full.channels(uaid)).toEqual([]);
  });

  test("acknowledging, withdrawing, revoking, unregistering and expiring still pass while the disk has no room", async () => {
    const directory = newDirectory();
    const store = await openAt(directory);
    await store.createDevice(uaid, NOW_MS);
    for (const id of [8, 9]) await store.register(uaid, uaidOf(id), null, NOW_MS);
    for (let i = 0; i < 3; i++) await store.putMessage(uaid, 1, messageOf());
    await store.close();
    const full = await openAt(directory, { freeBytesMin: Number.MAX_SAFE_INTEGER });
    expect(await full.ack(uaid, [[1, 1]])).toBe(1);
    expect(await full.withdraw(uaid, 1, 2)).toBe(true);
    expect(await full.expire(NOW_MS + 60_000)).toEqual({ messages: 1, devices: [] });
    expect(await full.revoke(uaid, 1, "expired")).toBe(true);
    expect(await full.unregister(uaid, 2)).toBe(true);
    await full.removeDevice(uaid);
    expect(await full.getDevice(uaid)).toBeNull();
  });

  test("a second store on an open directory is refused", async () => {
    const directory = newDirectory();
    await openAt(directory);
    await expect(openAt(directory)).rejects.toMatchObject({
      code: "ERR_JOURNAL_IN_USE",
      message: `another push service uses ${directory}`,
    });
  });

  test("an operation with a time that is no integer fails alone", async () => {
    const store = await openAt(newDirectory());
    const outcomes = await Promise.allSettled([
      store.createDevice(uaidOf(1), NOW_MS),
      store.createDevice(uaidOf(2), NOW_MS + 0.5),
      store.createDevice(uaidOf(3), NOW_MS),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await store.getDevice(uaidOf(2))).toBeNull();
    await store.createDevice(uaidOf(4), NOW_MS);
    expect(await store.getDevice(uaidOf(4))).not.toBeNull();
  });

  test("keeps its directory to its owner", async () => {
    const directory = join(newDirectory(), "store");
    await openAt(directory);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });
});
