// SPDX-License-Identifier: MIT
/** The functions of godwit.h, as far as they are the script's. */

import type { AppReply, AppRequest, Choice } from "../agent/events.ts";
import { isOwner, NO_OWNER_TEXT } from "../agent/owner.ts";
import { GodwitError } from "../errors.ts";
import { jsonNesting } from "../json.ts";
import { JSON_DEPTH_MAX } from "../limits.ts";
import { statsOf } from "../stats.ts";
import type { UserAgent } from "../user-agent/user-agent.ts";
import { URGENCIES } from "../wire/dialect.ts";
import type { EmbeddedProgram } from "./embedded-program.ts";
import type { EmbeddingBridge, EmbeddingVerbs } from "./embedding-bridge.d.ts";
import type { DevicePower } from "./power.ts";
import { FAULTS, PERMISSIONS, toldFlag, toldNotification, toldSubscription } from "./told.ts";

export interface VerbOptions {
  readonly bridge: EmbeddingBridge;
  readonly userAgent: UserAgent;
  readonly program: EmbeddedProgram;
  readonly power: DevicePower;
  readonly setNetwork: EmbeddingVerbs["setNetwork"];
  readonly stop: () => void;
}

type ReplyOf<Type extends AppReply["type"]> = Extract<AppReply, { readonly type: Type }>;

const LINKS = ["idle", "offline", "token", "dialing", "greeting", "online", "waiting", "stopped"] as const;

export function embeddingVerbs(options: VerbOptions): EmbeddingVerbs {
  const { bridge, userAgent, program, power } = options;

  /** Sends a request of an app; its answer is what `told` makes of the reply. */
  function ask<Type extends AppReply["type"]>(
    requestId: number,
    owner: string,
    request: AppRequest,
    type: Type,
    told: (reply: ReplyOf<Type>) => unknown,
  ): null {
    return answer(requestId, async () => {
      if (!isOwner(owner)) throw new GodwitError("ERR_OWNER", NO_OWNER_TEXT);
      const reply = await userAgent.request(owner, request);
      if (reply.type === "error") throw new GodwitError(reply.code, reply.message);
      if (reply.type !== type) throw new TypeError(`${reply.type} is no answer to ${request.type}`);
      return told(reply as ReplyOf<Type>);
    });
  }

  /** What is no GodwitError is a bug, and ends the agent. */
  function answer(requestId: number, value: () => Promise<unknown>): null {
    value().then(
      (result) => bridge.answered(requestId, result),
      (error: unknown) => {
        if (!(error instanceof GodwitError)) throw error;
        bridge.answered(requestId, null, error.code, FAULTS[error.fault], error.message);
      },
    );
    return null;
  }

  const choose = (requestId: number, choice: Choice) =>
    answer(requestId, () => userAgent.choose(choice).then(() => null));

  return {
    stop() {
      options.stop();
      return null;
    },

    attach(owner, handlesPush) {
      program.attach(userAgent, owner, handlesPush);
      return null;
    },
    detach: (owner) => program.detach(owner),
    permissionOf: (owner) => PERMISSIONS[userAgent.permissionOf(owner)],
    subscribe: (requestId, owner, applicationServerKey, waToken, userVisibleOnly, declarative, freshness) => {
      const keys = { applicationServerKey, waToken, userVisibleOnly, declarative, freshness };
      const request = { type: "subscribe", ...keys, allowAesgcm: false } as const;
      return ask(requestId, owner, request, "subscription", (reply) => toldSubscription(reply.subscription));
    },
    getSubscription: (requestId, owner, waToken) =>
      ask(requestId, owner, { type: "getSubscription", waToken }, "subscription", (reply) =>
        toldSubscription(reply.subscription),
      ),
    unsubscribe: (requestId, owner, subscriptionId) =>
      ask(requestId, owner, { type: "unsubscribe", subscriptionId }, "unsubscribed", ({ existed }) =>
        toldFlag(existed),
      ),
    requestPermission: (requestId, owner) =>
      ask(
        requestId,
        owner,
        { type: "requestPermission" },
        "permission",
        (reply) => PERMISSIONS[reply.permission],
      ),
    delivered: (deliveryId, isHandled) => program.handleDelivered(deliveryId, isHandled),

    showNotification: (requestId, owner, deliveryId, title, json, dataJson) => {
      const show = (data: unknown) => {
        const options = { ...JSON.parse(json), data };
        const request = { type: "showNotification", deliveryId: deliveryId || null, title, options } as const;
        return ask(requestId, owner, request, "done", () => null);
      };
      const data = dataJson === null ? null : parseData(dataJson);
      return data instanceof GodwitError ? answer(requestId, () => Promise.reject(data)) : show(data);
    },
    setBadge: (requestId, owner, deliveryId, badge) =>
      ask(
        requestId,
        owner,
        { type: "setAppBadge", deliveryId: deliveryId || null, badge },
        "done",
        () => null,
      ),
    getNotifications: (requestId, owner, tag) =>
      ask(requestId, owner, { type: "getNotifications", tag }, "notifications", ({ notifications }) =>
        notifications.map((view) => toldNotification(view.notificationId, view.owner, view.notification)),
      ),
    closeNotification: (requestId, owner, notificationId) =>
      ask(requestId, owner, { type: "closeNotification", notificationId }, "done", () => null),

    activate(notificationId, action) {
      const view = userAgent.notifications().find((other) => other.notificationId === notificationId);
      const chosen = action < 0 ? "" : view?.notification.actions[action]?.action;
      // An action that is not there is none: it must not count as the notification itself.
      if (chosen !== undefined) userAgent.activateNotification(notificationId, chosen);
      return null;
    },
    dismiss(notificationId) {
      userAgent.closeNotification(notificationId);
      return null;
    },
    shown: (notificationId, isShown) => program.handleShown(notificationId, Boolean(isShown)),
    opened: (linkId, isOpened) => program.handleOpened(linkId, isOpened),
    answerPermission(owner, permission) {
      const { questions } = userAgent;
      const isOpen = questions.open.permissions.includes(owner);
      questions.answerPermission(owner, permission);
      return isOpen;
    },
    answerNavigation(questionId, isAllowed) {
      const question = program.question(questionId);
      if (question === null) return false;
      userAgent.questions.answerNavigation(question.notificationId, question.action, isAllowed === 1);
      return true;
    },

    choose: (requestId, type, owner, name, value) =>
      choose(requestId, {
        type,
        ...(type === "factoryReset" ? {} : { owner }),
        ...(name === null ? {} : { [name]: value }),
      } as Choice),
    removeSubscription: (requestId, subscriptionId) =>
      choose(requestId, { type: "removeSubscription", subscriptionId }),

    setNetwork: options.setNetwork,
    setPower(isCharging, isBatteryLow) {
      power.setPower(isCharging, isBatteryLow);
      return null;
    },

    figures: () => figuresOf(userAgent, power),
    status: () => JSON.stringify(userAgent.status()),
    stats: () => JSON.stringify(statsOf(userAgent.status())),
  };
}

