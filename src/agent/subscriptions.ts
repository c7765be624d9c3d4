// SPDX-License-Identifier: MIT
/**
 * Push subscriptions from an app's wish to the service's channel and back: subscribe, unsubscribe, revoke, and what
 * happens when the service forgot them (Push API). Pure.
 */

import type { ErrorCode } from "../errors.ts";
import type { JournalRecord, JournalState, SubscriptionRecord } from "../journal/index.ts";
import {
  REGISTRATIONS_PENDING_MAX,
  REQUEST_RETRY_MS,
  SUBSCRIBE_TIMEOUT_MS,
  SUBSCRIPTION_REFILL_MS,
  SUBSCRIPTIONS_BURST_MAX,
  SUBSCRIPTIONS_MAX,
  SUBSCRIPTIONS_PER_OWNER_MAX,
  UNREGISTER_IN_FLIGHT_MAX,
  UNREGISTER_RETRY_MS,
  WA_TOKEN_CHARS_MAX,
} from "../limits.ts";
import { STATUS } from "../wire/dialect.ts";
import type { Clock } from "./clock.ts";
import { earlier } from "./deadlines.ts";
import type { Departure } from "./departure.ts";
import type { Alarm, AppReply, Instant, SubscribeRequest } from "./events.ts";
import { hasOptions, newSubscription } from "./new-subscription.ts";
import type { PermissionOutcome, Permissions } from "./permissions.ts";
import { Rates } from "./rates.ts";
import { viewOf } from "./registry.ts";
import { Renewal, type RenewalOptions } from "./renewal.ts";
import { refused, replied, reported } from "./report.ts";
import { type Answer, isGranted } from "./requests.ts";
import type { Usage } from "./usage.ts";

export interface SubscriptionsOptions extends Omit<RenewalOptions, "remove"> {
  readonly state: JournalState;
  readonly permissions: Permissions;
  readonly usage: Usage;
  readonly clock: Clock;
  readonly departure: Departure;
  /** The subscription and its keys are gone: nothing more may reach its app. */
  readonly handleRemoved: (subscription: SubscriptionRecord, now: Instant) => void;
}

