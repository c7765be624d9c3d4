// SPDX-License-Identifier: MIT
/** Frames of one device on their way to its session: bounded in rate, parsed; the same for every transport. */

import { GodwitError } from "../errors.ts";
import { LINK_FRAMES_BURST_MAX, LINK_FRAMES_PER_SECOND_MAX, REREAD_FRAME_WEIGHT } from "../limits.ts";
import { STATUS, type Upstream } from "../wire/dialect.ts";
import { godwitDialect } from "../wire/godwit.ts";
import { TokenBucket } from "./rate-limit.ts";
import type { SessionHost } from "./session-host.ts";

/** After these the session reads the device's queue again from the start. */
const REREADS: readonly Upstream["type"][] = ["resume", "conditions", "getAllMessages"];

/** Of each link, in any dialect. */
export const FRAME_RATE = {
  burstMax: LINK_FRAMES_BURST_MAX,
  perMinute: LINK_FRAMES_PER_SECOND_MAX * 60,
} as const;

export class UpstreamFrames {
  readonly #host: SessionHost;
  readonly #rate = new TokenBucket(FRAME_RATE);
  #isFlooding = false;

  constructor(host: SessionHost) {
    this.#host = host;
  }

  /** @param frame borrowed until the call returns */
  handle(frame: Uint8Array): void {
    if (!this.take()) return;
    try {
      const message = godwitDialect.parseUpstream(frame);
      if (REREADS.includes(message.type) && !this.take(REREAD_FRAME_WEIGHT - 1)) return;
      this.#host.handle({ type: "upstream", message });
    } catch (error) {
      if (!(error instanceof GodwitError)) throw error;
      const status = error.code === "ERR_FRAME_UNKNOWN_TYPE" ? STATUS.unknownType : STATUS.badRequest;
      this.#host.handle({ type: "malformed", status, text: error.message });
    }
  }

  /** True once the device has sent more than any honest one would. */
  get isFlooding(): boolean {
    return this.#isFlooding;
  }

  /** False, and the session ends, when the device sends more than any honest one would. */
  take(weight = 1): boolean {
    if (this.#rate.take(performance.now(), weight) === 0) return true;
    this.#isFlooding = true;
    this.#host.handle({ type: "goodbye", reason: "overload", retryAfterS: 60 });
    return false;
  }
}
