// SPDX-License-Identifier: MIT
/** The agent's state as a plain object for `godwit status` and programs; never holds a secret. Pure. */

import type { ErrorCode } from "../errors.ts";
import type { JournalState, NetworkRecord, OwnerRecord } from "../journal/index.ts";
import { deviceName } from "../wire/digest.ts";
import type { Deliveries } from "./deliveries.ts";
import type { Alarm, Instant, Permission } from "./events.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Link } from "./link.ts";
import type { LinkState } from "./link-states.ts";
import type { Meter, MeterReading } from "./meter.ts";
import type { NetworkMemory } from "./network-memory.ts";
import type { NavigationAsked, Notifications } from "./notifications.ts";
import type { Permissions } from "./permissions.ts";
import type { Persistence } from "./persistence.ts";
import type { Registry } from "./registry.ts";
import type { SilentBudget, SilentStatus } from "./silent-budget.ts";

export interface SubscriptionStatus {
  readonly subscriptionId: number;
  readonly owner: string;
  readonly channel: number | null;
  readonly mode: string;
  readonly hasApplicationServerKey: boolean;
  readonly permission: Permission;
  readonly hasHandler: boolean;
  readonly createdEpochMs: number;
  readonly expirationTime: number | null;
  /** When a message came or its app asked for it, to about a day; 0 when that is not known. */
  readonly usedEpochMs: number;
}

/** What a person decided about an owner, and what the agent learned of it. */
export interface OwnerStatus extends Omit<OwnerRecord, "type" | "owesChange"> {
  readonly isAttached: boolean;
  readonly subscriptions: number;
  readonly messagesWaiting: number;
  readonly notifications: number;
  /** Messages that its app handles without showing anything; null: as many as it likes. */
  readonly silent: SilentStatus | null;
}

/** What is known of the network the device is on. */
export interface NetworkStatus {
  readonly label: string;
  /** A ping goes after this much silence, ms. */
  readonly intervalMs: number;
  /** Longest idleness seen to survive, ms. */
  readonly loMs: number;
  /** Shortest seen to fail, ms; null when none. */
  readonly hiMs: number | null;
  /** Pings answered since this changed, at most 255. */
  readonly confidence: number;
  /** False where a link is made anew every so often instead of held. */
  readonly isHeld: boolean;
  /** Nothing more is tried. */
  readonly isLearned: boolean;
  /** Smoothed round trip, ms; 0 before the first. */
  readonly rttMs: number;
  /** Longest a dead connection may go unnoticed, by the most urgent live subscription, ms. */
  readonly freshnessMs: number;
  /** Longest idleness the service allows, less a margin, ms; null when it sets no limit. */
  readonly idleLimitMs: number | null;
}

/** What is remembered of a network. {@link NetworkRecord} says what the members mean. */
export type KnownNetwork = Omit<NetworkRecord, "type">;

export interface AgentStatus {
  readonly serviceUrl: string;
  readonly link: LinkState;
  /** What carries the present connection, or would carry the next one. */
  readonly transport: "websocket" | "mqtt";
  /** Wall clock of the last change of `link`, or null. */
  readonly linkSinceEpochMs: number | null;
  /** ms until the next try, or null when none is planned. */
  readonly retryInMs: number | null;
  /** Why the last connection, or try, ended since the agent was last registered, or null. */
  readonly lastLoss: { readonly cause: string; readonly httpStatus: number | null } | null;
  /** A captive portal, or what looks like one, stands before the push service. */
  readonly isBehindPortal: boolean;
  /** {@link deviceName}, as in the push service's log. */
  readonly device: string | null;
  readonly subscriptions: readonly SubscriptionStatus[];
  /** All that are known, with or without a subscription. */
  readonly owners: readonly OwnerStatus[];
  /** Owners a person is being asked about. */
  readonly permissionsAsked: readonly string[];
  readonly navigationsAsked: readonly NavigationAsked[];
  /** For all owners. */
  readonly paused: boolean;
  readonly optedOut: boolean;
  readonly notifications: number;
  readonly messagesWaiting: number;
  readonly journalFailing: boolean;
  /** The last thing that went wrong since the agent was last registered, or null. */
  readonly lastFault: { readonly code: ErrorCode; readonly text: string } | null;
  readonly meter: MeterReading;
  readonly network: NetworkStatus;
  /** All that are remembered, the one used last at the end. */
  readonly networks: readonly KnownNetwork[];
  /** ms until the agent wakes by itself, or null when it does not. */
  readonly alarmInMs: number | null;
}

