// SPDX-License-Identifier: MIT
/** What the page knows, and its apps put together from what the agent tells. Pure. */

import type { AgentStatus, OwnerStatus, SubscriptionStatus } from "../agent/status.ts";
import type { AdminEvent, AdminRequests, InstalledApp } from "../apps/protocol.ts";
import type { RadioName } from "../energy.ts";
import { REPORTS_KEPT_MAX } from "../limits.ts";
import type { StatusAt } from "./words.ts";

export type ShownNotification = AdminRequests["notifications"]["result"][number];
export type ReportEvent = Extract<AdminEvent, { event: "report" }>;

/** What waits for a person's word. */
export type OpenQuestions = Extract<AdminEvent, { event: "changed" }>["questions"];

export interface Model extends StatusAt {
  readonly notifications: readonly ShownNotification[];
  readonly installed: readonly InstalledApp[];
  /** Newest first. */
  readonly events: readonly ReportEvent[];
  /** Chosen for the estimate; null: by each network's kind. */
  readonly radio: RadioName | null;
  readonly questions: OpenQuestions;
}

/** An app as the page shows it. */
export interface AppView extends OwnerStatus {
  readonly registrations: readonly SubscriptionStatus[];
  readonly isInstalled: boolean;
  /** Program that is started for it, or null. */
  readonly program: string | null;
}

/** Every owner that is installed or that the agent knows, by name. */
export function appsOf(status: AgentStatus, installed: readonly InstalledApp[]): readonly AppView[] {
  const known = new Map(status.owners.map((owner) => [owner.owner, owner]));
  const names = new Set([...known.keys(), ...installed.map(({ owner }) => owner)]);
  return [...names].sort().map((owner) => {
    const app = installed.find((candidate) => candidate.owner === owner);
    return {
      ...(known.get(owner) ?? untouched(owner)),
      registrations: status.subscriptions.filter((subscription) => subscription.owner === owner),
      isInstalled: app !== undefined,
      program: app?.start?.[0] ?? null,
    };
  });
}

/** Installed, and nothing else yet. */
function untouched(owner: string): OwnerStatus {
  return {
    owner,
    permission: "prompt",
    hasHandler: false,
    paused: false,
    optedOut: false,
    badge: null,
    isAttached: false,
    subscriptions: 0,
    messagesWaiting: 0,
    notifications: 0,
    silent: null,
  };
}

/** `events` with a new one in front, bounded. One that is there already came back with a new connection. */
export function withEvent(events: readonly ReportEvent[], event: ReportEvent): readonly ReportEvent[] {
  const text = JSON.stringify(event);
  if (events.some((known) => known.atEpochMs === event.atEpochMs && JSON.stringify(known) === text))
    return events;
  return [event, ...events].slice(0, REPORTS_KEPT_MAX);
}
