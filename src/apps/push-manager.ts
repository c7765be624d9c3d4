// SPDX-License-Identifier: MIT
/**
 * The Push API as an app sees it (W3C Push API, names and meanings), on top of any way to reach the agent. Nothing of a
 * runtime is imported, so the same classes serve an app in the agent's own process and one behind a socket.
 */

import type {
  AppReply,
  AppRequest,
  DeclarativeMode,
  Delivery,
  Permission,
  SubscriptionView,
} from "../agent/events.ts";
import { utf8Decode } from "../bytes.ts";
import type { AppBadge, GodwitNotification } from "../declarative/index.ts";
import { type ErrorCode, GodwitError } from "../errors.ts";
import { base64urlDecode, base64urlEncode } from "../webpush/base64url.ts";

/** How requests reach the agent. */
export type AppPort = (request: AppRequest) => Promise<AppReply>;

/** Names the W3C API gives these failures; an app written for browsers looks at `error.name`. */
const DOM_NAMES: Readonly<Partial<Record<ErrorCode, string>>> = {
  ERR_SUBSCRIBE_PERMISSION: "NotAllowedError",
  ERR_OWNER: "NotAllowedError",
  ERR_SUBSCRIBE_KEY_CHARACTERS: "InvalidCharacterError",
  ERR_SUBSCRIBE_KEY_POINT: "InvalidAccessError",
  ERR_SUBSCRIBE_CONFLICT: "InvalidStateError",
  ERR_SUBSCRIBE_LIMIT: "AbortError",
  ERR_SUBSCRIBE_ABORTED: "AbortError",
  ERR_JOURNAL_FULL: "AbortError",
  ERR_JOURNAL_IO: "AbortError",
  ERR_SHUTDOWN: "AbortError",
  ERR_NOTIFICATION: "TypeError",
};

export interface PushSubscriptionOptionsInit {
  /** P-256 point: base64url text, or 65 bytes. */
  readonly applicationServerKey?: string | Uint8Array | ArrayBuffer | null;
  readonly userVisibleOnly?: boolean;
  /** Names the registration (2012: WAToken); without it the owner has one default subscription. */
  readonly waToken?: string;
  /** How declarative messages are treated; default `auto`. */
  readonly declarative?: DeclarativeMode;
  /** Take the legacy `aesgcm` coding too; default false. */
  readonly allowAesgcm?: boolean;
  /** How long a dead connection may go unnoticed: "urgent" 9 min, "normal" (default) 29, "relaxed" 58; pays in battery. */
  readonly freshness?: "urgent" | "normal" | "relaxed";
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
   * The app's subscription, made when there is none.
   *
   * @throws {GodwitError} with the W3C name in `name`: NotAllowedError, InvalidCharacterError, InvalidAccessError,
   *   InvalidStateError (subscribed with other options), AbortError (service not reached, journal full)
   */
  async subscribe(options: PushSubscriptionOptionsInit = {}): Promise<PushSubscription> {
    const reply = await ask(this.#port, {
      type: "subscribe",
      applicationServerKey: readKey(options.applicationServerKey ?? null),
      userVisibleOnly: options.userVisibleOnly ?? false,
      waToken: options.waToken ?? null,
      declarative: options.declarative ?? "auto",
      allowAesgcm: options.allowAesgcm ?? false,
      ...(options.freshness === undefined ? {} : { freshness: options.freshness }),
    });
    if (reply.type !== "subscription" || reply.subscription === null) throw unexpected();
    return new PushSubscription(this.#port, reply.subscription);
  }

