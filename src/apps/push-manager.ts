// SPDX-License-Identifier: MIT
/**
 * The Push API as an app sees it (W3C Push API, names and meanings), on top of any way to reach the agent. Nothing of a
 * runtime is imported, so the same classes serve an app in the agent's own process and one behind a socket.
 */

import type { AppReply, AppRequest, DeclarativeMode, Permission, SubscriptionView } from "../agent/events.ts";
import type { Freshness } from "../journal/index.ts";
import { base64urlDecode, base64urlEncode } from "./codecs.ts";
import { type AppError, appError } from "./errors.ts";

/** How requests reach the agent. */
export type AppPort = (request: AppRequest) => Promise<AppReply>;

const DECLARATIVE_MODES: readonly DeclarativeMode[] = ["auto", "auto+explainer", "only", "never"];
const FRESHNESSES: readonly Freshness[] = ["urgent", "normal", "relaxed"];
const KEY_NAMES = ["p256dh", "auth"] as const;

export interface PushSubscriptionOptionsInit {
  /** P-256 point: base64url text, or 65 bytes in a buffer or any view of one. */
  readonly applicationServerKey?: string | ArrayBuffer | ArrayBufferView | null;
  readonly userVisibleOnly?: boolean;
  /** Names the registration (2012: WAToken); without it the owner has one default subscription. */
  readonly waToken?: string;
  /** How declarative messages are treated; default `auto`. */
  readonly declarative?: DeclarativeMode;
  /** Take the legacy `aesgcm` coding too; default false. */
  readonly allowAesgcm?: boolean;
  /** How long a dead connection may go unnoticed: "urgent" 9 min, "normal" (default) 29, "relaxed" 58; pays in battery. */
  readonly freshness?: Freshness;
}

/** What application servers need, exactly as `web-push` and browsers write it. */
export interface PushSubscriptionJSON {
  readonly endpoint: string;
  readonly expirationTime: number | null;
  readonly keys: { readonly p256dh: string; readonly auth: string };
}

export class PushManager {
  static readonly supportedContentEncodings: readonly string[] = Object.freeze(["aes128gcm"]);
  readonly #port: AppPort;

  constructor(port: AppPort) {
    this.#port = port;
  }

  /**
   * The app's subscription, made when there is none. Checks in the order of the Push API: the options' types and the
   * key's spelling here, everything else at the agent.
   *
   * @throws {AppError} in this order: TypeError (an option of a wrong kind), InvalidCharacterError (the key is not base64url),
   *   InvalidAccessError (not a point on P-256), NotAllowedError (no permission), AbortError (the subscription is being
   *   renewed), InvalidStateError (subscribed with other options), AbortError (service not reached, journal full)
   */
  async subscribe(options: PushSubscriptionOptionsInit | null = {}): Promise<PushSubscription> {
    const { freshness, ...init } = options ?? {};
    const request = {
      type: "subscribe" as const,
      userVisibleOnly: Boolean(init.userVisibleOnly),
      waToken: init.waToken === undefined ? null : String(init.waToken),
      declarative: readEnum("declarative", init.declarative ?? "auto", DECLARATIVE_MODES),
      allowAesgcm: Boolean(init.allowAesgcm),
      ...(freshness === undefined ? {} : { freshness: readEnum("freshness", freshness, FRESHNESSES) }),
      applicationServerKey: readKey(init.applicationServerKey ?? null),
    };
    const { subscription } = await ask(this.#port, request, "subscription");
    if (subscription === null) throw unexpected();
    return new PushSubscription(this.#port, subscription);
  }

  /** The subscription of that WAToken, or the default one; null when there is none. */
  async getSubscription(waToken: string | null = null): Promise<PushSubscription | null> {
    const { subscription } = await ask(this.#port, { type: "getSubscription", waToken }, "subscription");
    return subscription && new PushSubscription(this.#port, subscription);
  }

  async permissionState(): Promise<Permission> {
    return (await ask(this.#port, { type: "permissionState" }, "permission")).permission;
  }
}

/** What a subscription was made with. */
export interface PushSubscriptionOptions {
  /** 65 bytes, the same buffer each time, or null. */
  readonly applicationServerKey: ArrayBuffer | null;
  readonly userVisibleOnly: boolean;
}

export class PushSubscription {
  readonly endpoint: string;
  readonly expirationTime: number | null;
  readonly options: PushSubscriptionOptions;
  readonly #port: AppPort;
  readonly #view: SubscriptionView;

  constructor(port: AppPort, view: SubscriptionView) {
    this.#port = port;
    this.#view = view;
    this.endpoint = view.endpoint;
    this.expirationTime = view.expirationTime;
    const key = view.applicationServerKey;
    this.options = Object.freeze({
      applicationServerKey: key === null ? null : copyOf(key),
      userVisibleOnly: view.userVisibleOnly,
    });
  }

  /**
   * A copy: 65 bytes for `p256dh`, 16 for `auth`.
   *
   * @throws {TypeError} for another name
   */
  getKey(name: "p256dh" | "auth"): ArrayBuffer {
    return copyOf(this.#view[readEnum("name", name, KEY_NAMES)]);
  }

  toJSON(): PushSubscriptionJSON {
    const { endpoint, expirationTime } = this;
    const keys = { p256dh: base64urlEncode(this.#view.p256dh), auth: base64urlEncode(this.#view.auth) };
    return { endpoint, expirationTime, keys };
  }

  /** False when it was gone already. The keys are off the device when this resolves. */
  async unsubscribe(): Promise<boolean> {
    const { subscriptionId } = this.#view;
    return (await ask(this.#port, { type: "unsubscribe", subscriptionId }, "unsubscribed")).existed;
  }
}

type ReplyType = Exclude<AppReply["type"], "error">;

/** @throws {AppError} for an error reply, and for another one than `expected` */
export async function ask<Type extends ReplyType>(
  port: AppPort,
  request: AppRequest,
  expected: Type,
): Promise<Extract<AppReply, { type: Type }>> {
  const reply = await port(request);
  if (reply.type === "error") throw appError(reply.code, reply.message);
  if (reply.type !== expected) throw unexpected();
  return reply as Extract<AppReply, { type: Type }>;
}

/** As Web IDL converts `(BufferSource or DOMString)?`: what is no buffer is text. */
function readKey(key: unknown): Uint8Array | null {
  if (key === null) return null;
  if (ArrayBuffer.isView(key)) return new Uint8Array(key.buffer, key.byteOffset, key.byteLength).slice();
  // A buffer of another realm (a frame, a vm context) is no instance of this one's class.
  if (Object.prototype.toString.call(key) === "[object ArrayBuffer]")
    return new Uint8Array(key as ArrayBuffer).slice();
  try {
    return base64urlDecode(String(key));
  } catch {
    throw appError("ERR_SUBSCRIBE_KEY_CHARACTERS", "applicationServerKey is not base64url");
  }
}

function readEnum<Value extends string>(option: string, value: Value, known: readonly Value[]): Value {
  if (known.includes(value)) return value;
  throw appError("ERR_OPTION", `${option} must be one of ${known.join(", ")}`);
}

function copyOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}

function unexpected(): AppError {
  return appError("ERR_SUBSCRIBE_ABORTED", "unexpected answer");
}
