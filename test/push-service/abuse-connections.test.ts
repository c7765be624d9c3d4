// SPDX-License-Identifier: MIT
// Goal: connections that are slow, many or too big cost bounded memory and time, end with the right code, and nobody else notices.
// Method: a real service process, an attacker with an address of its own, a device beside it that receives all the time.

import { once } from "node:events";
import type { Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  CONNECTIONS_PER_ADDRESS_MAX,
  FRAME_BYTES_MAX,
  HTTP_HEADERS_TIMEOUT_MS,
  HTTP_REQUEST_TIMEOUT_MS,
  UPGRADES_PER_ADDRESS_BURST_MAX,
} from "../../src/limits.ts";
import { AbusedService, ATTACKER, expectUnharmed, HAS_ADDRESSES } from "./abused-service.ts";

let service: AbusedService;
beforeAll(async () => {
  if (HAS_ADDRESSES) service = await AbusedService.start();
});
afterAll(() => service?.stop());

/** What the service says until it ends the connection. */
async function untilCut(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => socket.on("close", resolve));
  return Buffer.concat(chunks).toString();
}

/** Writes `text` a byte at a time for as long as somebody listens. */
function drip(socket: Socket, text: string): Promise<string> {
  let at = 0;
  const timer = setInterval(() => socket.write(text[at++ % text.length] ?? ""), 500);
  return untilCut(socket).finally(() => clearInterval(timer));
}

const UPGRADE = "GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";

describe.runIf(HAS_ADDRESSES)("slow", () => {
  test(
    "upgrades, requests and bodies are cut when their time is up",
    async () => {
      const answers: string[] = [];
      const figures = await service.besides("slow-loris, 360 connections", async () => {
        const kinds = Array.from({ length: 120 }, () => [
          drip(service.dial(), UPGRADE),
          drip(service.dial(), `GET /healthz HTTP/1.1\r\nX-${"a".repeat(1_000)}`),
          (async () => {
            const { endpoint } = slow;
            const socket = service.dial();
            const { pathname } = new URL(endpoint);
            const head = `POST ${pathname} HTTP/1.1\r\nHost: x\r\nTTL: 60\r\nContent-Encoding: aes128gcm\r\n`;
            socket.write(`${head}Content-Length: 4000\r\n\r\n`);
            return drip(socket, "a");
          })(),
        ]);
        answers.push(...(await Promise.all(kinds.flat())));
      });
      expect(answers.filter((answer) => !/^HTTP\/1\.1 408 /.test(answer))).toEqual([]);
      expectUnharmed(figures);
    },
    2 * (HTTP_HEADERS_TIMEOUT_MS + HTTP_REQUEST_TIMEOUT_MS),
  );

  let slow: { endpoint: string };
  beforeAll(async () => {
    slow = await service.subscribed("127.0.0.67");
  });
});

describe.runIf(HAS_ADDRESSES)("many", () => {
  test("connections of one address are cut beyond its number, and those of others are not", async () => {
    const figures = await service.besides("3000 connections", async () => {
      for (let i = 0; i < 3_000; i += 100) {
        // No more at once than wait for a busy process to accept them.
        const some = Array.from({ length: 100 }, () => service.dial());
        await Promise.all(
          some.map((socket) => Promise.race([once(socket, "connect"), once(socket, "close")])),
        );
      }
      const healthz = (address: string) =>
        service.ask("GET", "/healthz", { Connection: "close" }, null, address);
      expect((await healthz("127.0.0.4")).status).toBe(200);
      await expect(healthz(ATTACKER)).rejects.toMatchObject({ code: "ECONNRESET" });
      const connections = await service.metric("godwit_push_connections");
      expect(connections).toBeGreaterThanOrEqual(CONNECTIONS_PER_ADDRESS_MAX);
      expect(connections).toBeLessThan(CONNECTIONS_PER_ADDRESS_MAX + 20);
      service.hangUp();
    });
    expectUnharmed(figures);
  }, 60_000);

  test("upgrades of one address get 429 beyond its rate, whatever token they bring", async () => {
    const headers = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Protocol": "godwit.v1",
      Authorization: `Bearer ${"A".repeat(100)}`,
    };
    const errnos = new Map<number | undefined, number>();
    const figures = await service.besides("1500 upgrades", async () => {
      for (let i = 0; i < 1_500; i += 50) {
        const some = Array.from({ length: 50 }, () =>
          service.ask("GET", "/v1/ws", headers, null, "127.0.0.68"),
        );
        for (const { errno } of await Promise.all(some)) errnos.set(errno, (errnos.get(errno) ?? 0) + 1);
      }
    });
    expect([...errnos.keys()].sort()).toEqual([310, 316]);
    expect(errnos.get(310)).toBeGreaterThanOrEqual(UPGRADES_PER_ADDRESS_BURST_MAX);
    expect(errnos.get(316)).toBeGreaterThan(500);
    expectUnharmed(figures);
  }, 60_000);
});

