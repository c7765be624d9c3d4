// SPDX-License-Identifier: MIT
/**
 * Captive portals: what a dial looks like that met one, and how patiently to look whether it has let us through. Pure.
 */

import { PORTAL_PATIENCE_MS, PORTAL_PROBE_MS, PORTAL_PROBE_MS_MAX, PORTAL_PROBE_MS_MIN } from "../limits.ts";
import type { LinkCause } from "./events.ts";

/** True when somebody else than a push service answered: wrong certificate, a page, a redirection, RFC 6585 §6. */
export function isPortalLike(cause: LinkCause, httpStatus: number | null): boolean {
  return cause === "tls" || (httpStatus !== null && (httpStatus < 400 || httpStatus === 511));
}

export class Portal {
  /** When it was met; null when there is none. */
  #sinceMs: number | null = null;
  #delayMs = 0;

  get isMet(): boolean {
    return this.#sinceMs !== null;
  }

  /** Met, or still there. Returns ms until the next look. */
  handleMet(monotonicMs: number): number {
    this.#sinceMs ??= monotonicMs;
    if (monotonicMs - this.#sinceMs >= PORTAL_PATIENCE_MS)
      this.#delayMs = Math.min(2 * this.#delayMs, PORTAL_PROBE_MS_MAX);
    else this.#delayMs = Math.min(this.#delayMs + PORTAL_PROBE_MS_MIN, PORTAL_PROBE_MS);
    return this.#delayMs;
  }

  /** Another network, or the service itself answered. */
  handleGone(): void {
    this.#sinceMs = null;
    this.#delayMs = 0;
  }
}
