// SPDX-License-Identifier: MIT
/** The parts of the agent and who knows whom; made once, at the start. Pure. */

import { type JournalRecord, JournalWriter, type SubscriptionRecord } from "../journal/index.ts";
import { Acks } from "./acks.ts";
import { Activations } from "./activations.ts";
import type { AgentOptions } from "./agent-options.ts";
import { AppRequests } from "./app-requests.ts";
import { Backoff } from "./backoff.ts";
import { Badges } from "./badges.ts";
import { Changes } from "./changes.ts";
import { Choices } from "./choices.ts";
import { Clock } from "./clock.ts";
import { Deliveries } from "./deliveries.ts";
import { Departure } from "./departure.ts";
import { Dialer } from "./dialer.ts";
import type { Emit, Instant } from "./events.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Identity } from "./identity.ts";
import { Inbox } from "./inbox.ts";
import { Link } from "./link.ts";
import { Meter } from "./meter.ts";
import { NetworkMemory } from "./network-memory.ts";
import { Notifications } from "./notifications.ts";
import { Permissions } from "./permissions.ts";
import { Persistence } from "./persistence.ts";
import { Registry } from "./registry.ts";
import { Requests } from "./requests.ts";
import { defaultSilentPushMax, SilentBudget } from "./silent-budget.ts";
import { Subscriptions } from "./subscriptions.ts";
import { Transports } from "./transports.ts";
import { Usage } from "./usage.ts";
import { WakeBudget } from "./wake-budget.ts";

export type Parts = ReturnType<typeof createParts>;

export function createParts(options: AgentOptions, emit: Emit) {
  const { recovery, provider, randomFill, jitter, dialect, serviceUrl } = options;
  const { state, cleanStop } = recovery;
  const clock = new Clock();
  const meter = new Meter();
  const registry = new Registry(state);
  const memory = new NetworkMemory(state, clock);
  const isAttached = (owner: string) => deliveries.isAttached(owner);
  const requestStart = (owner: string, now: Instant) => deliveries.requestStart(owner, now);
  const usage = new Usage({ registry, clock, isAttached });
  /** What goes along with a write that is made anyway. */
  const takeRiders = (): JournalRecord[] => [
    ...inbox.takeRiders(),
    ...memory.takeRiders(),
    ...usage.takeRiders(),
  ];
  const writer = new JournalWriter(recovery, options);
  // A write of the last run may have failed, and be there. The system tells that once: a sync behind it may succeed without it.
  if (!cleanStop) writer.abandonSegment();
  const persistence = new Persistence({ state, writer, emit, riders: takeRiders });
  const budget = new WakeBudget();
  let lastLinkId = 0;
  const nextLinkId = () => ++lastLinkId;
  const emitCanary = meter.countCanaries(emit);
  const heartbeat = new Heartbeat({
    fixedMs: options.heartbeatMs,
    memory,
    budget,
    emit: emitCanary,
    nextLinkId,
  });
  const transports = new Transports(serviceUrl.replace(/^http/, "ws"), options.mqttUrls, memory);
  const dialer = new Dialer({
    dialect,
    transports,
    emit,
    nextLinkId,
    identity: () => identity.known,
    registry,
  });
  const link = new Link({
    dialect,
    dialer,
    transports,
    heartbeat,
    backoff: new Backoff(jitter),
    budget,
    portalProbeUrl: options.portalProbeUrl,
    nextLinkId,
    meter,
    emit,
    listener: {
      fetchToken: () => identity.fetchToken(),
      abandonToken: () => identity.abandonToken(),
      linkLost: () => {
        identity.abandonToken();
        requests.handleLinkLost();
        subscriptions.handleLinkLost();
      },
    },
    conditions: { windowS: options.windowS, leastUrgency: options.leastUrgency },
    jitter,
  });
  const requests = new Requests(link);
  const acks = new Acks(link, emit);
  const permissions = new Permissions({ registry, emit });
  const departure = new Departure({
    dialect,
    state,
    persistence,
    requests,
    link,
    endChannels: (now) => subscriptions.handleOnline(null, now),
  });
  const badges = new Badges({ state, registry, persistence, emit });
  const silent = new SilentBudget({ emit, maxOf: options.silentPushMax ?? defaultSilentPushMax });
  const changes = new Changes({ registry, persistence, emit, isAttached, requestStart });
  const shared = {
    dialect,
    state,
    cleanStop,
    provider,
    randomFill,
    jitter,
    emit,
    clock,
    meter,
    registry,
    memory,
    usage,
    persistence,
    link,
    requests,
    acks,
    permissions,
    departure,
    badges,
    silent,
    changes,
  };
  const handleForgotten = (now: Instant) => subscriptions.handleForgotten(now);
  const identity: Identity = new Identity({ ...shared, serviceUrl, handleForgotten });
  const subscriptions: Subscriptions = new Subscriptions({
    ...shared,
    hasWaiting: (subscriptionId) => deliveries.hasWaiting(subscriptionId),
    handleChannel: (owner, now) => deliveries.handleChannel(owner, now),
    handleRemoved: (subscription, now) => deliveries.handleRemoved(subscription, now),
  });
  const notifications = new Notifications(shared);
  const inbox: Inbox = new Inbox({
    ...shared,
    notifications,
    handleOrphan: (channel, now) => subscriptions.handleOrphan(channel, now),
    touch: (subscription: SubscriptionRecord) => usage.touch(subscription),
  });
  const deliveries: Deliveries = new Deliveries({ ...shared, inbox });
  inbox.connect(deliveries);
  const activations = new Activations({ notifications, deliveries, emit, policy: options.navigation });
  const above = { ...shared, notifications, subscriptions, deliveries, inbox, activations };
  const appRequests = new AppRequests(above);
  const choices = new Choices(above);
  return { ...above, heartbeat, identity, appRequests, choices, takeRiders };
}
