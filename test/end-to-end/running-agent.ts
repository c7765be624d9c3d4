// SPDX-License-Identifier: MIT
/** `godwit agent` with its app socket, for tests of whoever connects to it: started, killed, started again. No tests here. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SocketClient } from "./socket-client.ts";
import type { Program, ServiceProcess, Stage } from "./stage.ts";

export interface RunningAgentOptions {
  /** Without its CA: in clear. */
  readonly service: Pick<ServiceProcess, "origin"> & Partial<Pick<ServiceProcess, "caFile">>;
  /** Another program that takes the arguments of `godwit agent`. */
  readonly command?: readonly string[];
  /** Content of the policy file. */
  readonly policy: object;
  /** Open a port of loopback too. Default false. */
  readonly hasPort?: boolean;
  /** Its state directory; default: a new one. */
  readonly state?: string;
  /** More arguments. */
  readonly args?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
}

export class RunningAgent {
  readonly state: string;
  readonly #stage: Stage;
  readonly #command: readonly string[] | null;
  readonly #args: readonly string[];
  readonly #environment: NodeJS.ProcessEnv;
  #program: Program | null = null;
  #port: number | null;

  constructor(stage: Stage, options: RunningAgentOptions) {
    const { service, policy, hasPort = false, state = stage.newDirectory(), args = [] } = options;
    this.#stage = stage;
    this.#command = options.command ?? null;
    this.state = state;
    const policyFile = stage.file("policy.json", policy);
    const { origin, caFile } = service;
    const ca = caFile === undefined ? [] : ["--ca", caFile];
    this.#args = ["--service", origin, ...ca, "--state", state, "--policy", policyFile, ...args];
    this.#environment = options.environment ?? {};
    this.#port = hasPort ? 0 : null;
  }

  static async start(stage: Stage, options: RunningAgentOptions): Promise<RunningAgent> {
    const agent = new RunningAgent(stage, options);
    await agent.start();
    return agent;
  }

  get socketPath(): string {
    return join(this.state, "app.sock");
  }

  get program(): Program {
    if (this.#program === null) throw new Error("the agent does not run");
    return this.#program;
  }

  /** Starts it, after the first time on the same state and port. */
  async start(): Promise<void> {
    const port = this.#port === null ? [] : ["--app-port", String(this.#port)];
    const args = [...this.#args, ...port];
    this.#program =
      this.#command === null
        ? this.#stage.userAgent(args, this.#environment, 0.1)
        : this.#stage.start(this.#command[0] ?? "", [...this.#command, ...args], {
            stdio: ["ignore", "pipe", "pipe"],
            env: this.#stage.environment(this.#environment),
          });
    const ready = await this.#program.stderr.match(/^agent ready/);
    if (this.#port !== null) this.#port = Number(/127\.0\.0\.1:(\d+)$/.exec(ready)?.[1]);
  }

  /** A peer that has proved that it is the administrator. */
  enterAdmin(): Promise<SocketClient> {
    return this.#enter("admin");
  }

  enterShell(): Promise<SocketClient> {
    return this.#enter("shell");
  }

  async #enter(role: "admin" | "shell"): Promise<SocketClient> {
    const token = readFileSync(join(this.state, `${role}.token`), "utf8").trim();
    const client = await SocketClient.enter({ at: this.socketPath }, { role, token });
    this.#stage.defer(() => client.webSocket.terminate());
    return client;
  }
}
