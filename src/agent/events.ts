// SPDX-License-Identifier: MIT
/**
 * Every event and effect of the user agent: the whole vocabulary between core and host. Pure types;
 * messages, bytes, times and numbers only, so that a C host can speak it.
 */

import type { AppBadge, GodwitNotification } from "../declarative/index.ts";
import type { ErrorCode } from "../errors.ts";
import type { Freshness } from "../journal/index.ts";
import type { Urgency } from "../wire/dialect.ts";

/** A point in time, read by the host. */
export interface Instant {
  /** Rises always and counts suspend; only differences mean something. */
  readonly monotonicMs: number;
  /** Wall clock, ms since 1970. */
  readonly epochMs: number;
  /** False while the wall clock may be wrong (no RTC, not synchronised). */
  readonly epochTrusted: boolean;
}

/** When the host is to wake the agent: anywhere in [atMs, atMs + windowMs] of the monotonic clock. */
export interface Alarm {
  readonly atMs: number;
  readonly windowMs: number;
}

/** The network the device is on; `label` is stable for one network (SSID, MCC-MNC). */
export interface Network {
  readonly label: string;
  readonly kind: "wifi" | "cellular" | "ethernet" | "unknown";
  readonly metered: boolean;
}

export type Permission = "granted" | "denied" | "prompt";

/** How a subscription treats declarative messages. */
export type DeclarativeMode = "auto" | "auto+explainer" | "only" | "never";

/** Why a link ended, as the host saw it. */
export const LINK_CAUSES = [
  "refused",
  "unreachable",
  "tls",
  "reset",
  "closed",
  "protocol",
  "overflow",
  "local",
] as const;
export type LinkCause = (typeof LINK_CAUSES)[number];

/**
 * Who a device is at an MQTT broker (3.1.1, clean session, keep-alive 0): `username` is its client id too. It publishes to
 * `topic`/up, where an empty payload, its last will, tells that it is gone; the link is open once it is subscribed to
 * `topic`/down. A CONNACK of 4 or 5 counts as status 401, of 3 as 503.
 */
export interface MqttAddress {
  readonly username: string;
  readonly topic: string;
}

/** What an app gets of its subscription. Byte arrays are copies the app may keep. */
export interface SubscriptionView {
  readonly subscriptionId: number;
  readonly endpoint: string;
  readonly expirationTime: number | null;
  /** 65 bytes. */
  readonly p256dh: Uint8Array;
  /** 16 bytes. */
  readonly auth: Uint8Array;
  /** 65 bytes or null. */
  readonly applicationServerKey: Uint8Array | null;
  readonly userVisibleOnly: boolean;
}

export interface SubscribeRequest {
  readonly type: "subscribe";
  /** 65 bytes, uncompressed P-256 point, or null. */
  readonly applicationServerKey: Uint8Array | null;
  readonly userVisibleOnly: boolean;
  /** Names the registration; null means the owner's default one, named by the agent. */
  readonly waToken: string | null;
  readonly declarative: DeclarativeMode;
  readonly allowAesgcm: boolean;
  /** How long a dead connection may go unnoticed: "urgent" 9 min, "normal" (default) 29, "relaxed" 58. */
  readonly freshness?: Freshness;
}

/** What an app may ask for. Every request is answered by one {@link Effect} `appReply`. */
export type AppRequest =
  | SubscribeRequest
  | { readonly type: "getSubscription"; readonly waToken: string | null }
  | { readonly type: "unsubscribe"; readonly subscriptionId: number }
  | { readonly type: "permissionState" }
  /** Asks the person when nothing is decided yet; answered with what is, or with "prompt" when they leave it open. */
  | { readonly type: "requestPermission" }
  | {
      readonly type: "showNotification";
      /** The delivery being handled, or null outside of one. */
      readonly deliveryId: number | null;
      readonly title: string;
      /** Members as in the Notifications API; unknown ones are ignored, wrong types refused. */
      readonly options: Readonly<Record<string, unknown>>;
    }
  | { readonly type: "setAppBadge"; readonly deliveryId: number | null; readonly badge: AppBadge }
  /** The owner's own, oldest first; `tag` null: all of them. */
  | { readonly type: "getNotifications"; readonly tag: string | null }
  /** Another owner's, or one that is gone, is none. A young one goes once it has been seen (SCRIPT_CLOSE_MS_MIN). */
  | { readonly type: "closeNotification"; readonly notificationId: number };

