// SPDX-License-Identifier: MIT
/**
 * All screens of a device as one {@link Display}. Everything is shown on each of them, and counts as shown once one has it.
 * A link opens on one: the screen added last is asked first, then those before it.
 */

import { type AppBadge, badgeValue } from "../declarative/index.ts";
import { GodwitError } from "../errors.ts";
import type { Display, ShownNotification } from "./display.ts";

/** @param owner whose notification it is about, if it is about one */
type Failed = (text: string, owner?: string) => void;

export class Displays implements Display {
  readonly #displays: Display[] = [];
  readonly #badges = new Map<string, AppBadge>();
  readonly #failed: Failed;

  /** @param failed showing, closing, a badge or a link failed on a screen, or no screen shows a notification */
  constructor(failed: Failed) {
    this.#failed = failed;
  }

  /** Adds a screen, and sets the badges on it. The function returned takes it away again. */
  add(display: Display): () => void {
    this.#displays.push(display);
    for (const [owner, badge] of this.#badges)
      attempt(() => display.setBadge(owner, badge)).catch((error: unknown) => this.#tell(error));
    return () => {
      const at = this.#displays.indexOf(display);
      if (at >= 0) this.#displays.splice(at, 1);
    };
  }

  /** Resolves once a screen shows it; rejects when none does, or there is none. */
  async show(shown: ShownNotification): Promise<void> {
    try {
      await Promise.any(this.#displays.map((display) => this.showOn(display, shown)));
    } catch (error) {
      const { notificationId, owner } = shown;
      if (this.#displays.length > 0)
        this.#failed(`notification ${notificationId} is not shown, and kept for later`, owner);
      throw error;
    }
  }

  /** On this screen alone. A screen with nobody at it, such as no shell, is no failure to tell of: it rejects with other errors than ours. */
  showOn(display: Display, shown: ShownNotification): Promise<unknown> {
    // Not async: in QuickJS-ng one of those leaked its promise when memory ran out in it.
    return attempt(() => display.show(shown)).catch((error: unknown) => {
      if (error instanceof GodwitError) this.#tell(error);
      throw error;
    });
  }

  close(notificationId: number): void {
    this.#onEach((display) => display.close(notificationId));
  }

  /** The badges that are set, by owner. */
  get badges(): ReadonlyMap<string, AppBadge> {
    return this.#badges;
  }

  setBadge(owner: string, badge: AppBadge): void {
    if (badgeValue(badge) === "nothing") this.#badges.delete(owner);
    else this.#badges.set(owner, badge);
    this.#onEach((display) => display.setBadge(owner, badge));
  }

  openUrl(owner: string, url: string): void {
    void this.#openOnOne([...this.#displays].reverse(), owner, url);
  }

  async #openOnOne(displays: readonly Display[], owner: string, url: string): Promise<void> {
    let last: unknown = null;
    for (const display of displays) {
      try {
        return await display.openUrl(owner, url);
      } catch (error) {
        // The next one may.
        last = error instanceof GodwitError ? error : last;
      }
    }
    if (displays.length > 0) this.#tell(last);
  }

  #onEach(call: (display: Display) => unknown): void {
    for (const display of this.#displays)
      attempt(() => call(display)).catch((error: unknown) => this.#tell(error));
  }

  /** Our own texts say which screen and why; what a program's screen throws may hold what a message says. */
  #tell(error: unknown): void {
    this.#failed(error instanceof GodwitError ? error.message : "the display failed");
  }
}

/** Synchronous displays answer at once; what they throw is a rejection like any other. */
function attempt(call: () => unknown): Promise<unknown> {
  return new Promise((resolve) => resolve(call()));
}
