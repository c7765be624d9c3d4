// SPDX-License-Identifier: MIT
/**
 * Asks the person whether an app may push: once per owner at a time, and not again for a while when they keep leaving it
 * open. What they decided is in the owner's record; writing it is the business of {@link Choices}. Pure.
 */

import type { ErrorCode } from "../errors.ts";
import {
  PROMPT_DISMISSALS_MAX,
  PROMPT_QUIET_MS,
  PROMPTS_WAITING_MAX,
  PROMPTS_WAITING_PER_OWNER_MAX,
} from "../limits.ts";
import type { Emit, Instant, Permission } from "./events.ts";
import type { Registry } from "./registry.ts";

/** "prompt": nothing was decided. A code: nobody will decide any more. */
export type PermissionOutcome = Permission | ErrorCode;
type Settled = (outcome: PermissionOutcome, now: Instant) => void;

export interface PermissionsOptions {
  readonly registry: Registry;
  readonly emit: Emit;
}

export class Permissions {
  readonly #options: PermissionsOptions;
  /** Who waits for an answer, by owner: an entry is a question that is open. */
  readonly #asking = new Map<string, Settled[]>();
  #waiting = 0;
  /** How often in a row the question was left open, and when last. */
  readonly #dismissals = new Map<string, { readonly count: number; readonly lastMs: number }>();

  constructor(options: PermissionsOptions) {
    this.#options = options;
  }

  /** Owners whose question is open. */
  get asked(): string[] {
    return [...this.#asking.keys()];
  }

  isAsked(owner: string): boolean {
    return this.#asking.has(owner);
  }

  /** Calls `settled` once: now when it is decided or may not be asked, else when a person has answered. */
  ask(owner: string, settled: Settled, now: Instant): void {
    const permission = this.#options.registry.permissionOf(owner);
    const waiting = this.#asking.get(owner);
    const isFull =
      this.#waiting >= PROMPTS_WAITING_MAX || (waiting?.length ?? 0) >= PROMPTS_WAITING_PER_OWNER_MAX;
    if (permission !== "prompt" || isFull || this.#isQuiet(owner, now)) return settled(permission, now);
    this.#waiting++;
    if (waiting !== undefined) {
      waiting.push(settled);
      return;
    }
    this.#asking.set(owner, [settled]);
    this.#options.emit({ type: "askPermission", owner });
  }

  /** The person left the question open. */
  handleDismissed(owner: string, now: Instant): void {
    const count = (this.#dismissals.get(owner)?.count ?? 0) + 1;
    this.#dismissals.set(owner, { count, lastMs: now.monotonicMs });
    this.settle(owner, "prompt", now);
  }

  /** Something was decided: earlier dismissals count no more. */
  handleDecided(owner: string, now: Instant): void {
    this.#dismissals.delete(owner);
    this.settle(owner, this.#options.registry.permissionOf(owner), now);
  }

  /** Ends an open question, whoever asked. */
  settle(owner: string, outcome: PermissionOutcome, now: Instant): void {
    const waiting = this.#asking.get(owner);
    if (waiting === undefined) return;
    this.#asking.delete(owner);
    this.#waiting -= waiting.length;
    const { registry, emit } = this.#options;
    emit({ type: "permissionSettled", owner, permission: registry.permissionOf(owner) });
    for (const settled of waiting) settled(outcome, now);
  }

  /** Ends every open question, and forgets what was left open before. */
  settleAll(outcome: PermissionOutcome, now: Instant): void {
    for (const owner of this.asked) this.settle(owner, outcome, now);
    this.#dismissals.clear();
  }

  #isQuiet(owner: string, now: Instant): boolean {
    const dismissed = this.#dismissals.get(owner);
    return (
      dismissed !== undefined &&
      dismissed.count >= PROMPT_DISMISSALS_MAX &&
      now.monotonicMs < dismissed.lastMs + PROMPT_QUIET_MS
    );
  }
}