/** What people decide. `owner` null: for all. Every choice is answered by one {@link Effect} `appReply`, once it is on disk. */
export type Choice =
  /** "prompt" asks again at the next subscribe(). Anything but "granted" ends the owner's subscriptions. */
  | { readonly type: "setPermission"; readonly owner: string; readonly permission: Permission }
  /** Messages wait at the service until their TTL. */
  | { readonly type: "setPaused"; readonly owner: string | null; readonly paused: boolean }
  /** Ends the subscriptions, here and at the service, and lets none be made. */
  | { readonly type: "setOptedOut"; readonly owner: string | null; readonly optedOut: boolean }
  /** Subscriptions, messages, notifications and badge go; what was decided about the owner stays. */
  | { readonly type: "clearData"; readonly owner: string }
  /** Like `clearData`, and the owner is forgotten. */
  | { readonly type: "uninstall"; readonly owner: string }
  /** `startable`: the host can start it, so it counts as handling messages before it was ever attached. */
  | { readonly type: "install"; readonly owner: string; readonly startable: boolean }
  | { readonly type: "removeSubscription"; readonly subscriptionId: number }
  /** Everything goes; the service is told to forget the device as soon as it can be reached. */
  | { readonly type: "factoryReset" };

/** A notification that is shown or waits for a screen. */
export interface NotificationView {
  readonly notificationId: number;
  readonly owner: string;
  readonly shownEpochMs: number;
  readonly notification: GodwitNotification;
}

export type AppReply =
  | { readonly type: "subscription"; readonly subscription: SubscriptionView | null }
  | { readonly type: "unsubscribed"; readonly existed: boolean }
  | { readonly type: "permission"; readonly permission: Permission }
  | { readonly type: "done" }
  | { readonly type: "notifications"; readonly notifications: readonly NotificationView[] }
  | { readonly type: "error"; readonly code: ErrorCode; readonly message: string };

/** A message on its way to its app. */
export interface Delivery {
  readonly deliveryId: number;
  readonly owner: string;
  readonly subscriptionId: number;
  /** Stays the same when the message is delivered again. */
  readonly messageId: string;
  /** True when an earlier run may have handed out the same message. */
  readonly redelivered: boolean;
  /** Plaintext the app may keep; null for a message without body, and for a declarative one. */
  readonly data: Uint8Array | null;
  /** The declared notification of a mutable message, else null. */
  readonly notification: GodwitNotification | null;
  readonly appBadge: AppBadge | null;
}

export type AgentEvent =
  /** First event; nothing happens before it. */
  | { readonly type: "start" }
  | { readonly type: "linkOpened"; readonly linkId: number }
  /** `frame` is borrowed until `handle` returns, unless the host gives it away with the event (Node does). */
  | { readonly type: "linkMessage"; readonly linkId: number; readonly frame: Uint8Array }
  | { readonly type: "linkPong"; readonly linkId: number }
  | {
      readonly type: "linkClosed";
      readonly linkId: number;
      readonly cause: LinkCause;
      /** Status of a refused upgrade, else null. */
      readonly httpStatus: number | null;
      readonly retryAfterS: number | null;
    }
  | { readonly type: "alarm" }
  | {
      readonly type: "networkChanged";
      /** null: no network. */
      readonly network: Network | null;
      /** The label is the same, but the device's address on it is another: links may be dead without knowing. */
      readonly hasNewAddress?: true;
    }
  | { readonly type: "journalAppended"; readonly appendId: number }
  | { readonly type: "journalFailed"; readonly appendId: number; readonly reason: "full" | "io" }
  | {
      readonly type: "httpResponse";
      readonly requestId: number;
      /** 0 when there was no answer. */
      readonly status: number;
      /** Why there was none; null when there was. */
      readonly cause: LinkCause | null;
      readonly retryAfterS: number | null;
      readonly body: string | null;
    }
  | {
      readonly type: "appRequest";
      readonly requestId: number;
      readonly owner: string;
      readonly request: AppRequest;
    }
  | { readonly type: "appAttached"; readonly owner: string; readonly handlesPush: boolean }
  | { readonly type: "appDetached"; readonly owner: string }
  | { readonly type: "appHandled"; readonly deliveryId: number }
  | { readonly type: "appFailed"; readonly deliveryId: number }
  | { readonly type: "displayed"; readonly notificationId: number }
  | { readonly type: "displayFailed"; readonly notificationId: number }
  | { readonly type: "permissionAnswered"; readonly owner: string; readonly permission: Permission }
  | { readonly type: "choice"; readonly requestId: number; readonly choice: Choice }
  /** A person allowed or refused what {@link Effect} `askNavigation` asked. */
  | {
      readonly type: "navigationAnswered";
      readonly notificationId: number;
      readonly action: string;
      readonly allowed: boolean;
    }
  /** `action` is "" for the body. */
  | { readonly type: "notificationActivated"; readonly notificationId: number; readonly action: string }
  | { readonly type: "notificationClosed"; readonly notificationId: number }
  /** Messages below it stay at the service from now on: the battery is low, or there is power again (RFC 8030 §5.3). */
  | { readonly type: "urgency"; readonly leastUrgency: Urgency }
  | { readonly type: "shutdown" };

