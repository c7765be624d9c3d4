// SPDX-License-Identifier: MIT
/** The end of a factory reset: the push service is asked to forget the device until it has, over restarts too. Pure. */

import type { JournalState } from "../journal/index.ts";
import type { DeviceEnd, Downstream } from "../wire/dialect.ts";
import type { Instant } from "./events.ts";
import type { Link } from "./link.ts";
import type { Persistence } from "./persistence.ts";
import type { Requests } from "./requests.ts";

export interface DepartureOptions {
  readonly dialect: DeviceEnd;
  readonly state: JournalState;
  readonly persistence: Persistence;
  readonly requests: Requests;
  readonly link: Link;
  /** Ends the channels of the device over the present link, and then {@link Departure.finish}es. */
  readonly endChannels: (now: Instant) => void;
}

export class Departure {
  readonly #options: DepartureOptions;
  /** Over the present link. */
  #isAsked = false;

  constructor(options: DepartureOptions) {
    this.#options = options;
  }

  /** The service is still to be told: until then nothing else is said to it. */
  get isPending(): boolean {
    return this.#options.state.pendingForget;
  }

  /** A link is there that knows of nothing. */
  handleOnline(): void {
    this.#isAsked = false;
  }

  /** Asks over the present link, if there is one, once no power cut can undo the reset. */
  sync(now: Instant): void {
    const { dialect, persistence, requests, link, endChannels } = this.#options;
    if (this.#isAsked || !this.isPending || !link.isOnline || persistence.isBehind) return;
    this.#isAsked = true;
    // A service that knows no other leave is left by ending every channel.
    if (dialect.isPlain === true) return endChannels(now);
    // Bye is the good answer; after an error the next link asks again, as late as links are made after a failure.
    requests.send({ type: "unregisterUa" }, (_, at) => link.handleUnresponsive(at), now);
  }

  /** False for messages of the device that goes. */
  admits({ type }: Downstream): boolean {
    return !this.isPending || type !== "notification";
  }

  handleBye({ reason }: Extract<Downstream, { type: "bye" }>): void {
    if (this.isPending && reason === "unregistered") this.#forget();
  }

  /** No channel is left, and the next link is that of a new device. */
  finish(now: Instant): void {
    this.#forget();
    this.#options.link.handleUnresponsive(now);
  }

  #forget(): void {
    this.#options.persistence.erase([{ type: "userAgentRemoved" }], () => {});
  }
}
