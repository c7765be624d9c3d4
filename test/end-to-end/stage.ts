// SPDX-License-Identifier: MIT
/**
 * The real programs on one stage: starts `dist/cli.js` and the children of this folder as processes, waits for what they
 * print, and takes everything away at the end, also after a failure. Also the application server: `web-push`. No tests here.
 */

import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import webPush from "web-push";
import { WebSocket } from "ws";
import type { Report } from "../../src/agent/events.ts";
import type { PushSubscriptionJSON, PushSubscriptionOptionsInit } from "../../src/apps/push-manager.ts";
import type { ShownNotification } from "../../src/user-agent/display.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(ROOT, "dist", "cli.js");
const DASHBOARD = join(ROOT, "dist", "dashboard");
/** Of `npm run firmware`, or of another of its builds by name. */
export const GODWITD = join(ROOT, "build", process.env.GODWIT_FIRMWARE_BUILD ?? "firmware", "godwitd");
/** Which user agent the suites of the app socket and of the commands are about: vitest.config.ts runs them once with each. */
export const AGENT = process.env.TEST_AGENT === "godwitd" ? "godwitd" : "node";
const CHILDREN = fileURLToPath(new URL("children", import.meta.url));
/** Words that stand before the command of godwitd: valgrind with its options. */
const WRAPPER = process.env.GODWIT_FIRMWARE_WRAPPER?.split(" ") ?? [];
/** Nothing waited for takes nearly this long; it only makes a failure readable. */
const WAIT_MS_MAX = WRAPPER.length > 0 ? 120_000 : 25_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The lines of one stream, and waiting for them. */
export class Lines {
  readonly all: string[] = [];
  readonly #name: string;
  readonly #waiting = new Set<() => void>();
  #isOver = false;

  constructor(name: string, stream: Readable) {
    this.#name = name;
    const reader = createInterface({ input: stream });
    reader.on("line", (line) => {
      this.all.push(line);
      this.#look();
    });
    reader.on("close", () => {
      this.#isOver = true;
      this.#look();
    });
  }

  /** Resolves to what `find` makes of the lines as soon as that is not null; asked again after each line. */
  until<T>(
    what: string,
    find: (lines: readonly string[]) => T | null,
    waitMs: number = WAIT_MS_MAX,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        const tail = this.all.slice(-15).join("\n");
        settle(() => reject(new Error(`${this.#name}: ${why} before ${what}; it said last:\n${tail}`)));
      };
      const look = (): void => {
        const found = find(this.all);
        if (found !== null) settle(() => resolve(found));
        else if (this.#isOver) fail("ended");
      };
      const settle = (done: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        done();
      };
      const timer = setTimeout(() => fail("time is up"), waitMs);
      this.#waiting.add(look);
      look();
    });
  }

  /** The first line that `pattern` matches. */
  match(pattern: RegExp): Promise<string> {
    return this.until(String(pattern), (lines) => lines.find((line) => pattern.test(line)) ?? null);
  }

  #look(): void {
    for (const look of [...this.#waiting]) look();
  }
}

/** One process. */
export class Program {
  readonly child: ChildProcess;
  readonly stdout: Lines;
  readonly stderr: Lines;
  /** Resolves once the process is gone and everything it wrote was read. */
  readonly exited: Promise<Exit>;

  constructor(name: string, child: ChildProcess) {
    this.child = child;
    if (child.stdout === null || child.stderr === null) throw new Error("both streams are piped");
    this.stdout = new Lines(`${name} stdout`, child.stdout);
    this.stderr = new Lines(`${name} stderr`, child.stderr);
    this.exited = new Promise((resolve) => {
      child.on("close", (code, signal) => resolve({ code, signal }));
    });
  }

  end(signal: NodeJS.Signals): Promise<Exit> {
    this.child.kill(signal);
    return this.exited;
  }
}

export interface ServiceOptions {
  /** Default: a new one. */
  readonly directory?: string;
  readonly port?: number;
  readonly args?: readonly string[];
  /** What Math.random gives there. */
  readonly random?: number;
  /** Stands before the command: how to get into a network namespace. */
  readonly prefix?: readonly string[];
}

export interface HttpAnswer {
  readonly status: number;
  /** Of an error. */
  readonly errno: unknown;
  readonly message: unknown;
  readonly json: Readonly<Record<string, unknown>>;
}

