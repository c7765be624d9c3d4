// SPDX-License-Identifier: MIT
/**
 * What the journal says when its records are folded: the whole durable state of the agent, which owns and reads it. Pure.
 */
import { NETWORKS_MAX } from "../limits.ts";
import { NumberWindow } from "./number-window.ts";
import type {
  ChoicesRecord,
  DeviceRecord,
  HandledRecord,
  JournalRecord,
  MessageRecord,
  NetworkRecord,
  NotificationRecord,
  OwnerRecord,
  SubscriptionRecord,
  SuspectRecord,
  UserAgentRecord,
} from "./records.ts";

const NO_CHOICES: ChoicesRecord = { type: "choices", paused: false, optedOut: false };

/** The key of a message in {@link JournalState.messages}. */
export function messageKey(storeEpoch: number, id: number): string {
  return `${storeEpoch}:${id}`;
}

/**
 * Records folded into maps. The agent changes it only through {@link JournalState.apply}, with the records it appends, so
 * that memory and log cannot differ. Records are kept as they are: never change one, put a new one.
 */
export class JournalState {
  device: DeviceRecord | null = null;
  userAgent: UserAgentRecord | null = null;
  pendingForget = false;
  /** By local id. */
  readonly subscriptions = new Map<number, SubscriptionRecord>();
  readonly owners = new Map<string, OwnerRecord>();
  /** For all owners. */
  choices = NO_CHOICES;
  /** Channels the service is still to be told about. */
  readonly pendingUnregisters = new Set<number>();
  /** By {@link messageKey}, in order of arrival. */
  readonly messages = new Map<string, MessageRecord>();
  /** By notification id, the one shown longest ago first. */
  readonly notifications = new Map<number, NotificationRecord>();
  /** Store epoch of {@link JournalState.handledIds}; null before the first. */
  handledEpoch: number | null = null;
  /** Ids dealt with last. */
  handledIds = new NumberWindow();
  /** The next local id is one more than this. */
  subscriptionIdMax = 0;
  notificationIdMax = 0;
  /** By label, longest not used first, at most {@link NETWORKS_MAX}. */
  readonly networks = new Map<string, NetworkRecord>();
  /** Null when no run ever crashed. */
  suspect: SuspectRecord | null = null;
  /** Of the last run that began; null before the first. */
  runId: number | null = null;

  /** The dedupe window as a record; null before the first message. */
  get handled(): HandledRecord | null {
    if (this.handledEpoch === null) return null;
    return { type: "handled", storeEpoch: this.handledEpoch, ids: this.handledIds.list() };
  }

  /** Takes over what `record` says. Applying a record twice is the same as applying it once. */
  apply(record: JournalRecord): void {
    switch (record.type) {
      case "device":
        this.device = record;
        return;
      case "userAgent":
        this.userAgent = record;
        return;
      case "userAgentRemoved":
        this.userAgent = null;
        this.pendingForget = false;
        this.pendingUnregisters.clear();
        return;
      case "pendingForget":
        return this.#forget();
      case "subscription":
        this.subscriptions.set(record.id, record);
        this.subscriptionIdMax = Math.max(this.subscriptionIdMax, record.id);
        return;
      case "subscriptionRemoved":
        this.#removeSubscription(record.id);
        return;
      case "pendingUnregister":
        this.pendingUnregisters.add(record.channel);
        return;
      case "pendingUnregisterDone":
        this.pendingUnregisters.delete(record.channel);
        return;
      case "owner":
        this.owners.set(record.owner, record);
        return;
      case "ownerRemoved":
        this.owners.delete(record.owner);
        return;
      case "choices":
        this.choices = record;
        return;
      case "message":
        this.messages.set(messageKey(record.storeEpoch, record.id), record);
        return;
      case "messageAttempt":
        this.#changeMessage(record.storeEpoch, record.id, record.attempt, record.handed);
        return;
      case "messageDone":
        this.messages.delete(messageKey(record.storeEpoch, record.id));
        // One of an older store says nothing about the ids of this one.
        if (this.handledEpoch === null || this.handledEpoch === record.storeEpoch)
          this.#addHandled(record.storeEpoch, [record.id]);
        return;
      case "notification":
        // Behind the others: which was shown longest ago is no question to a clock, which may be wrong.
        this.notifications.delete(record.notificationId);
        this.notifications.set(record.notificationId, record);
        this.notificationIdMax = Math.max(this.notificationIdMax, record.notificationId);
        return;
      case "notificationClosed":
        this.notifications.delete(record.notificationId);
        return;
      case "handled":
        this.#addHandled(record.storeEpoch, record.ids);
        return;
      case "counters":
        this.subscriptionIdMax = Math.max(this.subscriptionIdMax, record.subscriptionIdMax);
        this.notificationIdMax = Math.max(this.notificationIdMax, record.notificationIdMax);
        return;
      case "suspect":
        this.suspect = record;
        return;
      case "network":
        this.#addNetwork(record);
        return;
      case "run":
        this.runId = record.runId;
        return;
      case "clean":
      case "endOfCheckpoint":
        return;
    }
  }

