// SPDX-License-Identifier: MIT
/** The agent's state as a plain object for `godwit status` and programs; never holds a secret. Pure. */

import { hexEncode } from "../bytes.ts";
import type { JournalState } from "../journal/index.ts";
import type { Deliveries } from "./deliveries.ts";
import type { Instant, Permission } from "./events.ts";
import type { Link } from "./link.ts";
import type { LinkState } from "./link-states.ts";
import type { Meter, MeterReading } from "./meter.ts";
import type { Persistence } from "./persistence.ts";
import type { Registry } from "./registry.ts";

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
}

export interface AgentStatus {
  readonly serviceUrl: string;
  readonly link: LinkState;
  /** Wall clock of the last change of `link`, or null. */
  readonly linkSinceEpochMs: number | null;
  /** ms until the next try, or null when none is planned. */
  readonly retryInMs: number | null;
  /** First 8 hex digits: enough to tell devices apart, not enough to be one. */
  readonly uaid: string | null;
  readonly subscriptions: readonly SubscriptionStatus[];
  readonly notifications: number;
  readonly messagesWaiting: number;
  readonly journalFailing: boolean;
  readonly meter: MeterReading;
}

interface Sources {
  readonly now: Instant;
  readonly serviceUrl: string;
  readonly state: JournalState;
  readonly link: Link;
  readonly registry: Registry;
  readonly deliveries: Deliveries;
  readonly persistence: Persistence;
  readonly meter: Meter;
}

export function statusOf({
  now,
  serviceUrl,
  state,
  link,
  registry,
  deliveries,
  persistence,
  meter,
}: Sources): AgentStatus {
  const { retryAtMs } = link;
  return {
    serviceUrl,
    link: link.state,
    linkSinceEpochMs: link.sinceEpochMs,
    retryInMs: retryAtMs === null ? null : Math.max(0, retryAtMs - now.monotonicMs),
    uaid: state.userAgent === null ? null : hexEncode(state.userAgent.uaid).slice(0, 8),
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
      };
    }),
    notifications: state.notifications.size,
    messagesWaiting: deliveries.waiting,
    journalFailing: persistence.isFailing,
    meter: meter.read(),
  };
}
