// SPDX-License-Identifier: MIT
// Goal: an agent that has nothing to do does nothing: no system call for 60 s between two heartbeats, in any thread, nor in the
// monitor of the network it started; and heartbeats and reconnects write nothing to the journal.
// Method: real processes, connected over TLS. The kernel counts how often each thread was put to sleep or interrupted, and who
// makes a system call runs, so unchanged counts mean that there was none; where strace is, it writes them down as well.
// The claim is about time on the wall, so this test waits for it and looks once a second: the one exception from the rule that
// tests do not sleep. Its cases run beside each other and beside other files.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { expect, test } from "vitest";
import { Namespace, namespaceProblem } from "../network-namespace.ts";
import { type Message, SocketClient } from "./socket-client.ts";
import { AGENT, type Program, type ServiceOptions, type ServiceProcess, Stage } from "./stage.ts";

const NEWS = "https://news.example";
const SPAN_MS = 60_000;
/**
 * By then such a span has to be over. V8 collects garbage some seconds after a burst of work, and Node's one timer goes off
 * once more for each that was cleared meanwhile; the longest of those is the 20 s for opening a link.
 */
const PATIENCE_MS = 150_000;
/** A service that died may be tried again anywhere in its spread; only `godwit agent` is told a random number. */
const RECONNECT_MS_MAX = 70_000;
const TEST_MS_MAX = 300_000;

const problem = namespaceProblem();
if (problem !== null) console.warn(`idle.test.ts leaves the monitor of the network out: ${problem}`);

const testWithNetwork = problem === null ? test.concurrent : test.concurrent.skip;

const hasStrace = (() => {
  try {
    execFileSync("strace", ["-V"], { stdio: "ignore" });
    return true;
  } catch {
    console.warn("idle.test.ts counts by context switches only: there is no strace");
    return false;
  }
})();

/** Where the agent and its service run, and how they are started. */
interface Place {
  readonly service?: ServiceOptions;
  readonly agentPrefix?: readonly string[];
  readonly agentArgs?: readonly string[];
}

class Device {
  readonly stage: Stage;
  readonly #place: Place;
  readonly #stateDirectory: string;
  service: ServiceProcess;
  readonly agent: Program;

  private constructor(stage: Stage, place: Place, service: ServiceProcess, stateDirectory: string) {
    this.stage = stage;
    this.#place = place;
    this.#stateDirectory = stateDirectory;
    this.service = service;
    const { agentPrefix, agentArgs = [] } = place;
    const options = ["--service", service.origin, "--ca", service.caFile, "--state", stateDirectory];
    const args = [...options, "--permission", "granted", ...agentArgs];
    this.agent = stage.userAgent(args, {}, 0.1, agentPrefix);
  }

