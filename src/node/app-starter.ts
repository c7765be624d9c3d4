// SPDX-License-Identifier: MIT
/**
 * Starts installed apps that have something waiting: not while one it started still runs, at most every so often, and ever
 * less often when an app ends without attaching. What it started ends with the agent.
 */

import { type ChildProcess, spawn } from "node:child_process";
import type { InstalledApp } from "../apps/protocol.ts";
import {
  START_AFTER_INSTALL_MS,
  START_INTERVAL_MS_MAX,
  START_INTERVAL_MS_MIN,
  START_STOP_TIMEOUT_MS,
  START_TRIES_MAX,
} from "../limits.ts";

export interface AppStarterOptions {
  readonly find: (owner: string) => InstalledApp | null;
  /** For GODWIT_SOCKET. */
  readonly socketPath: string;
  /** A program could not be started, or ended without attaching. */
  readonly handleFault: (text: string, owner: string) => void;
}

interface Start {
  child: ChildProcess | null;
  /** Something waits for the app, and it is not attached. */
  isWanted: boolean;
  /** Since the last start. */
  hasAttached: boolean;
  intervalMs: number;
  triesLeft: number;
  notBeforeMs: number;
  timer: NodeJS.Timeout | null;
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
    start.notBeforeMs = performance.now() + START_AFTER_INSTALL_MS;
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
    if (start.child === null) return;
    const ending = stop(start.child).finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  #look(owner: string, start: Start): void {
    if (this.#isOver || !start.isWanted || start.child !== null || start.timer !== null) return;
    const waitMs = start.notBeforeMs - performance.now();
    if (waitMs > 0) {
      start.timer = setTimeout(() => {
        start.timer = null;
        this.#look(owner, start);
      }, waitMs);
      return;
    }
    const app = this.#options.find(owner);
    if (app?.start == null || start.triesLeft === 0) return;
    start.triesLeft--;
    start.hasAttached = false;
    start.notBeforeMs = performance.now() + start.intervalMs;
    this.#run(app.start, app, start);
  }

  #run([program = "", ...args]: readonly string[], app: InstalledApp, start: Start): void {
    const { owner } = app;
    let isOver = false;
    const ended = (how: string): void => {
      if (isOver) return;
      isOver = true;
      start.child = null;
      if (start.hasAttached || this.#isOver || this.#starts.get(owner) !== start) return;
      start.intervalMs = Math.min(2 * start.intervalMs, START_INTERVAL_MS_MAX);
      start.notBeforeMs = Math.max(start.notBeforeMs, performance.now() + start.intervalMs);
      this.#options.handleFault(`${owner} ${how}`, owner);
      this.#look(owner, start);
    };
    try {
      const child = spawn(program, args, {
        // The agent's stdout may be for programs (--json), its stderr is for people.
        stdio: ["ignore", "ignore", "inherit"],
        env: environmentOf(app, this.#options.socketPath),
        // In a process group of its own: Ctrl-C at the agent's terminal is for the agent, and what the app starts ends with it.
        detached: true,
      });
      start.child = child;
      child.on("error", (error: NodeJS.ErrnoException) => {
        if (child.pid === undefined) ended(`could not be started (${error.code ?? "unknown error"})`);
      });
      child.on("exit", (code, signal) => ended(`ended without attaching (${signal ?? `exit code ${code}`})`));
    } catch {
      // A text that no program can be given, such as one with a zero byte.
      ended("could not be started (ERR_INVALID_ARG_VALUE)");
    }
  }

  #disarm(start: Start): void {
    if (start.timer !== null) clearTimeout(start.timer);
    start.timer = null;
  }
}

function newStart(): Start {
  const intervalMs = START_INTERVAL_MS_MIN;
  return {
    child: null,
    isWanted: false,
    hasAttached: false,
    intervalMs,
    triesLeft: 0,
    notBeforeMs: Number.NEGATIVE_INFINITY,
    timer: null,
  };
}

/** The agent's, without the variables that configure the agent. */
function environmentOf({ owner, tokenFile }: InstalledApp, socketPath: string): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("GODWIT_"));
  return {
    ...Object.fromEntries(inherited),
    GODWIT_OWNER: owner,
    GODWIT_SOCKET: socketPath,
    ...(tokenFile === null ? {} : { GODWIT_TOKEN_FILE: tokenFile }),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  signal(child, "SIGTERM");
  const timer = setTimeout(() => signal(child, "SIGKILL"), START_STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

/** To the app and what it started. */
function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, name);
  } catch {
    // It ended just now.
  }
}
