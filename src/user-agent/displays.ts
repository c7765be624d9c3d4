// SPDX-License-Identifier: MIT
/**
 * All screens of a device as one {@link Display}. Everything is shown on each of them, and counts as shown once one has it.
 * A link opens on one: the screen added last is asked first, then those before it.
 */

import { type AppBadge, badgeValue } from "../declarative/index.ts";
import type { Display, ShownNotification } from "./display.ts";

export class Displays implements Display {
  readonly #displays: Display[] = [];
  readonly #badges = new Map<string, AppBadge>();
  readonly #failed: () => void;

  /** @param failed closing, a badge or a link failed on a screen */
  constructor(failed: () => void) {
    this.#failed = failed;
  }

  /** Adds a screen, and sets the badges on it. The function returned takes it away again. */
  add(display: Display): () => void {
    this.#displays.push(display);
    for (const [owner, badge] of this.#badges)
      attempt(() => display.setBadge(owner, badge)).catch(this.#failed);
    return () => {
      const at = this.#displays.indexOf(display);
      if (at >= 0) this.#displays.splice(at, 1);
    };
  }

  /** Resolves once a screen shows it; rejects when none does, or there is none. */
  async show(shown: ShownNotification): Promise<void> {
    await Promise.any(this.#displays.map((display) => attempt(() => display.show(shown))));
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
    for (const display of displays) {
      try {
        return await display.openUrl(owner, url);
      } catch {
        // The next one may.
      }
    }
    if (displays.length > 0) this.#failed();
  }

  #onEach(call: (display: Display) => unknown): void {
    for (const display of this.#displays) attempt(() => call(display)).catch(this.#failed);
  }
}

/** Synchronous displays answer at once; what they throw is a rejection like any other. */
function attempt(call: () => unknown): Promise<unknown> {
  return new Promise((resolve) => resolve(call()));
}