describe.runIf(HAS_ADDRESSES)("too big", () => {
  /** Not the one that spent its connections above: those would be cut without a word. */
  const ADDRESS = "127.0.0.69";

  /** Of a client: FIN and binary, masked with zeros, and the length as the 64-bit form says. */
  function frameHeader(length: bigint, isFinal = true, opcode = 2): Buffer {
    const header = Buffer.alloc(14);
    header[0] = (isFinal ? 0x80 : 0) | opcode;
    header[1] = 0xff;
    header.writeBigUInt64BE(length, 2);
    return header;
  }

  /** A device's link as bytes, past its 101. */
  async function rawLink(uaToken: string): Promise<Socket> {
    const socket = service.dial(ADDRESS);
    const lines = [
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Protocol: godwit.v1",
      `Authorization: Bearer ${uaToken}`,
    ];
    socket.write(`${UPGRADE}${lines.join("\r\n")}\r\n\r\n`);
    await once(socket, "data");
    return socket;
  }

  test("frames are refused by what their header says, before anything is gathered", async () => {
    const { uaToken, device } = await service.subscribed();
    await device.close();
    const figures = await service.besides("300 oversized frames", async () => {
      const closes: number[] = [];
      for (let i = 0; i < 100; i++) {
        for (const bytes of [
          frameHeader(1n << 40n),
          frameHeader(BigInt(FRAME_BYTES_MAX + 1)),
          Buffer.concat([
            ...[2, 0].map((opcode) =>
              Buffer.concat([frameHeader(9_000n, false, opcode), Buffer.alloc(9_000)]),
            ),
          ]),
        ]) {
          const socket = await rawLink(uaToken);
          const chunks: Buffer[] = [];
          socket.on("data", (chunk: Buffer) => chunks.push(chunk));
          socket.write(bytes);
          await once(socket, "close");
          const said = Buffer.concat(chunks);
          // The last frame: close, whose first two bytes are the code.
          closes.push(said.readUInt16BE(said.lastIndexOf(0x88) + 2));
        }
      }
      expect(new Set(closes)).toEqual(new Set([1009]));
    });
    expectUnharmed(figures);
  }, 60_000);

  test("headers are 431, bodies 413, as soon as that is known", async () => {
    const { endpoint } = await service.subscribed();
    const { pathname } = new URL(endpoint);
    const statuses = new Map<string, number>();
    const figures = await service.besides("300 oversized requests", async () => {
      const count = (what: string, said: string): void => {
        const key = `${what} ${said.slice(9, 12)}`;
        statuses.set(key, (statuses.get(key) ?? 0) + 1);
      };
      const head = `POST ${pathname} HTTP/1.1\r\nHost: x\r\nTTL: 60\r\nContent-Encoding: aes128gcm\r\n`;
      for (let i = 0; i < 100; i++) {
        const [header, body, chunked] = [service.dial(ADDRESS), service.dial(ADDRESS), service.dial(ADDRESS)];
        const answers = [header, body, chunked].map(untilCut);
        header.write(`GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ${"a".repeat(20_000)}`);
        body.write(`${head}Content-Length: 1000000000\r\n\r\n${"a".repeat(8_192)}`);
        // Never ends by itself.
        chunked.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
        const more = (error?: Error | null) => {
          if (!error) chunked.write(`1000\r\n${"a".repeat(4_096)}\r\n`, more);
        };
        more();
        const [ofHeader = "", ofBody = "", ofChunked = ""] = await Promise.all(answers);
        count("header", ofHeader);
        count("body", ofBody);
        count("chunked", ofChunked);
      }
    });
    // Who goes on sending may find the connection reset before reading why.
    const { "chunked 413": told = 0, "chunked ": reset = 0, ...others } = Object.fromEntries(statuses);
    expect(others).toEqual({ "header 431": 100, "body 413": 100 });
    expect(told + reset).toBe(100);
    expectUnharmed(figures);
  }, 60_000);
});
