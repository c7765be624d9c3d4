// SPDX-License-Identifier: MIT
// Goal: the service starts, issues tokens within its rates, serves TLS, tells its health, and stops without losing anybody.
// Method: real sockets on free ports; stops and restarts over one LMDB directory.

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, get } from "node:https";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { afterEach, describe, expect, test, vi } from "vitest";
import webpush from "web-push";
import { READY_CHECK_MS } from "../../src/limits.ts";
import { loadDevCertificate } from "../../src/push-service/dev-ca.ts";
import { addressGroup, forwardedAddress } from "../../src/push-service/enrolment.ts";
import { loadKeyring } from "../../src/push-service/keyring.ts";
import { Sealer } from "../../src/push-service/seal.ts";
import { openLmdbStore } from "../../src/push-service/store/lmdb.ts";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import { endpointKeyHash, Tokens } from "../../src/push-service/tokens.ts";
import { base64urlEncode } from "../../src/webpush/base64url.ts";
import { TestBench } from "./bench.ts";

const benches: TestBench[] = [];
const directories: string[] = [];

async function start(options: Parameters<typeof TestBench.start>[0] = {}): Promise<TestBench> {
  const bench = await TestBench.start(options);
  benches.push(bench);
  return bench;
}

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "godwit-service-"));
  directories.push(directory);
  return directory;
}

afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.stop();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

const errnoOf = async (response: Response) => [
  response.status,
  ((await response.json()) as { errno: number }).errno,
];

describe("token", () => {
  test("GET and POST both issue one, never cached", async () => {
    const bench = await start();
    for (const method of ["GET", "POST"]) {
      const response = await bench.fetch("/v1/token", { method });
      expect([response.status, response.headers.get("cache-control")]).toEqual([200, "no-store"]);
      expect(await response.json()).toEqual({
        uaToken: expect.stringMatching(/^[\w-]+$/),
        uaid: expect.stringMatching(/^[0-9a-f]{32}$/),
      });
    }
  });

  test("is limited by address: 429/312 with Retry-After", async () => {
    const bench = await start({ tokenRate: { burstMax: 1, perMinute: 6 } });
    await bench.token();
    const response = await bench.fetch("/v1/token", { method: "POST" });
    expect(response.headers.get("retry-after")).toBe("10");
    expect(await errnoOf(response)).toEqual([429, 312]);
  });

  test("behind a proxy the address is the last one it forwarded", async () => {
    const bench = await start({ isBehindProxy: true, tokenRate: { burstMax: 1, perMinute: 6 } });
    await bench.token({ "X-Forwarded-For": "192.0.2.1" });
    await bench.token({ "X-Forwarded-For": "192.0.2.2" });
    const spoofed = await bench.fetch("/v1/token", {
      headers: { "X-Forwarded-For": "198.51.100.1, 192.0.2.2" },
    });
    expect(spoofed.status).toBe(429);
  });

  test.each([
    ["192.0.2.7", "192.0.2.7"],
    ["192.0.2.7:5555", "192.0.2.7"],
    ["[2001:db8::1]:443", "2001:db8::1"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["fe80::1%eth0", "fe80::1"],
    ["192.0.2.7:", null],
    ["x".repeat(16_000), null],
    ["", null],
  ])("a forwarded %s is the address %s", (entry, address) => {
    expect(forwardedAddress(entry)).toBe(address);
  });

  test("behind a proxy neither a port nor junk is another address", async () => {
    const bench = await start({ isBehindProxy: true, tokenRate: { burstMax: 1, perMinute: 6 } });
    const statusOf = async (forwarded: string) =>
      (await bench.fetch("/v1/token", { headers: { "X-Forwarded-For": forwarded } })).status;
    const forms = ["192.0.2.1:1", "192.0.2.1:2", "[::ffff:192.0.2.1]:3", "junk", "other junk"];
    const statuses: number[] = [];
    for (const form of forms) statuses.push(await statusOf(form));
    expect(statuses).toEqual([200, 429, 429, 200, 429]);
  });

  test("with an enrolment secret no rate counts, without it no new device gets in", async () => {
    const bench = await start({ enrolmentSecrets: ["s3cret"], tokenRate: { burstMax: 1, perMinute: 1 } });
    expect(await errnoOf(await bench.fetch("/v1/token"))).toEqual([401, 311]);
    expect(
      await errnoOf(await bench.fetch("/v1/token", { headers: { "Godwit-Enrolment": "wrong" } })),
    ).toEqual([401, 311]);
    const headers = { "Godwit-Enrolment": "s3cret" };
    const first = await bench.token(headers);
    await bench.token(headers);
    const refreshed = await bench.token({ Authorization: `Bearer ${first.uaToken}` });
    expect(refreshed.uaid).toBe(first.uaid);
  });

  test.each([
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8::6", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::ffff:c000:207", "192.0.2.7"],
    ["2001:DB8:0001:2::6", "2001:db8:1:2::/64"],
  ])("address %s counts as %s", (address, group) => {
    expect(addressGroup(address)).toBe(group);
  });
});

