// SPDX-License-Identifier: MIT
/**
 * What the embedding API (firmware-bridge/src/api*.c) lends the script besides {@link Bridge}, and asks of it: the C functions of
 * godwit.h are calls of {@link EmbeddingVerbs}, its callbacks come of {@link EmbeddingBridge.tell}. The same rules. Flags are 0 or 1
 * where C reads a number; texts are well-formed and hold no U+0000.
 */

import type { DeclarativeMode, Permission } from "../agent/events.ts";
import type { Freshness } from "../journal/index.ts";
import type { Bridge, BridgeEvents } from "./bridge.d.ts";

/** GODWIT_FAULT_LOCAL, GODWIT_FAULT_REMOTE, GODWIT_FAULT_ENVIRONMENT. */
export type ToldFault = 1 | 2 | 3;
/** GODWIT_PERMISSION_PROMPT, GODWIT_PERMISSION_GRANTED, GODWIT_PERMISSION_DENIED. */
export type ToldPermission = 0 | 1 | 2;
export type ToldFlag = 0 | 1;

export interface EmbeddingBridge extends Bridge {
  /** Queues a callback of the program, which is called when nothing of the script is on the stack. */
  tell<Name extends keyof Told>(name: Name, ...values: Told[Name]): void;
  /** Within `call`: its result. */
  returned(value: unknown): void;
  /** Within `call`: it was not done. */
  refused(code: string, fault: ToldFault, text: string): void;
  /** The answer to a request, once, at any time. */
  answered(requestId: number, value: unknown): void;
  answered(requestId: number, value: null, code: string, fault: ToldFault, text: string): void;
  /** Once: the agent runs, or cannot. */
  started(): void;
  started(code: string, fault: ToldFault, text: string): void;
  /** What `stop` asked for is done. */
  stopped(): void;
}

/** Callbacks by name, with what they get. */
export interface Told {
  /** Answered by `shown`. */
  show: [notification: ToldNotification, replaces: number, alert: ToldFlag];
  close: [notificationId: number];
  badge: [owner: string, badge: ToldBadge];
  /** Answered by `opened`. */
  openUrl: [linkId: number, owner: string, url: string];
  askPermission: [owner: string];
  permissionSettled: [owner: string, permission: ToldPermission];
  askNavigation: [question: ToldNavigation];
  navigationSettled: [questionId: number];
  /** Answered by `delivered`. */
  deliver: [message: ToldMessage];
  cancelDelivery: [deliveryId: number];
  click: [notification: ToldNotification, action: string];
  startApp: [owner: string];
  subscriptionChange: [owner: string, before: ToldSubscription | null, after: ToldSubscription | null];
  warning: [owner: string, code: string, text: string];
  report: [type: string, json: string];
}

export interface ToldNotification {
  /** 0 where it has none. */
  readonly notificationId: number;
  readonly owner: string;
  readonly title: string;
  readonly body: string;
  readonly direction: string;
  readonly language: string;
  readonly tag: string;
  readonly icon: string | null;
  readonly image: string | null;
  readonly badge: string | null;
  readonly timestamp: number;
  readonly vibrate: readonly number[];
  readonly actions: readonly {
    readonly title: string;
    readonly action: string;
    readonly icon: string | null;
  }[];
  readonly renotify: ToldFlag;
  readonly requireInteraction: ToldFlag;
  /** -1 leaves it to the device. */
  readonly silent: -1 | ToldFlag;
  readonly json: string;
}

export interface ToldBadge {
  /** GODWIT_BADGE_NOTHING, GODWIT_BADGE_FLAG, GODWIT_BADGE_NUMBER. */
  readonly kind: 0 | 1 | 2;
  readonly number: number;
  readonly text: string;
}

export interface ToldNavigation {
  readonly questionId: number;
  readonly notificationId: number;
  readonly owner: string;
  readonly host: string;
}

export interface ToldMessage {
  readonly deliveryId: number;
  readonly owner: string;
  readonly subscriptionId: number;
  readonly messageId: string;
  readonly redelivered: ToldFlag;
  readonly data: Uint8Array | null;
  readonly notification: ToldNotification | null;
  readonly badge: ToldBadge | null;
}

export interface ToldSubscription {
  readonly subscriptionId: number;
  readonly endpoint: string;
  /** -1: none. */
  readonly expirationTime: number;
  readonly p256dh: Uint8Array;
  readonly auth: Uint8Array;
  readonly applicationServerKey: Uint8Array | null;
  readonly userVisibleOnly: ToldFlag;
  readonly json: string;
}

/**
 * What the functions of godwit.h ask for. `requestId` first: answered by `answered`, besides. Those that return false say that there
 * is nothing like that.
 */
export interface EmbeddingVerbs {
  stop(): null;
  // Apps. `deliveryId` 0: none.
  attach(owner: string, handlesPush: boolean): null;
  detach(owner: string): boolean;
  permissionOf(owner: string): ToldPermission;
  subscribe(
    requestId: number,
    owner: string,
    applicationServerKey: Uint8Array | null,
    waToken: string | null,
    userVisibleOnly: boolean,
    declarative: DeclarativeMode,
    freshness: Freshness,
  ): null;
  getSubscription(requestId: number, owner: string, waToken: string | null): null;
  unsubscribe(requestId: number, owner: string, subscriptionId: number): null;
  requestPermission(requestId: number, owner: string): null;
  delivered(deliveryId: number, isHandled: boolean): boolean;
  /** `json`: the members but `data`, whose JSON text is apart, since it is not ours. */
  showNotification(
    requestId: number,
    owner: string,
    deliveryId: number,
    title: string,
    json: string,
    dataJson: string | null,
  ): null;
  setBadge(requestId: number, owner: string, deliveryId: number, badge: number | boolean): null;
  getNotifications(requestId: number, owner: string, tag: string | null): null;
  closeNotification(requestId: number, owner: string, notificationId: number): null;
  // People.
  /** `action`: -1 for the notification itself, else the index of one of those told. */
  activate(notificationId: number, action: number): null;
  dismiss(notificationId: number): null;
  shown(notificationId: number, isShown: boolean | ToldFlag): boolean;
  opened(linkId: number, isOpened: boolean): boolean;
  answerPermission(owner: string, permission: Permission): boolean;
  answerNavigation(questionId: number, isAllowed: ToldFlag): boolean;
  /** A choice of that type, with its owner and one member more. */
  choose(
    requestId: number,
    type: string,
    owner: string | null,
    name: string | null,
    value: string | boolean,
  ): null;
  removeSubscription(requestId: number, subscriptionId: number): null;
  // The device. `label` null: no network.
  setNetwork(
    label: string | null,
    kind: "wifi" | "cellular" | "ethernet" | "unknown",
    metered: boolean,
    hasNewAddress: boolean,
  ): null;
  setPower(isCharging: boolean, isBatteryLow: boolean): null;
  // Figures. -1: none, or not known.
  figures(): Readonly<Record<string, number>>;
  /** JSON. */
  status(): string;
  stats(): string;
}

export interface EmbeddingEvents extends BridgeEvents {
  /** Answered before it returns by {@link EmbeddingBridge.returned} or {@link EmbeddingBridge.refused}. */
  call<Verb extends keyof EmbeddingVerbs>(verb: Verb, ...values: Parameters<EmbeddingVerbs[Verb]>): void;
}
