// SPDX-License-Identifier: MIT
// Preloaded with --import: time that can be skipped. The monotonic clock runs at its own pace, and further ahead with each
// "skip", which calls the timers that became due. So minutes in which nothing happens take no time, while an answer that is
// on its way has as long as it ever had: a slow machine cannot turn it into a verdict. The wall clock stays what it is, as
// the push service has the same. The rest of the process, built and unchanged, notices nothing.

import { syncBuiltinESMExports } from "node:module";
import os from "node:os";

const startTimer = globalThis.setTimeout;
const stopTimer = globalThis.clearTimeout;
const systemUptime = os.uptime;
let skippedMs = 0;
/** @type {Set<SkippableTimer>} */
const timers = new Set();

os.uptime = () => systemUptime() + skippedMs / 1000;
syncBuiltinESMExports();

const nowMs = () => performance.now() + skippedMs;

class SkippableTimer {
  #timer = null;
  #isRef = true;

  constructor(call, delayMs) {
    this.call = call;
    this.delayMs = delayMs;
    this.refresh();
  }

  /** Waits for what is left of the time. */
  arm() {
    stopTimer(this.#timer);
    this.#timer = startTimer(() => this.fire(), Math.max(1, this.dueMs - nowMs()));
    if (!this.#isRef) this.#timer.unref();
  }

  fire() {
    this.stop();
    this.call();
  }

  stop() {
    stopTimer(this.#timer);
    timers.delete(this);
  }

  // What Node's own timers have.

  refresh() {
    this.dueMs = nowMs() + this.delayMs;
    timers.add(this);
    this.arm();
    return this;
  }

  ref() {
    this.#isRef = true;
    this.#timer.ref();
    return this;
  }

  unref() {
    this.#isRef = false;
    this.#timer.unref();
    return this;
  }

  hasRef() {
    return this.#isRef;
  }
}

globalThis.setTimeout = (call, delayMs = 1, ...values) =>
  new SkippableTimer(() => call(...values), Math.max(1, Number(delayMs) || 1));
globalThis.clearTimeout = (timer) => (timer instanceof SkippableTimer ? timer.stop() : stopTimer(timer));

/** Requests that `agent.mjs` takes besides its own. */
globalThis.moreRequests = {
  /** ms until the next timer, or null. */
  nextTimer: () => {
    const dueMs = Math.min(...[...timers].map((timer) => timer.dueMs));
    return Number.isFinite(dueMs) ? Math.max(0, Math.ceil(dueMs - nowMs())) : null;
  },
  /** What the system has already received for this process is read first: it came before the time that is skipped. */
  skip: async ({ ms }) => {
    for (let turn = 0; turn < 3; turn++) await new Promise((next) => setImmediate(next));
    skippedMs += ms;
    const inOrder = [...timers].sort((one, other) => one.dueMs - other.dueMs);
    for (const timer of inOrder) {
      // An earlier one may have stopped it, or set it anew.
      if (!timers.has(timer)) continue;
      if (timer.dueMs <= nowMs()) timer.fire();
      else timer.arm();
    }
  },
};