describe("health", () => {
  test("is well and ready, and not ready once the store fails", async () => {
    const store = new MemoryStore();
    const bench = await start({ store });
    expect((await bench.fetch("/healthz")).status).toBe(200);
    expect((await bench.fetch("/readyz")).status).toBe(200);
    await store.close();
    bench.monotonicMs += READY_CHECK_MS;
    expect((await bench.fetch("/healthz")).status).toBe(200);
    for (let i = 0; i < 2; i++) expect((await bench.fetch("/readyz")).status).toBe(503);
  });

  test("costs the store one write within a second, whoever asks", async () => {
    const store = new MemoryStore();
    const bench = await start({ store });
    const writes = vi.spyOn(store, "raiseTokenGeneration");
    const ask = () => Promise.all(Array.from({ length: 20 }, () => bench.fetch("/readyz")));
    expect(new Set((await ask()).map(({ status }) => status))).toEqual(new Set([200]));
    bench.monotonicMs += READY_CHECK_MS - 1;
    await ask();
    expect(writes).toHaveBeenCalledTimes(1);
    bench.monotonicMs += 1;
    await ask();
    expect(writes).toHaveBeenCalledTimes(2);
  });
});

describe("connections", () => {
  test("beyond the cap of an address are cut", async () => {
    const bench = await start({ connectionsPerAddressMax: 2 });
    const sockets: Socket[] = [];
    for (let i = 0; i < 2; i++) {
      sockets.push(connect(bench.service.port, "127.0.0.1"));
      await once(sockets[i] as Socket, "connect");
    }
    const third = connect(bench.service.port, "127.0.0.1");
    third.on("error", () => {});
    await once(third, "close");
    for (const socket of sockets) socket.destroy();
  });

  test("that come too often are cut, though none is open", async () => {
    const bench = await start({ connectionRate: { burstMax: 3, perMinute: 1 } });
    for (let i = 0; i < 3; i++) {
      const socket = connect(bench.service.port, "127.0.0.1");
      await once(socket, "connect");
      socket.destroy();
    }
    while (bench.service.stats().connections > 0) await turn();
    const fourth = connect(bench.service.port, "127.0.0.1");
    fourth.on("error", () => {});
    await once(fourth, "close");
  });

  test("behind a proxy are the proxy's to count, upgrades are counted by the address it says", async () => {
    const once = { burstMax: 1, perMinute: 1 };
    const bench = await start({ isBehindProxy: true, connectionRate: once, upgradeRate: once });
    const from = async (address: string) => {
      const { status, body, headers } = await bench.refusal("/v1/ws", { "X-Forwarded-For": address });
      return [status, body.errno, headers["retry-after"]];
    };
    expect(await from("2001:db8:1:2::1")).toEqual([401, 310, undefined]);
    expect(await from("2001:db8:1:2:ffff::1")).toEqual([429, 316, "60"]);
    expect(await from("2001:db8:1:3::1")).toEqual([401, 310, undefined]);
  });

  test("a header that is too large is refused", async () => {
    const bench = await start();
    const response = await bench.fetch("/healthz", { headers: { "X-Large": "a".repeat(20_000) } });
    expect(response.status).toBe(431);
  });
});

describe("a clock with fractions", () => {
  test("is read in whole milliseconds", async () => {
    const store = new MemoryStore();
    const put = vi.spyOn(store, "putMessage");
    const precise = await start({ store });
    precise.epochMs += 0.75;
    const { endpoint } = await precise.subscribed();
    expect((await precise.post(endpoint)).status).toBe(201);
    expect(put.mock.lastCall?.[2].receivedMs).toBe(precise.epochMs - 0.75);
  });
});

