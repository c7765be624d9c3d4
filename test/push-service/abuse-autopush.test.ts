// SPDX-License-Identifier: MIT
// Goal: devices of dialect autopush that flood, send too much, register without end or read nothing cost bounded memory, end with
// the right code, and nobody else notices. Method: a real service process, an attacker with an address of its own, a device beside
// it that receives all the time; and a process whose garbage can be collected, to see what a link keeps.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import {
  AUTOPUSH_BODY_BYTES_MAX,
  AUTOPUSH_FRAME_BYTES_MAX,
  AUTOPUSH_IN_FLIGHT_MAX,
  LINK_FRAMES_BURST_MAX,
} from "../../src/limits.ts";
import { formatUuid } from "../../src/wire/autopush.ts";
import { bundledScript } from "../bundled-script.ts";
import { killed } from "../killed.ts";
import { AbusedService, expectUnharmed, HAS_ADDRESSES } from "./abused-service.ts";
import { AutopushDevice } from "./autopush-device.ts";

const SM = { code: 1011, reason: "SM" };
const FLOOD = 20_000;
let service: AbusedService;
beforeAll(async () => {
  if (HAS_ADDRESSES) service = await AbusedService.start();
});
afterAll(() => service?.stop());

/** A new device with one channel. */
async function subscribed(localAddress: string) {
  const device = await service.autopush(localAddress);
  const { uaid } = await device.hello();
  const { pushEndpoint } = await device.register(channelId(0));
  return { device, uaid, endpoint: pushEndpoint };
}

/** 16 bytes, other ones for each number. */
function channelId(index: number): Uint8Array {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(0, index);
  return id;
}

/** Sends until the link ends. */
async function flood(device: AutopushDevice, frameOf: (i: number) => string): Promise<unknown> {
  for (let i = 0; i < FLOOD && device.webSocket.readyState === device.webSocket.OPEN; i++) {
    device.sendText(frameOf(i));
    // Often: the end has to be heard of, and the device beside lives in this process too.
    if (i % 10 === 0) await new Promise(setImmediate);
  }
  return await device.closed;
}

describe.runIf(HAS_ADDRESSES)("a flood of", () => {
  test.each<[string, string, (i: number) => string]>([
    [
      "registrations",
      "127.0.0.80",
      (i) => JSON.stringify({ messageType: "register", channelID: formatUuid(channelId(i)) }),
    ],
    [
      "acknowledgements",
      "127.0.0.81",
      (i) => {
        const updates = Array.from({ length: 600 }, (_, k) => ({
          channelID: formatUuid(channelId(0)),
          version: `abc.${(i * 600 + k).toString(36)}`,
        }));
        return JSON.stringify({ messageType: "ack", updates });
      },
    ],
    ["negative acknowledgements", "127.0.0.82", () => '{"messageType":"nack","version":"a.1"}'],
    [
      "channels that never were",
      "127.0.0.84",
      (i) => JSON.stringify({ messageType: "unregister", channelID: formatUuid(channelId(i + 1)) }),
    ],
  ])(
    "%s ends its link, and its device may come again",
    async (what, address, frameOf) => {
      const { device, uaid } = await subscribed(address);
      const before = await service.metric("godwit_push_registrations_total");
      const figures = await service.besides(`a flood of ${what}`, async () => {
        expect(await flood(device, frameOf)).toEqual(SM);
      });
      // The device beside makes one as well.
      const made = (await service.metric("godwit_push_registrations_total")) - before;
      expect(made).toBeLessThan(LINK_FRAMES_BURST_MAX + 100);
      const again = await service.autopush(address);
      expect((await again.hello(uaid)).uaid).toBe(uaid);
      await again.close();
      expectUnharmed(figures);
    },
    60_000,
  );

  test("hellos makes no device, and a second one in a link ends it", async () => {
    const before = await service.metric("godwit_push_devices_created_total");
    let seen: Awaited<ReturnType<typeof service.metric>> = 0;
    const figures = await service.besides("400 hellos of nobody, each said twice", async () => {
      for (let i = 0; i < 400; i += 50) {
        const devices = await Promise.all(Array.from({ length: 50 }, () => service.autopush("127.0.0.85")));
        const uaids = await Promise.all(
          devices.map(async (device) => (await device.hello("0".repeat(32))).uaid),
        );
        seen += new Set(uaids).size;
        for (const device of devices)
          device.send({ type: "hello", uaid: uaids[0] ?? null, broadcasts: new Map() });
        const closes = await Promise.all(devices.map(({ closed }) => closed));
        expect(closes).toEqual(Array.from(closes, () => SM));
      }
    });
    // Only the device beside is one.
    expect([seen, (await service.metric("godwit_push_devices_created_total")) - before]).toEqual([400, 1]);
    expectUnharmed(figures);
  }, 60_000);
});

