// SPDX-License-Identifier: MIT
/**
 * The three things the push service seals: uaTokens, endpoints and message Locations, each a fixed
 * binary layout. Verifies without a look-up; whether device, channel and generation still count is the store's to say.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesEqual, concatBytes } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { UA_TOKEN_REFRESH_MS } from "../limits.ts";
import type { DeviceDialect } from "../wire/dialect.ts";
import type { Sealer, Series } from "./seal.ts";

export const UAID_BYTES = 16;
const KEY_HASH_BYTES = 16;
/** uaid (16), issued ms (8), generation (4). */
const UA_TOKEN_BYTES = 28;
/** uaid (16), channel (4), for dialect autopush a 1, and for a restricted endpoint the hash of its key (16). */
const ENDPOINT_BYTES = 20;
const ENDPOINT_LENGTHS = [0, 1, KEY_HASH_BYTES, 1 + KEY_HASH_BYTES].map((more) => ENDPOINT_BYTES + more);
/** Name of the series that the ids of one channel's messages are: uaid (16), channel (4). */
const MESSAGES_BYTES = 20;

export interface UaTokenClaims {
  /** 16 bytes. */
  readonly uaid: Uint8Array;
  /** ms since 1970. */
  readonly issuedMs: number;
  /** Rises with each refresh; the device record names the lowest that still counts. */
  readonly generation: number;
}

export interface EndpointClaims {
  /** 16 bytes. */
  readonly uaid: Uint8Array;
  readonly channel: number;
  /** First 16 bytes of SHA-256 over the applicationServerKey; null when anybody may publish. */
  readonly keyHash: Uint8Array | null;
  /** What its device speaks, and so what may be published. */
  readonly dialect: DeviceDialect;
}

export interface MessageClaims {
  /** 16 bytes. */
  readonly uaid: Uint8Array;
  readonly channel: number;
  /** 0 for a message that was never stored. */
  readonly id: number;
}

/** What the endpoint of a channel holds for its key (65 bytes or null). */
export function endpointKeyHash(applicationServerKey: Uint8Array | null): Uint8Array | null {
  return applicationServerKey === null ? null : sha256(applicationServerKey).slice(0, KEY_HASH_BYTES);
}

/** True when `publicKey` is the one the endpoint was made for. False for an endpoint without one. */
export function isEndpointKey(claims: EndpointClaims, publicKey: Uint8Array): boolean {
  const hash = endpointKeyHash(publicKey);
  return claims.keyHash !== null && hash !== null && bytesEqual(hash, claims.keyHash);
}

/** True when the device should get a fresh token: this one was issued `UA_TOKEN_REFRESH_MS` ago or earlier. */
export function isUaTokenOld(claims: UaTokenClaims, nowMs: number): boolean {
  return claims.issuedMs + UA_TOKEN_REFRESH_MS <= nowMs;
}

/**
 * Makes and opens the texts. Every `open*` throws ERR_SEAL_MALFORMED, ERR_SEAL_FOREIGN or ERR_SEAL_FORGED; callers
 * answer all three alike, so that nobody learns which.
 */
export class Tokens {
  readonly #sealer: Sealer;

  constructor(sealer: Sealer) {
    this.#sealer = sealer;
  }

  sealUaToken({ uaid, issuedMs, generation }: UaTokenClaims): string {
    return this.#sealer.seal("uaToken", layout(uaid, [8, issuedMs], [4, generation]));
  }

  openUaToken(token: string): UaTokenClaims {
    const plaintext = this.#sealer.open("uaToken", token);
    requireLength(plaintext, [UA_TOKEN_BYTES]);
    return {
      uaid: plaintext.slice(0, UAID_BYTES),
      issuedMs: readUint(plaintext, 16, 8),
      generation: readUint(plaintext, 24, 4),
    };
  }

  /** The last part of an endpoint's path. The same claims give the same text while the current key stays. */
  sealEndpoint({ uaid, channel, keyHash, dialect }: EndpointClaims): string {
    const mark = dialect === "autopush" ? [1] : [];
    const plaintext = concatBytes(
      layout(uaid, [4, channel]),
      Uint8Array.from(mark),
      keyHash ?? new Uint8Array(),
    );
    return this.#sealer.seal("endpoint", plaintext);
  }

  /** Most often the same object for the same token. */
  openEndpoint(token: string): EndpointClaims {
    return this.#sealer.recall("endpoint", token, (plaintext) => {
      requireLength(plaintext, ENDPOINT_LENGTHS);
      const isMarked = (plaintext.length - ENDPOINT_BYTES) % KEY_HASH_BYTES === 1;
      const keyHash = plaintext.slice(ENDPOINT_BYTES + (isMarked ? 1 : 0));
      return {
        uaid: plaintext.slice(0, UAID_BYTES),
        channel: readUint(plaintext, 16, 4),
        keyHash: keyHash.length > 0 ? keyHash : null,
        dialect: isMarked ? "autopush" : "godwit.v1",
      };
    });
  }

  /** Seals the ids of one channel's messages, each the last part of a Location's path. */
  messages({ uaid, channel }: Pick<MessageClaims, "uaid" | "channel">): Series {
    return this.#sealer.series("message", layout(uaid, [4, channel]));
  }

  openMessage(token: string): MessageClaims {
    const { name, number } = this.#sealer.openNumber("message", token);
    requireLength(name, [MESSAGES_BYTES]);
    return { uaid: name.slice(0, UAID_BYTES), channel: readUint(name, 16, 4), id: number };
  }
}

/** The length is part of the layout: a sealed text of another version is malformed, not misread. */
function requireLength(plaintext: Uint8Array, lengths: readonly number[]): void {
  if (!lengths.includes(plaintext.length)) throw new GodwitError("ERR_SEAL_MALFORMED", "another layout");
}

/** `uaid`, then each integer big-endian in its width in bytes (4 or 8). */
function layout(uaid: Uint8Array, ...integers: readonly [width: number, value: number][]): Uint8Array {
  if (uaid.length !== UAID_BYTES) throw new RangeError(`a uaid has ${UAID_BYTES} bytes`);
  const bytes = new Uint8Array(integers.reduce((length, [width]) => length + width, UAID_BYTES));
  const view = new DataView(bytes.buffer);
  bytes.set(uaid);
  let at = UAID_BYTES;
  for (const [width, value] of integers) {
    if (width === 8) view.setUint32(at, Math.floor(value / 2 ** 32));
    view.setUint32(at + width - 4, value % 2 ** 32);
    at += width;
  }
  return bytes;
}

function readUint(bytes: Uint8Array, at: number, width: 4 | 8): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return width === 4 ? view.getUint32(at) : view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}
