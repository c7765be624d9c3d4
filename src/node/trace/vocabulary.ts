// SPDX-License-Identifier: MIT
/**
 * Every event, effect and option of the agent as a recorded trace has them: the list of what is written. A member that
 * is missing here does not compile, and one that is new is written by nobody (SPEC.md, "Recorded trace").
 */

import type { AgentOptions } from "../../agent/agent-options.ts";
import type {
  AgentEvent,
  AppReply,
  AppRequest,
  Choice,
  Effect,
  NotificationView,
  Report,
  SubscriptionView,
} from "../../agent/events.ts";
import { hexDecode, hexEncode } from "../../bytes.ts";
import { GodwitError } from "../../errors.ts";
import { type JournalRecovery, JournalState } from "../../journal/index.ts";
import type { DeviceDialect } from "../../wire/dialect.ts";
import { type Frames, framesOf, type RestoredFrame } from "./frames.ts";
import { JournalWatch } from "./journal.ts";
import { bytesFrom, type Names, type Values } from "./names.ts";
import { json, notification } from "./payload.ts";
import {
  bytes,
  count,
  type Json,
  link,
  list,
  malformed,
  maybe,
  number,
  numeral,
  object,
  objectOf,
  optional,
  owner,
  type Shape,
  sizeOf,
  text,
  token,
  union,
  unsaid,
  url,
  word,
} from "./shapes.ts";

const nothing = object({});

const request: Shape<AppRequest> = union({
  subscribe: object({
    applicationServerKey: maybe(bytes),
    userVisibleOnly: number(),
    waToken: maybe(text),
    declarative: word(),
    allowAesgcm: number(),
    freshness: optional(word()),
  }),
  getSubscription: object({ waToken: maybe(text) }),
  unsubscribe: object({ subscriptionId: number() }),
  permissionState: nothing,
  requestPermission: nothing,
  showNotification: object({
    deliveryId: number(),
    title: text,
    options: json as Shape<Readonly<Record<string, unknown>>>,
  }),
  setAppBadge: object({ deliveryId: number(), badge: count }),
  getNotifications: object({ tag: maybe(text) }),
  closeNotification: object({ notificationId: number() }),
});

const choice: Shape<Choice> = union({
  setPermission: object({ owner, permission: word() }),
  setPaused: object({ owner: maybe(owner), paused: number() }),
  setOptedOut: object({ owner: maybe(owner), optedOut: number() }),
  clearData: object({ owner }),
  uninstall: object({ owner }),
  install: object({ owner, startable: number() }),
  removeSubscription: object({ subscriptionId: number() }),
  factoryReset: nothing,
});

/** The answer to a token request; of anything else only its length. */
const httpBody: Shape<string> = {
  strip(value, names) {
    const { uaToken, uaid } = parseObject(value);
    const id = typeof uaid === "string" ? hexDecode(uaid) : null;
    if (typeof uaToken !== "string" || id === null) return { length: value.length };
    return { uaToken: token.strip(uaToken, names), uaid: bytes.strip(id, names) };
  },
  restore(value, values) {
    const { uaToken, uaid, length } = objectOf(value);
    if (uaToken === undefined) return "-".repeat(sizeOf(length));
    const id = hexEncode(bytes.restore(uaid ?? null, values));
    return JSON.stringify({ uaToken: token.restore(uaToken, values), uaid: id });
  },
};

function parseObject(value: string): { readonly [name: string]: unknown } {
  try {
    return { ...JSON.parse(value) };
  } catch {
    return {};
  }
}

const events = (frames: Frames, handleFrame: (restored: RestoredFrame) => void): Shape<AgentEvent> =>
  union({
    start: nothing,
    linkOpened: object({ linkId: number() }),
    linkMessage: object({
      linkId: number(),
      frame: {
        strip: frames.stripDown,
        restore(value, values) {
          const restored = frames.restoreDown(value, values);
          handleFrame(restored);
          return restored.frame;
        },
      },
    }),
    linkPong: object({ linkId: number() }),
    linkClosed: object({ linkId: number(), cause: word(), httpStatus: number(), retryAfterS: number() }),
    alarm: nothing,
    networkChanged: object({
      network: maybe(object({ label: text, kind: word(), metered: number() })),
      hasNewAddress: optional(number()),
    }),
    journalAppended: object({ appendId: number() }),
    journalFailed: object({ appendId: number(), reason: word() }),
    httpResponse: object({
      requestId: number(),
      status: number(),
      cause: word(),
      retryAfterS: number(),
      body: maybe(httpBody),
    }),
    appRequest: object({ requestId: number(), owner, request }),
    appAttached: object({ owner, handlesPush: number() }),
    appDetached: object({ owner }),
    appHandled: object({ deliveryId: number() }),
    appFailed: object({ deliveryId: number() }),
    displayed: object({ notificationId: number() }),
    displayFailed: object({ notificationId: number() }),
    permissionAnswered: object({ owner, permission: word() }),
    choice: object({ requestId: number(), choice }),
    navigationAnswered: object({ notificationId: number(), action: text, allowed: number() }),
    notificationActivated: object({ notificationId: number(), action: text }),
    notificationClosed: object({ notificationId: number() }),
    urgency: object({ leastUrgency: word() }),
    shutdown: nothing,
  });

