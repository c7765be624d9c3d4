// SPDX-License-Identifier: MIT
// Goal: whatever a peer does with its TCP connection, the service does not keep it, the device's good link survives, and a
// stop does not wait for it. Method: raw sockets that write bytes of their choice against a running service.

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { GodwitError } from "../../src/errors.ts";
import { SHUTDOWN_TIMEOUT_MS } from "../../src/limits.ts";
import { loadDevCertificate } from "../../src/push-service/dev-ca.ts";
import { publicOriginOf } from "../../src/push-service/public-origin.ts";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import { TestBench } from "./bench.ts";

let bench: TestBench;
const sockets: Socket[] = [];
beforeEach(async () => {
  bench = await TestBench.start();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await bench.stop();
});

/** Less than a stop gives to what does not end by itself. */
const AT_ONCE_MS = SHUTDOWN_TIMEOUT_MS / 2;
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

function dial(to = bench): Socket {
  // Never sends FIN by itself: that is up to the test.
  const socket = connect({ port: to.service.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  sockets.push(socket);
  return socket;
}

function upgradeRequest(path: string, headers: Record<string, string> = {}): string {
  const all = {
    Host: "push.example",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Protocol": "godwit.v1",
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** Everything the service says until it ends its side. */
async function answerTo(request: string, socket = dial()): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = once(socket, "end");
  socket.write(request);
  await ended;
  return Buffer.concat(chunks).toString();
}

/** Lets the event loop turn until the service has no connection left. */
async function noConnections({ service } = bench): Promise<void> {
  while (service.stats().connections > 0) await turn();
}

/** [status, errno] of an answer. */
function refusal(answer: string): [number, number] {
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  return [Number(head.split(" ")[1]), (JSON.parse(body) as { errno: number }).errno];
}

test("a request that expects something unknown is answered as any other", async () => {
  const request =
    "GET /nowhere HTTP/1.1\r\nHost: push.example\r\nExpect: wonders\r\nConnection: close\r\n\r\n";
  expect(refusal(await answerTo(request))).toEqual([404, 320]);
});

describe("a refused upgrade", () => {
  test.each([
    ["of an unknown path", "/nowhere", {}, [404, 320]],
    ["without a token", "/v1/ws", {}, [401, 310]],
    ["of another version", "/v1/ws", { "Sec-WebSocket-Version": "12" }, [426, 313]],
    ["with a key that is none", "/v1/ws", { "Sec-WebSocket-Key": "bad" }, [400, 322]],
    ["to something else besides", "/v1/ws", { Upgrade: "websocket, h2c" }, [400, 322]],
    ["with no list of subprotocols", "/", { "Sec-WebSocket-Protocol": "" }, [400, 322]],
    ["with a subprotocol twice", "/v1/ws", { "Sec-WebSocket-Protocol": "godwit.v1,godwit.v1" }, [400, 322]],
  ] as const)("%s is answered with a JSON error", async (_what, path, headers, expected) => {
    expect(refusal(await answerTo(upgradeRequest(path, headers)))).toEqual(expected);
  });

  test.each(["/nowhere", "/v1/ws"])(
    "of %s keeps no socket, though the peer never ends its side",
    async (path) => {
      await answerTo(upgradeRequest(path));
      await noConnections();
    },
  );

  test.each([{ "Sec-WebSocket-Key": "bad" }, { "Sec-WebSocket-Protocol": "godwit.v1," }])(
    "leaves the device's good link alone: %o",
    async (bad) => {
      const { device, uaToken } = await bench.subscribed();
      await answerTo(upgradeRequest("/v1/ws", { Authorization: `Bearer ${uaToken}`, ...bad }));
      expect(await device.quiet()).toEqual([]);
    },
  );
});

describe("an upgrade that fails at the store", () => {
  test("leaves the device's good link alone", async () => {
    const store = new MemoryStore();
    const failing = await TestBench.start({ store });
    const { device, uaToken } = await failing.subscribed();
    vi.spyOn(store, "channels").mockRejectedValueOnce(new GodwitError("ERR_STORE", "disk"));
    const { status } = await failing.refusal("/v1/ws", { Authorization: `Bearer ${uaToken}` });
    expect([status, await device.quiet()]).toEqual([503, []]);
    await failing.stop();
  });
});

describe("an upgrade nobody offers", () => {
  const h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n";

  test("is left out, and its POST stored with its body", async () => {
    const { endpoint, device } = await bench.subscribed();
    const { pathname } = new URL(endpoint);
    const head = `POST ${pathname} HTTP/1.1\r\nHost: push.example\r\n${h2c}TTL: 60\r\n`;
    const request = `${head}Content-Encoding: aes128gcm\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello`;
    expect(await answerTo(request)).toMatch(/^HTTP\/1\.1 201 /);
    expect(Buffer.from((await device.next("notification")).body ?? []).toString()).toBe("hello");
  });

  test("keeps the connection for the next request", async () => {
    const first = `GET /healthz HTTP/1.1\r\nHost: push.example\r\n${h2c}\r\n`;
    const answer = await answerTo(
      `${first}GET /healthz HTTP/1.1\r\nHost: push.example\r\nConnection: close\r\n\r\n`,
    );
    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  });

  test("has no body that is read as a request, however many headers stand before its length", async () => {
    const inner = "GET /healthz HTTP/1.1\r\nHost: push.example\r\n\r\n";
    const head = `POST /p/x HTTP/1.1\r\nHost: push.example\r\n${h2c}${"a: b\r\n".repeat(1_100)}`;
    const last = "GET /readyz HTTP/1.1\r\nHost: push.example\r\nConnection: close\r\n\r\n";
    const answer = await answerTo(`${head}Content-Length: ${inner.length}\r\n\r\n${inner}${last}`);
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(answer).not.toContain('"ok"');
  });

  test("does not count its connection twice", async () => {
    await answerTo(`GET /healthz HTTP/1.1\r\nHost: push.example\r\n${h2c}Connection: close\r\n\r\n`);
    await noConnections();
  });
});

describe("stopping", () => {
  test.each([
    ["silent", ""],
    ["half of a request", "POST /p/x HTTP/1.1\r\nHost:"],
  ])(
    "cuts a connection that is %s at once",
    async (_what, bytes) => {
      const socket = dial();
      await once(socket, "connect");
      socket.write(bytes);
      while (bench.service.stats().connections === 0) await turn();
      await bench.service.close();
      await noConnections();
    },
    AT_ONCE_MS,
  );

  test(
    "cuts a silent TLS connection at once",
    async () => {
      const directory = mkdtempSync(join(tmpdir(), "godwit-tls-"));
      const tls = await loadDevCertificate({ directory, nowMs: Date.now() }).finally(() =>
        rmSync(directory, { recursive: true }),
      );
      const secure = await TestBench.start({ tls });
      const socket = connectTls({
        port: secure.service.port,
        host: "127.0.0.1",
        ca: tls.ca,
        servername: "localhost",
      });
      socket.on("error", () => {});
      await once(socket, "secureConnect");
      await secure.service.close();
      await noConnections(secure);
      socket.destroy();
    },
    AT_ONCE_MS,
  );
});

describe("links", () => {
  test("a device that takes the place of its own link needs no room", async () => {
    const small = await TestBench.start({ deviceLinksMax: 1 });
    const { uaToken } = await small.token();
    await (await small.connect(uaToken)).next("registered");
    await (await small.connect(uaToken)).next("registered");
    expect(small.service.stats().devicesConnected).toBe(1);
    await small.stop();
  });

  test("canaries take room too", async () => {
    const small = await TestBench.start({ deviceLinksMax: 1 });
    const { uaToken } = await small.token();
    await (await small.connect(uaToken)).next("registered");
    const { status } = await small.refusal("/v1/canary", { Authorization: `Bearer ${uaToken}` });
    expect(status).toBe(503);
    await small.stop();
  });
});

describe("public origin", () => {
  test.each([
    ["https://localhost:443", "https://localhost"],
    ["http://localhost:80", "http://localhost"],
    ["https://Push.Example/", "https://push.example"],
    ["https://push.example:8443", "https://push.example:8443"],
  ])("%s is spelled %s", (url, origin) => {
    expect(publicOriginOf(url)).toBe(origin);
  });

  test.each(["push.example", "ftp://push.example", "https://"])("%j is refused", (url) => {
    expect(() => publicOriginOf(url)).toThrow(expect.objectContaining({ code: "ERR_CONFIG" }));
  });
});