/** Where a status comes from, but for what changes with each event. */
export interface StatusSources {
  readonly serviceUrl: string;
  readonly state: JournalState;
  readonly link: Link;
  readonly registry: Registry;
  readonly permissions: Permissions;
  readonly notifications: Notifications;
  readonly deliveries: Deliveries;
  readonly persistence: Persistence;
  readonly silent: SilentBudget;
  readonly meter: Meter;
  readonly heartbeat: Heartbeat;
  readonly memory: NetworkMemory;
}

interface Sources extends StatusSources {
  readonly now: Instant;
  readonly lastFault: AgentStatus["lastFault"];
  readonly lastLoss: AgentStatus["lastLoss"];
  readonly alarm: Alarm | null;
}

export function statusOf(sources: Sources): AgentStatus {
  const { now, serviceUrl, state, link, registry, permissions, notifications, deliveries, persistence } =
    sources;
  const { meter, lastFault, lastLoss, heartbeat, memory, alarm } = sources;
  const { retryAtMs } = link;
  return {
    serviceUrl,
    link: link.state,
    transport: link.transport,
    linkSinceEpochMs: link.sinceEpochMs,
    retryInMs: retryAtMs === null ? null : Math.max(0, retryAtMs - now.monotonicMs),
    lastLoss,
    isBehindPortal: link.isBehindPortal,
    device: state.userAgent === null ? null : deviceName(state.userAgent.uaid),
    subscriptions: [...registry.subscriptions()].map((subscription) => {
      const { permission, hasHandler } = registry.owner(subscription.owner);
      return {
        subscriptionId: subscription.id,
        owner: subscription.owner,
        channel: subscription.channel,
        mode: subscription.mode,
        hasApplicationServerKey: subscription.applicationServerKey !== null,
        permission,
        hasHandler,
        createdEpochMs: subscription.createdEpochMs,
        expirationTime: subscription.expirationTime,
        usedEpochMs: subscription.usedEpochMs,
      };
    }),
    owners: ownersOf(sources),
    permissionsAsked: permissions.asked,
    navigationsAsked: notifications.asked,
    paused: state.choices.paused,
    optedOut: state.choices.optedOut,
    notifications: state.notifications.size,
    messagesWaiting: deliveries.waiting,
    journalFailing: persistence.isFailing,
    lastFault,
    meter: meter.read(now.monotonicMs),
    network: heartbeat.status,
    networks: memory.all().map(({ type: _, ...known }) => known),
    alarmInMs: alarm === null ? null : Math.max(0, alarm.atMs + alarm.windowMs - now.monotonicMs),
  };
}

/** Those that are on record, have a subscription, or are asked about. */
function ownersOf({ now, state, registry, deliveries, permissions, silent }: Sources): OwnerStatus[] {
  const notifications = new Map<string, number>();
  for (const { owner } of state.notifications.values())
    notifications.set(owner, (notifications.get(owner) ?? 0) + 1);
  const names = new Set([...state.owners.keys(), ...registry.owners(), ...permissions.asked]);
  return [...names].map((name) => {
    const { type: _, owesChange: __, ...owner } = registry.owner(name);
    return {
      ...owner,
      isAttached: deliveries.isAttached(name),
      subscriptions: registry.ofOwner(name).length,
      messagesWaiting: deliveries.waitingFor(name),
      notifications: notifications.get(name) ?? 0,
      silent: silent.status(name, now.monotonicMs),
    };
  });
}
