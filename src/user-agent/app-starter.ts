// SPDX-License-Identifier: MIT
/**
 * Starts installed apps that have something waiting: not while one it started still runs, at most every so often, and ever
 * less often when an app ends without attaching. What it started ends with the agent.
 */

import type { InstalledApp } from "../apps/protocol.ts";
import {
  START_AFTER_INSTALL_MS,
  START_INTERVAL_MS_MAX,
  START_INTERVAL_MS_MIN,
  START_STOP_TIMEOUT_MS,
  START_TRIES_MAX,
} from "../limits.ts";
import type { Child, ChildEnd, Platform, Processes } from "./platform.ts";

export interface AppStarterOptions {
  readonly platform: Pick<Platform, "after" | "monotonicMs">;
  readonly processes: Processes;
  readonly find: (owner: string) => InstalledApp | null;
  /** For GODWIT_SOCKET. */
  readonly socketPath: string;
  /** A program could not be started, or ended without attaching. */
  readonly handleFault: (text: string, owner: string) => void;
}

/** A program that runs. */
interface Run {
  readonly child: Child;
  readonly ended: Promise<void>;
}

interface Start {
  run: Run | null;
  /** Something waits for the app, and it is not attached. */
  isWanted: boolean;
  /** Since the last start. */
  hasAttached: boolean;
  intervalMs: number;
  triesLeft: number;
  notBeforeMs: number;
  /** Takes back the look that waits for its time; null while none does. */
  cancelLook: (() => void) | null;
}

export class AppStarter {
  readonly #options: AppStarterOptions;
  readonly #starts = new Map<string, Start>();
  /** What was told to end, and has not. */
  readonly #ending = new Set<Promise<void>>();
  #isOver = false;

  constructor(options: AppStarterOptions) {
    this.#options = options;
  }

  /** Something new waits for the app. */
  start(owner: string): void {
    const start = this.#starts.get(owner) ?? newStart();
    this.#starts.set(owner, start);
    start.isWanted = true;
    start.triesLeft = START_TRIES_MAX;
    this.#look(owner, start);
  }

  handleAttached(owner: string): void {
    const start = this.#starts.get(owner);
    if (start === undefined) return;
    start.isWanted = false;
    start.hasAttached = true;
    start.intervalMs = START_INTERVAL_MS_MIN;
    this.#disarm(start);
  }

  /** It was installed, or installed anew: what runs is ended, and what waits for the app starts it by its new command. */
  handleInstalled(owner: string): void {
    const isWanted = this.#starts.get(owner)?.isWanted ?? false;
    this.forget(owner);
    const start = newStart();
    start.notBeforeMs = this.#options.platform.monotonicMs() + START_AFTER_INSTALL_MS;
    this.#starts.set(owner, start);
    if (isWanted) this.start(owner);
  }

  /** Ends what was started for the app, and forgets it. */
  forget(owner: string): void {
    const start = this.#starts.get(owner);
    if (start === undefined) return;
    this.#starts.delete(owner);
    this.#end(start);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    for (const start of this.#starts.values()) this.#end(start);
    await Promise.all(this.#ending);
  }

  #end(start: Start): void {
    this.#disarm(start);
    if (start.run === null) return;
    const ending = this.#stop(start.run).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  /** Asks it to end; what has not after a while is ended. */
  async #stop({ child, ended }: Run): Promise<void> {
    child.signal("SIGTERM");
    const cancel = this.#options.platform.after(START_STOP_TIMEOUT_MS, () => child.signal("SIGKILL"));
    await ended;
    cancel();
  }

  #look(owner: string, start: Start): void {
    if (this.#isOver || !start.isWanted || start.run !== null || start.cancelLook !== null) return;
    const waitMs = start.notBeforeMs - this.#options.platform.monotonicMs();
    if (waitMs > 0) {
      start.cancelLook = this.#options.platform.after(waitMs, () => {
        start.cancelLook = null;
        this.#look(owner, start);
      });
      return;
    }
    const app = this.#options.find(owner);
    if (app?.start == null || start.triesLeft === 0) return;
    start.triesLeft--;
    start.hasAttached = false;
    start.notBeforeMs = this.#options.platform.monotonicMs() + start.intervalMs;
    this.#run(app.start, app, start);
  }

  #run(argv: readonly string[], app: InstalledApp, start: Start): void {
    const { processes, socketPath } = this.#options;
    let handleEnded = (): void => {};
    const ended = new Promise<void>((resolve) => {
      handleEnded = resolve;
    });
    const child = processes.start(argv, environmentOf(app, socketPath), (how) => {
      start.run = null;
      handleEnded();
      this.#handleEnd(app.owner, start, how);
    });
    start.run = { child, ended };
  }

  #handleEnd(owner: string, start: Start, how: ChildEnd): void {
    if (start.hasAttached || this.#isOver || this.#starts.get(owner) !== start) return;
    const nowMs = this.#options.platform.monotonicMs();
    start.intervalMs = Math.min(2 * start.intervalMs, START_INTERVAL_MS_MAX);
    start.notBeforeMs = Math.max(start.notBeforeMs, nowMs + start.intervalMs);
    this.#options.handleFault(`${owner} ${describe(how)}`, owner);
    this.#look(owner, start);
  }

  #disarm(start: Start): void {
    start.cancelLook?.();
    start.cancelLook = null;
  }
}

function newStart(): Start {
  const intervalMs = START_INTERVAL_MS_MIN;
  return {
    run: null,
    isWanted: false,
    hasAttached: false,
    intervalMs,
    triesLeft: 0,
    notBeforeMs: Number.NEGATIVE_INFINITY,
    cancelLook: null,
  };
}

function describe(how: ChildEnd): string {
  switch (how.type) {
    case "notStarted":
      return `could not be started (${how.code})`;
    case "exit":
      return `ended without attaching (exit code ${how.code})`;
    case "signal":
      return `ended without attaching (${how.name})`;
  }
}

function environmentOf({ owner, tokenFile }: InstalledApp, socketPath: string): Record<string, string> {
  return {
    GODWIT_OWNER: owner,
    GODWIT_SOCKET: socketPath,
    ...(tokenFile === null ? {} : { GODWIT_TOKEN_FILE: tokenFile }),
  };
}
