// SPDX-License-Identifier: MIT
/** What an app or a page may do at the app socket: its own affairs, under the owner it proved to be. */

import type { AppReply, AppRequest, AppWarning, Delivery, SubscriptionView } from "../agent/events.ts";
import type { AppEvent, SubscriptionJson } from "../apps/protocol.ts";
import { type AppBadge, type GodwitNotification, readAppBadge } from "../declarative/index.ts";
import { GodwitError } from "../errors.ts";
import {
  APPLICATION_SERVER_KEY_CHARS_MAX,
  FRESHNESS_MS,
  NOTIFICATION_CHARS_MAX,
  WA_TOKEN_CHARS_MAX,
} from "../limits.ts";
import { base64urlDecode, base64urlEncode } from "../webpush/base64url.ts";
import type { AppConnection, Session, Verbs } from "./app-connection.ts";
import type { AppPeer, Seat } from "./app-peers.ts";
import type { OwnerIds } from "./owner-ids.ts";
import type { RequestMembers } from "./request-members.ts";
import type { TokenBucket } from "./token-bucket.ts";
import type { UserAgent } from "./user-agent.ts";

const DECLARATIVE_MODES = ["auto", "auto+explainer", "only", "never"] as const;
export const FRESHNESS_WORDS = Object.keys(FRESHNESS_MS) as readonly (keyof typeof FRESHNESS_MS)[];

export interface AppSessionOptions {
  readonly userAgent: UserAgent;
  readonly owner: string;
  /** What the peer hears of ids, and says. */
  readonly ids: OwnerIds;
  readonly connection: Pick<AppConnection, "send">;
  readonly bucket: TokenBucket;
  readonly handleAttached: () => void;
  readonly handleClosed: () => void;
}

interface InHand {
  readonly handled: () => void;
  readonly failed: (error: Error) => void;
}

export class AppSession implements Session, AppPeer {
  readonly greeting: object;
  readonly bucket: TokenBucket;
  readonly endEpochMs = null;
  readonly verbs: Verbs;
  readonly #options: AppSessionOptions;
  readonly #seat: Seat;
  readonly #inHand = new Map<number, InHand>();

  constructor(options: AppSessionOptions) {
    const { userAgent, owner, ids } = options;
    this.#options = options;
    this.greeting = { owner, permission: userAgent.permissionOf(owner) };
    this.bucket = options.bucket;
    this.#seat = userAgent.join(owner, this);
    const ask = (read: (members: RequestMembers) => AppRequest) => async (members: RequestMembers) =>
      resultOf(await userAgent.request(owner, read(members)), ids);
    const deliveryIdOf = (members: RequestMembers): number | null => {
      const hidden = members.integerOrNull("deliveryId");
      return hidden === null ? null : ids.reveal("delivery", hidden);
    };
    this.verbs = {
      subscribe: ask(readSubscribe),
      getSubscription: ask((members) => ({
        type: "getSubscription",
        waToken: members.textOrNull("waToken", WA_TOKEN_CHARS_MAX),
      })),
      unsubscribe: ask((members) => ({
        type: "unsubscribe",
        subscriptionId: ids.reveal("subscription", members.integer("subscriptionId")),
      })),
      permissionState: ask(() => ({ type: "permissionState" })),
      requestPermission: ask(() => ({ type: "requestPermission" })),
      showNotification: ask((members) => ({
        type: "showNotification",
        deliveryId: deliveryIdOf(members),
        title: members.text("title", NOTIFICATION_CHARS_MAX),
        options: members.object("options"),
      })),
      getNotifications: ask((members) => ({
        type: "getNotifications",
        tag: members.textOrNull("tag", NOTIFICATION_CHARS_MAX),
      })),
      closeNotification: ask((members) => ({
        type: "closeNotification",
        notificationId: ids.reveal("notification", members.integer("notificationId")),
      })),
      setAppBadge: ask((members) => ({
        type: "setAppBadge",
        deliveryId: deliveryIdOf(members),
        badge: readBadge(members),
      })),
      attach: (members) => {
        this.#seat.attach(members.boolean("handlesPush"));
        options.handleAttached();
        return {};
      },
      // One that is over, or never was, is no error: its time may have ended while this was under way.
      handled: (members) => {
        this.#take(members)?.handled();
        return {};
      },
      failed: (members) => {
        this.#take(members)?.failed(new Error("the app failed"));
        return {};
      },
    };
  }

