// SPDX-License-Identifier: MIT
/**
 * What footprints are measured among: a push service of this process, agents as programs of their own, and who sends to
 * them. Everything on loopback, in one temporary directory.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { APP_PATH, APP_SUBPROTOCOL } from "../../src/apps/protocol.ts";
import {
  createPushService,
  loadDevCertificate,
  MemoryStore,
  newKeyring,
  type PushService,
} from "../../src/push-service/index.ts";
import { base64urlDecode } from "../../src/webpush/base64url.ts";

/** The sender is no stranger whose pace has to be held. */
const UNLIMITED = { burstMax: 1_000_000, perMinute: 1_000_000 };
/** Requests under way at once. */
const SENDERS = 8;
const WAIT_MS_MAX = 60_000;

export interface Subscription {
  readonly endpoint: string;
  readonly publicKey: Uint8Array;
  readonly authSecret: Uint8Array;
}

export class FootprintStage {
  readonly directory: string;
  readonly service: PushService;
  readonly tlsDirectory: string;
  readonly #agent: Agent;
  readonly #children = new Set<ChildProcess>();
  #lastDirectory = 0;

  private constructor(directory: string, tlsDirectory: string, service: PushService) {
    this.directory = directory;
    this.tlsDirectory = tlsDirectory;
    this.service = service;
    const ca = readFileSync(this.caFile);
    this.#agent = new Agent({ ca, keepAlive: true, maxSockets: SENDERS });
  }

