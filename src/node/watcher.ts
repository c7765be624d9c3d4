// SPDX-License-Identifier: MIT
/** Tells an administrator what happens: reports as they come, the status when it may have changed, not too often. */

import type { AdminEvent } from "../apps/protocol.ts";
import { WATCH_INTERVAL_MS_MIN } from "../limits.ts";
import type { UserAgent } from "./user-agent.ts";

export class Watcher {
  readonly #userAgent: UserAgent;
  readonly #send: (event: AdminEvent) => void;
  readonly #stop: readonly (() => void)[];
  /** Pending, and only while something changed that was not told. */
  #timer: NodeJS.Timeout | null = null;
  #toldMs = Number.NEGATIVE_INFINITY;
  #isOver = false;

  constructor(userAgent: UserAgent, send: (event: AdminEvent) => void) {
    this.#userAgent = userAgent;
    this.#send = send;
    const changed = () => this.#handleChanged();
    for (const past of userAgent.reports) send({ event: "report", ...past });
    this.#stop = [
      userAgent.watch(changed),
      userAgent.listen({
        handleReport: (report) => send({ event: "report", atEpochMs: Date.now(), report }),
      }),
      userAgent.questions.addAsker({
        askPermission: changed,
        settlePermission: changed,
        askNavigation: changed,
        settleNavigation: changed,
      }),
    ];
    this.#handleChanged();
  }

  close(): void {
    this.#isOver = true;
    for (const stop of this.#stop) stop();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #handleChanged(): void {
    if (this.#isOver || this.#timer !== null) return;
    const waitMs = Math.max(0, this.#toldMs + WATCH_INTERVAL_MS_MIN - performance.now());
    // Not at once even when it may be: what changes together is told together.
    this.#timer = setTimeout(() => this.#tell(), waitMs);
  }

  #tell(): void {
    this.#timer = null;
    this.#toldMs = performance.now();
    const { open } = this.#userAgent.questions;
    const navigations = open.navigations.map(({ notificationId, owner, action, host }) => ({
      notificationId,
      owner,
      action,
      host,
    }));
    const questions = { permissions: open.permissions, navigations };
    this.#send({ event: "changed", status: this.#userAgent.status(), questions });
  }
}
