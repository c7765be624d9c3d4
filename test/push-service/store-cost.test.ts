// SPDX-License-Identifier: MIT
// Goal: no single request makes the LMDB store look through a device's queue again and again, and nothing turns its flushes
// off. Method: count the messages it decodes and the devices it writes, and look at what it asks of lmdb.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as lmdb from "lmdb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DEVICE_MESSAGES_MAX } from "../../src/limits.ts";
import { openLmdbStore } from "../../src/push-service/store/lmdb.ts";
import * as records from "../../src/push-service/store/lmdb-records.ts";
import type { Store } from "../../src/push-service/store/store.ts";
import { messageOf, uaidOf } from "./store-contract.ts";

vi.mock("lmdb", async (original) => {
  const actual = await original<typeof import("lmdb")>();
  return { ...actual, open: vi.fn(actual.open) };
});
vi.mock("../../src/push-service/store/lmdb-records.ts", async (original) => {
  const actual = await original<typeof import("../../src/push-service/store/lmdb-records.ts")>();
  return {
    ...actual,
    storedMessage: vi.fn(actual.storedMessage),
    messagePlace: vi.fn(actual.messagePlace),
    deviceValue: vi.fn(actual.deviceValue),
  };
});

const NOW_MS = 1_600_000_000_000;
const CHANNELS = 50;
const uaid = uaidOf(1);
let directory: string;
let store: Store;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "godwit-cost-"));
  store = await openLmdbStore({ directory });
  await store.createDevice(uaid, NOW_MS);
  for (let i = 0; i < CHANNELS; i++) await store.register(uaid, uaidOf(i), null, NOW_MS);
});
afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

/** On the last channel, so that none of the others has any. */
async function fill(): Promise<void> {
  await Promise.all(
    Array.from({ length: DEVICE_MESSAGES_MAX }, () => store.putMessage(uaid, CHANNELS, messageOf())),
  );
}

/** Messages decoded by `action`. */
async function decodedBy(action: () => Promise<unknown>): Promise<number> {
  const decoders = [vi.mocked(records.storedMessage), vi.mocked(records.messagePlace)];
  for (const decoder of decoders) decoder.mockClear();
  await action();
  return decoders.reduce((sum, { mock }) => sum + mock.calls.length, 0);
}

test("refusing a message at the quota decodes none of those stored", async () => {
  await fill();
  const refused = await decodedBy(async () => {
    expect(await store.putMessage(uaid, CHANNELS, messageOf())).toEqual({ outcome: "quota" });
  });
  expect(refused).toBe(0);
});

test("making room decodes each expired message once", async () => {
  await fill();
  const later = messageOf({ receivedMs: NOW_MS + 60_000 });
  const decoded = await decodedBy(async () => {
    expect(await store.putMessage(uaid, 1, later)).toMatchObject({ outcome: "stored" });
  });
  expect(decoded).toBe(DEVICE_MESSAGES_MAX);
});

test("forgetting a device decodes each message once, however many channels it has", async () => {
  await fill();
  expect(await decodedBy(() => store.removeDevice(uaid))).toBe(DEVICE_MESSAGES_MAX);
});

test("ending channels decodes nothing when nothing is stored", async () => {
  const ids = Array.from({ length: CHANNELS }, (_, i) => i + 1);
  expect(await decodedBy(() => Promise.all(ids.map((id) => store.unregister(uaid, id))))).toBe(0);
});

test("a page decodes no more messages than it holds, and one to know whether it is the last", async () => {
  await fill();
  const page = () => store.messages(uaid, { afterId: 0, limit: 64, nowMs: NOW_MS });
  expect(await decodedBy(page)).toBe(65);
});

test("messages that come and go for one device in one commit write it once", async () => {
  const ids = Array.from({ length: 100 }, (_, i) => i + 1);
  await Promise.all(ids.map(() => store.putMessage(uaid, 1, messageOf())));
  const written = vi.mocked(records.deviceValue);
  written.mockClear();
  await Promise.all(
    ids.flatMap((id): Promise<unknown>[] => [
      store.putMessage(uaid, 1, messageOf()),
      store.ack(uaid, [[id, id]]),
    ]),
  );
  expect(written).toHaveBeenCalledTimes(1);
  expect(await store.getDevice(uaid)).toMatchObject({ lastMessageId: 200, messages: 100 });
});

test("nothing asked of lmdb lets a commit return before its flush", () => {
  // Exactly these: `noSync`, `noMetaSync`, `mapAsync` and the like would make a 201 a promise without cover.
  expect(vi.mocked(lmdb.open).mock.lastCall).toEqual([
    {
      path: directory,
      noSubdir: false,
      encoding: "msgpack",
      keyEncoding: "binary",
      overlappingSync: false,
      cache: false,
    },
  ]);
});