  handleClosed(): void {
    this.#seat.leave();
    this.#inHand.clear();
    this.#options.handleClosed();
  }

  deliver(delivery: Delivery): Promise<void> {
    const { owner: _, deliveryId, subscriptionId, messageId, data, ...members } = delivery;
    const { ids } = this.#options;
    const hidden = {
      deliveryId: ids.hide("delivery", deliveryId),
      subscriptionId: ids.hide("subscription", subscriptionId),
      messageId: ids.hideMessage(messageId),
    };
    return new Promise((handled, failed) => {
      this.#inHand.set(deliveryId, { handled, failed });
      this.#send({
        event: "push",
        ...hidden,
        ...members,
        data: data === null ? null : base64urlEncode(data),
      });
    });
  }

  cancel(deliveryId: number): void {
    const { ids } = this.#options;
    if (this.#inHand.delete(deliveryId))
      this.#send({ event: "cancel", deliveryId: ids.hide("delivery", deliveryId) });
  }

  handleClick(notification: GodwitNotification, action: string): void {
    this.#send({ event: "notificationclick", notification, action });
  }

  handleSubscriptionChange(before: SubscriptionView | null, after: SubscriptionView | null): void {
    const { ids } = this.#options;
    const [oldSubscription, newSubscription] = [before && toJson(before, ids), after && toJson(after, ids)];
    this.#send({ event: "pushsubscriptionchange", oldSubscription, newSubscription });
  }

  handleWarning(code: AppWarning, text: string): void {
    this.#send({ event: "warning", code, text });
  }

  #take(members: RequestMembers): InHand | undefined {
    const deliveryId = this.#options.ids.reveal("delivery", members.integer("deliveryId"));
    const inHand = this.#inHand.get(deliveryId);
    this.#inHand.delete(deliveryId);
    return inHand;
  }

  #send(event: AppEvent): void {
    this.#options.connection.send(event);
  }
}

/** P-256 point or null. @throws {GodwitError} ERR_SUBSCRIBE_KEY_CHARACTERS */
export function readApplicationServerKey(members: RequestMembers): Uint8Array | null {
  const text = members.textOrNull("applicationServerKey", APPLICATION_SERVER_KEY_CHARS_MAX);
  if (text === null) return null;
  try {
    return base64urlDecode(text);
  } catch {
    throw new GodwitError("ERR_SUBSCRIBE_KEY_CHARACTERS", "applicationServerKey is not base64url");
  }
}

function readSubscribe(members: RequestMembers): AppRequest {
  const freshness = members.oneOfOrNull("freshness", FRESHNESS_WORDS);
  return {
    type: "subscribe",
    applicationServerKey: readApplicationServerKey(members),
    userVisibleOnly: members.boolean("userVisibleOnly"),
    waToken: members.textOrNull("waToken", WA_TOKEN_CHARS_MAX),
    declarative: members.oneOf("declarative", DECLARATIVE_MODES),
    allowAesgcm: members.boolean("allowAesgcm"),
    ...(freshness === null ? {} : { freshness }),
  };
}

function readBadge(members: RequestMembers): AppBadge {
  const badge = readAppBadge(members.raw.badge);
  if (badge === null) throw new GodwitError("ERR_OPTION", "badge must be a whole number, true or false");
  return badge;
}

function resultOf(reply: AppReply, ids: OwnerIds): object {
  switch (reply.type) {
    case "subscription":
      return { subscription: reply.subscription && toJson(reply.subscription, ids) };
    case "unsubscribed":
      return { existed: reply.existed };
    case "permission":
      return { permission: reply.permission };
    case "notifications":
      return {
        notifications: reply.notifications.map(({ owner: _, notificationId, ...shown }) => ({
          notificationId: ids.hide("notification", notificationId),
          ...shown,
        })),
      };
    case "done":
      return {};
    case "error":
      throw new GodwitError(reply.code, reply.message);
  }
}

function toJson(view: SubscriptionView, ids: OwnerIds): SubscriptionJson {
  const { subscriptionId, endpoint, expirationTime, applicationServerKey, userVisibleOnly } = view;
  return {
    subscriptionId: ids.hide("subscription", subscriptionId),
    endpoint,
    expirationTime,
    p256dh: base64urlEncode(view.p256dh),
    auth: base64urlEncode(view.auth),
    applicationServerKey: applicationServerKey && base64urlEncode(applicationServerKey),
    userVisibleOnly,
  };
}