  /** The subscription of that WAToken, or the default one; null when there is none. */
  async getSubscription(waToken: string | null = null): Promise<PushSubscription | null> {
    const reply = await ask(this.#port, { type: "getSubscription", waToken });
    if (reply.type !== "subscription") throw unexpected();
    return reply.subscription === null ? null : new PushSubscription(this.#port, reply.subscription);
  }

  async permissionState(): Promise<Permission> {
    const reply = await ask(this.#port, { type: "permissionState" });
    if (reply.type !== "permission") throw unexpected();
    return reply.permission;
  }
}

export class PushSubscription {
  readonly endpoint: string;
  readonly expirationTime: number | null;
  readonly options: { readonly applicationServerKey: Uint8Array | null; readonly userVisibleOnly: boolean };
  readonly #port: AppPort;
  readonly #view: SubscriptionView;

  constructor(port: AppPort, view: SubscriptionView) {
    this.#port = port;
    this.#view = view;
    this.endpoint = view.endpoint;
    this.expirationTime = view.expirationTime;
    this.options = { applicationServerKey: view.applicationServerKey, userVisibleOnly: view.userVisibleOnly };
  }

  /** A copy: 65 bytes for `p256dh`, 16 for `auth`. */
  getKey(name: "p256dh" | "auth"): ArrayBuffer {
    return (name === "auth" ? this.#view.auth : this.#view.p256dh).slice().buffer as ArrayBuffer;
  }

  toJSON(): PushSubscriptionJSON {
    const { endpoint, expirationTime } = this;
    const keys = { p256dh: base64urlEncode(this.#view.p256dh), auth: base64urlEncode(this.#view.auth) };
    return { endpoint, expirationTime, keys };
  }

  /** False when it was gone already. The keys are off the device when this resolves. */
  async unsubscribe(): Promise<boolean> {
    const reply = await ask(this.#port, { type: "unsubscribe", subscriptionId: this.#view.subscriptionId });
    if (reply.type !== "unsubscribed") throw unexpected();
    return reply.existed;
  }
}

/** Payload of a push message (W3C `PushMessageData`). */
export class PushMessageData {
  readonly #bytes: Uint8Array;

  /** Takes over `bytes`. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  arrayBuffer(): ArrayBuffer {
    return this.#bytes.slice().buffer as ArrayBuffer;
  }

  bytes(): Uint8Array {
    return this.#bytes.slice();
  }

  text(): string {
    return utf8Decode(this.#bytes);
  }

  /** @throws {SyntaxError} when the payload is not JSON */
  json(): unknown {
    return JSON.parse(this.text());
  }
}

/** A push message at its app. The message counts as handled when every promise given to `waitUntil` is settled. */
export class PushEvent {
  readonly type = "push";
  /** null for a message without body, and for a declarative one. */
  readonly data: PushMessageData | null;
  /** The declared notification of a mutable message, which `showNotification` replaces; else null. */
  readonly notification: GodwitNotification | null;
  readonly appBadge: AppBadge | null;
  /** The same in every delivery of this message. */
  readonly messageId: string;
  /** True when this message may have been delivered before. */
  readonly redelivered: boolean;
  readonly #deliveryId: number;
  readonly #port: AppPort;
  readonly #promises: Promise<unknown>[] = [];

  constructor(port: AppPort, delivery: Delivery) {
    this.#port = port;
    this.#deliveryId = delivery.deliveryId;
    this.data = delivery.data === null ? null : new PushMessageData(delivery.data);
    this.notification = delivery.notification;
    this.appBadge = delivery.appBadge;
    this.messageId = delivery.messageId;
    this.redelivered = delivery.redelivered;
  }

  waitUntil(promise: Promise<unknown>): void {
    // settled() looks at them one after another: a rejection nobody looks at yet would end the process.
    Promise.resolve(promise).catch(() => {});
    this.#promises.push(promise);
  }

  /** Shows a notification, instead of the declared one if there is one; members as in the Notifications API. */
  async showNotification(title: string, options: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const shown = ask(this.#port, { type: "showNotification", deliveryId: this.#deliveryId, title, options });
    this.waitUntil(shown);
    await shown;
  }

  async setAppBadge(badge: AppBadge = true): Promise<void> {
    const set = ask(this.#port, { type: "setAppBadge", deliveryId: this.#deliveryId, badge });
    this.waitUntil(set);
    await set;
  }

  /** Settles when the app is done; rejects when any of its promises did. More may be added while it waits. */
  async settled(): Promise<void> {
    for (let at = 0; at < this.#promises.length; at++) await this.#promises[at];
  }
}

/** @throws {GodwitError} for an error reply */
export async function ask(port: AppPort, request: AppRequest): Promise<AppReply> {
  const reply = await port(request);
  if (reply.type === "error") throw appError(reply.code, reply.message);
  return reply;
}

function appError(code: ErrorCode, message: string): GodwitError {
  const error = new GodwitError(code, message);
  error.name = DOM_NAMES[code] ?? error.name;
  return error;
}

function readKey(key: string | Uint8Array | ArrayBuffer | null): Uint8Array | null {
  if (key === null) return null;
  if (typeof key !== "string") return key instanceof Uint8Array ? key.slice() : new Uint8Array(key.slice(0));
  try {
    return base64urlDecode(key);
  } catch {
    throw appError("ERR_SUBSCRIBE_KEY_CHARACTERS", "applicationServerKey is not base64url");
  }
}

function unexpected(): GodwitError {
  return appError("ERR_SUBSCRIBE_ABORTED", "the user agent answered something else");
}
