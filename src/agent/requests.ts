// SPDX-License-Identifier: MIT
/**
 * Requests to the push service in flight: matched to their answers by `ref`, given up after a time, asked again on the
 * next link. What a request is for, and what its answer changes, is the business of whoever sent it. Pure.
 */

import { REQUEST_TIMEOUT_MS } from "../limits.ts";
import { type Downstream, STATUS, type Upstream } from "../wire/dialect.ts";
import type { Alarm, Instant } from "./events.ts";
import type { Link } from "./link.ts";

type WithRef<M> = M extends { readonly ref: number } ? Omit<M, "ref"> : never;
/** A message that is answered, before it gets its ref. */
export type Request = WithRef<Upstream>;
export type Answer = Extract<Downstream, { type: "waRegistered" | "waUnregistered" | "drained" | "error" }>;

interface InFlight {
  readonly answered: (answer: Answer, now: Instant) => void;
  readonly sentMs: number;
}

export class Requests {
  readonly #link: Link;
  readonly #inFlight = new Map<number, InFlight>();
  #lastRef = 0;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Sends; false when there is no link, and `answered` is then never called. */
  send(request: Request, answered: (answer: Answer, now: Instant) => void, now: Instant): boolean {
    const ref = ++this.#lastRef;
    if (!this.#link.send({ ...request, ref } as Upstream, now)) return false;
    // Drained waits for our own acknowledgements: no sign of a service that is not there.
    const sentMs = request.type === "getAllMessages" ? Number.POSITIVE_INFINITY : now.monotonicMs;
    this.#inFlight.set(ref, { answered, sentMs });
    return true;
  }

  /** True when the answer belonged to a request. */
  handleAnswer(answer: Answer, now: Instant): boolean {
    const ref = answer.ref;
    const request = ref === null ? undefined : this.#inFlight.get(ref);
    if (ref === null || request === undefined) return false;
    this.#inFlight.delete(ref);
    request.answered(answer, now);
    return true;
  }

  /** The link ended: nobody answers any more, and every sender asks again on the next one. */
  handleLinkLost(): void {
    this.#inFlight.clear();
  }

  /** A service that owes an answer for too long is not there. */
  handleAlarm(now: Instant): void {
    const oldest = this.#oldest();
    if (oldest !== null && now.monotonicMs >= oldest.sentMs + REQUEST_TIMEOUT_MS)
      this.#link.handleUnresponsive(now);
  }

  nextDeadline(): Alarm | null {
    const oldest = this.#oldest();
    return oldest === null ? null : { atMs: oldest.sentMs + REQUEST_TIMEOUT_MS, windowMs: 0 };
  }

  /** Refs rise and the map keeps their order, so the first one waits longest. */
  #oldest(): InFlight | null {
    for (const request of this.#inFlight.values())
      if (request.sentMs !== Number.POSITIVE_INFINITY) return request;
    return null;
  }
}

/**
 * True for a channel and endpoint that can be given to an app. An endpoint that is no https URL (http on loopback) would
 * send application servers somewhere else.
 */
export function isGranted(answer: Answer): answer is Extract<Answer, { type: "waRegistered" }> {
  return answer.type === "waRegistered" && answer.status === STATUS.ok && ENDPOINT.test(answer.endpoint);
}

/** Visible ASCII only: it is printed, stored and put into headers. */
const ENDPOINT = /^(?:https:\/\/|http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])[:/])[!-~]+$/;