describe("TLS", () => {
  test("serves the development certificate to whoever trusts its CA", async () => {
    const certificate = await loadDevCertificate({ directory: newDirectory(), nowMs: Date.now() });
    const bench = await start({ tls: certificate });
    const request = get(`https://localhost:${bench.service.port}/healthz`, {
      ca: certificate.ca,
      lookup: (_host, _options, done) => done(null, [{ address: "127.0.0.1", family: 4 }]),
    });
    const [response] = (await once(request, "response")) as [import("node:http").IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(200);
    request.destroy();
  });
});

describe("a WebSocket over TLS that breaks the framing", () => {
  test("is told so, whatever it sent behind", async () => {
    const certificate = await loadDevCertificate({ directory: newDirectory(), nowMs: Date.now() });
    const bench = await start({ tls: certificate });
    const { port } = bench.service;
    for (let i = 0; i < 10; i++) {
      const socket = connectTls({ port, host: "127.0.0.1", servername: "localhost", ca: certificate.ca });
      socket.on("error", () => {});
      socket.write(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
      );
      await once(socket, "data");
      const chunks: Buffer[] = [];
      socket.on("data", (chunk: Buffer) => chunks.push(chunk));
      // An opcode that nobody knows, masked with zeros; then more than anybody reads.
      socket.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]));
      socket.write(Buffer.alloc(4_000_000));
      await once(socket, "close");
      const code = Buffer.from([0x03, 0xea]);
      expect(Buffer.concat(chunks)).toEqual(
        Buffer.concat([Buffer.from([0x88, 10]), code, Buffer.from("Protocol")]),
      );
    }
    await vi.waitUntil(() => bench.service.stats().connections === 0);
  });
});

describe("web-push", () => {
  test("the reference sender publishes over TLS to an endpoint with a key", async () => {
    const certificate = await loadDevCertificate({ directory: newDirectory(), nowMs: Date.now() });
    const clock = { epochMs: () => Date.now(), monotonicMs: () => performance.now() };
    const { port } = await freePort();
    const publicOrigin = `https://localhost:${port}`;
    const bench = await start({ tls: certificate, port, publicOrigin, clock });
    const uaid = new Uint8Array(16).fill(1);
    await bench.store.createDevice(uaid, Date.now());
    await bench.store.register(uaid, new Uint8Array(16), bench.keys.publicKey, Date.now());
    const keyHash = endpointKeyHash(bench.keys.publicKey);
    const tokens = new Tokens(new Sealer(bench.keyring));
    const endpoint = `${publicOrigin}/p/${tokens.sealEndpoint({ uaid, channel: 1, keyHash, dialect: "godwit.v1" })}`;
    const result = await webpush.sendNotification(
      { endpoint, keys: { p256dh: base64urlEncode(bench.keys.publicKey), auth: "A".repeat(22) } },
      "hello",
      {
        TTL: 60,
        vapidDetails: {
          subject: "mailto:sender@example.com",
          publicKey: base64urlEncode(bench.keys.publicKey),
          privateKey: base64urlEncode(bench.keys.privateKey),
        },
        agent: new Agent({ ca: certificate.ca }),
      },
    );
    expect([result.statusCode, result.headers.ttl]).toEqual([201, "60"]);
    expect(await bench.store.getDevice(uaid)).toMatchObject({ messages: 1 });
  });
});

/** A port that was free a moment ago: the public origin has to be known before the service listens. */
async function freePort(): Promise<{ port: number }> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return { port };
}

describe("stopping", () => {
  test("says goodbye with a time to come back, and closes the store", async () => {
    const bench = await start();
    const { device, endpoint } = await bench.subscribed();
    const closed = once(device.webSocket, "close");
    const stopped = bench.service.close();
    const bye = await device.next("bye");
    expect(bye.reason).toBe("shutdown");
    expect(bye.retryAfterS).toBeGreaterThanOrEqual(0);
    expect(bye.retryAfterS).toBeLessThanOrEqual(60);
    expect((await closed)[0]).toBe(1001);
    await stopped;
    await expect(bench.post(endpoint)).rejects.toThrow();
    await expect(bench.store.getDevice(new Uint8Array(16))).rejects.toMatchObject({
      code: "ERR_STORE_CLOSED",
    });
  });

  test("endpoints, tokens and messages outlive a restart; what may have been sent says so", async () => {
    const directory = newDirectory();
    const open = async () =>
      start({
        store: await openLmdbStore({ directory }),
        keyring: loadKeyring(join(directory, "keys.json")),
      });
    const first = await open();
    const { uaToken, endpoint, channel, device } = await first.subscribed();
    await first.post(endpoint, { TTL: "600" });
    expect(await device.next("notification")).toMatchObject({ id: 1, attempt: 1 });
    await first.stop();
    const second = await open();
    expect((await second.post(endpoint, { TTL: "600" })).status).toBe(201);
    const again = await second.connect(uaToken, [channel]);
    expect((await again.next("registered")).storeEpoch).toBe(second.store.epoch);
    expect(await again.next("notification")).toMatchObject({ id: 1, attempt: 2 });
    expect(await again.next("notification")).toMatchObject({ id: 2, attempt: 1 });
  });
});