  /** One subscription, and connected. */
  static async connected(stage: Stage, place: Place = {}): Promise<Device> {
    const service = await stage.service(place.service);
    const device = new Device(stage, place, service, stage.newDirectory());
    await device.agent.stderr.match(/^agent ready/);
    const subscribed = await stage.run(["subscribe", NEWS, "--state", device.#stateDirectory]);
    expect(subscribed.code, subscribed.stderr).toBe(0);
    await device.agent.stderr.match(/^subscribed/);
    return device;
  }

  /** An app that takes messages, a shell, and an administrator who watches, all at the app socket and all silent. */
  async company(): Promise<void> {
    const tokenOf = (name: string) => readFileSync(join(this.#stateDirectory, name), "utf8").trim();
    const enter = async (hello: Message) => {
      const client = await SocketClient.enter({ at: join(this.#stateDirectory, "app.sock") }, hello);
      this.stage.defer(() => client.webSocket.terminate());
      return client;
    };
    await enter({ role: "shell", token: tokenOf("shell.token") });
    const admin = await enter({ role: "admin", token: tokenOf("admin.token") });
    // An app that can be started is known to take messages; that it attaches is then nothing to write down.
    const start = [process.execPath, "-e", ""];
    const { token } = await admin.ask("installApp", { owner: "an-app", start, tokenFile: null });
    const app = await enter({ role: "app", owner: "an-app", token });
    await app.ask("attach", { handlesPush: true });
    await admin.ask("watch");
  }

  /** The service dies and comes back; resolves once the agent is registered again. */
  async reconnect(): Promise<void> {
    await this.service.end("SIGKILL");
    this.service = await this.service.again(this.#place.service);
    const isIt = (line: string): boolean => line.startsWith("registered ");
    await this.agent.stderr.until(
      "it is registered again",
      (lines) => (lines.filter(isIt).length >= 2 ? true : null),
      RECONNECT_MS_MAX,
    );
  }

  /** Every byte of the journal, and when each file was written to. */
  journal(): unknown[] {
    const names = readdirSync(this.#stateDirectory).filter((name) => name.startsWith("journal"));
    expect(names).not.toEqual([]);
    return names.sort().map((name) => {
      const path = join(this.#stateDirectory, name);
      const { ino, mtimeNs, size } = statSync(path, { bigint: true });
      expect(size).toBeGreaterThan(0n);
      return { name, ino, mtimeNs, bytes: readFileSync(path, "hex") };
    });
  }

  /** Pings so far, by the agent's own meter. */
  async pings(): Promise<number> {
    const { stdout } = await this.stage.run(["status", "--json", "--state", this.#stateDirectory]);
    const { wakeUps, piggybacked } = JSON.parse(stdout).meter;
    return wakeUps.ping + (piggybacked?.ping ?? 0);
  }

  /** The agent's process and its children. */
  pids(): number[] {
    const { pid } = this.agent.child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
    return [pid ?? 0, ...children.map(Number)];
  }

  /** Resolves once nothing ran for {@link SPAN_MS}; rejects when that does not happen. */
  async idle(): Promise<void> {
    const pids = this.pids();
    const traceFile = await this.#trace(pids);
    const readTrace = (): string => (traceFile === null ? "" : readFileSync(traceFile, "utf8"));
    const look = (): string => `${this.pids()}\n${switches(pids)}\n${readTrace().length}`;
    const endMs = performance.now() + PATIENCE_MS;
    let [last, sinceMs] = [look(), performance.now()];
    while (performance.now() - sinceMs < SPAN_MS) {
      await wait(1_000);
      const present = look();
      if (present === last) continue;
      [last, sinceMs] = [present, performance.now()];
      if (sinceMs + SPAN_MS > endMs) {
        const tail = readTrace().split("\n").slice(-30).join("\n");
        throw new Error(`never idle for ${SPAN_MS} ms; switches: ${present}\nlast calls:\n${tail}`);
      }
    }
  }

  async #trace(pids: readonly number[]): Promise<string | null> {
    if (!hasStrace) return null;
    const file = join(this.stage.newDirectory(), "calls");
    const command = ["strace", "-f", "-tt", "-o", file, ...pids.flatMap((pid) => ["-p", String(pid)])];
    const program = this.stage.start("strace", command, { stdio: ["ignore", "pipe", "pipe"] });
    for (const pid of pids) await program.stderr.match(new RegExp(`Process ${pid} attached`));
    return file;
  }
}

/** How often the kernel took each thread off a processor, by its own will and against it. */
function switches(pids: readonly number[]): string {
  return pids
    .flatMap((pid) =>
      readdirSync(`/proc/${pid}/task`).map((thread) => {
        const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
        const counts = [...status.matchAll(/ctxt_switches:\s*(\d+)/g)].map(([, count]) => count);
        expect(counts).toHaveLength(2);
        return `${thread}: ${counts.join(" ")}`;
      }),
    )
    .join("\n");
}

async function onStage(run: (stage: Stage) => Promise<void>): Promise<void> {
  const stage = new Stage();
  try {
    await run(stage);
  } finally {
    await stage.close();
  }
}

test.concurrent(
  "an agent on loopback, with peers at its app socket, is idle for a minute after a reconnect, and wrote nothing",
  { timeout: TEST_MS_MAX },
  () =>
    onStage(async (stage) => {
      const device = await Device.connected(stage, { agentArgs: ["--app-port", "0"] });
      await device.company();
      const before = device.journal();
      await device.reconnect();
      await device.idle();
      expect(device.pids()).toHaveLength(1);
      expect(device.journal()).toEqual(before);
    }),
);

testWithNetwork("so is one that follows a real network, and its monitor", { timeout: TEST_MS_MAX }, () =>
  onStage(async (stage) => {
    const [home, router] = [new Namespace(), new Namespace()];
    stage.defer(() => home.close());
    stage.defer(() => router.close());
    home.connect("eth0", router, "lan0");
    router.ip("address add 192.0.2.1/24 dev lan0");
    router.ip("link set lan0 up");
    home.ip("address add 192.0.2.5/24 dev eth0");
    home.ip("link set eth0 up");
    home.ip("route add default via 192.0.2.1");
    const args = ["--host", "192.0.2.1", "--origin", "https://192.0.2.1:8443"];
    const service = { port: 8443, args, prefix: router.prefix };
    const device = await Device.connected(stage, { service, agentPrefix: home.prefix });
    const before = device.journal();
    await device.reconnect();
    await device.idle();
    // On Node one `ip monitor` listens.
    expect(device.pids()).toHaveLength(AGENT === "node" ? 2 : 1);
    expect(device.journal()).toEqual(before);
    expect(device.agent.stderr.all.filter((line) => line.includes("ERR_"))).toEqual([]);
  }),
);

test.concurrent("heartbeats write nothing", { timeout: TEST_MS_MAX }, () =>
  onStage(async (stage) => {
    const device = await Device.connected(stage, { agentArgs: ["--heartbeat", "15"] });
    const before = device.journal();
    // Long enough for three heartbeats, and for a note to be written down that waits for company, if there were one.
    await wait(SPAN_MS + 5_000);
    expect(await device.pings()).toBeGreaterThanOrEqual(3);
    expect(device.journal()).toEqual(before);
  }),
);
