// SPDX-License-Identifier: MIT
/** Reads bodies and writes replies of `node:http`, bounded both ways. Knows no routes. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { concatBytes } from "../bytes.ts";
import { HTTP_DISCARD_BYTES_MAX } from "../limits.ts";
import { HttpError, type Reply } from "./http-errors.ts";

/**
 * The whole body, the caller's to keep.
 *
 * @throws {HttpError} bodyTooLarge as soon as it is known, request when the sender went away
 */
export function readBody(request: IncomingMessage, bytesMax: number): Promise<Uint8Array> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > bytesMax) return Promise.reject(new HttpError("bodyTooLarge"));
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    const take = (chunk: Buffer): void => {
      length += chunk.length;
      if (length <= bytesMax) chunks.push(chunk);
      else {
        request.pause();
        request.off("data", take);
        reject(new HttpError("bodyTooLarge"));
      }
    };
    request.on("data", take);
    request.on("end", () => resolve(joined(chunks)));
    request.on("close", () => {
      if (!request.complete) reject(new HttpError("request"));
    });
  });
}

/** Most bodies come in one piece, which is nobody else's. A plain view: a Buffer's `slice` would copy nothing. */
function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [first] = chunks;
  if (first === undefined || chunks.length > 1) return concatBytes(...chunks);
  return new Uint8Array(first.buffer, first.byteOffset, first.length);
}

/**
 * Sends `reply`, with `more` headers. What the sender is still sending is read first, up to a bound: closing on a sender that still writes
 * would let a reset overtake the answer. Beyond the bound the connection is closed all the same.
 */
export async function writeReply(
  request: IncomingMessage,
  response: ServerResponse,
  reply: Reply,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const isConsumed = request.complete || (await discard(request));
  if (response.destroyed) return;
  response.writeHead(reply.status, {
    ...reply.headers,
    ...more,
    "Content-Length": Buffer.byteLength(reply.body),
    ...(isConsumed ? {} : { Connection: "close" }),
  });
  response.end(reply.body);
  if (!isConsumed) response.on("finish", () => request.socket.destroySoon());
}

/** True when the body came to its end within the bound. */
function discard(request: IncomingMessage): Promise<boolean> {
  if (Number(request.headers["content-length"] ?? 0) > HTTP_DISCARD_BYTES_MAX) return Promise.resolve(false);
  return new Promise((resolve) => {
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length > HTTP_DISCARD_BYTES_MAX) resolve(false);
    });
    request.on("end", () => resolve(true));
    request.on("close", () => resolve(false));
    request.resume();
  });
}
