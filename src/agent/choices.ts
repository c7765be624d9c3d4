// SPDX-License-Identifier: MIT
/**
 * What people decide about apps and the device. A choice holds at once; it is answered when it, and all that it took away,
 * is durable: the journal is rewritten, if need be on the flash reserve. Pure.
 */

import type { ErrorCode } from "../errors.ts";
import type { JournalRecord, JournalState } from "../journal/index.ts";
import type { RandomFill } from "../webpush/crypto.ts";
import type { Activations } from "./activations.ts";
import type { Badges } from "./badges.ts";
import type { Changes } from "./changes.ts";
import type { Deliveries } from "./deliveries.ts";
import type { Choice, Emit, Instant, Permission } from "./events.ts";
import type { Inbox } from "./inbox.ts";
import type { NetworkMemory } from "./network-memory.ts";
import type { Notifications } from "./notifications.ts";
import { isOwner, NO_OWNER_TEXT } from "./owner.ts";
import type { Permissions } from "./permissions.ts";
import type { Persistence } from "./persistence.ts";
import type { Registry } from "./registry.ts";
import { refused, replied } from "./report.ts";
import type { Subscriptions } from "./subscriptions.ts";

export interface ChoicesOptions {
  readonly state: JournalState;
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly permissions: Permissions;
  readonly subscriptions: Subscriptions;
  readonly deliveries: Deliveries;
  readonly changes: Changes;
  readonly notifications: Notifications;
  readonly badges: Badges;
  readonly activations: Activations;
  readonly inbox: Inbox;
  readonly memory: NetworkMemory;
  readonly randomFill: RandomFill;
  readonly emit: Emit;
}

/** Of the secret that registration ids are made under. */
export const DEVICE_SECRET_BYTES = 32;

export class Choices {
  readonly #options: ChoicesOptions;

  constructor(options: ChoicesOptions) {
    this.#options = options;
  }

  handle(requestId: number, choice: Choice, now: Instant): void {
    const { state, registry, subscriptions, permissions, deliveries } = this.#options;
    if ("owner" in choice && choice.owner !== null && !isOwner(choice.owner))
      return this.#refuse(requestId, "ERR_OWNER", NO_OWNER_TEXT);
    switch (choice.type) {
      case "setPermission": {
        const { owner, permission } = choice;
        this.#write(requestId, { ...registry.owner(owner), permission });
        permissions.handleDecided(owner, now);
        if (permission !== "granted") this.#end(owner, "ERR_SUBSCRIBE_PERMISSION", now);
        return;
      }
      case "setPaused": {
        const { owner, paused } = choice;
        this.#write(requestId, { ...(owner === null ? state.choices : registry.owner(owner)), paused });
        deliveries.handlePauses(now);
        return this.#options.changes.startApps(now);
      }
      case "setOptedOut": {
        const { owner, optedOut } = choice;
        this.#write(requestId, { ...(owner === null ? state.choices : registry.owner(owner)), optedOut });
        if (!optedOut) return;
        for (const asked of owner === null ? permissions.asked : [owner])
          permissions.handleDecided(asked, now);
        return this.#end(owner, "ERR_SUBSCRIBE_PERMISSION", now);
      }
      case "clearData":
        this.#clear(choice.owner, now);
        return this.#write(requestId, { ...registry.owner(choice.owner), hasHandler: false, badge: null });
      case "uninstall":
        this.#clear(choice.owner, now);
        this.#write(requestId, { type: "ownerRemoved", owner: choice.owner });
        deliveries.handlePauses(now);
        return permissions.handleDecided(choice.owner, now);
      case "install": {
        const known = registry.owner(choice.owner);
        return this.#write(requestId, { ...known, hasHandler: known.hasHandler || choice.startable });
      }
      case "removeSubscription": {
        const subscription = registry.byId(choice.subscriptionId);
        if (subscription !== null) subscriptions.end(subscription, now);
        return this.#write(requestId);
      }
      case "factoryReset":
        return this.#reset(requestId, now);
    }
  }

  /** The answer to a question that is open; any other changes nothing. */
  handleAnswered(owner: string, permission: Permission, now: Instant): void {
    const { permissions, registry, persistence } = this.#options;
    if (!permissions.isAsked(owner)) return;
    if (permission === "prompt") return permissions.handleDismissed(owner, now);
    persistence.note({ ...registry.owner(owner), permission }, "soon");
    permissions.handleDecided(owner, now);
  }

  /** All at once, in memory and by one write; only telling the service takes as long as it takes. */
  #reset(requestId: number, now: Instant): void {
    const { state, persistence, permissions, subscriptions, deliveries, randomFill } = this.#options;
    permissions.settleAll("ERR_SUBSCRIBE_ABORTED", now);
    const shown = [...state.notifications.values()].map(({ owner }) => owner);
    for (const owner of new Set([...state.owners.keys(), ...shown])) this.#clear(owner, now);
    this.#end(null, "ERR_SUBSCRIBE_ABORTED", now);
    // What is being written would come back behind the reset.
    persistence.cancelStores();
    subscriptions.handleReset();
    this.#options.inbox.reset();
    this.#options.memory.reset();
    const deviceSecret = new Uint8Array(DEVICE_SECRET_BYTES);
    randomFill(deviceSecret);
    const records: JournalRecord[] = [{ type: "pendingForget" }, { type: "device", deviceSecret }];
    if (state.userAgent === null) records.push({ type: "userAgentRemoved" });
    this.#write(requestId, ...records);
    deliveries.handlePauses(now);
  }

  /** What an app left on the device: everything but what was decided about it. */
  #clear(owner: string, now: Instant): void {
    const { state, registry, notifications, badges, activations, emit } = this.#options;
    this.#end(owner, "ERR_SUBSCRIBE_ABORTED", now);
    activations.forget(owner);
    badges.forget(owner);
    for (const notification of [...state.notifications.values()])
      if (notification.owner === owner) notifications.close(notification.notificationId);
    if (registry.owner(owner).badge !== null) emit({ type: "setBadge", owner, badge: false });
  }

  /** @param owner null: everybody */
  #end(owner: string | null, code: ErrorCode, now: Instant): void {
    this.#options.subscriptions.endAll(owner, code, now);
    this.#options.deliveries.handleCleared(owner, now);
  }

  #write(requestId: number, ...records: JournalRecord[]): void {
    this.#options.persistence.erase(
      records,
      () => this.#options.emit(replied(requestId, { type: "done" })),
      (code) => this.#refuse(requestId, code, "it holds, but could not be written down yet"),
    );
  }

  #refuse(requestId: number, code: ErrorCode, message: string): void {
    this.#options.emit(refused(requestId, code, message));
  }
}
