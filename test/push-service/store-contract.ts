// SPDX-License-Identifier: MIT
// Goal: every store keeps the promises of the Store port. Method: one suite, run over each implementation by
// store.test.ts, looking only at what the port shows.

import { describe, expect, test } from "vitest";
import {
  DEVICE_MESSAGES_MAX,
  DEVICE_UNSEEN_MS_MAX,
  DEVICE_UNUSED_MS_MAX,
  DEVICES_LOOKED_AT_MAX,
  STORED_MESSAGE_OVERHEAD_BYTES,
} from "../../src/limits.ts";
import type {
  DeviceQuota,
  NewMessage,
  PutResult,
  RegisterResult,
  Store,
} from "../../src/push-service/store/store.ts";

/** Redis ends nothing that by its own clock is still to come. */
const NOW_MS = 1_600_000_000_000;

/** 16 bytes that all say `n`. */
export function uaidOf(n: number): Uint8Array {
  return new Uint8Array(16).fill(n);
}

export function messageOf(overrides: Partial<NewMessage> = {}): NewMessage {
  return {
    ttlS: 60,
    urgency: "normal",
    topic: null,
    saysNotification: false,
    body: Uint8Array.of(1, 2, 3),
    receivedMs: NOW_MS,
    ...overrides,
  };
}

function channelOf(result: RegisterResult): number {
  if (result.outcome !== "registered") throw new Error(`not registered: ${result.outcome}`);
  return result.channel;
}

function idOf(result: PutResult): number {
  if (result.outcome !== "stored") throw new Error(`not stored: ${result.outcome}`);
  return result.id;
}

