// SPDX-License-Identifier: MIT
/**
 * What firmware-bridge lends the script: the object `bridge` on globalThis, one native function a member, and the events it
 * calls back with. Everything is synchronous and on one thread. Times are ms of CLOCK_BOOTTIME unless they say epoch. Bytes
 * are copied in both directions. A function throws TypeError or RangeError for arguments out of bounds, which is a bug of the
 * script, and Error with a `code` ("ENOENT", …) where the system refuses. C side: firmware-bridge/src, one file per group.
 */

import type { LinkCause } from "../agent/events.ts";

/** Bumped with every incompatible change; the script refuses another one. */
export type BridgeAbi = 1;

export interface Bridge {
  readonly abi: BridgeAbi;
  /** What the embedding program configured, JSON ({@link ScriptOptions}, src/quickjs/options.ts). */
  readonly options: string;
  /** 32 bytes that seal the journal, or null. */
  readonly deviceKey: Uint8Array | null;
  readonly pid: number;

  /** Where events go. Called once, while the script is evaluated. */
  listen(events: BridgeEvents): void;
  /** Priority as in syslog: 3 error, 4 warning, 5 notice, 6 info, 7 debug. One line, no secrets. */
  log(priority: number, text: string): void;

  // clock.c, alarm.c
  monotonicMs(): number;
  epochMs(): number;
  /** False while the wall clock lies before the build, or the host says so. */
  isEpochTrusted(): boolean;
  /** One wake-up in [atMs, atMs + windowMs], also of a sleeping device where that is allowed; null cancels. Answered by `alarm`. */
  setAlarm(atMs: number | null, windowMs: number): void;
  /** One call of `timer` at `atMs` or later; never wakes a sleeping device. null cancels. */
  setTimer(atMs: number | null): void;
  /** The device should not suspend before. */
  stayAwake(untilMs: number): void;

  // random.c, text.c
  randomFill(target: Uint8Array): void;
  /** As TextEncoder. */
  utf8Encode(text: string): Uint8Array;
  /** As TextDecoder: one leading byte order mark is dropped, malformed parts become U+FFFD. */
  utf8Decode(bytes: Uint8Array): string;

  // websocket*.c: answered by linkOpened or linkClosed; closeLink is answered by nothing.
  /**
   * `headers`: name, value, name, value, … besides the usual ones; `Authorization: Bearer` is made of `bearer` unless that is null.
   * `isText`: messages are text, as UTF-8 here, and the service may leave the subprotocol out of its answer.
   */
  openWebSocket(
    linkId: number,
    url: string,
    subprotocol: string,
    headers: readonly string[],
    bearer: string | null,
    isText: boolean,
  ): void;
  // mqtt.c
  openMqtt(linkId: number, url: string, username: string, topic: string, bearer: string): void;
  /** To whichever link it is; over LINK_QUEUED_BYTES_MAX the link ends with "overflow". `qos` is MQTT's. */
  send(linkId: number, frame: Uint8Array, qos: number): void;
  ping(linkId: number): void;
  closeLink(linkId: number): void;

  // http.c: answered by httpDone, once. At most HTTP_RESPONSE_BYTES_MAX of body, else cause "overflow".
  httpRequest(
    requestId: number,
    method: string,
    url: string,
    headers: readonly string[],
    body: Uint8Array | null,
    timeoutMs: number,
  ): void;
  abortHttp(requestId: number): void;

  // network.c: tells the present network at once, then each change.
  /** False when the system cannot tell: no netlink. */
  watchNetwork(): boolean;

  readonly fs: BridgeFiles;
  /** Null in a build without native cryptography: noble is used. */
  readonly crypto: BridgeCrypto | null;
}

/** storage.c. Paths are absolute. Throws Error with `code`. Writes that would put the state directory over its quota: EDQUOT. */
export interface BridgeFiles {
  /** A descriptor of our own; "w" truncates or makes. */
  open(path: string, flags: "r" | "r+" | "w", mode: number): number;
  /** Bytes written, at least 1. */
  write(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  datasync(fd: number): void;
  sync(fd: number): void;
  close(fd: number): void;
  /** The whole file; EFBIG when it is longer than `bytesMax`. Also of /proc. */
  readFile(path: string, bytesMax: number): Uint8Array;
  /** Length in bytes, permission bits, owner. */
  stat(path: string): { readonly size: number; readonly mode: number; readonly uid: number };
  rename(from: string, to: string): void;
  unlink(path: string): void;
  symlink(target: string, path: string): void;
  readlink(path: string): string;
  /** With those above it. True when it was made, false when it was there. */
  makeDirectory(path: string, mode: number): boolean;
  uid(): number;
  /** kill(pid, 0): false for ESRCH. */
  isRunning(pid: number): boolean;
}

/** crypto.c over OpenSSL or mbedTLS. Lengths as in CryptoProvider. */
export interface BridgeCrypto {
  readonly name: "openssl" | "mbedtls";
  sha256(data: Uint8Array): Uint8Array;
  /** Writes 32 bytes to the start of `into`, which may be `data`. */
  hmac(key: Uint8Array, data: Uint8Array, into: Uint8Array): void;
  gcmOpen(
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    associated: Uint8Array | null,
  ): Uint8Array | null;
  gcmSeal(
    key: Uint8Array,
    nonce: Uint8Array,
    plaintext: Uint8Array,
    associated: Uint8Array | null,
  ): Uint8Array;
  /** 65 bytes, or null for a scalar that is 0 or not below the group order. */
  publicKeyOf(privateKey: Uint8Array): Uint8Array | null;
  isPublicKey(publicKey: Uint8Array): boolean;
  /** The scalar in the library's form, freed with the object; null as for publicKeyOf. */
  importPrivate(privateKey: Uint8Array): BridgePrivateKey | null;
  /** ES256: r then s, 64 bytes; null for a bad key. */
  sign(privateKey: Uint8Array, data: Uint8Array): Uint8Array | null;
}

/** Opaque. */
export interface BridgePrivateKey {
  /** ECDH: 32 bytes into the start of `into`; false for a point that is none. */
  agree(peerPublicKey: Uint8Array, into: Uint8Array): boolean;
}

/** What the bridge calls. After each call all pending jobs run. What one throws ends the agent: nobody knows its state any more. */
export interface BridgeEvents {
  linkOpened(linkId: number): void;
  /** The script may keep `frame`. */
  linkMessage(linkId: number, frame: Uint8Array): void;
  linkPong(linkId: number): void;
  linkClosed(linkId: number, cause: LinkCause, httpStatus: number | null, retryAfterS: number | null): void;
  httpDone(
    requestId: number,
    status: number,
    cause: LinkCause | null,
    retryAfterS: number | null,
    body: string | null,
  ): void;
  alarm(): void;
  timer(): void;
  /** label null: no network. `hasNewAddress`: the same network, another address. */
  network(
    label: string | null,
    kind: "wifi" | "cellular" | "ethernet" | "unknown",
    metered: boolean,
    hasNewAddress: boolean,
  ): void;
  /** The device woke, or something else may have let time pass: look at the clock. */
  look(): void;
}
