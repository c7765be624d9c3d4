// SPDX-License-Identifier: MIT
// One `godwit push-service` process of several over one Redis Cluster. It keeps its keys, not its port, when it is started again. No
// tests here.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { killed } from "../killed.ts";
import type { Backend } from "./balancer.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
/** Everybody comes from one address: limits by address are not what is looked at here. */
const UNLIMITED = ["connections-per-address", "connection-rate", "upgrade-rate", "token-rate"];

export class ServiceNode implements Backend {
  readonly #args: readonly string[];
  #process: ChildProcess | null = null;
  #port = 0;

  /** @param stateDirectory where the keys are, the same for all nodes */
  constructor(stateDirectory: string, redisNodes: readonly string[]) {
    this.#args = [
      ...["push-service", "--no-tls", "--host", "127.0.0.1", "--port", "0", "--json", "--quiet"],
      ...["--state", stateDirectory, "--origin", "https://push.example"],
      ...["--store", `redis://${redisNodes.join(",")}`],
      ...UNLIMITED.flatMap((name) => [`--${name}`, "1000000"]),
    ];
  }

  get port(): number {
    return this.#port;
  }

  /** Resolves once it takes connections. */
  async run(): Promise<void> {
    const child = spawn(process.execPath, [CLI, ...this.#args], { stdio: ["ignore", "pipe", "inherit"] });
    this.#process = child;
    const exited = once(child, "exit").then(([code]) => {
      throw new Error(`godwit push-service ended with ${code}`);
    });
    exited.catch(() => {});
    const [line] = (await Promise.race([once(child.stdout, "data"), exited])) as [Buffer];
    this.#port = JSON.parse(line.toString()).port;
  }

  /** True unless it ended without being asked to. */
  get isWell(): boolean {
    const child = this.#process;
    return child === null || (child.exitCode === null && child.signalCode === null);
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(signal);
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    this.#port = 0;
    if (child !== null) await killed(child);
  }
}