export function storeContract(name: string, open: (quota?: DeviceQuota) => Promise<Store>): void {
  describe(`store contract: ${name}`, () => {
    const uaid = uaidOf(1);

    /** A store with one device that has one channel. */
    async function ready(quota?: DeviceQuota): Promise<{ store: Store; channel: number }> {
      const store = await open(quota);
      await store.createDevice(uaid, NOW_MS);
      return { store, channel: channelOf(await store.register(uaid, uaidOf(9), null, NOW_MS)) };
    }
    const all = (store: Store, afterId = 0, limit = 100, nowMs = NOW_MS) =>
      store.messages(uaid, { afterId, limit, nowMs });
    const idsIn = async (store: Store) => (await all(store)).messages.map(({ id }) => id);

    test("has an epoch that is a positive integer", async () => {
      const store = await open();
      expect(Number.isSafeInteger(store.epoch) && store.epoch > 0).toBe(true);
    });

    test("knows a device once it is created, and nothing of others", async () => {
      const store = await open();
      expect(await store.getDevice(uaid)).toBeNull();
      await store.createDevice(uaid, NOW_MS);
      expect(await store.getDevice(uaid)).toMatchObject({
        createdMs: NOW_MS,
        tokenGeneration: 0,
        messages: 0,
      });
      expect(await store.getDevice(uaidOf(2))).toBeNull();
    });

    test("knows what a device speaks", async () => {
      const store = await open();
      await store.createDevice(uaid, NOW_MS);
      await store.createDevice(uaidOf(2), NOW_MS, "autopush");
      expect(await store.getDevice(uaid)).toMatchObject({ dialect: "godwit.v1" });
      expect(await store.getDevice(uaidOf(2))).toMatchObject({ dialect: "autopush" });
    });

    test("keeps the headers of an aesgcm message, and gives none to others", async () => {
      const { store, channel } = await ready();
      const aesgcm = { encryption: "salt=AAAA", cryptoKey: "dh=BBBB" };
      await store.putMessage(uaid, channel, messageOf({ aesgcm }));
      await store.putMessage(uaid, channel, messageOf());
      const { messages } = await all(store);
      expect(messages.map((message) => message.aesgcm)).toEqual([aesgcm, undefined]);
    });

    test("raises the token generation and never lowers it", async () => {
      const { store } = await ready();
      await store.raiseTokenGeneration(uaid, 3);
      await store.raiseTokenGeneration(uaid, 2);
      expect((await store.getDevice(uaid))?.tokenGeneration).toBe(3);
    });

    test("registers idempotently and refuses the same id with another key", async () => {
      const { store, channel } = await ready();
      const again = await store.register(uaid, uaidOf(9), null, NOW_MS + 5);
      expect(again).toEqual({ outcome: "registered", channel, created: false });
      const key = new Uint8Array(65).fill(4);
      expect(await store.register(uaid, uaidOf(9), key, NOW_MS)).toEqual({ outcome: "conflict" });
      const keyed = channelOf(await store.register(uaid, uaidOf(8), key, NOW_MS));
      expect((await store.getChannel(uaid, keyed))?.applicationServerKey).toEqual(key);
      expect((await store.channels(uaid)).map((record) => record.channel)).toEqual([channel, keyed]);
      expect(await store.register(uaidOf(7), uaidOf(8), key, NOW_MS)).toEqual({ outcome: "gone" });
    });

    test("never reuses a channel", async () => {
      const { store, channel } = await ready();
      expect(await store.unregister(uaid, channel)).toBe(true);
      expect(await store.unregister(uaid, channel)).toBe(false);
      expect(channelOf(await store.register(uaid, uaidOf(9), null, NOW_MS))).toBe(channel + 1);
    });

    test("hands out what was stored, byte for byte, in order of id", async () => {
      const { store, channel } = await ready();
      const body = Uint8Array.from({ length: 4096 }, (_, i) => i & 0xff);
      const first = idOf(
        await store.putMessage(uaid, channel, messageOf({ body, topic: "t", urgency: "high" })),
      );
      body.fill(0);
      const second = idOf(
        await store.putMessage(uaid, channel, messageOf({ body: null, saysNotification: true })),
      );
      expect(second).toBeGreaterThan(first);
      const { messages, complete } = await all(store);
      expect(complete).toBe(true);
      expect(messages).toMatchObject([
        { id: first, channel, urgency: "high", topic: "t", saysNotification: false, mayHaveBeenSent: false },
        { id: second, channel, urgency: "normal", topic: null, saysNotification: true, body: null },
      ]);
      expect(messages[0]?.body).toEqual(Uint8Array.from({ length: 4096 }, (_, i) => i & 0xff));
      expect(messages[0]).toMatchObject({ receivedMs: NOW_MS, expiresMs: NOW_MS + 60_000 });
    });

    test("pages by id and says when a page was the last", async () => {
      const { store, channel } = await ready();
      for (let i = 0; i < 5; i++) await store.putMessage(uaid, channel, messageOf());
      const page = await all(store, 0, 2);
      expect([page.messages.length, page.complete]).toEqual([2, false]);
      const rest = await all(store, page.messages[1]?.id, 3);
      expect([rest.messages.length, rest.complete]).toEqual([3, true]);
    });

    test("refuses messages for unknown devices and channels", async () => {
      const { store, channel } = await ready();
      expect(await store.putMessage(uaidOf(5), channel, messageOf())).toEqual({ outcome: "gone" });
      expect(await store.putMessage(uaid, channel + 1, messageOf())).toEqual({ outcome: "gone" });
    });

    test("acknowledges exactly the ids named", async () => {
      const { store, channel } = await ready();
      const ids: number[] = [];
      for (let i = 0; i < 6; i++) ids.push(idOf(await store.putMessage(uaid, channel, messageOf())));
      const [a = 0, , c = 0, d = 0] = ids;
      expect(
        await store.ack(uaid, [
          [a, a],
          [c, d],
          [900, 999],
        ]),
      ).toBe(3);
      expect(await store.ack(uaid, [[a, a]])).toBe(0);
      expect(await idsIn(store)).toEqual([ids[1], ids[4], ids[5]]);
      expect(await store.getDevice(uaid)).toMatchObject({ messages: 3 });
    });

    test("replaces a message of the same topic on the same channel with a new id", async () => {
      const { store, channel } = await ready();
      const other = channelOf(await store.register(uaid, uaidOf(8), null, NOW_MS));
      const old = idOf(await store.putMessage(uaid, channel, messageOf({ topic: "news" })));
      const elsewhere = idOf(await store.putMessage(uaid, other, messageOf({ topic: "news" })));
      const put = await store.putMessage(uaid, channel, messageOf({ topic: "news" }));
      expect(put).toMatchObject({ outcome: "stored", replacedId: old });
      expect(await idsIn(store)).toEqual([elsewhere, idOf(put)]);
      await store.ack(uaid, [[idOf(put), idOf(put)]]);
      const next = await store.putMessage(uaid, channel, messageOf({ topic: "news" }));
      expect(next).toMatchObject({ replacedId: null });
    });

    test("gives a TTL 0 message an id and stores nothing", async () => {
      const { store, channel } = await ready();
      const id = idOf(await store.putMessage(uaid, channel, messageOf({ ttlS: 0 })));
      expect(await idsIn(store)).toEqual([]);
      expect(idOf(await store.putMessage(uaid, channel, messageOf()))).toBe(id + 1);
    });

    test("never hands out an expired message, and sweeps it", async () => {
      const { store, channel } = await ready();
      await store.putMessage(uaid, channel, messageOf({ ttlS: 10 }));
      const kept = idOf(await store.putMessage(uaid, channel, messageOf({ ttlS: 20 })));
      const atTen = NOW_MS + 10_000;
      expect((await all(store, 0, 100, atTen - 1)).messages.length).toBe(2);
      expect((await all(store, 0, 100, atTen)).messages.map(({ id }) => id)).toEqual([kept]);
      expect(await store.expire(atTen)).toEqual({ messages: 1, devices: [] });
      expect(await store.getDevice(uaid)).toMatchObject({ messages: 1 });
    });

    test("withdraws one message, of its own channel only", async () => {
      const { store, channel } = await ready();
      const id = idOf(await store.putMessage(uaid, channel, messageOf()));
      expect(await store.withdraw(uaid, channel + 1, id)).toBe(false);
      expect(await store.withdraw(uaid, channel, id)).toBe(true);
      expect(await store.withdraw(uaid, channel, id)).toBe(false);
    });

    test("holds a device to its quota, but lets expired and replaced messages make room", async () => {
      const { store, channel } = await ready();
      const puts: Promise<PutResult>[] = [];
      for (let i = 0; i < DEVICE_MESSAGES_MAX; i++) {
        puts.push(store.putMessage(uaid, channel, messageOf({ topic: i === 0 ? "t" : null })));
      }
      expect((await Promise.all(puts)).every(({ outcome }) => outcome === "stored")).toBe(true);
      expect(await store.putMessage(uaid, channel, messageOf())).toEqual({ outcome: "quota" });
      expect(await store.putMessage(uaid, channel, messageOf({ topic: "t" }))).toMatchObject({
        outcome: "stored",
      });
      const later = messageOf({ receivedMs: NOW_MS + 60_000 });
      expect(await store.putMessage(uaid, channel, later)).toMatchObject({ outcome: "stored" });
      expect(await store.getDevice(uaid)).toMatchObject({ messages: 1 });
    });

    test("holds a device to the quota it was opened with", async () => {
      const { store, channel } = await ready({ messagesMax: 2, messageBytesMax: 1_000 });
      const outcomes = [100, 900, 100, 1].map(async (length) => {
        const body = new Uint8Array(length);
        return (await store.putMessage(uaid, channel, messageOf({ body }))).outcome;
      });
      expect(await Promise.all(outcomes)).toEqual(["stored", "quota", "stored", "quota"]);
    });

    test("counts the headers of aesgcm, and gives them back", async () => {
      const { store, channel } = await ready();
      const aesgcm = { encryption: "salt=".padEnd(300, "A"), cryptoKey: "dh=".padEnd(200, "A") };
      const id = idOf(await store.putMessage(uaid, channel, messageOf({ aesgcm })));
      expect(await store.getDevice(uaid)).toMatchObject({
        messageBytes: STORED_MESSAGE_OVERHEAD_BYTES + 503,
      });
      await store.ack(uaid, [[id, id]]);
      expect(await store.getDevice(uaid)).toMatchObject({ messageBytes: 0 });
    });

    test("holds a device to its bytes", async () => {
      const { store, channel } = await ready();
      const body = new Uint8Array(4096);
      const puts = Array.from({ length: 999 }, () => store.putMessage(uaid, channel, messageOf({ body })));
      const outcomes = (await Promise.all(puts)).map(({ outcome }) => outcome);
      expect(outcomes.filter((outcome) => outcome === "stored").length).toBe(992);
      expect(outcomes.slice(992).every((outcome) => outcome === "quota")).toBe(true);
    });

    test("revoking ends messages and registration but keeps the channel until it is unregistered", async () => {
      const { store, channel } = await ready();
      await store.putMessage(uaid, channel, messageOf());
      expect(await store.revoke(uaid, channel, "application-server")).toBe(true);
      expect(await store.revoke(uaid, channel, "expired")).toBe(false);
      expect(await idsIn(store)).toEqual([]);
      expect(await store.channels(uaid)).toMatchObject([{ channel, revoked: "application-server" }]);
      expect(await store.putMessage(uaid, channel, messageOf())).toEqual({ outcome: "gone" });
      const fresh = channelOf(await store.register(uaid, uaidOf(9), null, NOW_MS));
      expect(fresh).toBe(channel + 1);
      expect(await store.unregister(uaid, channel)).toBe(true);
      expect(await store.register(uaid, uaidOf(9), null, NOW_MS)).toMatchObject({ channel: fresh });
    });

    test("removing a device leaves nothing behind and others alone", async () => {
      const { store, channel } = await ready();
      await store.createDevice(uaidOf(2), NOW_MS);
      const other = channelOf(await store.register(uaidOf(2), uaidOf(9), null, NOW_MS));
      await store.putMessage(uaid, channel, messageOf({ topic: "t" }));
      await store.putMessage(uaidOf(2), other, messageOf());
      await store.removeDevice(uaid);
      expect(await store.getDevice(uaid)).toBeNull();
      expect(await store.channels(uaid)).toEqual([]);
      expect(await idsIn(store)).toEqual([]);
      expect(await store.expire(NOW_MS + 120_000)).toEqual({ messages: 1, devices: [] });
    });

    test("forgets devices that never registered anything, and only those", async () => {
      const { store } = await ready();
      await store.createDevice(uaidOf(2), NOW_MS);
      await store.expire(NOW_MS + DEVICE_UNUSED_MS_MAX - 1);
      expect(await store.getDevice(uaidOf(2))).not.toBeNull();
      expect(await store.expire(NOW_MS + DEVICE_UNUSED_MS_MAX)).toEqual({
        messages: 0,
        devices: [uaidOf(2)],
      });
      expect(await store.getDevice(uaidOf(2))).toBeNull();
      expect(await store.getDevice(uaid)).not.toBeNull();
    });

    test("notes when a device was seen, and never goes back", async () => {
      const { store } = await ready();
      expect(await store.getDevice(uaid)).toMatchObject({ seenMs: NOW_MS });
      await store.noteSeen(uaid, NOW_MS + 5_000);
      await store.noteSeen(uaid, NOW_MS + 4_000);
      await store.noteSeen(uaidOf(2), NOW_MS);
      expect(await store.getDevice(uaid)).toMatchObject({ createdMs: NOW_MS, seenMs: NOW_MS + 5_000 });
      expect(await store.getDevice(uaidOf(2))).toBeNull();
    });

    test("forgets a device unseen for too long with all it had, and keeps the one that was seen", async () => {
      const { store, channel } = await ready();
      await store.createDevice(uaidOf(2), NOW_MS);
      const other = channelOf(await store.register(uaidOf(2), uaidOf(9), null, NOW_MS));
      const lasting = messageOf({ ttlS: 100 * 24 * 3600, topic: "t" });
      await store.putMessage(uaid, channel, lasting);
      await store.putMessage(uaidOf(2), other, lasting);
      const seenMs = NOW_MS + 24 * 3600_000;
      await store.noteSeen(uaidOf(2), seenMs);
      const unseenMs = NOW_MS + DEVICE_UNSEEN_MS_MAX;
      expect(await store.expire(unseenMs - 1)).toEqual({ messages: 0, devices: [] });
      expect(await store.expire(unseenMs)).toEqual({ messages: 0, devices: [uaid] });
      expect([await store.getDevice(uaid), await store.channels(uaid)]).toEqual([null, []]);
      expect(await store.countMessages()).toBe(1);
      // Looked at once and put off, it is looked at again when its own time has come.
      expect(await store.expire(seenMs + DEVICE_UNSEEN_MS_MAX - 1)).toEqual({ messages: 0, devices: [] });
      expect(await store.expire(seenMs + DEVICE_UNSEEN_MS_MAX)).toEqual({
        messages: 0,
        devices: [uaidOf(2)],
      });
      expect(await store.countMessages()).toBe(0);
    });

    test("forgets more devices than one batch holds", async () => {
      const store = await open();
      const many = Array.from({ length: DEVICES_LOOKED_AT_MAX + 10 }, (_, i) => uaidOf(i + 1));
      await Promise.all(many.map((one) => store.createDevice(one, NOW_MS)));
      expect(await store.countDevices()).toBe(many.length);
      const { devices } = await store.expire(NOW_MS + DEVICE_UNUSED_MS_MAX);
      expect(devices.map(([first]) => first).sort()).toEqual(many.map(([first]) => first).sort());
      expect(await store.countDevices()).toBe(0);
    });

    test("gives concurrent messages different, rising ids", async () => {
      const { store, channel } = await ready();
      const puts = Array.from({ length: 200 }, () => store.putMessage(uaid, channel, messageOf()));
      const ids = (await Promise.all(puts)).map(idOf);
      expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
    });

    test("refuses everything once closed", async () => {
      const { store, channel } = await ready();
      await store.close();
      await expect(store.getDevice(uaid)).rejects.toMatchObject({ code: "ERR_STORE_CLOSED" });
      await expect(store.putMessage(uaid, channel, messageOf())).rejects.toMatchObject({
        code: "ERR_STORE_CLOSED",
      });
    });
  });
}
