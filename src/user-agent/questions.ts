// SPDX-License-Identifier: MIT
/** What a person is asked and has not answered yet: may this app notify, may this link be opened. */

import type { AgentEvent, Permission } from "../agent/events.ts";
import type { EffectOf } from "../host/host.ts";
import { NAVIGATION_QUESTIONS_MAX } from "../limits.ts";

/** Answers for the person: at once, after asking, or "ask" to leave it to shells and administrators. */
export type PermissionPolicy = (owner: string) => PolicyAnswer | Promise<PolicyAnswer>;
export type PolicyAnswer = Permission | "ask";

export type NavigationQuestion = Omit<EffectOf<"askNavigation">, "type">;

/** Whoever can put a question to a person. */
export interface Asker {
  askPermission(owner: string): void;
  /** Decided, or nobody asks any more: a prompt that is still open goes. */
  settlePermission(owner: string, permission: Permission): void;
  askNavigation(question: NavigationQuestion): void;
  /** Answered, or there is nothing to open any more: likewise. */
  settleNavigation(notificationId: number, action: string): void;
}

/** Open questions as people and programs see them. */
export interface OpenQuestions {
  /** Owners. */
  readonly permissions: readonly string[];
  readonly navigations: readonly NavigationQuestion[];
}

export class Questions {
  readonly #policy: PermissionPolicy;
  readonly #dispatch: (event: AgentEvent) => void;
  readonly #askers = new Set<Asker>();
  /** By owner; false while the policy function thinks. */
  readonly #permissions = new Map<string, { isOpen: boolean }>();
  /** By {@link navigationKey}, oldest first. */
  readonly #navigations = new Map<string, NavigationQuestion>();

  /** @param dispatch hands an event to the driver */
  constructor(policy: PermissionPolicy, dispatch: (event: AgentEvent) => void) {
    this.#policy = policy;
    this.#dispatch = dispatch;
  }

  get open(): OpenQuestions {
    const asked = [...this.#permissions].filter(([, { isOpen }]) => isOpen);
    return { permissions: asked.map(([owner]) => owner), navigations: [...this.#navigations.values()] };
  }

  /** Puts what is open to `asker`, and what comes. The function returned takes it away again. */
  addAsker(asker: Asker): () => void {
    this.#askers.add(asker);
    const { permissions, navigations } = this.open;
    for (const owner of permissions) asker.askPermission(owner);
    for (const question of navigations) asker.askNavigation(question);
    return () => {
      this.#askers.delete(asker);
      if (this.#askers.size > 0) return;
      for (const { notificationId, action } of this.#navigations.values())
        this.answerNavigation(notificationId, action, false);
    };
  }

  askPermission(owner: string): void {
    const question = { isOpen: false };
    this.#permissions.set(owner, question);
    const answer = new Promise<PolicyAnswer>((resolve) => resolve(this.#policy(owner)));
    answer
      .catch((): Permission => "denied")
      .then((permission) => {
        // Meanwhile somebody may have decided otherwise.
        if (this.#permissions.get(owner) !== question) return;
        if (permission !== "ask") return this.#answerPermission(owner, permission);
        question.isOpen = true;
        for (const asker of this.#askers) asker.askPermission(owner);
      });
  }

  /** Nothing happens unless the question is open. */
  answerPermission(owner: string, permission: Permission): void {
    if (this.#permissions.get(owner)?.isOpen) this.#answerPermission(owner, permission);
  }

  /** The agent says that it is decided. */
  settlePermission(owner: string, permission: Permission): void {
    this.#permissions.delete(owner);
    for (const asker of this.#askers) asker.settlePermission(owner, permission);
  }

  /** With nobody to ask the answer is no. */
  askNavigation(question: NavigationQuestion): void {
    const { notificationId, action } = question;
    const key = navigationKey(notificationId, action);
    this.#navigations.delete(key);
    this.#navigations.set(key, question);
    const [oldest] = this.#navigations.values();
    if (this.#navigations.size > NAVIGATION_QUESTIONS_MAX && oldest !== undefined)
      this.answerNavigation(oldest.notificationId, oldest.action, false);
    if (this.#askers.size === 0) return this.answerNavigation(notificationId, action, false);
    for (const asker of this.#askers) asker.askNavigation(question);
  }

  /** Nothing happens unless the question is open. */
  answerNavigation(notificationId: number, action: string, allowed: boolean): void {
    if (!this.#settleNavigation(notificationId, action)) return;
    this.#dispatch({ type: "navigationAnswered", notificationId, action, allowed });
  }

  /** A notification that is gone leads nowhere. */
  dropNavigations(notificationId: number): void {
    for (const question of [...this.#navigations.values()])
      if (question.notificationId === notificationId) this.#settleNavigation(notificationId, question.action);
  }

  /** False when the question is not open. */
  #settleNavigation(notificationId: number, action: string): boolean {
    const isOpen = this.#navigations.delete(navigationKey(notificationId, action));
    if (isOpen) for (const asker of this.#askers) asker.settleNavigation(notificationId, action);
    return isOpen;
  }

  #answerPermission(owner: string, permission: Permission): void {
    this.#permissions.delete(owner);
    this.#dispatch({ type: "permissionAnswered", owner, permission });
  }
}

function navigationKey(notificationId: number, action: string): string {
  return `${notificationId} ${action}`;
}
