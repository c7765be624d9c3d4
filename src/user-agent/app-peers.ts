// SPDX-License-Identifier: MIT
/**
 * Who stands for an app: handles in this process and connections of the app socket alike, several at a time. To the agent
 * they are one app that is attached or not.
 */

import type { AgentEvent, AppWarning, Delivery, SubscriptionView } from "../agent/events.ts";
import type { GodwitNotification } from "../declarative/index.ts";

/** One of them. What a member throws is its own affair and reported. */
export interface AppPeer {
  /** Resolves when the app is done with the message; rejects when it failed. */
  deliver(delivery: Delivery): Promise<void>;
  /** The budget of a delivery is over: whatever still comes of it is ignored. */
  cancel(deliveryId: number): void;
  handleClick(notification: GodwitNotification, action: string): unknown;
  handleSubscriptionChange(before: SubscriptionView | null, after: SubscriptionView | null): unknown;
  handleWarning(code: AppWarning, text: string): unknown;
}

/** A peer's place among those of its owner. */
export interface Seat {
  /** Takes messages (if `handlesPush`) and clicks from here on, before the others. */
  attach(handlesPush: boolean): void;
  /** Gone. A message in its hands has failed. */
  leave(): void;
}

interface Member {
  readonly peer: AppPeer;
  isAttached: boolean;
  handlesPush: boolean;
}

interface InHand {
  readonly member: Member;
  readonly fail: (error: Error) => void;
}

export class AppPeers {
  readonly #dispatch: (event: AgentEvent) => void;
  /** The one that attached last is the last. */
  readonly #members = new Map<string, Member[]>();
  readonly #inHand = new Map<number, InHand>();

  /** @param dispatch hands an event to the driver */
  constructor(dispatch: (event: AgentEvent) => void) {
    this.#dispatch = dispatch;
  }

  join(owner: string, peer: AppPeer): Seat {
    const member: Member = { peer, isAttached: false, handlesPush: false };
    this.#members.set(owner, [member, ...this.#of(owner)]);
    return {
      attach: (handlesPush) => this.#attach(owner, member, handlesPush),
      leave: () => this.#leave(owner, member),
    };
  }

  /** Resolves when the app is done; rejects when it failed, or went. */
  deliver(delivery: Delivery): Promise<void> {
    const { deliveryId, owner } = delivery;
    const member = this.#of(owner).findLast(({ handlesPush }) => handlesPush);
    if (member === undefined) return Promise.reject(new Error("the app is gone"));
    const outcome = new Promise<void>((resolve, fail) => {
      this.#inHand.set(deliveryId, { member, fail });
      member.peer.deliver(delivery).then(resolve, fail);
    });
    return outcome.finally(() => this.#inHand.delete(deliveryId));
  }

  cancel(deliveryId: number): void {
    this.#inHand.get(deliveryId)?.member.peer.cancel(deliveryId);
    this.#inHand.delete(deliveryId);
  }

  /** The peer a click is for: the one attached last, else whoever is there. */
  forClicks(owner: string): AppPeer | null {
    return this.#of(owner).at(-1)?.peer ?? null;
  }

  all(owner: string): readonly AppPeer[] {
    return this.#of(owner).map(({ peer }) => peer);
  }

  #of(owner: string): readonly Member[] {
    return this.#members.get(owner) ?? [];
  }

  #attach(owner: string, member: Member, handlesPush: boolean): void {
    const others = this.#of(owner).filter((other) => other !== member);
    member.isAttached = true;
    member.handlesPush = handlesPush;
    this.#members.set(owner, [...others, member]);
    const takesPush = handlesPush || others.some((other) => other.handlesPush);
    this.#dispatch({ type: "appAttached", owner, handlesPush: takesPush });
  }

  #leave(owner: string, member: Member): void {
    const others = this.#of(owner).filter((other) => other !== member);
    if (others.length === this.#of(owner).length) return;
    if (others.length > 0) this.#members.set(owner, others);
    else this.#members.delete(owner);
    const failed = [...this.#inHand.values()].filter((inHand) => inHand.member === member);
    // With its last handler gone the app is away for the agent even if others of it stay: that there is a handler stays true.
    const isLast = !others.some(
      ({ isAttached, handlesPush }) => isAttached && (handlesPush || !member.handlesPush),
    );
    if (member.isAttached && isLast) this.#dispatch({ type: "appDetached", owner });
    for (const { fail } of failed) fail(new Error("the app went away"));
  }
}
