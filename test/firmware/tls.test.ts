// SPDX-License-Identifier: MIT
// Goal: the C host trusts whom it is told to and nobody else: by name and by address, at a time that makes sense, by the file as
// it is now; it resumes sessions as long as nothing of that changed. Method: script_driver against TLS servers of this process.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, connect, createServer as createTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SecureVersion, TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { type DevCertificate, loadDevCertificate } from "../../src/push-service/dev-ca.ts";
import {
  buildContractScript,
  type DriverOptions,
  type DriverSubject,
  isFirmwareBuilt,
  startDriver,
} from "./driver.ts";

const YEAR_MS = 365 * 24 * 3600 * 1000;

let directory: string;
let script: string;
/** For loopback by name and address; and one of another CA. */
let own: DevCertificate;
let other: DevCertificate;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "godwit-driver-"));
  script = await buildContractScript(directory);
  own = await certificateAt(Date.now());
  other = await certificateAt(Date.now());
});
afterAll(() => rmSync(directory, { recursive: true }));

let host: DriverSubject;
let closes: (() => void)[];
beforeEach(() => {
  closes = [];
});
afterEach(async () => {
  await host.end();
  for (const close of closes) close();
});

let certificates = 0;
function certificateAt(nowMs: number): Promise<DevCertificate> {
  return loadDevCertificate({ directory: join(directory, `certificate-${++certificates}`), nowMs });
}

let files = 0;
function fileOf(text: string): string {
  const path = join(directory, `file-${++files}.pem`);
  writeFileSync(path, text);
  return path;
}

interface Serving {
  readonly port: number;
  /** Of each upgrade and request so far: whether its TLS session was resumed. */
  readonly resumed: boolean[];
  /** Another certificate from now on. */
  use(certificate: DevCertificate): void;
}

async function serve(
  certificate: DevCertificate,
  address = "127.0.0.1",
  maxVersion: SecureVersion = "TLSv1.3",
): Promise<Serving> {
  const versions = { minVersion: "TLSv1" as const, maxVersion, ciphers: "DEFAULT@SECLEVEL=0" };
  const http = createHttps({ ...certificate, ...versions }, (request, response) => {
    resumed.push((request.socket as TLSSocket).isSessionReused());
    response.end("ok");
  });
  const webSockets = new WebSocketServer({ server: http });
  const resumed: boolean[] = [];
  webSockets.on("connection", (webSocket, { socket }) => {
    resumed.push((socket as TLSSocket).isSessionReused());
    webSocket.on("error", () => {});
    webSocket.send(Uint8Array.of(1));
  });
  http.on("tlsClientError", () => {});
  http.listen(0, address);
  await once(http, "listening");
  closes.push(() => {
    for (const webSocket of webSockets.clients) webSocket.terminate();
    http.close();
    http.closeAllConnections();
  });
  const use = (next: DevCertificate) => http.setSecureContext({ ...next, ...versions });
  return { port: (http.address() as AddressInfo).port, resumed, use };
}

function start(options: DriverOptions): void {
  host = startDriver(script, options);
}

let lastRequestId = 0;
/** Status of the answer, or the cause. */
async function ask(url: string): Promise<number | string> {
  await host.operations.httpRequest({ requestId: ++lastRequestId, method: "GET", url });
  const { status, cause } = await host.events.next("httpResponse");
  return cause ?? status;
}

/** The same over a WebSocket that is closed once a message came. */
async function visit(url: string, linkId: number): Promise<void> {
  await host.operations.openLink({ linkId, url });
  await host.events.next("linkMessage");
  await host.operations.closeLink(linkId);
}

