// SPDX-License-Identifier: MIT
/**
 * A bridge for the firmware scripts made of Node: real sockets, files, timers and cryptography, with the order of events the
 * engine of firmware-bridge has. What it tells comes in a turn of its own, after what the script was called for.
 */

import {
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  ECDH,
  randomFillSync,
  sign,
} from "node:crypto";
import * as fs from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { AgentEvent } from "../../src/agent/events.ts";
import { HTTP_RESPONSE_BYTES_MAX } from "../../src/limits.ts";
import { nodeProvider } from "../../src/node/crypto.ts";
import { MqttLinks } from "../../src/node/mqtt.ts";
import { causeOf, parseRetryAfter, WebSocketLinks } from "../../src/node/websocket.ts";
import type { Bridge, BridgeCrypto, BridgeEvents, BridgeFiles } from "../../src/quickjs/bridge.d.ts";

export interface NodeBridgeOptions {
  /** Default "{}". */
  readonly options?: string;
  readonly ca?: string | null;
  /** Default: OpenSSL by node:crypto. */
  readonly crypto?: BridgeCrypto | null;
}

export class NodeBridge implements Bridge {
  readonly abi = 1;
  readonly options: string;
  readonly deviceKey = null;
  readonly pid = process.pid;
  readonly fs: BridgeFiles = nodeBridgeFiles();
  readonly crypto: BridgeCrypto | null;
  /** Lines, "priority text". */
  readonly lines: string[] = [];
  /** What `stayAwake` was last asked for. */
  awakeUntilMs = 0;
  isEpochRight = true;
  #events: BridgeEvents | null = null;
  readonly #ca: string | null;
  readonly #webSockets: WebSocketLinks;
  readonly #mqtt: MqttLinks;
  readonly #http = new Map<number, () => void>();
  #alarm: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor({ options = "{}", ca = null, crypto = nodeBridgeCrypto() }: NodeBridgeOptions = {}) {
    this.options = options;
    this.crypto = crypto;
    this.#ca = ca;
    const dispatch = (event: AgentEvent): void => this.#tellLink(event);
    this.#webSockets = new WebSocketLinks({ ca, dispatch });
    this.#mqtt = new MqttLinks({ ca, dispatch });
  }

  /** As the engine does it: never from within a call of the script. */
  emit(tell: (events: BridgeEvents) => void): void {
    setImmediate(() => {
      if (this.#events !== null) tell(this.#events);
    });
  }

  /** Lets go of what keeps the process alive, and tells nothing any more. */
  end(): void {
    this.#events = null;
    clearTimeout(this.#alarm);
    clearTimeout(this.#timer);
    this.#webSockets.closeAll();
    this.#mqtt.closeAll();
    for (const abort of this.#http.values()) abort();
  }

  listen(events: BridgeEvents): void {
    this.#events = events;
  }

  log(priority: number, text: string): void {
    this.lines.push(`${priority} ${text}`);
  }

  monotonicMs(): number {
    return performance.now();
  }

  epochMs(): number {
    return Date.now();
  }

  isEpochTrusted(): boolean {
    return this.isEpochRight;
  }

  setAlarm(atMs: number | null, windowMs: number): void {
    clearTimeout(this.#alarm);
    if (atMs === null) return;
    requireWhole(atMs, windowMs);
    // In the middle of its window: whoever relies on either end is wrong.
    this.#alarm = this.#at(atMs + windowMs / 2, (events) => events.alarm());
  }

  setTimer(atMs: number | null): void {
    clearTimeout(this.#timer);
    if (atMs !== null) this.#timer = this.#at(atMs, (events) => events.timer());
  }

  stayAwake(untilMs: number): void {
    requireWhole(untilMs);
    this.awakeUntilMs = untilMs;
  }

  randomFill(target: Uint8Array): void {
    randomFillSync(target);
  }

  utf8Encode(text: string): Uint8Array {
    return new TextEncoder().encode(text);
  }

  utf8Decode(bytes: Uint8Array): string {
    return new TextDecoder().decode(bytes);
  }

  openWebSocket(
    linkId: number,
    url: string,
    subprotocol: string,
    headers: readonly string[],
    bearer: string | null,
    isText: boolean,
  ): void {
    const request = { linkId, url, subprotocol, bearer, headers: pairs(headers), mqtt: null };
    this.#webSockets.open({ type: "openLink", ...request, ...(isText ? { isText } : {}) });
  }

  openMqtt(linkId: number, url: string, username: string, topic: string, bearer: string): void {
    const mqtt = { username, topic };
    this.#mqtt.open({ type: "openLink", linkId, url, subprotocol: "", bearer, headers: {}, mqtt }, mqtt);
  }

  send(linkId: number, frame: Uint8Array, qos: number): void {
    if (this.#mqtt.has(linkId)) this.#mqtt.send(linkId, frame, qos === 1 ? 1 : 0);
    else this.#webSockets.send(linkId, frame);
  }

  ping(linkId: number): void {
    this.#webSockets.ping(linkId);
  }

  closeLink(linkId: number): void {
    this.#webSockets.close(linkId);
    this.#mqtt.close(linkId);
  }

  httpRequest(
    requestId: number,
    method: string,
    url: string,
    headers: readonly string[],
    body: Uint8Array | null,
    timeoutMs: number,
  ): void {
    const done = (...[status, cause, retryAfterS, text]: HttpAnswer): void => {
      clearTimeout(timer);
      outgoing.destroy();
      if (!this.#http.delete(requestId)) return;
      this.emit((events) => events.httpDone(requestId, status, cause, retryAfterS, text));
    };
    const start = url.startsWith("https:") ? httpsRequest : httpRequest;
    const length = body === null ? {} : { "Content-Length": body.length };
    const tls = this.#ca === null ? {} : { ca: this.#ca };
    const options = { method, agent: false, headers: { ...pairs(headers), ...length }, ...tls } as const;
    const outgoing = start(url, options, (response) =>
      readAnswer(response).then(
        (answer) => done(...answer),
        (error: NodeJS.ErrnoException) => done(0, causeOf(error), null, null),
      ),
    );
    const timer = setTimeout(() => done(0, "unreachable", null, null), timeoutMs);
    outgoing.on("error", (error: NodeJS.ErrnoException) => done(0, causeOf(error), null, null));
    outgoing.end(body);
    this.#http.set(requestId, () => done(0, "local", null, null));
  }

  abortHttp(requestId: number): void {
    const abort = this.#http.get(requestId);
    this.#http.delete(requestId);
    abort?.();
  }

  watchNetwork(): boolean {
    this.emit((events) => events.network("wifi test", "wifi", false, false));
    return true;
  }

  #at(atMs: number, tell: (events: BridgeEvents) => void): NodeJS.Timeout {
    // Never early: timers of Node fire up to 1 ms before their time.
    const fire = (): void => {
      if (this.monotonicMs() < atMs) setImmediate(fire);
      else this.emit(tell);
    };
    return setTimeout(fire, Math.min(2 ** 31 - 1, Math.max(0, atMs - this.monotonicMs())));
  }

  #tellLink(event: AgentEvent): void {
    this.emit((events) => {
      if (event.type === "linkOpened") events.linkOpened(event.linkId);
      else if (event.type === "linkMessage") events.linkMessage(event.linkId, event.frame);
      else if (event.type === "linkPong") events.linkPong(event.linkId);
      else if (event.type === "linkClosed")
        events.linkClosed(event.linkId, event.cause, event.httpStatus, event.retryAfterS);
    });
  }
}

type HttpAnswer = Parameters<BridgeEvents["httpDone"]> extends [number, ...infer Rest] ? Rest : never;

async function readAnswer(response: IncomingMessage): Promise<HttpAnswer> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response) {
    text += chunk;
    if (text.length > HTTP_RESPONSE_BYTES_MAX) return [0, "overflow", null, null];
  }
  return [response.statusCode ?? 0, null, parseRetryAfter(response.headers["retry-after"]), text];
}

function pairs(headers: readonly string[]): Record<string, string> {
  const entries = headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1] ?? ""]] : []));
  return Object.fromEntries(entries);
}