describe.runIf(HAS_ADDRESSES)("too big", () => {
  test.each<[string, string | Buffer, { code: number; reason: string }]>([
    ["a text frame over the limit", "a".repeat(AUTOPUSH_FRAME_BYTES_MAX + 1), { code: 1009, reason: "" }],
    [
      "objects inside each other",
      '{"a":'.repeat(AUTOPUSH_FRAME_BYTES_MAX / 6),
      { code: 1011, reason: "Json" },
    ],
    [
      "a hello of nothing but channels",
      `{"messageType":"hello","channelIDs":[${'"",'.repeat(AUTOPUSH_FRAME_BYTES_MAX / 3 - 20)}""]}`,
      { code: 1011, reason: "Json" },
    ],
    ["a binary frame", Buffer.alloc(AUTOPUSH_FRAME_BYTES_MAX), { code: 1003, reason: "UnsupportedMessage" }],
  ])(
    "%s ends its link",
    async (what, frame, expected) => {
      const figures = await service.besides(`100 times ${what}`, async () => {
        for (let i = 0; i < 100; i += 25) {
          const devices = await Promise.all(Array.from({ length: 25 }, () => service.autopush("127.0.0.86")));
          for (const { webSocket } of devices) webSocket.send(frame);
          for (const { closed } of devices) expect(await closed).toEqual(expected);
        }
      });
      expectUnharmed(figures);
    },
    60_000,
  );
});

describe.runIf(HAS_ADDRESSES)("many", () => {
  const CHANNELS = 401;

  test("channels of many devices cost little, and each goes on receiving", async () => {
    const figures = await service.besides(`${5 * CHANNELS} channels`, async () => {
      const devices = await Promise.all(Array.from({ length: 5 }, () => subscribed("127.0.0.87")));
      await Promise.all(
        devices.map(async ({ device }) => {
          for (let i = 1; i < CHANNELS; i += 50) {
            for (let k = i; k < i + 50; k++)
              device.send({ type: "register", channelId: channelId(k), key: null });
            for (let k = i; k < i + 50; k++) expect((await device.next("register")).status).toBe(200);
          }
        }),
      );
      for (const { device, uaid, endpoint } of devices) {
        await device.close();
        const again = await service.autopush("127.0.0.87");
        const channelIDs = Array.from({ length: CHANNELS }, (_, i) => formatUuid(channelId(i)));
        again.sendText(JSON.stringify({ messageType: "hello", uaid, channelIDs }));
        expect((await again.next("hello")).uaid).toBe(uaid);
        expect((await service.post(endpoint, "127.0.0.87")).status).toBe(201);
        expect(await again.next("notification")).toMatchObject({ channelId: channelId(0) });
      }
    });
    expectUnharmed(figures);
  }, 60_000);
});

