// SPDX-License-Identifier: MIT
// Goal: the C host goes through the proxy that the environment names, and past it where that says so; what the proxy says itself
// is never taken for the server's word. Method: script_driver, a TLS server, and a CONNECT proxy of a few lines.

import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { type DevCertificate, loadDevCertificate } from "../../src/push-service/dev-ca.ts";
import { buildContractScript, type DriverSubject, isFirmwareBuilt, startDriver } from "./driver.ts";

let directory: string;
let script: string;
let certificate: DevCertificate;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "godwit-driver-"));
  script = await buildContractScript(directory);
  certificate = await loadDevCertificate({ directory, nowMs: Date.now() });
  writeFileSync(join(directory, "trusted.pem"), certificate.ca);
});
afterAll(() => rmSync(directory, { recursive: true }));

let host: DriverSubject;
let closes: (() => void)[];
let port: number;
/** What the proxy was asked to connect to, with what credentials. */
let tunnels: string[];
/** What it says in place of making a tunnel. */
let refusal: string | null;
let proxyPort: number;
beforeEach(async () => {
  closes = [];
  tunnels = [];
  refusal = null;
  const server = createHttps(certificate, (_request, response) => response.end("ok"));
  const webSockets = new WebSocketServer({ server });
  webSockets.on("connection", (webSocket) => webSocket.send(Uint8Array.of(1)));
  closes.push(() => {
    for (const webSocket of webSockets.clients) webSocket.terminate();
    server.closeAllConnections();
  });
  port = await listening(server);

  const proxy = createHttp((_request, response) => response.writeHead(405).end());
  proxy.on("connect", (request, socket: Socket) => {
    socket.on("error", () => socket.destroy());
    const credentials = request.headers["proxy-authorization"] ?? "nobody";
    tunnels.push(`${credentials} ${request.url}`);
    if (refusal !== null) {
      socket.end(refusal);
      return;
    }
    const [name = "", to] = (request.url ?? "").split(":");
    const upstream = connect(Number(to), name, () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on("error", () => socket.destroy());
    closes.push(() => socket.destroy());
  });
  proxyPort = await listening(proxy);
});
afterEach(async () => {
  await host.end();
  for (const close of closes) close();
});

async function listening(server: ReturnType<typeof createHttp | typeof createHttps>): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closes.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const NONE = { https_proxy: "", HTTPS_PROXY: "", all_proxy: "", ALL_PROXY: "", no_proxy: "", NO_PROXY: "" };
function start(env: Readonly<Record<string, string>>): void {
  host = startDriver(script, {
    args: ["--ca-file", join(directory, "trusted.pem")],
    env: { ...NONE, ...env },
  });
}

async function ask(url = `https://localhost:${port}/`): Promise<number | string> {
  await host.operations.httpRequest({ requestId: 1, method: "GET", url });
  const { status, cause } = await host.events.next("httpResponse");
  return cause ?? status;
}

describe.skipIf(!isFirmwareBuilt)("proxy", () => {
  test.each(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])(
    "requests and links go through %s",
    async (name) => {
      start({ [name]: `http://127.0.0.1:${proxyPort}` });
      expect(await ask()).toBe(200);
      await host.operations.openLink({ linkId: 1, url: `wss://localhost:${port}/` });
      await host.events.next("linkMessage");
      expect(tunnels).toEqual([`nobody localhost:${port}`, `nobody localhost:${port}`]);
    },
  );

  test("a name and a password in its URL go to it", async () => {
    start({ https_proxy: `http://me:p%40ss@127.0.0.1:${proxyPort}/` });
    expect(await ask()).toBe(200);
    expect(tunnels).toEqual([`basic ${btoa("me:p@ss")} localhost:${port}`]);
  });

  test.each([
    ["localhost", 0],
    ["other.example, LOCALHOST", 0],
    ["*", 0],
    [".localhost,*host", 0],
    ["localhost:1", 1],
    ["example", 1],
    ["ocalhost", 1],
  ])("no_proxy %j: %i tunnels", async (value, count) => {
    start({ https_proxy: `http://127.0.0.1:${proxyPort}`, no_proxy: value });
    expect(await ask()).toBe(200);
    expect(tunnels).toHaveLength(count);
  });

  test("plain HTTP, for loopback only, goes directly, whatever http_proxy says", async () => {
    const plain = createHttp((_request, response) => response.end("ok"));
    const url = `http://localhost:${await listening(plain)}/`;
    const proxy = `http://127.0.0.1:${proxyPort}`;
    start({ http_proxy: proxy, https_proxy: proxy });
    expect(await ask(url)).toBe(200);
    expect(tunnels).toEqual([]);
  });

  test.each([
    ["403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"],
    ["a token of its own", "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"],
    ["401", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"],
    ["nothing", ""],
    ["what is no HTTP", "hello\r\n"],
  ])("a proxy that answers %s itself: unreachable", async (_what, answer) => {
    start({ https_proxy: `http://127.0.0.1:${proxyPort}` });
    refusal = answer;
    expect(await ask()).toBe("unreachable");
    await host.operations.openLink({ linkId: 1, url: `wss://localhost:${port}/` });
    expect(await host.events.next("linkClosed")).toMatchObject({ cause: "unreachable", httpStatus: null });
    refusal = null;
    expect(await ask()).toBe(200);
  });

  test.each(["https://127.0.0.1:1", "socks5://127.0.0.1:1", "http://", "http://a b:1"])(
    "a proxy that is none the host can use, %s: unreachable",
    async (proxy) => {
      start({ https_proxy: proxy });
      expect(await ask()).toBe("unreachable");
    },
  );

  test("a proxy nobody is at: refused", async () => {
    const gone = createHttp();
    const goneAt = await listening(gone);
    gone.close();
    await once(gone, "close");
    start({ https_proxy: `http://127.0.0.1:${goneAt}` });
    expect(await ask()).toBe("refused");
  });
});
