// SPDX-License-Identifier: MIT
/** What the link is given, and whom it tells. Pure types. */

import type { Conditions, DeviceEnd } from "../wire/dialect.ts";
import type { Backoff, Jitter } from "./backoff.ts";
import type { Dialer } from "./dialer.ts";
import type { Emit, Instant, LinkCause } from "./events.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Meter } from "./meter.ts";
import type { Transports } from "./transports.ts";
import type { WakeBudget } from "./wake-budget.ts";

/** What the link tells the rest of the agent. */
export interface LinkListener {
  /** A UA token is needed; the refused one, if any, goes along to be renewed. Answered by `tokenReady`/`tokenFailed`. */
  fetchToken(now: Instant): void;
  /** The token asked for is not needed any more. */
  abandonToken(): void;
  /** The link ended; what was in flight on it is void. */
  linkLost(now: Instant): void;
}

/** Why there is no token: the status of a refusal, or 0 and a cause when there was no answer. */
export interface TokenFailure {
  readonly status: number;
  readonly cause: LinkCause | null;
}

export interface LinkOptions {
  readonly dialect: DeviceEnd;
  readonly dialer: Dialer;
  readonly transports: Transports;
  readonly heartbeat: Heartbeat;
  readonly backoff: Backoff;
  readonly budget: WakeBudget;
  /** Plain http URL that answers 204 when nothing stands between; null: the dial itself finds out. */
  readonly portalProbeUrl: string | null;
  /** A number no link has had. */
  readonly nextLinkId: () => number;
  readonly meter: Meter;
  readonly emit: Emit;
  readonly listener: LinkListener;
  readonly conditions: Omit<Conditions, "heartbeatS">;
  readonly jitter: Jitter;
}
