// SPDX-License-Identifier: MIT
/** One measured program as its measurer holds it: a process started, asked, stopped. */

import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { memoryOf } from "../footprint/memory.ts";
import { freePort, PATH_MORE } from "../footprint/mosquitto.ts";
import { type ChildRole, DELIVERY_CHILD, type FromChild, type Usage } from "./child.ts";
import type { Target } from "./raw-http.ts";

export class Program {
  readonly target: Target;
  /** The broker of a service that has one. */
  readonly mqtt: Target;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, target: Target, mqttPort = 0) {
    this.#child = child;
    this.target = target;
    this.mqtt = { ...target, port: mqttPort };
  }

  /** `caFile` of the authority that signed its certificate, when the role has one. */
  static async start(role: ChildRole, caFile: string | null): Promise<Program> {
    const child = fork(process.argv[1] ?? "", [DELIVERY_CHILD], { execArgv: ["--expose-gc"] });
    child.send(role);
    const answer = await answerOf(child);
    if (!("port" in answer)) throw new Error("the measured program did not start");
    const ca = role.tls === null || caFile === null ? null : readFileSync(caFile, "utf8");
    return new Program(child, { port: answer.port, ca }, answer.mqttPort);
  }

  /** Mosquitto on a free port, which writes its sessions to `directory`. */
  static async startMosquitto(directory: string): Promise<Program> {
    const port = await freePort();
    const config = join(directory, "mosquitto.conf");
    const lines = [
      `listener ${port} 127.0.0.1`,
      "allow_anonymous true",
      "persistence true",
      `persistence_location ${directory}/`,
      "max_queued_messages 0",
      "max_inflight_messages 64",
      ...(process.getuid?.() === 0 ? ["user root"] : []),
    ];
    writeFileSync(config, `${lines.join("\n")}\n`);
    const child = spawn("sh", ["-c", `${PATH_MORE} exec mosquitto -c ${config}`], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    await new Promise<void>((resolve, reject) => {
      let said = "";
      child.stderr.on("data", (chunk) => {
        said += chunk;
        if (/mosquitto version .* running/.test(said)) resolve();
      });
      child.once("exit", () => reject(new Error(`mosquitto ended: ${said}`)));
    });
    return new Program(child, { port, ca: null });
  }

  async usage(): Promise<Usage> {
    if (this.#child.channel === undefined || this.#child.channel === null)
      return usageOf(this.#child.pid ?? 0);
    this.#child.send("usage");
    const answer = await answerOf(this.#child);
    if (!("usage" in answer)) throw new Error("the measured program did not say what it uses");
    return answer.usage;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
  }
}

async function answerOf(child: ChildProcess): Promise<FromChild> {
  const ended = new AbortController();
  const exited = once(child, "exit", { signal: ended.signal }).then(([code, signal]) => {
    throw new Error(`the measured program ended with ${code ?? signal}`);
  });
  const answered = once(child, "message", { signal: ended.signal }).then(([message]) => message as FromChild);
  exited.catch(() => {});
  answered.catch(() => {});
  try {
    return await Promise.race([answered, exited]);
  } finally {
    ended.abort();
  }
}

/** Of a program that cannot be asked (proc(5)); a tick is a hundredth of a second. */
function usageOf(pid: number): Usage {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
  return { cpuUs: (Number(fields[11]) + Number(fields[12])) * 10_000, rssBytes: memoryOf(pid).rss };
}
