// SPDX-License-Identifier: MIT
// A real push service process under attack, and a device beside the attacker that keeps receiving. The attacker and everybody else
// have loopback addresses of their own, since limits count by address. No tests here.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { WebSocket } from "ws";
import { AutopushDevice } from "./autopush-device.ts";
import { TestDevice } from "./bench.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
/** Linux has all of 127.0.0.0/8 without asking. */
export const HAS_ADDRESSES = process.platform === "linux";
export const ATTACKER = "127.0.0.66";
const NEIGHBOUR = "127.0.0.2";
/** Slower than any message limit, so that the device beside the attack meets none of its own. */
const BESIDE_INTERVAL_MS = 150;

export interface Answer {
  readonly status: number;
  readonly errno: number | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly json: Record<string, unknown>;
}

export interface Figures {
  /** How long messages to the device beside the attack took, POST to frame. */
  readonly messages: number;
  readonly medianMs: number;
  readonly worstMs: number;
  /** Resident memory of the service, and by how much an attack raised it. */
  readonly rssMiB: number;
  readonly grownMiB: number;
}

/** Nothing an attack leaves behind comes near this, on a machine that has other things to do as well. */
const GROWN_MIB_MAX = 64;
const WORST_MS_MAX = 10_000;

export function expectUnharmed({ grownMiB, worstMs, messages }: Figures): void {
  expect(messages).toBeGreaterThan(0);
  expect(grownMiB).toBeLessThan(GROWN_MIB_MAX);
  expect(worstMs).toBeLessThan(WORST_MS_MAX);
}

export class AbusedService {
  readonly port: number;
  readonly #adminPort: number;
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #agents = new Map<string, Agent>();
  readonly #dialed = new Set<Socket>();
  readonly #webSockets = new Set<WebSocket>();

  private constructor(child: ChildProcess, directory: string, ready: { port: number; adminPort: number }) {
    this.#child = child;
    this.#directory = directory;
    this.port = ready.port;
    this.#adminPort = ready.adminPort;
  }