/** What an app's developer is told: its stable name. */
export const APP_WARNINGS = [
  /** A handler was added after messages had been dealt with without one. */
  "late-handler",
  /** Half of the budget for messages that show nothing is spent; all of it is, and they wait until it is there again. */
  "silent-budget-low",
  "silent-budget-spent",
  /** A message that had to be a notification and is none was dropped. */
  "message-invalid",
] as const;
export type AppWarning = (typeof APP_WARNINGS)[number];

/** What happened, for logs and people. Never holds a key, token, endpoint, owner secret or payload. */
export type Report =
  | { readonly type: "token"; readonly renewed: boolean }
  | { readonly type: "state"; readonly state: string }
  | { readonly type: "registered"; readonly device: string }
  | {
      readonly type: "subscribed";
      readonly owner: string;
      readonly channel: number;
      readonly ownToken: boolean;
    }
  | { readonly type: "unsubscribed"; readonly owner: string; readonly channel: number | null }
  | { readonly type: "subscriptionLost"; readonly owner: string }
  | {
      readonly type: "received";
      readonly messageId: string;
      readonly channel: number;
      readonly bytes: number;
      readonly attempt: number;
    }
  | {
      readonly type: "delivered";
      readonly messageId: string;
      readonly owner: string;
      readonly redelivered: boolean;
    }
  | { readonly type: "handled"; readonly messageId: string; readonly owner: string }
  | {
      readonly type: "shown";
      readonly messageId: string | null;
      readonly owner: string;
      readonly by: "declared" | "app";
    }
  /** Everything of everybody is removed. */
  | { readonly type: "reset" }
  | { readonly type: "acknowledged"; readonly messages: number; readonly code: string }
  | { readonly type: "dropped"; readonly messageId: string; readonly code: string }
  | { readonly type: "journaled"; readonly messageId: string; readonly owner: string }
  | {
      readonly type: "linkClosed";
      readonly cause: string;
      readonly httpStatus: number | null;
      readonly retryInMs: number | null;
    }
  | {
      readonly type: "fault";
      readonly code: ErrorCode;
      readonly text: string;
      /** Whose app it is about, if it is about one. */
      readonly owner?: string;
    };