  static async open(): Promise<FootprintStage> {
    const directory = mkdtempSync(join(tmpdir(), "godwit-bench-"));
    const tlsDirectory = join(directory, "tls");
    const tls = await loadDevCertificate({ directory: tlsDirectory, nowMs: Date.now() });
    const service = createPushService({
      tls,
      store: new MemoryStore(),
      keyring: newKeyring(),
      reconnectSpreadS: 0,
      endpointRate: UNLIMITED,
      deviceRate: UNLIMITED,
    });
    await service.listen();
    return new FootprintStage(directory, tlsDirectory, service);
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    this.#agent.destroy();
    await this.service.close();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  get caFile(): string {
    return join(this.tlsDirectory, "ca.pem");
  }

  newDirectory(): string {
    const directory = join(this.directory, String(++this.#lastDirectory));
    mkdirSync(directory, { mode: 0o700 });
    return directory;
  }

  /** Starts a program that ends with the stage, with nothing of this machine's configuration. Its output goes nowhere. */
  spawn(command: readonly string[]): ChildProcess {
    const [program = "", ...args] = command;
    const home = join(this.directory, "home");
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "config.json"), "{}");
    const { PATH } = process.env;
    const env = { PATH, HOME: home, GODWIT_CONFIG: join(home, "config.json") };
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], env });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  /** Publishes one encrypted body; again while the service has no room for it. */
  async publish(endpoint: string, body: Uint8Array): Promise<void> {
    for (;;) {
      const status = await this.#post(endpoint, body);
      if (status === 201) return;
      if (status !== 429) throw new Error(`the push service answered ${status}`);
    }
  }

  #post(endpoint: string, body: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      const headers = { TTL: "600", "Content-Encoding": "aes128gcm", "Content-Length": String(body.length) };
      const outgoing = request(endpoint, { method: "POST", headers, agent: this.#agent }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }

  /** Calls `send` with 1 … `count`, {@link SENDERS} at a time. */
  async each(count: number, send: (number: number) => Promise<void>): Promise<void> {
    let next = 1;
    const work = async (): Promise<void> => {
      while (next <= count) await send(next++);
    };
    await Promise.all(Array.from({ length: SENDERS }, work));
  }
}

/** One agent, whatever runs it. */
export class Device {
  readonly state: string;
  readonly #child: ChildProcess;

  private constructor(state: string, child: ChildProcess) {
    this.state = state;
    this.#child = child;
  }

  /** Starts it with the arguments of `godwit agent`; resolves when it says that it is ready. */
  static async start(
    stage: FootprintStage,
    command: readonly string[],
    state = stage.newDirectory(),
  ): Promise<Device> {
    const policy = join(stage.newDirectory(), "policy.json");
    writeFileSync(policy, JSON.stringify({ permission: "granted" }), { mode: 0o600 });
    const where = ["--service", stage.service.origin, "--ca", stage.caFile, "--state", state];
    const child = stage.spawn([...command, ...where, "--policy", policy]);
    await new Promise<void>((resolve, reject) => {
      let said = "";
      child.stderr?.on("data", (data) => {
        said = (said + String(data)).slice(-2000);
        if (/^agent ready/m.test(said)) resolve();
      });
      child.once("error", reject);
      child.once("exit", () => reject(new Error(`${command[0]} ended before it was ready: ${said}`)));
    });
    return new Device(state, child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  enterAdmin(): Promise<Peer> {
    const token = readFileSync(join(this.state, "admin.token"), "utf8").trim();
    return this.enter({ role: "admin", token });
  }

  async enter(hello: Readonly<Record<string, unknown>>): Promise<Peer> {
    const path = join(this.state, "app.sock");
    const webSocket = new WebSocket(`ws://127.0.0.1${APP_PATH}`, APP_SUBPROTOCOL, {
      perMessageDeflate: false,
      createConnection: () => connect(path),
    });
    await once(webSocket, "open");
    const peer = new Peer(webSocket);
    await peer.ask("hello", hello);
    return peer;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
  }
}

/** A subscription as application servers take it. */
export function subscriptionOf(answer: {
  readonly endpoint: string;
  readonly keys: { readonly p256dh: string; readonly auth: string };
}): Subscription {
  const { endpoint, keys } = answer;
  return { endpoint, publicKey: base64urlDecode(keys.p256dh), authSecret: base64urlDecode(keys.auth) };
}

export type Answer = Readonly<Record<string, unknown>>;

/** A connection to the app socket. */
export class Peer {
  readonly #webSocket: WebSocket;
  readonly #open = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>();
  #lastId = 0;
  #handleEvent: (event: Answer) => void = () => {};

  constructor(webSocket: WebSocket) {
    this.#webSocket = webSocket;
    webSocket.on("message", (data) => this.#take(JSON.parse(String(data)) as Answer));
    webSocket.on("close", () => {
      for (const { reject } of this.#open.values()) reject(new Error("the agent hung up"));
    });
  }

  ask(type: string, members: Answer = {}): Promise<Answer> {
    const id = ++this.#lastId;
    this.#webSocket.send(JSON.stringify({ ...members, id, type }));
    return new Promise((resolve, reject) => this.#open.set(id, { resolve, reject }));
  }

  /** Says of each message that it was handled; resolves after `count`. Fails when none comes for a minute. */
  handleMessages(count: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let handled = 0;
      const give = () =>
        setTimeout(() => reject(new Error(`${handled} of ${count} messages came`)), WAIT_MS_MAX);
      let timer = give();
      this.#handleEvent = ({ event, deliveryId }) => {
        if (event !== "push") return;
        clearTimeout(timer);
        timer = give();
        this.ask("handled", { deliveryId }).then(() => {
          if (++handled < count) return;
          clearTimeout(timer);
          resolve();
        }, reject);
      };
    });
  }

  #take(message: Answer): void {
    const { id, result, error } = message as {
      id?: number;
      result?: Answer;
      error?: { code: string; message: string };
    };
    if (id === undefined) return this.#handleEvent(message);
    const waiting = this.#open.get(id);
    this.#open.delete(id);
    if (error === undefined) waiting?.resolve(result ?? {});
    else waiting?.reject(new Error(`${error.code}: ${error.message}`));
  }
}

/** Resolves with what `event` was called for, or fails after a minute. */
export async function within<Value>(what: string, event: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`time is up before ${what}`)), WAIT_MS_MAX);
  });
  try {
    return await Promise.race([event, late]);
  } finally {
    clearTimeout(timer);
  }
}