  static async start(...args: readonly string[]): Promise<AbusedService> {
    const directory = mkdtempSync(join(tmpdir(), "godwit-abused-"));
    const fixed = [
      "--no-tls",
      "--port",
      "0",
      "--host",
      "127.0.0.1",
      "--admin-listen",
      "127.0.0.1:0",
      "--json",
      "--quiet",
    ];
    const child = spawn(process.execPath, [CLI, "push-service", "--state", directory, ...fixed, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const service = new AbusedService(child, directory, JSON.parse(line.toString()) as never);
    await service.#warmUp();
    return service;
  }

  async stop(): Promise<void> {
    this.hangUp();
    for (const webSocket of this.#webSockets) webSocket.terminate();
    for (const agent of this.#agents.values()) agent.destroy();
    const gone = once(this.#child, "exit");
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGTERM");
      await gone;
    }
    rmSync(this.#directory, { recursive: true });
  }

  /** A TCP connection from `localAddress`, errors ignored. */
  dial(localAddress = ATTACKER): Socket {
    const socket = connect({ port: this.port, host: "127.0.0.1", localAddress });
    socket.on("error", () => {});
    this.#dialed.add(socket);
    return socket;
  }

  /** One request, over connections that `localAddress` keeps. */
  ask(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body: Uint8Array | null = null,
    localAddress = ATTACKER,
  ): Promise<Answer> {
    const agent = this.#agents.get(localAddress) ?? new Agent({ keepAlive: true, maxSockets: 16 });
    this.#agents.set(localAddress, agent);
    return new Promise((resolve, reject) => {
      const options = { port: this.port, host: "127.0.0.1", localAddress, agent, method, path, headers };
      const outgoing = request(options, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const json = text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : {};
          const errno = json.errno as number | undefined;
          resolve({ status: response.statusCode ?? 0, errno, headers: response.headers, json });
        });
      });
      outgoing.on("error", reject);
      outgoing.end(body ?? undefined);
    });
  }

  post(
    endpoint: string,
    localAddress = ATTACKER,
    headers: Record<string, string> = {},
    bodyBytes = 200,
  ): Promise<Answer> {
    const { pathname } = new URL(endpoint);
    const all = { TTL: "600", "Content-Encoding": "aes128gcm", ...headers };
    return this.ask("POST", pathname, all, new Uint8Array(bodyBytes), localAddress);
  }

  upgrade(uaToken: string, localAddress = ATTACKER, path = "/v1/ws"): WebSocket {
    const headers = { Authorization: `Bearer ${uaToken}` };
    const url = `ws://127.0.0.1:${this.port}${path}`;
    const webSocket = new WebSocket(url, ["godwit.v1"], { headers, localAddress });
    webSocket.on("error", () => {});
    this.#webSockets.add(webSocket);
    return webSocket;
  }

  /** A device of dialect autopush whose WebSocket is open and that has not said hello. */
  async autopush(localAddress = ATTACKER): Promise<AutopushDevice> {
    const webSocket = new WebSocket(`ws://127.0.0.1:${this.port}/`, ["push-notification"], { localAddress });
    this.#webSockets.add(webSocket);
    const device = new AutopushDevice(webSocket);
    await once(webSocket, "open");
    return device;
  }

  /** A new device with one subscription. */
  async subscribed(localAddress = ATTACKER, applicationServerKey: Uint8Array | null = null) {
    const { json } = await this.ask("POST", "/v1/token", {}, null, localAddress);
    const uaToken = String(json.uaToken);
    const device = new TestDevice(this.upgrade(uaToken, localAddress));
    await device.next("registered");
    device.send({ type: "registerWa", ref: 1, registrationId: new Uint8Array(16), applicationServerKey });
    const { endpoint, channel } = await device.next("waRegistered");
    return { uaToken, device, endpoint, channel };
  }

  /** Runs `attack` while a device beside it receives, and tells what both of them noticed. */
  async besides(name: string, attack: () => Promise<void>): Promise<Figures> {
    const before = await this.#rssMiB();
    const beside = await BesideDevice.start(this);
    try {
      await attack();
    } finally {
      await beside.stop();
    }
    const rssMiB = await this.#rssMiB();
    const sorted = beside.latenciesMs.toSorted((a, b) => a - b);
    const [medianMs = 0, worstMs = 0] = [sorted[sorted.length >> 1], sorted.at(-1)].map((ms) =>
      Math.round(ms ?? 0),
    );
    const figures = { messages: sorted.length, medianMs, worstMs, rssMiB, grownMiB: rssMiB - before };
    console.info(`${name}: ${JSON.stringify(figures)}`);
    return figures;
  }

  /** One of the service's metrics, which has no labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.#adminPort}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
  }

  /** Ends every connection that was dialed. */
  hangUp(): void {
    for (const socket of this.#dialed) socket.destroy();
    this.#dialed.clear();
  }

  async #rssMiB(): Promise<number> {
    return Math.round((await this.metric("process_resident_memory_bytes")) / 1024 / 1024);
  }

  /** What is only ever taken once is taken before anything is measured. */
  async #warmUp(): Promise<void> {
    const { endpoint, device } = await this.subscribed("127.0.0.3");
    for (let i = 0; i < 100; i++) {
      await this.post(endpoint, "127.0.0.3");
      const { id } = await device.next("notification");
      device.send({ type: "ack", ranges: [[id, id]], code: "ok" });
    }
    await device.close();
  }
}

/** Posts to itself, and waits for each message. */
class BesideDevice {
  readonly latenciesMs: number[] = [];
  #isStopping = false;
  #running: Promise<void> = Promise.resolve();

  static async start(service: AbusedService): Promise<BesideDevice> {
    const beside = new BesideDevice();
    const { device, endpoint } = await service.subscribed(NEIGHBOUR);
    beside.#running = beside.#run(service, device, endpoint);
    return beside;
  }

  /** Rejects when a message was refused or the link was lost. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async #run(service: AbusedService, device: TestDevice, endpoint: string): Promise<void> {
    let lost: (error: Error) => void = () => {};
    const closed = new Promise<never>((_, reject) => {
      lost = reject;
    });
    device.webSocket.on("close", (code: number) =>
      lost(new Error(`the device beside lost its link: ${code}`)),
    );
    closed.catch(() => {});
    do {
      const startMs = performance.now();
      const posted = service.post(endpoint, NEIGHBOUR);
      const { id } = await Promise.race([device.next("notification"), closed]);
      this.latenciesMs.push(performance.now() - startMs);
      const { status } = await posted;
      if (status !== 201) throw new Error(`the sender beside got ${status}`);
      device.send({ type: "ack", ranges: [[id, id]], code: "ok" });
      await new Promise((resolve) => setTimeout(resolve, BESIDE_INTERVAL_MS));
    } while (!this.#isStopping);
    device.webSocket.removeAllListeners("close");
    await device.close();
  }
}
