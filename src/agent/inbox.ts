// SPDX-License-Identifier: MIT
/**
 * A message's way in: seen before? whose? decrypt, decide, show or hand on, acknowledge ("Ack means
 * safe"). What waits for an app is with {@link Deliveries}. Pure.
 */

import { type Disposition, decide, type GodwitNotification } from "../declarative/index.ts";
import { GodwitError } from "../errors.ts";
import type {
  HandledRecord,
  JournalRecord,
  JournalState,
  MessageRecord,
  SubscriptionRecord,
} from "../journal/index.ts";
import { NumberWindow } from "../journal/number-window.ts";
import { AUTOPUSH_BODY_BYTES_MAX, MESSAGE_BODY_BYTES_MAX, NOTIFICATION_ACTIONS_MAX } from "../limits.ts";
import type { CryptoProvider } from "../webpush/crypto.ts";
import { decrypt } from "../webpush/decrypt.ts";
import { ACK_CODES, type AckCode, type DeviceEnd, type Notification } from "../wire/dialect.ts";
import type { Acks } from "./acks.ts";
import type { Badges } from "./badges.ts";
import type { Clock } from "./clock.ts";
import type { Deliveries } from "./deliveries.ts";
import type { Emit, Instant } from "./events.ts";
import type { Opened } from "./lane.ts";
import type { Meter } from "./meter.ts";
import type { Notifications } from "./notifications.ts";
import { baseUrlOf } from "./owner.ts";
import type { Persistence } from "./persistence.ts";
import type { Registry } from "./registry.ts";
import { Replays } from "./replays.ts";
import { reported } from "./report.ts";

export interface InboxOptions {
  readonly state: JournalState;
  readonly registry: Registry;
  readonly provider: CryptoProvider;
  readonly acks: Acks;
  readonly notifications: Notifications;
  readonly badges: Badges;
  readonly meter: Meter;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly dialect: DeviceEnd;
  readonly persistence: Persistence;
  /** A message came for it. */
  readonly touch: (subscription: SubscriptionRecord) => void;
  /** A message came on a channel nobody has. */
  readonly handleOrphan: (channel: number, now: Instant) => void;
}

/** What a message turned out to be. */
export type Reading =
  | { readonly ok: true; readonly plaintext: Uint8Array | null; readonly disposition: Disposition }
  | { readonly ok: false; readonly code: string };

export class Inbox {
  readonly #options: InboxOptions;
  #deliveries: Deliveries | null = null;
  #storeEpoch = 0;
  /** Ids dealt with in this store epoch, by the code they were acknowledged with. */
  #handled = windows();
  /** Of those, the ones the journal does not know yet. */
  #unwritten = new NumberWindow();
  /** Being shown at this moment: handled, and not to be acknowledged yet. */
  readonly #showing = new Set<string>();
  readonly #replays = new Replays();
  /** Messages an app would have been asked about had it taken any, by owner. */
  readonly #missed = new Map<string, number>();

