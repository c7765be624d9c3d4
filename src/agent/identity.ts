// SPDX-License-Identifier: MIT
/** Who the device is at the push service: a token asked for, written down before it is used, replaced by fresh ones. Pure. */

import { bytesEqual } from "../bytes.ts";
import type { JournalState } from "../journal/index.ts";
import type { Downstream } from "../wire/dialect.ts";
import { Credentials, tokenFault } from "./credentials.ts";
import type { AgentEvent, Emit, Instant } from "./events.ts";
import type { Link } from "./link.ts";
import type { Meter } from "./meter.ts";
import type { Persistence } from "./persistence.ts";
import { reported } from "./report.ts";

export interface IdentityOptions {
  readonly serviceUrl: string;
  readonly state: JournalState;
  readonly persistence: Persistence;
  readonly meter: Meter;
  readonly link: Link;
  readonly emit: Emit;
  /** The service knows the device by another name from now on, and nothing of what it had. */
  readonly handleForgotten: (now: Instant) => void;
}

export class Identity {
  readonly #options: IdentityOptions;
  readonly #credentials: Credentials;
  #isStoring = false;

  constructor(options: IdentityOptions) {
    this.#options = options;
    this.#credentials = new Credentials(options.serviceUrl, options.emit);
  }

  fetchToken(): void {
    // One is being written down; asking again would make a second device of us.
    if (this.#isStoring) return;
    this.#options.meter.countWakeUp("connect");
    this.#credentials.fetch(this.#options.state.userAgent?.uaToken ?? null);
  }

  /** The link no longer waits for a token. */
  abandonToken(): void {
    this.#credentials.abandon();
  }

  handleToken(response: Extract<AgentEvent, { type: "httpResponse" }>, now: Instant): void {
    const outcome = this.#credentials.handleResponse(response);
    if (outcome === null) return;
    const { state, persistence, link, emit, handleForgotten } = this.#options;
    if (outcome.type === "failed") {
      emit(reported(tokenFault(response)));
      return link.handleTokenFailed(response, outcome.retryAfterS, now);
    }
    const before = state.userAgent;
    const { uaToken, uaid } = outcome.identity;
    const isSame = before !== null && bytesEqual(before.uaid, uaid);
    const storeEpoch = isSame ? before.storeEpoch : 0;
    this.#isStoring = true;
    persistence.store(
      [{ type: "userAgent", uaid, uaToken, storeEpoch, previousUaToken: null }],
      (failure) => {
        this.#isStoring = false;
        if (failure !== null) return link.handleTokenFailed({ cause: "local", status: 0 }, null, now);
        emit(reported({ type: "token", renewed: before !== null }));
        if (before !== null && !isSame) handleForgotten(now);
        link.handleTokenReady(now);
      },
    );
  }

  /**
   * A fresh token, another store epoch, or another name: written down, without waiting for it, in front of all that comes of it.
   * The old token stays good meanwhile.
   */
  handleRegistered(registered: Extract<Downstream, { type: "registered" }>, now: Instant): void {
    const { uaid, freshUaToken, storeEpoch } = registered;
    const { state, persistence, handleForgotten } = this.#options;
    const known = state.userAgent;
    const isSame = known !== null && bytesEqual(known.uaid, uaid);
    if (isSame && freshUaToken === null && storeEpoch === known.storeEpoch) return;
    const uaToken = freshUaToken ?? known?.uaToken ?? "";
    const previousUaToken = (freshUaToken === null ? known?.previousUaToken : known?.uaToken) ?? null;
    persistence.store(
      [{ type: "userAgent", uaid: uaid.slice(), uaToken, storeEpoch, previousUaToken }],
      () => {},
    );
    if (known !== null && !isSame) handleForgotten(now);
  }
}
