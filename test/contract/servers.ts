// SPDX-License-Identifier: MIT
/** What the contract suite has hosts talk to: real servers of this process on free ports of loopback, closed after each test. */

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import {
  createServer as createHttp,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, createServer as createTcp, type Socket, type Server as TcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SecureContextOptions, TLSSocket } from "node:tls";
import { Aedes } from "aedes";
import { type WebSocket, WebSocketServer } from "ws";
import { type DevCertificate, loadDevCertificate } from "../../src/push-service/dev-ca.ts";

export interface Accepted {
  readonly webSocket: WebSocket;
  readonly request: IncomingMessage;
  readonly socket: Socket;
  /** Binary frames, whole; text frames are strings. */
  readonly messages: Inbox<Uint8Array | string>;
  readonly closed: Promise<number>;
}

/** What comes, in order. */
export class Inbox<Item> {
  readonly items: Item[] = [];
  #heard: (() => void) | null = null;

  add(item: Item): void {
    this.items.push(item);
    this.#heard?.();
  }

  async next(): Promise<Item> {
    for (;;) {
      const [first] = this.items.splice(0, 1);
      if (first !== undefined) return first;
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }
}

export class Servers {
  readonly #closes: (() => void)[] = [];

  /** A WebSocket server; its upgrades come out of `accepted`. */
  async webSocket(
    certificate: (DevCertificate & Pick<SecureContextOptions, "maxVersion">) | null = null,
    address = "127.0.0.1",
    hasSubprotocol = true,
  ) {
    const http = certificate === null ? createHttp() : createHttps(certificate);
    // No pongs by itself: a test says when.
    const server = new WebSocketServer({
      server: http,
      perMessageDeflate: false,
      ...(hasSubprotocol ? {} : { handleProtocols: () => false }),
    });
    const accepted = new Inbox<Accepted>();
    server.on("connection", (webSocket, request) => {
      const messages = new Inbox<Uint8Array | string>();
      webSocket.on("message", (data: Buffer, isBinary) =>
        messages.add(isBinary ? new Uint8Array(data) : data.toString()),
      );
      webSocket.on("error", () => {});
      const closed = new Promise<number>((resolve) => webSocket.on("close", resolve));
      accepted.add({ webSocket, request, socket: request.socket, messages, closed });
    });
    const port = await this.#listen(http, address);
    const name = certificate === null || address !== "127.0.0.1" ? address : "localhost";
    const host = `${certificate === null ? "ws" : "wss"}://${name}:${port}`;
    return { url: `${host}/v1?x=1`, accepted };
  }

  /** An HTTP server that answers as `answer` says, and tells what it was asked. */
  async http(
    answer: (request: IncomingMessage, response: ServerResponse) => void,
    certificate: DevCertificate | null = null,
  ) {
    const asked = new Inbox<{ readonly request: IncomingMessage; readonly body: Uint8Array }>();
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("error", () => {});
      request.on("end", () => {
        asked.add({ request, body: new Uint8Array(Buffer.concat(chunks)) });
        answer(request, response);
      });
    };
    const server = certificate === null ? createHttp(handle) : createHttps(certificate, handle);
    const port = await this.#listen(server);
    const url = certificate === null ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
    return { url: `${url}/path?q=1`, asked };
  }

  /** Refuses upgrades with a status and headers. */
  async refusing(status: number, headers: Readonly<Record<string, string>>): Promise<string> {
    const server = createHttp();
    server.on("upgrade", (_request, socket) => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.on("error", () => {});
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n${lines.join("")}\r\n`);
    });
    return `ws://127.0.0.1:${await this.#listen(server)}/`;
  }

  /** Takes connections and says nothing. */
  async silent() {
    const sockets = new Inbox<Socket>();
    const server = createTcp((socket) => {
      socket.on("error", () => {});
      socket.resume();
      sockets.add(socket);
    });
    return { port: await this.#listen(server), sockets };
  }

  /** A port nobody listens on: it was free a moment ago. */
  async freePort(): Promise<number> {
    const server = createTcp();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    return port;
  }

  /** A broker that lets in who knows `password`; `told` are messages published to it. */
  async mqtt(password: string) {
    const told = new Inbox<{
      readonly topic: string;
      readonly payload: Uint8Array;
      readonly qos: number;
      readonly client: string | null;
    }>();
    const aedes = new Aedes({
      authenticate: (_client, _username, given, done) => {
        if (given?.toString() === password) done(null, true);
        else done(Object.assign(new Error("no"), { returnCode: 5 }), false);
      },
      authorizePublish: (client, { topic, payload, qos }, done) => {
        const bytes = new Uint8Array(typeof payload === "string" ? Buffer.from(payload) : payload);
        if (!topic.startsWith("$SYS")) told.add({ topic, payload: bytes, qos, client: client?.id ?? null });
        done(null);
      },
    });
    await aedes.listen();
    const server = createTcp((socket) => {
      socket.on("error", () => {});
      aedes.handle(socket);
    });
    const port = await this.#listen(server);
    this.#closes.push(() => aedes.close());
    const publish = (topic: string, payload: Uint8Array, qos: 0 | 1): Promise<void> =>
      new Promise((resolve, reject) => {
        const packet = {
          cmd: "publish",
          topic,
          payload: Buffer.from(payload),
          qos,
          retain: false,
          dup: false,
        };
        aedes.publish(packet as Parameters<Aedes["publish"]>[0], (error) =>
          error ? reject(error) : resolve(),
        );
      });
    return { url: `mqtt://127.0.0.1:${port}`, told, publish };
  }

  close(): void {
    for (const close of this.#closes.splice(0)) close();
  }

  async #listen(server: Server | TcpServer, address = "127.0.0.1"): Promise<number> {
    const sockets = new Set<Socket>();
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
    server.listen(0, address);
    await once(server, "listening");
    this.#closes.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return (server.address() as AddressInfo).port;
  }
}

/** True when the connection behind an upgrade was made with a TLS session of an earlier one. */
export function isResumed({ socket }: Accepted): boolean {
  return (socket as TLSSocket).isSessionReused();
}

/** A CA and a certificate for loopback that it signed. */
export async function makeCertificate(): Promise<DevCertificate> {
  const directory = mkdtempSync(join(tmpdir(), "godwit-contract-"));
  try {
    return await loadDevCertificate({ directory, nowMs: Date.now() });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
