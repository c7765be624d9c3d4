// SPDX-License-Identifier: MIT
/**
 * Captive portals: what a dial looks like that met one, how patiently to look whether it has let us through, and the cheap
 * way to look. Pure.
 */

import {
  PORTAL_PATIENCE_MS,
  PORTAL_PROBE_MS,
  PORTAL_PROBE_MS_MAX,
  PORTAL_PROBE_MS_MIN,
  TOKEN_TIMEOUT_MS,
} from "../limits.ts";
import type { Jitter } from "./backoff.ts";
import type { Emit, LinkCause } from "./events.ts";

/** True when somebody else than a push service answered: wrong certificate, a page, a redirection, RFC 6585 §6. */
export function isPortalLike(cause: LinkCause, httpStatus: number | null): boolean {
  return cause === "tls" || (httpStatus !== null && (httpStatus < 400 || httpStatus === 511));
}

/** By which a patient look may be later. */
const JITTER_SHARE = 0.15;

export interface PortalOptions {
  /** Plain http URL that answers 204 when nothing stands between; null: the dial itself finds out. */
  readonly probeUrl: string | null;
  readonly emit: Emit;
  /** A number no link has had. */
  readonly nextLinkId: () => number;
  readonly jitter: Jitter;
}

export class Portal {
  readonly #options: PortalOptions;
  /** When it was met; null when there is none. */
  #sinceMs: number | null = null;
  #delayMs = 0;
  /** The request that is out; 0 for none. */
  #probeId = 0;

  constructor(options: PortalOptions) {
    this.#options = options;
  }

  get isMet(): boolean {
    return this.#sinceMs !== null;
  }

  /**
   * There is one, and a cheaper way to look than a dial. Not for ever: what never answers with 204 may have nothing to do
   * with a portal.
   */
  isProbed(monotonicMs: number): boolean {
    const { probeUrl } = this.#options;
    return probeUrl !== null && this.#sinceMs !== null && monotonicMs - this.#sinceMs < PORTAL_PATIENCE_MS;
  }

  /** Met, or still there. Returns ms until the next look. */
  handleMet(monotonicMs: number): number {
    this.#sinceMs ??= monotonicMs;
    if (monotonicMs - this.#sinceMs < PORTAL_PATIENCE_MS) {
      this.#delayMs = Math.min(this.#delayMs + PORTAL_PROBE_MS_MIN, PORTAL_PROBE_MS);
      return this.#delayMs;
    }
    this.#delayMs = Math.min(2 * this.#delayMs, PORTAL_PROBE_MS_MAX);
    // What was taken for a portal may be a page that a whole fleet met: it does not come back in step.
    return Math.floor(this.#delayMs * (1 + JITTER_SHARE * this.#options.jitter()));
  }

  /** Another network, or the service itself answered. */
  handleGone(): void {
    this.#sinceMs = null;
    this.#delayMs = 0;
    this.#probeId = 0;
  }

  /** Looks; {@link takeAnswer} knows the answer. */
  probe(): void {
    const { probeUrl, emit, nextLinkId } = this.#options;
    // Negative: requests of other parts count upwards.
    this.#probeId = -nextLinkId();
    const request = {
      method: "GET",
      url: probeUrl ?? "",
      bearer: null,
      timeoutMs: TOKEN_TIMEOUT_MS,
    } as const;
    emit({ type: "httpRequest", requestId: this.#probeId, ...request });
  }

  /** True, once, for the request that is out. */
  takeAnswer(requestId: number): boolean {
    if (requestId !== this.#probeId || this.#probeId === 0) return false;
    this.#probeId = 0;
    return true;
  }
}