/** The value, or why there is none. */
function parseData(json: string): unknown {
  try {
    // A parser may recurse, and the stack of a small device is small.
    if (jsonNesting(json) <= JSON_DEPTH_MAX) return JSON.parse(json);
  } catch {
    // Said below.
  }
  return new GodwitError("ERR_NOTIFICATION", "the data is no JSON, or nests too deep");
}

function figuresOf(userAgent: UserAgent, power: DevicePower): Record<string, number> {
  const status = userAgent.status();
  const { meter, network } = status;
  const stats = statsOf(status);
  const sum = (counts: Readonly<Record<string, number>>) =>
    Object.values(counts).reduce((total, count) => total + count, 0);
  const orNone = (value: number | null) => (value === null ? -1 : Math.round(value));
  return {
    link: LINKS.indexOf(status.link),
    transport: toldFlag(status.transport === "mqtt"),
    isBehindPortal: toldFlag(status.isBehindPortal),
    isPaused: toldFlag(status.paused),
    isOptedOut: toldFlag(status.optedOut),
    isJournalFailing: toldFlag(status.journalFailing),
    leastUrgency: URGENCIES.indexOf(power.leastUrgency),
    isLearned: toldFlag(network.isLearned),
    subscriptions: status.subscriptions.length,
    notifications: status.notifications,
    messagesWaiting: status.messagesWaiting,
    messagesReceived: meter.messages.received,
    messagesDelivered: meter.messages.delivered,
    messagesShown: meter.messages.shown,
    messagesDropped: meter.messages.dropped,
    wakeUps: sum(meter.wakeUps),
    wireBytes: stats.wireBytes,
    linksLost: sum(meter.linksLost),
    triesFailed: sum(meter.triesFailed),
    deafMs: Math.round(meter.deafMs),
    linkSinceEpochMs: orNone(status.linkSinceEpochMs),
    retryInMs: orNone(status.retryInMs),
    alarmInMs: orNone(status.alarmInMs),
    heartbeatMs: Math.round(network.intervalMs),
    roundTripMs: orNone(stats.rttMs),
    lastReceivedAgoMs: orNone(meter.receivedAgoMs),
    lastMessageAgoMs: orNone(meter.messageAgoMs),
  };
}
