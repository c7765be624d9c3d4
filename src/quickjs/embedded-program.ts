// SPDX-License-Identifier: MIT
/**
 * The program libgodwit is linked into, as the user agent knows the world: one display, one asker, and one peer for each of its
 * apps. What it is told waits in C until nothing of the script runs; what it says to that comes back by a call.
 */

import type { AppWarning, Delivery, Permission, SubscriptionView } from "../agent/events.ts";
import { isOwner, NO_OWNER_TEXT } from "../agent/owner.ts";
import type { AppBadge, GodwitNotification } from "../declarative/index.ts";
import { GodwitError } from "../errors.ts";
import { SHELL_DISPLAY_TIMEOUT_MS } from "../limits.ts";
import type { AppPeer, Seat } from "../user-agent/app-peers.ts";
import type { Display, ShownNotification } from "../user-agent/display.ts";
import type { Platform } from "../user-agent/platform.ts";
import type { Asker, NavigationQuestion } from "../user-agent/questions.ts";
import type { UserAgent } from "../user-agent/user-agent.ts";
import type { EmbeddingBridge, Told } from "./embedding-bridge.d.ts";
import {
  PERMISSIONS,
  toldBadge,
  toldFlag,
  toldMessage,
  toldNotification,
  toldSubscription,
  toldText,
} from "./told.ts";

/** Something the program was told and has not answered. */
interface Waiting {
  readonly done: () => void;
  readonly failed: () => void;
}

/** Where questions come from, and answers go. */
type QuestionDesk = Pick<UserAgent["questions"], "addAsker" | "answerNavigation">;

export class EmbeddedProgram implements Display, Asker {
  readonly #bridge: EmbeddingBridge;
  readonly #after: Platform["after"];
  readonly #callbacks: ReadonlySet<string>;
  /** By notification, in the order of the answers to come: with the same tag one may be shown several times. */
  readonly #shows = new Map<number, Waiting[]>();
  readonly #links = new Map<number, Waiting>();
  readonly #deliveries = new Map<number, Waiting>();
  readonly #questions = new Map<number, NavigationQuestion>();
  readonly #apps = new Map<string, Seat>();
  #desk: QuestionDesk | null = null;
  #lastLinkId = 0;
  #lastQuestionId = 0;

  /** @param callbacks names of those the program has */
  constructor(bridge: EmbeddingBridge, after: Platform["after"], callbacks: readonly string[]) {
    this.#bridge = bridge;
    this.#after = after;
    this.#callbacks = new Set(callbacks);
  }

  /** True when it has one of these callbacks. */
  has(...names: readonly (keyof Told)[]): boolean {
    return names.some((name) => this.#callbacks.has(name));
  }

  tell<Name extends keyof Told>(name: Name, ...values: Told[Name]): void {
    if (this.#callbacks.has(name)) this.#bridge.tell(name, ...values);
  }

  // --- display -------------------------------------------------------------------------------------------------------

  /** Rejects when the program has no screen, says so, or says nothing in time. */
  show({ notificationId, owner, notification, replaces, alert }: ShownNotification): Promise<void> {
    if (!this.has("show")) return Promise.reject(new Error("the program shows nothing"));
    const told = toldNotification(notificationId, owner, notification);
    return new Promise((resolve, reject) => {
      const forget = this.#after(SHELL_DISPLAY_TIMEOUT_MS, () => {
        this.#drop(notificationId, waiting);
        waiting.failed();
      });
      const waiting: Waiting = {
        done: () => {
          forget();
          resolve();
        },
        failed: () => {
          forget();
          reject(new Error("the program does not show it"));
        },
      };
      this.#shows.set(notificationId, [...(this.#shows.get(notificationId) ?? []), waiting]);
      this.tell("show", told, replaces ?? 0, toldFlag(alert));
    });
  }

  close(notificationId: number): void {
    this.tell("close", notificationId);
  }

  setBadge(owner: string, badge: AppBadge): void {
    this.tell("badge", owner, toldBadge(badge));
  }

  /** Rejects when the program does not open it. */
  openUrl(owner: string, url: string): Promise<void> {
    if (!this.has("openUrl")) return Promise.reject(new Error("the program opens nothing"));
    return new Promise((resolve, reject) => {
      const linkId = ++this.#lastLinkId;
      const failed = () => reject(new Error("the program does not open it"));
      this.#links.set(linkId, { done: resolve, failed });
      this.tell("openUrl", linkId, owner, toldText(url));
    });
  }