export type Effect =
  /** Answered by `linkOpened` or `linkClosed` with the same linkId. */
  | {
      readonly type: "openLink";
      readonly linkId: number;
      /** wss or ws URL with path; or mqtts or mqtt with host and port, where port 443 means ALPN `mqtt`. */
      readonly url: string;
      /** Of the WebSocket; "" for MQTT. */
      readonly subprotocol: string;
      /** Secret: goes into `Authorization: Bearer` or is MQTT's password, never into a log. Null: the upgrade names nobody. */
      readonly bearer: string | null;
      readonly headers: Readonly<Record<string, string>>;
      /** Null for a WebSocket. */
      readonly mqtt: MqttAddress | null;
      /**
       * There for a WebSocket whose messages are text, as UTF-8 here: its service may leave the subprotocol out of its answer,
       * and a Ping of the service comes as a frame without bytes where the host hears of it.
       */
      readonly isText?: true;
    }
  /**
   * One whole frame, which the host then owns. Over its queue bound the host closes the link ("overflow"). `qos` is
   * MQTT's.
   */
  | { readonly type: "send"; readonly linkId: number; readonly frame: Uint8Array; readonly qos: 0 | 1 }
  /** One transport-level ping; answered by `linkPong`. Never asked for over MQTT. */
  | { readonly type: "ping"; readonly linkId: number }
  /** No event of that link is expected any more. */
  | { readonly type: "closeLink"; readonly linkId: number }
  /** Replaces the one alarm; null cancels it. Answered by `alarm`. */
  | { readonly type: "setAlarm"; readonly alarm: Alarm | null }
  /** The device should not suspend before this time of the monotonic clock. */
  | { readonly type: "stayAwake"; readonly untilMs: number }
  /** Framed records for the end of the active segment. Answered by `journalAppended` once they survive a power cut. */
  | { readonly type: "append"; readonly appendId: number; readonly bytes: Uint8Array }
  /** A whole new segment in place of the old, atomically; `urgent` may use the flash reserve. Answered like `append`. */
  | {
      readonly type: "checkpoint";
      readonly appendId: number;
      readonly bytes: Uint8Array;
      readonly urgent: boolean;
    }
  /** Answered by `httpResponse`. */
  | {
      readonly type: "httpRequest";
      readonly requestId: number;
      readonly method: "GET" | "POST";
      readonly url: string;
      /** Secret or null. */
      readonly bearer: string | null;
      readonly timeoutMs: number;
    }
  | { readonly type: "startApp"; readonly owner: string }
  /** Answered by `appHandled` or `appFailed`. */
  | { readonly type: "deliver"; readonly delivery: Delivery }
  /** The budget of a delivery is over; whatever its app still does is ignored. */
  | { readonly type: "cancelDelivery"; readonly deliveryId: number; readonly owner: string }
  | { readonly type: "appReply"; readonly requestId: number; readonly reply: AppReply }
  | {
      readonly type: "subscriptionChange";
      readonly owner: string;
      readonly oldSubscription: SubscriptionView | null;
      readonly newSubscription: SubscriptionView | null;
    }
  /**
   * Answered by `displayed` or `displayFailed`. `replaces`: the notification with the same tag this one takes the place
   * of, or null.
   */
  | {
      readonly type: "show";
      readonly notificationId: number;
      readonly owner: string;
      readonly notification: GodwitNotification;
      readonly replaces: number | null;
      /** False when it replaces one without `renotify`, or is restored after a restart. */
      readonly alert: boolean;
    }
  | { readonly type: "closeNotification"; readonly notificationId: number }
  | {
      readonly type: "notificationClick";
      readonly owner: string;
      readonly notification: GodwitNotification;
      readonly action: string;
    }
  | { readonly type: "setBadge"; readonly owner: string; readonly badge: AppBadge }
  | { readonly type: "openUrl"; readonly owner: string; readonly url: string }
  /** A link to another origin: answered by `navigationAnswered`. `host` is what to show, never the URL. */
  | {
      readonly type: "askNavigation";
      readonly notificationId: number;
      readonly owner: string;
      readonly action: string;
      readonly host: string;
    }
  /** Answered by `permissionAnswered`, or by a choice `setPermission`. */
  | { readonly type: "askPermission"; readonly owner: string }
  /** It was decided, whichever way, or nobody asks any more: a prompt that is still open goes. */
  | { readonly type: "permissionSettled"; readonly owner: string; readonly permission: Permission }
  /** For the app's developer. */
  | { readonly type: "warnApp"; readonly owner: string; readonly code: AppWarning; readonly text: string }
  | { readonly type: "report"; readonly report: Report };

/** Where the parts of the agent put their effects; drained in order by `poll`. */
export type Emit = (effect: Effect) => void;
