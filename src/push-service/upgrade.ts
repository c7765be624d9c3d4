// SPDX-License-Identifier: MIT
/**
 * Reads what a device says in its WebSocket upgrade: bearer, conditions, digest of its channels. Pure parsing; every bad
 * input becomes an HttpError.
 */

import type { IncomingHttpHeaders } from "node:http";
import { GodwitError } from "../errors.ts";
import { HEARTBEAT_S_MAX, LOW_URGENCY_WINDOW_S_MAX, UA_TOKEN_CHARS_MAX } from "../limits.ts";
import { base64urlDecode } from "../webpush/base64url.ts";
import { type Conditions, URGENCIES } from "../wire/dialect.ts";
import { CHANNELS_DIGEST_BYTES } from "../wire/digest.ts";
import { GODWIT_SUBPROTOCOL } from "../wire/godwit.ts";
import { HttpError } from "./http-errors.ts";

const CONDITIONS_DEFAULT: Conditions = { heartbeatS: 0, windowS: 0, leastUrgency: "very-low" };

/** The token of `Authorization: Bearer …`, or null. */
export function parseBearer(headers: IncomingHttpHeaders): string | null {
  const match = /^Bearer +([A-Za-z0-9_-]+)$/i.exec(headers.authorization ?? "");
  const token = match?.[1] ?? null;
  return token !== null && token.length <= UA_TOKEN_CHARS_MAX ? token : null;
}

/** tchar of RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Checks what RFC 6455 §4.2.1 asks of the handshake, before anything is done for it, which is also all that `ws` would refuse in words of
 * its own.
 *
 * @throws {HttpError} subprotocol for another version, request for a key that is none, other upgrades besides, no list of subprotocols
 */
export function requireHandshake(headers: IncomingHttpHeaders): void {
  if (headers.upgrade?.toLowerCase() !== "websocket")
    throw new HttpError("request", {}, "Upgrade must be websocket alone");
  if (headers["sec-websocket-version"] !== "13") {
    throw new HttpError("subprotocol", { "Sec-WebSocket-Version": "13" }, "the WebSocket version must be 13");
  }
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers["sec-websocket-key"] ?? "")) {
    throw new HttpError("request", {}, "Sec-WebSocket-Key is not 16 bytes of base64");
  }
  const offered = headers["sec-websocket-protocol"]?.split(",").map((name) => name.trim()) ?? [];
  if (!offered.every((name) => TOKEN.test(name)) || new Set(offered).size < offered.length)
    throw new HttpError("request", {}, "Sec-WebSocket-Protocol is no list of different names");
}

/** @throws {HttpError} subprotocol, unless `godwit.v1` is among those offered */
export function requireSubprotocol(headers: IncomingHttpHeaders): void {
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  if (!offered.includes(GODWIT_SUBPROTOCOL)) throw new HttpError("subprotocol");
}

/**
 * `Godwit-Conditions: heartbeat=240, window=0, urgency=very-low`, members in any order, unknown ones ignored. Missing
 * members take their default: no heartbeat declared, no window, everything. Too large numbers are cut to the limit.
 *
 * @throws {HttpError} conditions
 */
export function parseConditions(headers: IncomingHttpHeaders): Conditions {
  const members = new Map<string, string>();
  const text = singleHeader(headers, "godwit-conditions") ?? "";
  for (const member of text.split(",").filter((part) => part.trim() !== "")) {
    const match = /^\s*([a-z]+)=([a-z0-9-]+)\s*$/.exec(member);
    if (match === null || members.has(match[1] ?? "")) throw new HttpError("conditions");
    members.set(match[1] ?? "", match[2] ?? "");
  }
  const urgency = members.get("urgency") ?? CONDITIONS_DEFAULT.leastUrgency;
  const leastUrgency = URGENCIES.find((name) => name === urgency);
  if (leastUrgency === undefined) throw new HttpError("conditions");
  return {
    heartbeatS: seconds(members.get("heartbeat"), HEARTBEAT_S_MAX),
    windowS: seconds(members.get("window"), LOW_URGENCY_WINDOW_S_MAX),
    leastUrgency,
  };
}

/**
 * `Godwit-Channels: <base64url of 8 bytes>`; without it eight zeros, which no list of channels has.
 *
 * @throws {HttpError} conditions
 */
export function parseChannelsDigest(headers: IncomingHttpHeaders): Uint8Array {
  const text = singleHeader(headers, "godwit-channels");
  if (text === undefined) return new Uint8Array(CHANNELS_DIGEST_BYTES);
  try {
    const digest = base64urlDecode(text);
    if (digest.length === CHANNELS_DIGEST_BYTES) return digest;
  } catch (error) {
    if (!(error instanceof GodwitError)) throw error;
  }
  throw new HttpError("conditions");
}

function seconds(text: string | undefined, max: number): number {
  if (text === undefined) return 0;
  if (!/^\d{1,10}$/.test(text)) throw new HttpError("conditions");
  return Math.min(Number(text), max);
}

function singleHeader(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}