describe.skipIf(!isFirmwareBuilt)("TLS of the C host", () => {
  describe("who is trusted", () => {
    test("a CA given as PEM, by name and by address", async () => {
      start({ args: ["--ca-pem", fileOf(own.ca)] });
      const { port } = await serve(own);
      const ipv6 = await serve(own, "::1");
      expect(await ask(`https://localhost:${port}/`)).toBe(200);
      expect(await ask(`https://127.0.0.1:${port}/`)).toBe(200);
      expect(await ask(`https://[::1]:${ipv6.port}/`)).toBe(200);
      await visit(`wss://[::1]:${ipv6.port}/`, 1);
      const elsewhere = await serve(own, "127.0.0.2");
      expect(await ask(`https://127.0.0.2:${elsewhere.port}/`)).toBe("tls");
    });

    test("of several certificates each, and of a file too", async () => {
      start({ args: ["--ca-file", fileOf(`${other.ca}\nwords between\n${own.ca}`)] });
      const [first, second] = [await serve(own), await serve(other)];
      expect(await ask(`https://localhost:${first.port}/`)).toBe(200);
      expect(await ask(`https://localhost:${second.port}/`)).toBe(200);
    });

    test("a file stands in place of the system's certificates, PEM beside them", async () => {
      const env = { SSL_CERT_FILE: fileOf(other.ca) };
      const [first, second] = [await serve(own), await serve(other)];
      start({ env, args: ["--ca-pem", fileOf(own.ca)] });
      expect(await ask(`https://localhost:${first.port}/`)).toBe(200);
      expect(await ask(`https://localhost:${second.port}/`)).toBe(200);
      await host.end();
      start({ env, args: ["--ca-file", fileOf(own.ca)] });
      expect(await ask(`https://localhost:${first.port}/`)).toBe(200);
      expect(await ask(`https://localhost:${second.port}/`)).toBe("tls");
    });

    test("a directory of hashed names, the system's or one of the program's", async () => {
      const hashed = join(directory, "hashed");
      mkdirSync(hashed);
      writeFileSync(join(hashed, "own.pem"), own.ca);
      execFileSync("openssl", ["rehash", hashed]);
      const { port } = await serve(own);
      start({ env: { SSL_CERT_FILE: "", SSL_CERT_DIR: hashed } });
      expect(await ask(`https://localhost:${port}/`)).toBe(200);
      await host.end();
      start({ args: ["--ca-file", hashed] });
      expect(await ask(`https://localhost:${port}/`)).toBe(200);
    });

    test("nobody, when the file is not there or holds no certificate", async () => {
      const { port } = await serve(own);
      for (const file of [join(directory, "nowhere.pem"), fileOf("no certificate"), fileOf("")]) {
        start({ args: ["--ca-file", file] });
        expect(await ask(`https://localhost:${port}/`)).toBe("tls");
        await host.end();
      }
      start({});
      expect(await ask(`https://localhost:${port}/`)).toBe("tls");
    });
  });

  describe("a bundle that is replaced", () => {
    test("counts for the next connection, and so does what it no longer holds", async () => {
      const path = fileOf(own.ca);
      start({ args: ["--ca-file", path] });
      const server = await serve(own);
      const url = `https://localhost:${server.port}/`;
      expect(await ask(url)).toBe(200);
      writeFileSync(`${path}.new`, other.ca);
      renameSync(`${path}.new`, path);
      // Not even by resuming the session that was made while it was trusted.
      expect(await ask(url)).toBe("tls");
      server.use(other);
      expect(await ask(url)).toBe(200);
      expect(server.resumed).toEqual([false, false]);
    });

    test("that is gone or half written leaves the one before", async () => {
      const path = fileOf(own.ca);
      start({ args: ["--ca-file", path] });
      const { port } = await serve(own);
      expect(await ask(`https://localhost:${port}/`)).toBe(200);
      writeFileSync(path, own.ca.slice(0, 100));
      expect(await ask(`https://localhost:${port}/`)).toBe(200);
      rmSync(path);
      expect(await ask(`https://localhost:${port}/`)).toBe(200);
      writeFileSync(path, other.ca);
      expect(await ask(`https://localhost:${port}/`)).toBe("tls");
    });
  });

  describe("time", () => {
    test("a certificate that has expired, or is not valid yet: tls", async () => {
      const expired = await certificateAt(Date.now() - 10 * YEAR_MS);
      const early = await certificateAt(Date.now() + 10 * YEAR_MS);
      start({ args: ["--ca-pem", fileOf(expired.ca + early.ca)] });
      for (const certificate of [expired, early])
        expect(await ask(`https://localhost:${(await serve(certificate)).port}/`)).toBe("tls");
    });

    test("a clock before the floor counts as the floor", async () => {
      const [now, later] = [own, await certificateAt(Date.now() + 10 * YEAR_MS)];
      const floorMs = Date.now() + 10 * YEAR_MS + 1_000;
      start({ args: ["--ca-pem", fileOf(now.ca + later.ca), "--epoch-floor-ms", String(floorMs)] });
      expect(await ask(`https://localhost:${(await serve(later)).port}/`)).toBe(200);
      expect(await ask(`https://localhost:${(await serve(now)).port}/`)).toBe("tls");
    });
  });

  describe("sessions", () => {
    test("links and requests to one server resume each other's", async () => {
      start({ args: ["--ca-pem", fileOf(own.ca)] });
      const { port, resumed } = await serve(own);
      await visit(`wss://localhost:${port}/`, 1);
      expect(await ask(`https://localhost:${port}/`)).toBe(200);
      await visit(`wss://localhost:${port}/`, 2);
      expect(resumed).toEqual([false, true, true]);
    });

    test("also with TLS 1.2; older versions are refused", async () => {
      start({ args: ["--ca-pem", fileOf(own.ca)] });
      const { port, resumed } = await serve(own, "127.0.0.1", "TLSv1.2");
      await visit(`wss://localhost:${port}/`, 1);
      await visit(`wss://localhost:${port}/`, 2);
      expect(resumed).toEqual([false, true]);
      const old = await serve(own, "127.0.0.1", "TLSv1.1");
      expect(await ask(`https://localhost:${old.port}/`)).toBe("tls");
    });

    test("belong to a name and a port", async () => {
      start({ args: ["--ca-pem", fileOf(own.ca)] });
      const [one, two] = [await serve(own), await serve(own)];
      for (const url of [`localhost:${one.port}`, `127.0.0.1:${one.port}`, `localhost:${two.port}`])
        expect(await ask(`https://${url}/`)).toBe(200);
      expect([one.resumed, two.resumed]).toEqual([[false, false], [false]]);
    });

    test("of many servers the latest are kept", async () => {
      start({ args: ["--ca-pem", fileOf(own.ca)] });
      const servers = await Promise.all(Array.from({ length: 10 }, () => serve(own)));
      for (const { port } of servers) expect(await ask(`https://localhost:${port}/`)).toBe(200);
      for (const { port } of servers.toReversed()) expect(await ask(`https://localhost:${port}/`)).toBe(200);
      const again = servers.map(({ resumed }) => resumed[1]);
      expect(again.slice(-8)).toEqual(Array(8).fill(true));
      expect(again.slice(0, 2)).toEqual([false, false]);
    });
  });

  test("a server that speaks no TLS: tls", async () => {
    start({ args: ["--ca-pem", fileOf(own.ca)] });
    const server = createTcp((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    closes.push(() => server.close());
    expect(await ask(`https://localhost:${(server.address() as AddressInfo).port}/`)).toBe("tls");
  });

  test.each([
    ["resets", "reset", (socket: Socket) => void socket.resetAndDestroy()],
    ["ends", "reset", (socket: Socket) => void socket.end()],
  ])("a server that %s during the handshake: %s", async (_what, cause, end) => {
    start({ args: ["--ca-pem", fileOf(own.ca)] });
    const server = createTcp((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => end(socket));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    closes.push(() => server.close());
    expect(await ask(`https://localhost:${(server.address() as AddressInfo).port}/`)).toBe(cause);
  });

  test("bytes that are no record on an open link: tls", async () => {
    start({ args: ["--ca-pem", fileOf(own.ca)] });
    const { port } = await serve(own);
    // A relay that puts them in once the server's first message is through.
    const relay = createTcp((near) => {
      const far = connect(port, "127.0.0.1");
      for (const socket of [near, far]) socket.on("error", () => {});
      near.pipe(far).pipe(near);
      spoil = () => void near.write(Buffer.alloc(100, 0x17));
    });
    let spoil = () => {};
    relay.listen(0, "127.0.0.1");
    await once(relay, "listening");
    closes.push(() => relay.close());
    const url = `wss://localhost:${(relay.address() as AddressInfo).port}/`;
    await host.operations.openLink({ linkId: 1, url });
    await host.events.next("linkMessage");
    spoil();
    expect(await host.events.next("linkClosed")).toMatchObject({ linkId: 1, cause: "tls" });
  });
});