  /**
   * Numbers given out stay: what an app or a screen still has must not come to mean something else. So do those of channels:
   * some services end a device by ending each.
   */
  #forget(): void {
    this.pendingForget = true;
    for (const { channel } of this.subscriptions.values())
      if (channel !== null) this.pendingUnregisters.add(channel);
    this.device = null;
    this.choices = NO_CHOICES;
    this.subscriptions.clear();
    this.owners.clear();
    this.messages.clear();
    this.notifications.clear();
    this.networks.clear();
    this.handledEpoch = null;
    this.handledIds = new NumberWindow();
    this.suspect = null;
  }

  /** Its messages go with it: the keys that could open them are gone. */
  #removeSubscription(id: number): void {
    this.subscriptions.delete(id);
    for (const [key, message] of this.messages) {
      if (message.subscriptionId === id) this.messages.delete(key);
    }
  }

  #changeMessage(storeEpoch: number, id: number, attempt: number, handed: boolean): void {
    const key = messageKey(storeEpoch, id);
    const message = this.messages.get(key);
    if (message !== undefined) this.messages.set(key, { ...message, attempt, handed });
  }

  #addNetwork(record: NetworkRecord): void {
    this.networks.delete(record.label);
    this.networks.set(record.label, record);
    for (const oldest of this.networks.keys()) {
      if (this.networks.size <= NETWORKS_MAX) break;
      this.networks.delete(oldest);
    }
  }

  #addHandled(storeEpoch: number, ids: readonly number[]): void {
    if (this.handledEpoch !== storeEpoch) this.handledIds = new NumberWindow();
    this.handledEpoch = storeEpoch;
    for (const id of ids) this.handledIds.add(id);
  }
}

/** The records a checkpoint of `state` holds: folding them into an empty state gives `state` again. */
export function checkpointRecords(state: JournalState): JournalRecord[] {
  const records: JournalRecord[] = [];
  // In front of all that it would take away.
  if (state.pendingForget) records.push({ type: "pendingForget" });
  if (state.device !== null) records.push(state.device);
  if (state.userAgent !== null) records.push(state.userAgent);
  if (state.subscriptionIdMax > 0 || state.notificationIdMax > 0) {
    const { subscriptionIdMax, notificationIdMax } = state;
    records.push({ type: "counters", subscriptionIdMax, notificationIdMax });
  }
  if (state.suspect !== null) records.push(state.suspect);
  if (state.runId !== null) records.push({ type: "run", runId: state.runId });
  const { paused, optedOut } = state.choices;
  if (paused || optedOut) records.push(state.choices);
  records.push(...state.owners.values(), ...state.subscriptions.values());
  for (const channel of state.pendingUnregisters) records.push({ type: "pendingUnregister", channel });
  records.push(...state.messages.values(), ...state.notifications.values());
  records.push(...state.networks.values());
  const { handled } = state;
  if (handled !== null) records.push(handled);
  return records;
}