/** A subscription being made: nothing of it is on disk, no app has seen it. */
interface Pending {
  readonly record: SubscriptionRecord;
  readonly requestIds: number[];
  readonly giveUpAtMs: number;
  /** Not to be sent before this, after the service was too busy. */
  notBeforeMs: number;
  /** Waiting to be sent, sent, or granted and being written down. */
  phase: "waiting" | "sent" | "storing";
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #pending = new Set<Pending>();
  readonly #made = new Rates(() => SUBSCRIPTIONS_BURST_MAX, SUBSCRIPTION_REFILL_MS);
  readonly #renewal: Renewal;
  /** Channels the service knows and we do not. */
  readonly #orphans = new Set<number>();
  readonly #unregistering = new Set<number>();
  /** After a refusal nothing is ended at the service before this. */
  #unregisterAtMs = 0;
  #isOnline = false;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
    this.#renewal = new Renewal({
      ...options,
      remove: (subscription, now) => this.#remove(subscription, now, () => {}),
    });
  }

  /** True while the service has to be asked something (then a connection is wanted). */
  get needsService(): boolean {
    return (
      this.#pending.size > 0 || this.#renewal.isNeeded || this.#options.state.pendingUnregisters.size > 0
    );
  }

  // --- what apps ask -------------------------------------------------------------------------------------------------

  /** Order of checks as in the Push API, `subscribe()`. */
  subscribe(requestId: number, owner: string, request: SubscribeRequest, now: Instant): void {
    const problem = this.#checkRequest(request);
    if (problem !== null) return this.#refuse([requestId], problem[0], problem[1]);
    const settled = (outcome: PermissionOutcome, at: Instant): void => {
      if (outcome === "granted") this.#subscribeAllowed(requestId, owner, request, at);
      else if (outcome === "denied" || outcome === "prompt") this.#refusePermission([requestId]);
      else this.#refuse([requestId], outcome, "nobody was left to decide it");
    };
    this.#options.permissions.ask(owner, settled, now);
  }

  getSubscription(requestId: number, owner: string, waToken: string | null): void {
    const { registry, usage } = this.#options;
    const found = registry.find(owner, waToken);
    if (found === null) return this.#reply(requestId, { type: "subscription", subscription: null });
    usage.touch(found);
    const subscription = viewOf(found);
    if (subscription === null) return this.#refuseBroken(requestId);
    this.#reply(requestId, { type: "subscription", subscription });
  }

  unsubscribe(requestId: number, owner: string, subscriptionId: number, now: Instant): void {
    const found = this.#options.registry.byId(subscriptionId);
    if (found === null || found.owner !== owner)
      return this.#reply(requestId, { type: "unsubscribed", existed: false });
    this.#remove(found, now, () => this.#reply(requestId, { type: "unsubscribed", existed: true }));
  }

  // --- what people decide --------------------------------------------------------------------------------------------

  /** Ends it here and at the service, and tells its app. */
  end(subscription: SubscriptionRecord, now: Instant): void {
    const { owner } = subscription;
    const oldSubscription = viewOf(subscription);
    this.#remove(subscription, now, () => {});
    this.#options.changes.tell(owner, oldSubscription, null, now);
  }

  /** Ends all of `owner` (null: of everybody), and refuses with `code` those being made. */
  endAll(owner: string | null, code: ErrorCode, now: Instant): void {
    const { registry } = this.#options;
    const subscriptions = owner === null ? [...registry.subscriptions()] : registry.ofOwner(owner);
    for (const subscription of subscriptions) this.end(subscription, now);
    for (const pending of this.#pending) {
      if (owner !== null && pending.record.owner !== owner) continue;
      // One that is being written is removed when it is, unless its app has asked again by then.
      if (pending.phase !== "storing") this.#pending.delete(pending);
      this.#refuse(pending.requestIds.splice(0), code, "ended by a person's choice");
    }
  }

  /** The device that the service knew is given up: nothing more is to be said about it. */
  handleReset(): void {
    this.#orphans.clear();
    this.handleLinkLost();
  }

  // --- what the service says -----------------------------------------------------------------------------------------

  /** @param channels what the service knows, or null when it knows the same as we do */
  handleOnline(channels: readonly number[] | null, now: Instant): void {
    this.#isOnline = true;
    this.#orphans.clear();
    if (channels !== null) this.#reconcile(new Set(channels), now);
    this.sync(now);
  }

  handleLinkLost(): void {
    this.#isOnline = false;
    this.#unregistering.clear();
    this.#unregisterAtMs = 0;
    for (const pending of this.#pending) if (pending.phase === "sent") pending.phase = "waiting";
    this.#renewal.handleLinkLost();
  }

  handleRevoked(channel: number, now: Instant): void {
    const subscription = this.#options.registry.byChannel(channel);
    if (subscription === null) return this.handleOrphan(channel, now);
    this.end(subscription, now);
    this.sync(now);
  }

  /** A message came on a channel that is not ours: the service is told so once per link. */
  handleOrphan(channel: number, now: Instant): void {
    if (this.#unregistering.has(channel)) return;
    this.#orphans.add(channel);
    this.sync(now);
  }

  /** The service knows this device no more: every owner gets a new subscription, spread out. */
  handleForgotten(now: Instant): void {
    const { state, registry, persistence } = this.#options;
    for (const channel of [...state.pendingUnregisters])
      persistence.note({ type: "pendingUnregisterDone", channel });
    for (const subscription of [...registry.subscriptions()]) this.#renewal.lose(subscription, now);
  }

  /** Sends what the service does not know yet. */
  sync(now: Instant): void {
    if (!this.#isOnline) return;
    const { departure, registry, state } = this.#options;
    // Before registering: an app that ended its registration and made it again would be given the ended channel.
    for (const channel of state.pendingUnregisters) this.#unregister(channel, now);
    if (departure.isPending) {
      if (state.pendingUnregisters.size === 0) departure.finish(now);
      return;
    }
    for (const pending of this.#pending) {
      if (pending.phase === "waiting" && now.monotonicMs >= pending.notBeforeMs) this.#register(pending, now);
    }
    this.#renewal.sync(now);
    // A channel may belong to a registration whose answer was lost; only when none is open is it nobody's.
    if (this.#pending.size > 0 || this.#renewal.isNeeded) return;
    for (const channel of this.#orphans)
      if (registry.byChannel(channel) === null) this.#unregister(channel, now);
  }

  handleAlarm(now: Instant): void {
    for (const pending of this.#pending) {
      if (pending.phase === "storing" || now.monotonicMs < pending.giveUpAtMs) continue;
      this.#pending.delete(pending);
      this.#refuse(
        pending.requestIds,
        "ERR_SUBSCRIBE_ABORTED",
        "the push service could not be reached in time",
      );
    }
    for (const subscription of this.#options.usage.findUnused(now)) this.end(subscription, now);
    this.sync(now);
  }

  handleShutdown(): void {
    for (const pending of this.#pending)
      this.#refuse(pending.requestIds.splice(0), "ERR_SHUTDOWN", "the user agent is stopping");
    this.#pending.clear();
  }

  nextDeadline(): Alarm | null {
    let next: Alarm | null = null;
    for (const { phase, giveUpAtMs, notBeforeMs } of this.#pending) {
      if (phase !== "storing") next = earlier(next, { atMs: giveUpAtMs, windowMs: 1000 });
      if (phase === "waiting" && this.#isOnline && !this.#options.departure.isPending)
        next = earlier(next, { atMs: notBeforeMs, windowMs: 1000 });
    }
    if (!this.#isOnline) return next;
    const { state, persistence } = this.#options;
    const isRefused = this.#unregisterAtMs > 0 && state.pendingUnregisters.size > 0;
    // Until the flash has all, its own tries are enough: a time that has passed would wake the device over and over.
    if (isRefused && this.#unregistering.size === 0 && !persistence.isBehind)
      next = earlier(next, { atMs: this.#unregisterAtMs, windowMs: UNREGISTER_RETRY_MS });
    return earlier(next, this.#renewal.nextDeadline());
  }

  // --- registering ---------------------------------------------------------------------------------------------------

  #checkRequest(request: SubscribeRequest): [ErrorCode, string] | null {
    const { provider } = this.#options;
    const { applicationServerKey, waToken } = request;
    if (applicationServerKey !== null && !provider.isPublicKey(applicationServerKey)) {
      return ["ERR_SUBSCRIBE_KEY_POINT", "applicationServerKey is not a point on P-256"];
    }
    if (waToken !== null && (waToken.length === 0 || waToken.length > WA_TOKEN_CHARS_MAX)) {
      return ["ERR_OPTION", `waToken must have 1 to ${WA_TOKEN_CHARS_MAX} characters`];
    }
    return null;
  }

  #subscribeAllowed(requestId: number, owner: string, request: SubscribeRequest, now: Instant): void {
    const { registry, usage } = this.#options;
    const existing = registry.find(owner, request.waToken);
    if (existing !== null) {
      usage.touch(existing);
      const subscription = viewOf(existing);
      if (subscription === null) return this.#refuseBroken(requestId);
      if (!hasOptions(existing, request)) {
        return this.#refuse([requestId], "ERR_SUBSCRIBE_CONFLICT", "subscribed already with other options");
      }
      return this.#reply(requestId, { type: "subscription", subscription });
    }
    const pending = this.#findPending(owner, request.waToken);
    if (pending !== null) {
      if (hasOptions(pending.record, request)) pending.requestIds.push(requestId);
      else this.#refuse([requestId], "ERR_SUBSCRIBE_CONFLICT", "being subscribed with other options");
      return;
    }
    const mine = registry.ofOwner(owner).length;
    const isFull =
      registry.size + this.#pending.size >= SUBSCRIPTIONS_MAX ||
      this.#pending.size >= REGISTRATIONS_PENDING_MAX;
    const isTooOften = this.#made.left(owner, now.monotonicMs) === 0;
    if (isFull || isTooOften || mine >= SUBSCRIPTIONS_PER_OWNER_MAX) {
      return this.#refuse([requestId], "ERR_SUBSCRIBE_LIMIT", "no more subscriptions can be made");
    }
    const record = newSubscription(this.#nextId(), owner, request, this.#options, now);
    const giveUpAtMs = now.monotonicMs + SUBSCRIBE_TIMEOUT_MS;
    this.#pending.add({ record, requestIds: [requestId], giveUpAtMs, notBeforeMs: 0, phase: "waiting" });
    this.sync(now);
  }

  #register(pending: Pending, now: Instant): void {
    const { registrationId, applicationServerKey } = pending.record;
    const isSent = this.#options.requests.send(
      { type: "registerWa", registrationId, applicationServerKey },
      (answer, at) => this.#handleRegistered(pending, answer, at),
      now,
    );
    if (isSent) pending.phase = "sent";
  }

  #handleRegistered(pending: Pending, answer: Answer, now: Instant): void {
    const { persistence, registry, emit, state } = this.#options;
    if (!isGranted(answer) || registry.byChannel(answer.channel) !== null) {
      return this.#handleRefused(pending, answer, now);
    }
    if (state.pendingUnregisters.has(answer.channel)) {
      // The app ended that one before, and the service has not done it yet: both are asked again.
      this.#unregistering.delete(answer.channel);
      this.#unregisterAtMs = 0;
      return this.#postpone(pending, now);
    }
    const { channel, endpoint, expirationTime } = answer;
    const usedEpochMs = this.#options.clock.stamp(now.monotonicMs);
    const record = { ...pending.record, channel, endpoint, expirationTime, usedEpochMs };
    this.#orphans.delete(channel);
    // The app gave up, or a person refused, while the answer was on its way.
    if (!this.#pending.has(pending)) return this.handleOrphan(channel, now);
    pending.phase = "storing";
    this.#made.take(record.owner, now.monotonicMs);
    persistence.store([record], (failure) => {
      this.#pending.delete(pending);
      if (failure !== null) {
        this.#orphans.add(channel);
        return this.#refuse(pending.requestIds, failure, "the subscription could not be written down");
      }
      registry.handleStored(record, null);
      // Ended while it was being written.
      if (pending.requestIds.length === 0) return this.#remove(record, now, () => {});
      this.#options.handleChannel(record.owner, now);
      emit(reported({ type: "subscribed", owner: record.owner, channel, ownToken: !record.generatedToken }));
      for (const requestId of pending.requestIds)
        this.#reply(requestId, { type: "subscription", subscription: viewOf(record) });
    });
  }

  #handleRefused(pending: Pending, answer: Answer, now: Instant): void {
    const status = "status" in answer ? answer.status : STATUS.unavailable;
    if (status === STATUS.unavailable || status === STATUS.tooMany) {
      // Overload passes: it is asked again until the app's patience ends.
      return this.#postpone(pending, now);
    }
    if (!this.#pending.delete(pending)) return;
    if (status === STATUS.conflict) {
      this.#refuse(pending.requestIds, "ERR_SUBSCRIBE_CONFLICT", "registered already with another key");
    } else {
      this.#refuse(pending.requestIds, "ERR_SUBSCRIBE_ABORTED", `the push service refused with ${status}`);
    }
  }

  /** It is asked again until the app's patience ends. */
  #postpone(pending: Pending, now: Instant): void {
    pending.phase = "waiting";
    pending.notBeforeMs = now.monotonicMs + REQUEST_RETRY_MS;
  }

  // --- losing and regaining ------------------------------------------------------------------------------------------

  #reconcile(theirs: Set<number>, now: Instant): void {
    const { registry, state } = this.#options;
    for (const subscription of [...registry.subscriptions()]) {
      if (subscription.channel !== null && !theirs.delete(subscription.channel))
        this.#renewal.lose(subscription, now);
    }
    for (const channel of theirs) if (!state.pendingUnregisters.has(channel)) this.#orphans.add(channel);
  }

  // --- ending --------------------------------------------------------------------------------------------------------

  #remove(subscription: SubscriptionRecord, now: Instant, done: () => void): void {
    const { persistence, registry, emit } = this.#options;
    const { id, owner, channel } = subscription;
    const records: JournalRecord[] = [{ type: "subscriptionRemoved", id }];
    if (channel !== null) records.push({ type: "pendingUnregister", channel });
    this.#renewal.forget(id);
    registry.handleRemoved(subscription);
    this.#options.handleRemoved(subscription, now);
    persistence.erase(records, () => {
      emit(reported({ type: "unsubscribed", owner, channel }));
      done();
    });
  }

  #unregister(channel: number, now: Instant): void {
    const { persistence, requests } = this.#options;
    const isBusy =
      this.#unregistering.size >= UNREGISTER_IN_FLIGHT_MAX || now.monotonicMs < this.#unregisterAtMs;
    if (isBusy || persistence.isBehind || this.#unregistering.has(channel)) return;
    const answered = (answer: Answer, at: Instant): void => this.#handleUnregistered(channel, answer, at);
    if (requests.send({ type: "unregisterWa", channel }, answered, now)) this.#unregistering.add(channel);
  }

  #handleUnregistered(channel: number, answer: Answer, now: Instant): void {
    const { persistence, state } = this.#options;
    const isGone =
      answer.type === "waUnregistered" &&
      (answer.status === STATUS.ok || answer.status === STATUS.notFound || answer.status === STATUS.gone);
    this.#unregistering.delete(channel);
    if (!isGone) {
      this.#unregisterAtMs = now.monotonicMs + UNREGISTER_RETRY_MS;
      return;
    }
    this.#orphans.delete(channel);
    if (state.pendingUnregisters.has(channel)) persistence.note({ type: "pendingUnregisterDone", channel });
  }

  // --- small things --------------------------------------------------------------------------------------------------

  #findPending(owner: string, waToken: string | null): Pending | null {
    for (const pending of this.#pending) {
      const { record } = pending;
      if (record.owner === owner && (waToken === null ? record.generatedToken : record.waToken === waToken))
        return pending;
    }
    return null;
  }

  #nextId(): number {
    let idMax = this.#options.state.subscriptionIdMax;
    for (const { record } of this.#pending) idMax = Math.max(idMax, record.id);
    return idMax + 1;
  }

  #refuseBroken(requestId: number): void {
    const message = "the subscription is being renewed; try again later";
    this.#refuse([requestId], "ERR_SUBSCRIBE_ABORTED", message);
  }

  #refusePermission(requestIds: readonly number[]): void {
    this.#refuse(requestIds, "ERR_SUBSCRIBE_PERMISSION", "permission for push was not granted");
  }

  #refuse(requestIds: readonly number[], code: ErrorCode, message: string): void {
    for (const requestId of requestIds) this.#options.emit(refused(requestId, code, message));
  }

  #reply(requestId: number, reply: AppReply): void {
    this.#options.emit(replied(requestId, reply));
  }
}