/** What C refuses. */
function requireWhole(...values: readonly number[]): void {
  for (const value of values)
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is out of bounds`);
}

/** OpenSSL by way of node:crypto. */
export function nodeBridgeCrypto(): BridgeCrypto {
  const ecdhOf = (privateKey: Uint8Array): ECDH | null => {
    try {
      const ecdh = createECDH("prime256v1");
      ecdh.setPrivateKey(privateKey);
      return ecdh;
    } catch {
      return null;
    }
  };
  return {
    name: "openssl",
    sha256: (data) => new Uint8Array(createHash("sha256").update(data).digest()),
    hmac: (key, data, into) => into.set(createHmac("sha256", key).update(data).digest()),
    gcmOpen: (key, nonce, sealed, associated) =>
      nodeProvider.gcmOpen(key, nonce, sealed, associated ?? undefined),
    gcmSeal: (key, nonce, plaintext, associated) =>
      nodeProvider.gcmSeal(key, nonce, plaintext, associated ?? undefined),
    publicKeyOf: (privateKey) => {
      const ecdh = ecdhOf(privateKey);
      return ecdh === null ? null : new Uint8Array(ecdh.getPublicKey());
    },
    isPublicKey(publicKey) {
      try {
        ECDH.convertKey(publicKey, "prime256v1");
        return true;
      } catch {
        return false;
      }
    },
    importPrivate(privateKey) {
      const ecdh = ecdhOf(privateKey);
      if (ecdh === null) return null;
      return {
        agree(peerPublicKey, into) {
          try {
            into.set(ecdh.computeSecret(peerPublicKey));
            return true;
          } catch {
            return false;
          }
        },
      };
    },
    sign(privateKey, data) {
      const ecdh = ecdhOf(privateKey);
      if (ecdh === null) return null;
      const [x, y] = [ecdh.getPublicKey().subarray(1, 33), ecdh.getPublicKey().subarray(33)];
      const d = Buffer.from(privateKey).toString("base64url");
      const jwk = { kty: "EC", crv: "P-256", x: x.toString("base64url"), y: y.toString("base64url"), d };
      const key = createPrivateKey({ key: jwk, format: "jwk" });
      return new Uint8Array(sign("sha256", data, { key, dsaEncoding: "ieee-p1363" }));
    },
  };
}

function nodeBridgeFiles(): BridgeFiles {
  return {
    open: (path, flags, mode) => fs.openSync(path, flags, mode),
    write: (fd, bytes, offset, length, position) => fs.writeSync(fd, bytes, offset, length, position),
    datasync: (fd) => fs.fdatasyncSync(fd),
    sync: (fd) => fs.fsyncSync(fd),
    close: (fd) => fs.closeSync(fd),
    readFile(path, bytesMax) {
      const content = fs.readFileSync(path);
      if (content.length > bytesMax) throw Object.assign(new Error("too long"), { code: "EFBIG" });
      return new Uint8Array(content);
    },
    stat(path) {
      const { size, mode, uid } = fs.statSync(path);
      return { size, mode: mode & 0o7777, uid };
    },
    rename: (from, to) => fs.renameSync(from, to),
    unlink: (path) => fs.unlinkSync(path),
    symlink: (target, path) => fs.symlinkSync(target, path),
    readlink: (path) => fs.readlinkSync(path),
    makeDirectory: (path, mode) => fs.mkdirSync(path, { recursive: true, mode }) !== undefined,
    uid: () => process.getuid?.() ?? 0,
    isRunning(pid) {
      try {
        process.kill(pid, 0);
        return true;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code !== "ESRCH";
      }
    },
  };
}
