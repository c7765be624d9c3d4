// SPDX-License-Identifier: MIT
/** "Send a test push": says how long the message took to the push service and back onto the screen. */

import type { Report } from "../agent/events.ts";
import { TEST_OWNER } from "../apps/protocol.ts";
import { spanText } from "../figures.ts";
import { TEST_PUSH_MS_MAX } from "../limits.ts";

/** Sends one; resolves with the status the push service answered. */
export type SendTestPush = () => Promise<number>;
export type Say = (text: string, isGood: boolean) => void;

/** One test that runs; times are ms since it began. */
interface Run {
  readonly beganMs: number;
  acceptedMs: number | null;
  shownMs: number | null;
}

export class TestPush {
  readonly #send: SendTestPush;
  readonly #say: Say;
  #run: Run | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(send: SendTestPush, say: Say) {
    this.#send = send;
    this.#say = say;
  }

  /** Nothing happens while one runs. */
  async start(): Promise<void> {
    if (this.#run !== null) return;
    const run: Run = { beganMs: performance.now(), acceptedMs: null, shownMs: null };
    this.#run = run;
    this.#say("On its way to the push service…", true);
    try {
      const statusCode = await this.#send();
      if (statusCode !== 201) return this.#end(run, `The push service answered ${statusCode}.`, false);
      run.acceptedMs = performance.now() - run.beganMs;
      if (run.shownMs !== null) return this.#handleBack(run, run.acceptedMs, run.shownMs);
      this.#say(`Accepted after ${spanText(run.acceptedMs)}, and not back yet…`, true);
      const lost = `Accepted by the push service, but not back after ${spanText(TEST_PUSH_MS_MAX)}.`;
      this.#timer = setTimeout(() => this.#end(run, lost, false), TEST_PUSH_MS_MAX);
    } catch (error) {
      this.#end(run, `Not sent: ${(error as Error).message}.`, false);
    }
  }

  /** It may be back before the push service has answered. */
  handleReport(report: Report): void {
    const run = this.#run;
    if (run === null || run.shownMs !== null || report.type !== "shown" || report.owner !== TEST_OWNER)
      return;
    run.shownMs = performance.now() - run.beganMs;
    if (run.acceptedMs !== null) this.#handleBack(run, run.acceptedMs, run.shownMs);
  }

  /** Whether it comes back will not be told any more. */
  handleConnectionLost(): void {
    if (this.#run !== null) this.#end(this.#run, "The connection to the agent was lost meanwhile.", false);
  }

  #handleBack(run: Run, acceptedMs: number, shownMs: number): void {
    const text = `Subscribed, sent and back in ${spanText(shownMs)}; the push service had it after ${spanText(Math.min(acceptedMs, shownMs))}.`;
    this.#end(run, text, true);
  }

  #end(run: Run, text: string, isGood: boolean): void {
    if (this.#run !== run) return;
    clearTimeout(this.#timer);
    this.#run = null;
    this.#say(text, isGood);
  }
}