/** `[epoch, id]` of the id that apps see. */
const messageId: Shape<string> = {
  strip(value, names) {
    const [epoch = "", id = ""] = value.split("-");
    return [numeral.strip(Number.parseInt(epoch, 36), names), Number(id)];
  },
  restore: () => {
    throw malformed("something to be read");
  },
};

const view: Shape<SubscriptionView> = object({
  subscriptionId: number(),
  endpoint: url,
  expirationTime: number(),
  p256dh: bytes,
  auth: bytes,
  applicationServerKey: maybe(bytes),
  userVisibleOnly: number(),
});

const notificationView: Shape<NotificationView> = object({
  notificationId: number(),
  owner,
  shownEpochMs: number(),
  notification,
});

const reply: Shape<AppReply> = union({
  subscription: object({ subscription: maybe(view) }),
  unsubscribed: object({ existed: number() }),
  permission: object({ permission: word() }),
  done: nothing,
  notifications: object({ notifications: list(notificationView) }),
  error: object({ code: word(), message: unsaid("") }),
});

const report: Shape<Report> = union({
  token: object({ renewed: number() }),
  state: object({ state: word() }),
  registered: object({ device: text }),
  subscribed: object({ owner, channel: numeral, ownToken: number() }),
  unsubscribed: object({ owner, channel: maybe(numeral) }),
  subscriptionLost: object({ owner }),
  received: object({ messageId, channel: numeral, bytes: number(), attempt: number() }),
  delivered: object({ messageId, owner, redelivered: number() }),
  handled: object({ messageId, owner }),
  shown: object({ messageId: maybe(messageId), owner, by: word() }),
  reset: nothing,
  acknowledged: object({ messages: number(), code: word() }),
  dropped: object({ messageId, code: word() }),
  journaled: object({ messageId, owner }),
  linkClosed: object({ cause: word(), httpStatus: number(), retryInMs: number() }),
  fault: object({ code: word(), text: unsaid(""), owner: optional(owner) }),
});

/** What the service is told of the device before there is a link. */
const headers: Shape<Readonly<Record<string, string>>> = {
  strip: (value, names) =>
    Object.fromEntries(
      Object.entries(value).map(([name, each]) => [
        name,
        name === "Godwit-Conditions" ? word<string>().strip(each, names) : text.strip(each, names),
      ]),
    ),
  restore: () => {
    throw malformed("something to be read");
  },
};

const effects = (frames: Frames, journal: JournalWatch): Shape<Effect> =>
  union({
    openLink: object({
      linkId: number(),
      url,
      subprotocol: word(),
      bearer: maybe(token),
      headers,
      mqtt: maybe(object({ username: text, topic: text })),
      isText: optional(number()),
    }),
    send: object({
      linkId: number(),
      frame: { strip: frames.stripUp, restore: () => new Uint8Array(0) },
      qos: number(),
    }),
    ping: object({ linkId: number() }),
    closeLink: object({ linkId: number() }),
    setAlarm: object({ alarm: maybe(object({ atMs: number(), windowMs: number() })) }),
    stayAwake: object({ untilMs: number() }),
    append: object({
      appendId: number(),
      bytes: { strip: (value, names) => journal.stripAppend(value, names), restore: () => new Uint8Array(0) },
    }),
    checkpoint: object({
      appendId: number(),
      bytes: { strip: (value) => journal.stripCheckpoint(value), restore: () => new Uint8Array(0) },
      urgent: number(),
    }),
    httpRequest: object({
      requestId: number(),
      method: word(),
      url,
      bearer: maybe(token),
      timeoutMs: number(),
    }),
    startApp: object({ owner }),
    deliver: object({
      delivery: object({
        deliveryId: number(),
        owner,
        subscriptionId: number(),
        messageId,
        redelivered: number(),
        data: maybe(bytes),
        notification: maybe(notification),
        appBadge: maybe(count),
      }),
    }),
    cancelDelivery: object({ deliveryId: number(), owner }),
    appReply: object({ requestId: number(), reply }),
    subscriptionChange: object({ owner, oldSubscription: maybe(view), newSubscription: maybe(view) }),
    show: object({ notificationId: number(), owner, notification, replaces: number(), alert: number() }),
    closeNotification: object({ notificationId: number() }),
    notificationClick: object({ owner, notification, action: text }),
    setBadge: object({ owner, badge: count }),
    openUrl: object({ owner, url: link }),
    askNavigation: object({ notificationId: number(), owner, action: text, host: text }),
    askPermission: object({ owner }),
    permissionSettled: object({ owner, permission: word() }),
    warnApp: object({ owner, code: word(), text: unsaid("") }),
    report: object({ report }),
  });