/** A running `godwit push-service`. */
export class ServiceProcess {
  readonly program: Program;
  readonly directory: string;
  readonly origin: string;
  readonly port: number;
  readonly caFile: string;
  readonly ca: string;
  readonly #stage: Stage;

  constructor(stage: Stage, program: Program, directory: string, ready: { origin: string; port: number }) {
    this.#stage = stage;
    this.program = program;
    this.directory = directory;
    this.origin = ready.origin;
    this.port = ready.port;
    this.caFile = join(directory, "tls", "ca.pem");
    this.ca = readFileSync(this.caFile, "utf8");
  }

  /** The log. */
  get stderr(): Lines {
    return this.program.stderr;
  }

  end(signal: NodeJS.Signals): Promise<Exit> {
    return this.program.end(signal);
  }

  /** The same service again, on the same port and state. */
  again(options: ServiceOptions = {}): Promise<ServiceProcess> {
    const { directory, port } = this;
    return this.#stage.service({ directory, port, ...options });
  }

  /** Resolves once devices acknowledged this many messages to this process. */
  async acknowledged(messages: number): Promise<void> {
    await this.stderr.until(`${messages} acknowledged`, (lines) => {
      let sum = 0;
      for (const line of lines) sum += Number(/^acknowledged .*messages=(\d+)$/.exec(line)?.[1] ?? 0);
      return sum >= messages ? true : null;
    });
  }

  /** A WebSocket to the device path, not yet open. Errors are left to whoever listens for more. */
  dial(authorization?: string): WebSocket {
    const headers = authorization === undefined ? {} : { Authorization: authorization };
    const url = `${this.origin.replace("https", "wss")}/v1/ws`;
    const webSocket = new WebSocket(url, "godwit.v1", { ca: this.ca, headers });
    webSocket.on("error", () => {});
    this.#stage.defer(() => webSocket.terminate());
    return webSocket;
  }

  /** One request to this service, which does not have to be a good one. */
  request(
    method: string,
    url: string,
    headers: Record<string, string> = {},
    body: Uint8Array = new Uint8Array(0),
  ) {
    return new Promise<HttpAnswer>((resolve, reject) => {
      const target = new URL(url, this.origin);
      const outgoing = request(target, { method, headers, ca: this.ca, agent: false }, (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += String(chunk);
        });
        response.on("end", () => {
          const json = text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
          resolve({ status: response.statusCode ?? 0, errno: json.errno, message: json.message, json });
        });
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }
}

/** What the agent's process writes, by its member `event`. */
export interface Push {
  readonly event: "push";
  readonly owner: string;
  readonly messageId: string;
  readonly redelivered: boolean;
  readonly text: string | null;
}

export interface Change {
  readonly event: "change";
  readonly owner: string;
  readonly oldSubscription: PushSubscriptionJSON | null;
  readonly newSubscription: PushSubscriptionJSON | null;
}

export type Show = ShownNotification & { readonly event: "show" };

export interface ReportLine {
  readonly event: "report";
  readonly [member: string]: unknown;
}

interface Answer {
  readonly event: "answer";
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly name: string; readonly code: string; readonly message: string };
}

export interface AgentOptions {
  readonly service: Pick<ServiceProcess, "origin" | "ca">;
  readonly stateDirectory: string;
  readonly owners: readonly string[];
  /** Dies by SIGKILL inside the handler of this delivery of its run, counted from 1. */
  readonly dieAt?: number;
  /** Handlers take a turn of the event loop. */
  readonly isSlow?: boolean;
  /** Handlers throw. */
  readonly fails?: boolean;
  /** Handlers never end. */
  readonly hangs?: boolean;
  /** 32 bytes as hex. */
  readonly deviceKey?: string;
  readonly windowS?: number;
  readonly mqttUrls?: readonly string[];
  readonly permission?: "granted" | "denied";
  /** What Math.random gives there; default 0.1, so that reconnecting takes no long. */
  readonly random?: number;
  readonly environment?: NodeJS.ProcessEnv;
}

/** A running `children/agent.mjs`. */
export class AgentProcess extends Program {
  readonly #events: { readonly event: string }[] = [];
  #lastId = 0;

  constructor(child: ChildProcess) {
    super("agent", child);
  }