  /** The answer to the oldest `show` of that notification. False: there is none. */
  handleShown(notificationId: number, isShown: boolean): boolean {
    const waiting = this.#shows.get(notificationId)?.[0];
    if (waiting === undefined) return false;
    this.#drop(notificationId, waiting);
    settle(waiting, isShown);
    return true;
  }

  handleOpened(linkId: number, isOpened: boolean): boolean {
    return settleIn(this.#links, linkId, isOpened);
  }

  #drop(notificationId: number, waiting: Waiting): void {
    const left = (this.#shows.get(notificationId) ?? []).filter((other) => other !== waiting);
    if (left.length > 0) this.#shows.set(notificationId, left);
    else this.#shows.delete(notificationId);
  }

  // --- questions -----------------------------------------------------------------------------------------------------

  /** Puts the open questions to the program, and those that come. */
  askWith(desk: QuestionDesk): void {
    this.#desk = desk;
    desk.addAsker(this);
  }

  askPermission(owner: string): void {
    this.tell("askPermission", owner);
  }

  settlePermission(owner: string, permission: Permission): void {
    this.tell("permissionSettled", owner, PERMISSIONS[permission]);
  }

  askNavigation(question: NavigationQuestion): void {
    const { notificationId, action, owner, host } = question;
    if (!this.has("askNavigation")) return this.#desk?.answerNavigation(notificationId, action, false);
    const questionId = ++this.#lastQuestionId;
    this.#questions.set(questionId, question);
    this.tell("askNavigation", { questionId, notificationId, owner, host });
  }

  settleNavigation(notificationId: number, action: string): void {
    for (const [questionId, question] of this.#questions) {
      if (question.notificationId !== notificationId || question.action !== action) continue;
      this.#questions.delete(questionId);
      this.tell("navigationSettled", questionId);
    }
  }

  question(questionId: number): NavigationQuestion | null {
    return this.#questions.get(questionId) ?? null;
  }

  // --- apps ----------------------------------------------------------------------------------------------------------

  /** @throws {GodwitError} ERR_OWNER */
  attach(userAgent: UserAgent, owner: string, handlesPush: boolean): void {
    if (!isOwner(owner)) throw new GodwitError("ERR_OWNER", NO_OWNER_TEXT);
    const seat = this.#apps.get(owner) ?? userAgent.join(owner, this.#peer(owner));
    this.#apps.set(owner, seat);
    seat.attach(handlesPush);
  }

  /** False: it was not attached. */
  detach(owner: string): boolean {
    this.#apps.get(owner)?.leave();
    return this.#apps.delete(owner);
  }

  handleDelivered(deliveryId: number, isHandled: boolean): boolean {
    return settleIn(this.#deliveries, deliveryId, isHandled);
  }

  #peer(owner: string): AppPeer {
    return {
      deliver: (delivery) => this.#deliver(delivery),
      cancel: (deliveryId) => {
        this.#deliveries.delete(deliveryId);
        this.tell("cancelDelivery", deliveryId);
      },
      handleClick: (notification: GodwitNotification, action: string) =>
        this.tell("click", toldNotification(0, owner, notification), toldText(action)),
      handleSubscriptionChange: (before: SubscriptionView | null, after: SubscriptionView | null) =>
        this.tell("subscriptionChange", owner, toldSubscription(before), toldSubscription(after)),
      handleWarning: (code: AppWarning, text: string) => this.tell("warning", owner, code, text),
    };
  }

  #deliver(delivery: Delivery): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = () => reject(new Error("the app failed"));
      this.#deliveries.set(delivery.deliveryId, { done: resolve, failed });
      this.tell("deliver", toldMessage(delivery));
    });
  }
}

function settle(waiting: Waiting, isDone: boolean): void {
  if (isDone) waiting.done();
  else waiting.failed();
}

function settleIn(all: Map<number, Waiting>, id: number, isDone: boolean): boolean {
  const waiting = all.get(id);
  if (waiting === undefined) return false;
  all.delete(id);
  settle(waiting, isDone);
  return true;
}
