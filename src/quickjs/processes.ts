// SPDX-License-Identifier: MIT
/** Programs started by the agent, over the natives of godwitd. */

import type { Child, ChildEnd, Helpers, Platform, Processes } from "../user-agent/platform.ts";
import type { DaemonBridge, DaemonEvents } from "./daemon-bridge.d.ts";

interface Running {
  readonly ended: (how: ChildEnd) => void;
  readonly line: (text: string) => void;
}

export class DaemonProcesses implements Processes, Pick<DaemonEvents, "processEnded" | "processLine"> {
  readonly #daemon: DaemonBridge;
  readonly #platform: Pick<Platform, "after">;
  readonly #running = new Map<number, Running>();
  #lastId = 0;

  constructor(daemon: DaemonBridge, platform: Pick<Platform, "after">) {
    this.#daemon = daemon;
    this.#platform = platform;
  }

  start(
    argv: readonly string[],
    environment: Readonly<Record<string, string>>,
    ended: (how: ChildEnd) => void,
  ): Child {
    return this.#start(argv, Object.entries(environment).flat(), null, { ended, line: () => {} });
  }

  /** Programs that get one text and may say something. */
  readonly helpers: Helpers = {
    start: (argv, input, handlers) => this.#start(argv, [], input, handlers),
  };

  #start(
    argv: readonly string[],
    environment: readonly string[],
    input: string | null,
    running: Running,
  ): Child {
    const id = ++this.#lastId;
    this.#running.set(id, running);
    try {
      this.#daemon.startProcess(id, argv, environment, input);
    } catch (error) {
      // Without a code it is a text that no program can be given, such as one with a zero byte.
      const { code = "ERR_INVALID_ARG_VALUE" } = error as { readonly code?: string };
      this.#platform.after(0, () => this.#end(id, { type: "notStarted", code }));
    }
    return { signal: (name) => this.#daemon.signalProcess(id, name) };
  }

  processEnded(id: number, exitCode: number | null, signalName: string | null): void {
    this.#end(
      id,
      exitCode === null
        ? { type: "signal", name: signalName ?? "a signal" }
        : { type: "exit", code: exitCode },
    );
  }

  processLine(id: number, text: string): void {
    this.#running.get(id)?.line(text);
  }

  #end(id: number, how: ChildEnd): void {
    const running = this.#running.get(id);
    this.#running.delete(id);
    running?.ended(how);
  }
}