  /** Every line of one kind so far. */
  events<T extends { readonly event: string }>(event: T["event"]): T[] {
    for (const line of this.stdout.all.slice(this.#events.length)) this.#events.push(JSON.parse(line));
    return this.#events.filter((candidate): candidate is T => candidate.event === event);
  }

  pushes(): Push[] {
    return this.events<Push>("push");
  }

  /** The first event of one kind that `isIt` takes, there already or still to come. */
  first<T extends { readonly event: string }>(
    event: T["event"],
    what: string,
    isIt: (candidate: T) => boolean,
  ): Promise<T> {
    return this.stdout.until(what, () => this.events<T>(event).find(isIt) ?? null);
  }

  /** The first delivery of this payload. */
  pushed(text: string): Promise<Push> {
    return this.first<Push>("push", `"${text}" is delivered`, (push) => push.text === text);
  }

  /** The first change of the app's subscription. */
  changed(owner: string): Promise<Change> {
    return this.first<Change>("change", `${owner} is told`, (change) => change.owner === owner);
  }

  /** Resolves once there were that many deliveries. */
  async delivered(count: number): Promise<void> {
    await this.stdout.until(`${count} deliveries`, () => (this.pushes().length >= count ? true : null));
  }

  /** Every report of one type so far. */
  reports(type: Report["type"]): ReportLine[] {
    return this.events<ReportLine>("report").filter((report) => report.type === type);
  }

  /** The first report of one type that has these members. */
  reported(type: Report["type"], members: Readonly<Record<string, unknown>> = {}): Promise<ReportLine> {
    const wanted = Object.entries({ ...members, type });
    return this.first<ReportLine>("report", `report ${JSON.stringify({ type, ...members })}`, (report) =>
      wanted.every(([name, value]) => report[name] === value),
    );
  }

  /** @throws {Error} with `name` and `code` as the agent's */
  async ask(type: string, members: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const id = ++this.#lastId;
    this.child.send({ id, type, ...members });
    const answer = await this.first<Answer>("answer", `the answer to ${type}`, (found) => found.id === id);
    if (answer.error !== undefined) throw Object.assign(new Error(answer.error.message), answer.error);
    return answer.result;
  }

  async subscribe(owner: string, init: PushSubscriptionOptionsInit = {}): Promise<PushSubscriptionJSON> {
    return (await this.ask("subscribe", { owner, init })) as PushSubscriptionJSON;
  }

  /** Ends in order. */
  async close(): Promise<Exit> {
    await this.ask("close");
    return this.exited;
  }
}

/** Everything one test uses. Call {@link close} in `afterEach` or `afterAll`. */
export class Stage {
  /** A temporary directory. */
  readonly directory: string;
  readonly #programs: Program[] = [];
  readonly #closers: (() => unknown)[] = [];
  readonly #kill = (): void => {
    for (const { child } of this.#programs) child.kill("SIGKILL");
  };
  #lastDirectory = 0;

  constructor() {
    if (!existsSync(CLI)) throw new Error(`${CLI} is missing: run "npm run build" first`);
    this.directory = mkdtempSync(join(tmpdir(), "godwit-e2e-"));
    process.once("exit", this.#kill);
  }

  async close(): Promise<void> {
    try {
      this.#kill();
      await Promise.all(this.#programs.map(({ exited }) => exited));
      await closeAll(this.#closers.reverse());
    } finally {
      process.off("exit", this.#kill);
      rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
    }
  }

  /** Runs `closer` when the stage is taken down, after the processes. */
  defer(closer: () => unknown): void {
    this.#closers.push(closer);
  }

  /** A directory of its own. */
  newDirectory(): string {
    const directory = join(this.directory, String(++this.#lastDirectory));
    mkdirSync(directory, { mode: 0o700 });
    return directory;
  }

  /** Writes a file; 0600 unless told otherwise. */
  file(name: string, content: unknown, mode = 0o600): string {
    const path = join(this.newDirectory(), name);
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content), { mode });
    return path;
  }

  /** Starts `godwit` with `args`; `prefix` stands before the command. */
  godwit(
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
    random?: number,
    prefix: readonly string[] = [],
    stdin: "ignore" | "pipe" = "ignore",
  ): Program {
    const command = [...prefix, process.execPath, ...preload(random), CLI, ...args];
    return this.start(`godwit ${args[0]}`, command, {
      stdio: [stdin, "pipe", "pipe"],
      env: this.environment({ ...randomVariable(random), ...environment }),
    });
  }

  /** Starts the user agent as a daemon: `godwit agent`, or godwitd (see {@link AGENT}), which `random` does nothing to. */
  userAgent(
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
    random?: number,
    prefix: readonly string[] = [],
  ): Program {
    if (AGENT === "node") return this.godwit(["agent", ...args], environment, random, prefix);
    const command = [...prefix, ...WRAPPER, GODWITD, "--dashboard-files", DASHBOARD, ...args];
    const env = this.environment(environment);
    return this.start("godwitd", command, { stdio: ["ignore", "pipe", "pipe"], env });
  }

  /** Runs `godwit` to its end. */
  run(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    return this.ended(this.godwit(args, environment));
  }

  /** What a program that ends by itself left. */
  async ended(program: Program) {
    const { code, signal } = await program.exited;
    return {
      code: code ?? signal,
      stdout: program.stdout.all.join("\n"),
      stderr: program.stderr.all.join("\n"),
    };
  }

  /** Starts a push service and waits until it listens. */
  async service(options: ServiceOptions = {}): Promise<ServiceProcess> {
    const { directory = this.newDirectory(), port = 0, args = [], random, prefix } = options;
    const command = ["push-service", "--json", "--state", directory, "--port", String(port), ...args];
    const program = this.godwit(command, {}, random, prefix);
    const ready = await program.stdout.until("the push service is ready", (lines) => lines[0] ?? null);
    return new ServiceProcess(this, program, directory, JSON.parse(ready));
  }

  /** Starts a user agent with apps and waits until it runs. */
  async agent(options: AgentOptions): Promise<AgentProcess> {
    const { service, environment = {}, random = 0.1, ...rest } = options;
    const script = join(CHILDREN, "agent.mjs");
    const members = JSON.stringify({ serviceUrl: service.origin, ca: service.ca, ...rest });
    const child = spawn(process.execPath, [...preload(random), script, members], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: this.environment({ ...randomVariable(random), ...environment }),
    });
    const agent = new AgentProcess(child);
    this.#programs.push(agent);
    await agent.first("ready", "it is ready", () => true);
    return agent;
  }

  /** Nothing of the machine the tests run on: no configuration, no state, no proxy. */
  environment(more: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    const { PATH, TZ } = process.env;
    const home = join(this.directory, "home");
    mkdirSync(home, { recursive: true });
    const config = join(home, "config.json");
    if (!existsSync(config)) writeFileSync(config, "{}");
    return { PATH, TZ, HOME: home, GODWIT_CONFIG: config, NODE_ENV: "test", ...more };
  }

  /** Starts any program, with its stdout and stderr piped. */
  start(name: string, [command = "", ...args]: readonly string[], options: SpawnOptions): Program {
    const program = new Program(name, spawn(command, args, options));
    this.#programs.push(program);
    return program;
  }
}

/** One after the other, all of them, also behind one that fails; then a failure is thrown. */
async function closeAll([first, ...others]: readonly (() => unknown)[]): Promise<void> {
  try {
    await first?.();
  } finally {
    if (others.length > 0) await closeAll(others);
  }
}

export interface SenderOptions {
  /** Default: new ones. */
  readonly keys?: webPush.VapidKeys;
  /** Uses a connection again: faster, but not over a restart of the service. Default false. */
  readonly keepAlive?: boolean;
}

/** An application server: the npm package `web-push` with a key pair of its own. */
export class Sender {
  readonly keys: webPush.VapidKeys;
  readonly #agent: Agent;

  constructor(service: Pick<ServiceProcess, "ca">, options: SenderOptions = {}) {
    const { keys = webPush.generateVAPIDKeys(), keepAlive = false } = options;
    this.keys = keys;
    this.#agent = new Agent({ ca: service.ca, keepAlive });
  }

  /** Resolves to the status of an accepted message. */
  async send(
    subscription: PushSubscriptionJSON,
    payload: string | null,
    options: webPush.RequestOptions = {},
  ): Promise<number> {
    const { statusCode } = await webPush.sendNotification(subscription, payload, {
      vapidDetails: { subject: "mailto:sender@news.example", ...this.keys },
      TTL: 600,
      agent: this.#agent,
      ...options,
    });
    return statusCode;
  }
}

function preload(random: number | undefined): string[] {
  return random === undefined ? [] : ["--import", join(CHILDREN, "fixed-random.mjs")];
}

function randomVariable(random: number | undefined): NodeJS.ProcessEnv {
  return random === undefined ? {} : { TEST_RANDOM: String(random) };
}