describe.runIf(HAS_ADDRESSES)("slow readers", () => {
  const READERS = 8;
  const MESSAGES = 160;

  test("get what they can take, the rest waits in the store, and all of it comes in the end", async () => {
    const readers = await Promise.all(Array.from({ length: READERS }, () => subscribed("127.0.0.88")));
    const figures = await service.besides(
      `${READERS * MESSAGES} messages for who reads nothing`,
      async () => {
        for (const { device } of readers) device.webSocket.pause();
        for (let i = 0; i < MESSAGES; i++) {
          const posted = readers.map(({ endpoint }) =>
            service.post(endpoint, "127.0.0.88", {}, AUTOPUSH_BODY_BYTES_MAX),
          );
          for (const { status } of await Promise.all(posted)) expect(status).toBe(201);
        }
      },
    );
    for (const { device } of readers) device.webSocket.resume();
    await Promise.all(
      readers.map(async ({ device }) => {
        const versions = new Set<string>();
        while (versions.size < MESSAGES) {
          const { channelId, version } = await device.next("notification");
          expect(versions.has(version)).toBe(false);
          versions.add(version);
          device.ack(channelId, version);
        }
        expect(await device.quiet()).toEqual([]);
      }),
    );
    expect(MESSAGES).toBeGreaterThan(AUTOPUSH_IN_FLIGHT_MAX);
    expectUnharmed(figures);
  }, 60_000);

  test("whose frames ask for more answers than they read are cut", async () => {
    const names = Array.from({ length: 250 }, (_, k) => [`${"x".repeat(200)}${k}`, "1"]);
    const frame = JSON.stringify({
      messageType: "broadcast_subscribe",
      broadcasts: Object.fromEntries(names),
    });
    const devices = await Promise.all(Array.from({ length: 4 }, () => subscribed("127.0.0.89")));
    const figures = await service.besides("answers of 60 KB that nobody reads", async () => {
      const sent = devices.map(async ({ device: { webSocket } }) => {
        webSocket.pause();
        // Far beyond the rate, also where sending takes long.
        for (let i = 0; i < 300 && webSocket.readyState === WebSocket.OPEN; i++)
          await new Promise((resolve) => webSocket.send(frame, resolve));
      });
      await Promise.all(sent);
      for (const { device } of devices) device.webSocket.resume();
      for (const { device } of devices) expect([1006, 1011]).toContain((await device.closed).code);
    });
    expectUnharmed(figures);
  }, 60_000);
});

test("of its hello and of its headers a link keeps nothing", async () => {
  const service = await measuredService();
  try {
    const perLinkBytes = async (headers: Record<string, string>, broadcasts: ReadonlyMap<string, string>) => {
      const before = await service.heapBytes();
      for (let i = 0; i < LINKS; i++) {
        const webSocket = new WebSocket(`ws://127.0.0.1:${service.port}/`, { headers });
        const device = new AutopushDevice(webSocket);
        await once(webSocket, "open");
        await device.hello(null, new Map([...broadcasts].map(([id, version]) => [`${id}${i}`, version])));
      }
      return ((await service.heapBytes()) - before) / LINKS;
    };
    await perLinkBytes({}, new Map());
    const plainBytes = await perLinkBytes({}, new Map());
    const many = new Map(Array.from({ length: 200 }, (_, k) => [`${"x".repeat(240)}${k}`, "1".repeat(20)]));
    const largeBytes = await perLinkBytes({ "X-Large": "x".repeat(12_000) }, many);
    console.info(
      `heap of a link: ${Math.round(plainBytes)} B, after a large hello ${Math.round(largeBytes)} B`,
    );
    expect(largeBytes).toBeLessThan(plainBytes + 4_096);
  } finally {
    await service.stop();
  }
});

const LINKS = 100;

/** A push service whose heap is collected before it is measured. */
async function measuredService() {
  const script = `
    import { createPushService, MemoryStore, newKeyring } from "./src/push-service/index.ts";
    const service = createPushService({ store: new MemoryStore(), keyring: newKeyring(), tls: null });
    await service.listen();
    process.on("message", () => {
      globalThis.gc();
      process.send(process.memoryUsage().heapUsed);
    });
    process.send(service.port);
  `;
  const child = spawn(process.execPath, ["--expose-gc", "--input-type=module"], {
    stdio: ["pipe", "inherit", "inherit", "ipc"],
  });
  child.stdin?.end(await bundledScript(script));
  const told = async (): Promise<number> => ((await once(child, "message")) as [number])[0];
  const port = await told();
  return {
    port,
    heapBytes: async () => {
      const heap = told();
      child.send("measure");
      return await heap;
    },
    stop: () => killed(child),
  };
}