  constructor(options: InboxOptions) {
    this.#options = options;
    const { handledEpoch, handledIds, messages } = options.state;
    // What waits in the journal may be handled before there is a link.
    this.#storeEpoch = [...messages.values()].at(-1)?.storeEpoch ?? handledEpoch ?? 0;
    if (handledEpoch === this.#storeEpoch) for (const id of handledIds.list()) this.#handled.ok.add(id);
  }

  /** The two know each other; set once, right after both exist. */
  connect(deliveries: Deliveries): void {
    this.#deliveries = deliveries;
  }

  /** Ids are comparable only within one store epoch; `lastId` is the highest given out in it so far. */
  handleStoreEpoch(storeEpoch: number, lastId: number): void {
    const { state, persistence } = this.#options;
    if (state.suspect?.storeEpoch === null) persistence.note({ type: "suspect", storeEpoch, idMax: lastId });
    if (storeEpoch === this.#storeEpoch) return;
    this.#storeEpoch = storeEpoch;
    this.reset();
  }

  /** Nothing is known of any message any more. */
  reset(): void {
    this.#handled = windows();
    this.#unwritten = new NumberWindow();
    this.#options.acks.clear();
  }

  handleNotification(message: Notification, now: Instant): void {
    const { registry, meter, emit, acks, persistence } = this.#options;
    meter.countMessage("received");
    const messageId = this.#messageId(message.id);
    const { channel, attempt } = message;
    emit(reported({ type: "received", messageId, channel, bytes: message.body?.length ?? 0, attempt }));
    if (this.#showing.has(messageId)) return;
    const known = ACK_CODES.find((code) => this.#handled[code].has(message.id));
    if (known) return persistence.whenFoundIsDurable(message.id, () => acks.add(message.id, known));
    if (this.#deliveries?.handleRepeat(this.#storeEpoch, message.id)) return;
    const subscription = registry.byChannel(channel);
    if (subscription === null) {
      this.#options.handleOrphan(channel, now);
      return this.#drop(message.id, messageId, "rejected", "no such subscription");
    }
    this.#options.touch(subscription);
    if (registry.permissionOf(subscription.owner) === "denied") {
      return this.#drop(message.id, messageId, "rejected", "permission denied");
    }
    if (this.#replays.has(subscription.id, message.body))
      return this.#drop(message.id, messageId, "ok", "sent again under another id");
    if (this.#deliveries?.holdIfPaused(subscription.owner, now)) return;
    this.#process(this.#toRecord(message, subscription), subscription, now);
  }

  /** Decrypts and decides; used again for messages that come back from the journal. */
  open(record: MessageRecord, subscription: SubscriptionRecord): Reading {
    const { provider, clock } = this.#options;
    const { body, encryption, cryptoKey } = record;
    const { allowAesgcm } = subscription;
    let plaintext: Uint8Array | null = null;
    try {
      if (body !== null)
        plaintext = decrypt(body, subscription, {
          provider,
          limitBytes: this.#bodyBytesMax,
          ...(encryption === null ? {} : { contentEncoding: "aesgcm", encryption, cryptoKey, allowAesgcm }),
        });
    } catch (error) {
      if (!(error instanceof GodwitError)) throw error;
      return { ok: false, code: error.code };
    }
    const disposition = decide(plaintext, {
      mode: subscription.mode,
      contentType: record.saysNotification ? "application/notification+json" : null,
      baseUrl: baseUrlOf(subscription.owner),
      maxActions: NOTIFICATION_ACTIONS_MAX,
      epochMs: clock.epochMs,
    });
    return { ok: true, plaintext, disposition };
  }

  /** An app that takes messages only now is told what it missed. */
  handleAttached(owner: string, handlesPush: boolean): void {
    const missed = this.#missed.get(owner);
    if (!handlesPush || missed === undefined) return;
    this.#missed.delete(owner);
    const text = `${missed} messages were dropped, or shown as declared, before the app took any`;
    this.#options.emit({ type: "warnApp", owner, code: "late-handler", text });
  }

  /** It was read and dealt with: the same ciphertext is not dealt with again, under whatever id it comes. */
  noteHandled({ subscriptionId, body }: MessageRecord): void {
    this.#replays.add(subscriptionId, body);
  }

  /** The subscription is gone. */
  forget(subscriptionId: number): void {
    this.#replays.forget(subscriptionId);
  }

  /** The message is dealt with for good: acknowledged, and not taken again. */
  finish(storeEpoch: number, id: number, code: AckCode): void {
    if (!this.markHandled(storeEpoch, id, code)) return;
    this.#options.acks.add(id, code);
  }

  /** The message is not taken again. False when it is of a store that is gone. */
  markHandled(storeEpoch: number, id: number, code: AckCode): boolean {
    if (storeEpoch !== this.#storeEpoch) return false;
    this.#handled[code].add(id);
    this.#unwritten.add(id);
    return true;
  }

  /** The window of handled ids rides with writes that happen anyway, such as that of a notification. */
  takeRiders(): JournalRecord[] {
    const ids = this.#unwritten.list();
    if (ids.length === 0) return [];
    this.#unwritten = new NumberWindow();
    const record: HandledRecord = { type: "handled", storeEpoch: this.#storeEpoch, ids };
    return [record];
  }

  /**
   * Shows what a message declares. That the message is handled goes to the disk in one write with the notification: after a
   * power cut this is back, and not shown again. `isAcknowledged`: from the journal.
   */
  show(
    owner: string,
    record: MessageRecord,
    notification: GodwitNotification,
    isAcknowledged: boolean,
    now: Instant,
  ): void {
    const { notifications, meter, acks } = this.#options;
    const { storeEpoch, id, subscriptionId } = record;
    const messageId = messageName(storeEpoch, id);
    this.#showing.add(messageId);
    this.markHandled(storeEpoch, id, "ok");
    const done = (isShown?: boolean): void => {
      this.#showing.delete(messageId);
      if (isShown) meter.countMessage("shown");
      this.noteHandled(record);
      if (!isAcknowledged && storeEpoch === this.#storeEpoch) acks.add(id, "ok");
    };
    notifications.show({ owner, subscriptionId, messageId, notification, by: "declared", done }, now);
  }

  #process(record: MessageRecord, subscription: SubscriptionRecord, now: Instant): void {
    const messageId = this.#messageId(record.id);
    const opened = this.open(record, subscription);
    if (!opened.ok) return this.#drop(record.id, messageId, "undecryptable", opened.code);
    const { disposition } = opened;
    const { owner } = subscription;
    if (disposition.kind === "error") {
      const text = `message ${messageId} is no notification (${disposition.reason}) and was dropped`;
      this.#options.emit({ type: "warnApp", owner, code: "message-invalid", text });
      return this.#drop(record.id, messageId, "rejected", disposition.reason);
    }
    const hasHandler = this.#deliveries?.hasHandler(owner) === true;
    if (!hasHandler && (disposition.kind === "legacy" || disposition.mutable))
      this.#missed.set(owner, (this.#missed.get(owner) ?? 0) + 1);
    if (disposition.kind === "declarative" && !(disposition.mutable && hasHandler)) {
      // What is paused got here only where the service does not keep it.
      if (!this.#options.registry.isPaused(owner)) {
        this.show(owner, record, disposition.notification, false, now);
        return this.#options.badges.apply(owner, disposition.appBadge, now);
      }
    } else if (!hasHandler) return this.#drop(record.id, messageId, "rejected", "the app handles no push");
    const redelivered = record.attempt > 1 && this.#isSuspect(record);
    const waiting = { ...record, isDeclared: disposition.kind === "declarative" };
    const entry = {
      record: waiting,
      messageId,
      owner,
      opened: openedOf(opened),
      redelivered,
    };
    this.#deliveries?.add(entry, now);
  }

  #drop(id: number, messageId: string, code: AckCode, reason: string): void {
    this.#options.meter.countMessage("dropped");
    this.#options.emit(reported({ type: "dropped", messageId, code: reason }));
    this.finish(this.#storeEpoch, id, code);
  }

  #toRecord(message: Notification, subscription: SubscriptionRecord): MessageRecord {
    const { clock } = this.#options;
    // By a clock that may be wrong it would have expired once that is set right.
    const receivedEpochMs = clock.isTrusted ? clock.epochMs : 0;
    return {
      type: "message",
      storeEpoch: this.#storeEpoch,
      id: message.id,
      channel: message.channel,
      subscriptionId: subscription.id,
      saysNotification: message.saysNotification,
      urgency: message.urgency,
      topic: message.topic,
      // The frame is the host's again once this event is handled; what waits outlives it.
      body: message.body?.slice() ?? null,
      receivedEpochMs,
      expiresEpochMs: receivedEpochMs + message.ttlLeftS * 1000,
      attempt: message.attempt,
      handed: false,
      isDeclared: false,
      encryption: message.aesgcm?.encryption ?? null,
      cryptoKey: message.aesgcm?.cryptoKey ?? null,
    };
  }

  /** A run that crashed may have handed it out: true up to the id the service had reached by then. */
  #isSuspect({ storeEpoch, id }: MessageRecord): boolean {
    const { suspect } = this.#options.state;
    if (suspect === null) return false;
    return suspect.storeEpoch === null || (suspect.storeEpoch === storeEpoch && id <= suspect.idMax);
  }

  get #bodyBytesMax(): number {
    return this.#options.dialect.isPlain === true ? AUTOPUSH_BODY_BYTES_MAX : MESSAGE_BODY_BYTES_MAX;
  }

  #messageId(id: number): string {
    return messageName(this.#storeEpoch, id);
  }
}

/** The id an app sees: unique over store epochs, the same in every delivery. */
export function messageName(storeEpoch: number, id: number): string {
  return `${storeEpoch.toString(36)}-${id}`;
}

/** What a readable message holds for its app. */
export function openedOf({ plaintext, disposition }: Extract<Reading, { ok: true }>): Opened {
  if (disposition.kind !== "declarative") return { plaintext, declared: null };
  const { notification, appBadge, mutable } = disposition;
  return { plaintext, declared: { notification, appBadge, mutable } };
}

function windows(): Record<AckCode, NumberWindow> {
  return { ok: new NumberWindow(), undecryptable: new NumberWindow(), rejected: new NumberWindow() };
}
