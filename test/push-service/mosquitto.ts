// SPDX-License-Identifier: MIT
// A Mosquitto of our own for tests: its own configuration and dynamic-security file in a temporary folder, a free port
// on loopback. No tests here.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killed } from "../killed.ts";

const ADMIN = "godwit-push-service";
const PASSWORD = "only-for-this-test";
/** Debian puts it outside the PATH of ordinary users. */
const MOSQUITTO = [process.env.PATH ?? "", "/usr/sbin", "/usr/local/sbin"].join(":");
const PLUGINS = [
  "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so",
  "/usr/lib/aarch64-linux-gnu/mosquitto_dynamic_security.so",
  "/usr/lib/mosquitto_dynamic_security.so",
];

export const isMosquittoInstalled =
  spawnSync("mosquitto", ["-h"], { env: { PATH: MOSQUITTO } }).error === undefined;

export class Mosquitto {
  readonly port: number;
  readonly #directory: string;
  #process: ChildProcess | null = null;

  private constructor(port: number, directory: string) {
    this.port = port;
    this.#directory = directory;
  }

  /** @param takesRetained false for the line SPEC.md recommends */
  static async start(takesRetained = false): Promise<Mosquitto> {
    for (let tries = 1; ; tries++) {
      try {
        return await Mosquitto.#startOnce(takesRetained);
      } catch (error) {
        // Somebody else was given the same free port meanwhile.
        if (tries === 3 || !String(error).includes("Address already in use")) throw error;
      }
    }
  }

  static async #startOnce(takesRetained: boolean): Promise<Mosquitto> {
    const directory = mkdtempSync(join(tmpdir(), "godwit-mosquitto-"));
    try {
      const mosquitto = new Mosquitto(await freePort(), directory);
      mosquitto.#configure(takesRetained);
      await mosquitto.run();
      return mosquitto;
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  #configure(takesRetained: boolean): void {
    const security = join(this.#directory, "dynamic-security.json");
    const init = ["dynsec", "init", security, ADMIN, PASSWORD];
    const { status, stderr } = spawnSync("mosquitto_ctrl", init, {
      env: { PATH: MOSQUITTO },
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`mosquitto_ctrl: ${stderr}`);
    const plugin = PLUGINS.find((path) => spawnSync("test", ["-f", path]).status === 0) ?? PLUGINS[0];
    const lines = [
      `listener ${this.port} 127.0.0.1`,
      "per_listener_settings false",
      "allow_anonymous false",
      `plugin ${plugin}`,
      `plugin_opt_config_file ${security}`,
      "max_packet_size 16640",
      ...(takesRetained ? [] : ["retain_available false"]),
      "persistent_client_expiration 1h",
      ...(process.getuid?.() === 0 ? ["user root"] : []),
    ];
    writeFileSync(join(this.#directory, "mosquitto.conf"), lines.join("\n"));
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  get options() {
    return { broker: { url: this.url, username: ADMIN, password: PASSWORD } };
  }

  /** Resolves once it listens. */
  async run(): Promise<void> {
    const config = join(this.#directory, "mosquitto.conf");
    const child = spawn("mosquitto", ["-c", config, "-v"], { env: { PATH: MOSQUITTO } });
    this.#process = child;
    let log = "";
    await new Promise<void>((resolve, reject) => {
      child.once("exit", () => reject(new Error(`mosquitto: ${log}`)));
      child.stderr.on("data", (chunk) => {
        log = `${log}${String(chunk)}`.slice(-4_000);
        if (log.includes(" running")) resolve();
      });
    });
    child.removeAllListeners("exit");
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child !== null) await killed(child);
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
