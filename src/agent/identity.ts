// SPDX-License-Identifier: MIT
/** Who the device is at the push service: a token asked for, written down before it is used, replaced by fresh ones. Pure. */

import { bytesEqual } from "../bytes.ts";
import type { JournalState, UserAgentRecord } from "../journal/index.ts";
import type { DeviceEnd, Downstream } from "../wire/dialect.ts";
import { Credentials, tokenFault } from "./credentials.ts";
import type { AgentEvent, Emit, Instant } from "./events.ts";
import type { Link } from "./link.ts";
import type { Meter } from "./meter.ts";
import type { Persistence } from "./persistence.ts";
import { reported } from "./report.ts";

export interface IdentityOptions {
  readonly dialect: DeviceEnd;
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
  /** Whose the identity is, like that of a cookie (RFC 6265 §8.5): a service that moved its port is the same one. */
  readonly #service: string;
  #isStoring = false;

  constructor(options: IdentityOptions) {
    this.#options = options;
    const { dialect, serviceUrl } = options;
    this.#credentials = new Credentials(serviceUrl, options.emit);
    this.#service = `${dialect.name} ${serviceUrl.replace(/^.*\/\/|:\d+$/g, "")}`;
  }

  /** What this service knows the device by. What another one gave is a secret between those two. */
  get known(): UserAgentRecord | null {
    const { userAgent } = this.#options.state;
    return userAgent?.service === this.#service ? userAgent : null;
  }

  fetchToken(): void {
    // One is being written down; asking again would make a second device of us.
    if (this.#isStoring) return;
    this.#options.meter.countWakeUp("connect");
    this.#credentials.fetch(this.known?.uaToken ?? null);
  }

  /** The link no longer waits for a token. */
  abandonToken(): void {
    this.#credentials.abandon();
  }

  handleToken(response: Extract<AgentEvent, { type: "httpResponse" }>, now: Instant): void {
    const outcome = this.#credentials.handleResponse(response);
    if (outcome === null) return;
    const { state, link, emit, persistence, handleForgotten } = this.#options;
    if (outcome.type === "failed") {
      emit(reported(tokenFault(response)));
      return link.handleTokenFailed(response, outcome.retryAfterS, now);
    }
    const { uaToken, uaid } = outcome.identity;
    const isRenewed = state.userAgent !== null;
    const { known } = this;
    const isSame = known !== null && bytesEqual(known.uaid, uaid);
    this.#isStoring = true;
    const record = this.#record(uaid, isSame ? known.storeEpoch : 0, uaToken);
    persistence.store([record], (failure) => {
      this.#isStoring = false;
      if (failure !== null) return link.handleTokenFailed({ cause: "local", status: 0 }, null, now);
      emit(reported({ type: "token", renewed: isRenewed }));
      if (isRenewed && !isSame) handleForgotten(now);
      link.handleTokenReady(now);
    });
  }

  /**
   * A fresh token, another store epoch, or another name: written down, without waiting for it, in front of all that comes of it,
   * and behind what is lost with the old name: a write that is cut short must not hold the new one alone.
   */
  handleRegistered(registered: Extract<Downstream, { type: "registered" }>, now: Instant): void {
    const { uaid, freshUaToken, storeEpoch } = registered;
    const { dialect, state, persistence, handleForgotten } = this.#options;
    const isRenewed = state.userAgent !== null;
    const { known } = this;
    const isSame = known !== null && bytesEqual(known.uaid, uaid);
    if (isSame && freshUaToken === null && storeEpoch === known.storeEpoch) return;
    const record = this.#record(uaid.slice(), storeEpoch, freshUaToken ?? known?.uaToken ?? "");
    if (isRenewed && !isSame) handleForgotten(now);
    // A name is in use from here on, whether or not it could be written. A token is not: its first use is the end of the old one.
    if (dialect.isPlain === true) persistence.note(record, "soon");
    else persistence.store([record], () => {});
  }

  #record(uaid: Uint8Array, storeEpoch: number, uaToken: string): UserAgentRecord {
    return { type: "userAgent", uaid, storeEpoch, uaToken, service: this.#service };
  }
}
