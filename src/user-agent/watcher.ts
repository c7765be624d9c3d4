// SPDX-License-Identifier: MIT
/** Tells an administrator what happens: reports as they come, the status when it may have changed, not too often. */

import type { AdminEvent } from "../apps/protocol.ts";
import { WATCH_INTERVAL_MS_MIN } from "../limits.ts";
import type { Platform } from "./platform.ts";
import type { UserAgent } from "./user-agent.ts";

type WatcherPlatform = Pick<Platform, "after" | "epochMs" | "monotonicMs">;

export class Watcher {
  readonly #userAgent: UserAgent;
  readonly #platform: WatcherPlatform;
  readonly #send: (event: AdminEvent) => void;
  readonly #stop: readonly (() => void)[];
  /** Takes back what is to be told; null while nothing changed that was not told. */
  #cancel: (() => void) | null = null;
  #toldMs = Number.NEGATIVE_INFINITY;
  #isOver = false;

  constructor(userAgent: UserAgent, platform: WatcherPlatform, send: (event: AdminEvent) => void) {
    this.#userAgent = userAgent;
    this.#platform = platform;
    this.#send = send;
    const changed = () => this.#handleChanged();
    for (const past of userAgent.reports) send({ event: "report", ...past });
    this.#stop = [
      userAgent.watch(changed),
      userAgent.listen({
        handleReport: (report) => send({ event: "report", atEpochMs: platform.epochMs(), report }),
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
    this.#cancel?.();
  }

  #handleChanged(): void {
    if (this.#isOver || this.#cancel !== null) return;
    const waitMs = Math.max(0, this.#toldMs + WATCH_INTERVAL_MS_MIN - this.#platform.monotonicMs());
    // Not at once even when it may be: what changes together is told together.
    this.#cancel = this.#platform.after(waitMs, () => this.#tell());
  }

  #tell(): void {
    this.#cancel = null;
    this.#toldMs = this.#platform.monotonicMs();
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