/** What a trace begins with: how the agent was made, but for its journal. */
type Told = Pick<
  AgentOptions,
  | "serviceUrl"
  | "mqttUrls"
  | "deviceBinding"
  | "heartbeatMs"
  | "windowS"
  | "leastUrgency"
  | "portalProbeUrl"
  | "keepConnected"
  | "navigation"
>;

const told: Shape<Told> = object({
  serviceUrl: url,
  mqttUrls: list(url),
  deviceBinding: bytes,
  heartbeatMs: number(),
  windowS: number(),
  leastUrgency: word(),
  portalProbeUrl: maybe(url),
  keepConnected: number(),
  navigation: object({ httpAllowed: number(), originsAllowed: list(url) }),
});

const recovery: Shape<Omit<JournalRecovery, "state">> = object({
  generation: number(),
  active: maybe(
    object({
      header: object({
        generation: number(),
        deviceBinding: bytes,
        salt: { strip: () => "", restore: () => bytesFrom("salt", 8).fill(1, 0, 1) },
        isSealed: number(),
      }),
      segmentBytes: number(),
      checkpointBytes: number(),
    }),
  ),
  cleanStop: number(),
  report: object({
    locked: number(),
    foreignDevice: number(),
    newerVersion: number(),
    unreadableSegments: number(),
    usedOlderSegment: number(),
    incompleteCheckpoint: number(),
    staleSegment: number(),
    records: number(),
    sealedRecords: number(),
    tornTailBytes: number(),
    corruptRecords: number(),
    salvagedRecords: number(),
    unknownRecords: number(),
    unopenedRecords: number(),
    wrongKey: number(),
    unsealed: number(),
    damaged: number(),
  }),
});

/** How the agent was made; the journal's records follow one by one. */
export const making = {
  strip: (options: AgentOptions, names: Names): Json => ({
    options: told.strip(options, names),
    seals: options.sealer.sealsSecrets,
    recovery: recovery.strip(options.recovery, names),
  }),
  restore(
    value: Json,
    values: Values,
  ): Told & { readonly seals: boolean; readonly recovery: JournalRecovery } {
    const { options = null, seals, recovery: found = null } = objectOf(value);
    return {
      ...told.restore(options, values),
      seals: seals === true,
      recovery: { ...recovery.restore(found, values), state: new JournalState() },
    };
  },
};

/** Events and effects of one agent. */
export class Vocabulary {
  readonly #events: Shape<AgentEvent>;
  readonly #effects: Shape<Effect>;

  constructor(
    dialect: DeviceDialect,
    { recovery: found, sealer }: Pick<AgentOptions, "recovery" | "sealer">,
    handleFrame: (restored: RestoredFrame) => void = () => {},
  ) {
    const frames = framesOf(dialect);
    this.#events = events(frames, handleFrame);
    this.#effects = effects(frames, new JournalWatch(found, sealer));
  }

  stripEvent(event: AgentEvent, names: Names): Json {
    return this.#events.strip(event, names);
  }

  restoreEvent(value: Json, values: Values): AgentEvent {
    return this.#events.restore(value, values);
  }

  stripEffect(effect: Effect, names: Names): Json {
    return this.#effects.strip(effect, names);
  }
}

/** A dialect by the name of its subprotocol. @throws {GodwitError} ERR_TRACE */
export function dialectNamed(name: Json | undefined): DeviceDialect {
  if (name === "godwit.v1" || name === "autopush") return name;
  throw new GodwitError("ERR_TRACE", "it is of a dialect that is not known here");
}
