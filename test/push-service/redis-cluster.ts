// SPDX-License-Identifier: MIT
// A real Redis Cluster for tests and benchmarks: three primaries with a replica each, or another number, free ports on loopback, data in a temporary
// folder. Ends its own processes, each by its id. No tests here.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { SLOTS } from "../../src/push-service/store/redis-keys.ts";
import { killed } from "../killed.ts";

const NODE_TIMEOUT_MS = 1_000;
/** Nothing waited for takes nearly this long; it only makes a failure readable. */
const WAIT_MS_MAX = 20_000;

export const isRedisInstalled = spawnSync("redis-server", ["--version"]).error === undefined;
if (!isRedisInstalled) console.warn("redis-server is missing: the suites of Redis Cluster are skipped");

/** PEM texts: what each process shows to the others and to whoever asks, and who signed that. */
export interface TestRedisTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface TestClusterShape {
  readonly primaries: number;
  /** Of each primary. */
  readonly replicas: number;
  readonly tls: TestRedisTls | null;
}

const SHAPE: TestClusterShape = { primaries: 3, replicas: 1, tls: null };

/** One process; it keeps its data and its address when it is started again. */
export class TestRedis {
  readonly port: number;
  readonly busPort: number;
  readonly #directory: string;
  readonly #options: readonly string[];
  readonly #tls: TestRedisTls | null;
  #process: ChildProcess | null = null;
  #redis: Redis | null = null;

  constructor(
    ports: readonly [number, number],
    directory: string,
    options: readonly string[],
    tls: TestRedisTls | null,
  ) {
    [this.port, this.busPort] = ports;
    this.#directory = directory;
    this.#options = options;
    this.#tls = tls;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get isRunning(): boolean {
    return this.#process !== null;
  }

  /** Resolves once it takes commands. */
  async run(): Promise<void> {
    mkdirSync(this.#directory, { recursive: true });
    const child = spawn(
      "redis-server",
      [
        ...["--cluster-port", String(this.busPort), "--bind", "127.0.0.1", ...this.#portOptions()],
        ...["--dir", this.#directory, "--save", "", "--appendonly", "yes", "--appendfsync", "always"],
        ...["--cluster-enabled", "yes", "--cluster-node-timeout", String(NODE_TIMEOUT_MS)],
        ...["--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"],
        ...["--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no"],
        ...this.#options,
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    this.#process = child;
    let log = "";
    await new Promise<void>((resolve, reject) => {
      const heard = (chunk: Buffer) => {
        log = `${log}${String(chunk)}`.slice(-4_000);
        if (log.includes("Ready to accept connections")) resolve();
      };
      child.stdout.on("data", heard);
      child.stderr.on("data", heard);
      child.once("exit", () => reject(new Error(`redis-server: ${log}`)));
    });
    child.removeAllListeners("exit");
  }

  /** What it answers. */
  async ask(...args: (string | number | Buffer)[]): Promise<unknown> {
    const [name = "", ...rest] = args;
    const tls = this.#tls === null ? {} : { tls: { ca: this.#tls.ca } };
    const patience = { maxRetriesPerRequest: 0, retryStrategy: () => 50 };
    this.#redis ??= quiet(new Redis({ host: "127.0.0.1", port: this.port, ...patience, ...tls }));
    return this.#redis.call(String(name), ...rest);
  }

  #portOptions(): string[] {
    const port = String(this.port);
    if (this.#tls === null) return ["--port", port];
    for (const [name, text] of Object.entries(this.#tls)) writeFileSync(this.#pem(name), text);
    return [
      ...["--port", "0", "--tls-port", port, "--tls-cluster", "yes", "--tls-replication", "yes"],
      ...["--tls-cert-file", this.#pem("cert"), "--tls-key-file", this.#pem("key")],
      ...["--tls-ca-cert-file", this.#pem("ca"), "--tls-auth-clients", "no"],
    ];
  }

  #pem(name: string): string {
    return join(this.#directory, `${name}.pem`);
  }

  /** A line of INFO, or of CLUSTER INFO. */
  async info(field: string): Promise<string> {
    const text = `${await this.ask("INFO")}\n${await this.ask("CLUSTER", "INFO")}`;
    return new RegExp(`^${field}:(.*?)\r?$`, "m").exec(text)?.[1] ?? "";
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(signal);
  }

  async kill(): Promise<void> {
    this.#redis?.disconnect();
    this.#redis = null;
    const child = this.#process;
    this.#process = null;
    if (child !== null) await killed(child);
  }
}

export class TestCluster {
  /** Primaries first, as it was begun. */
  readonly nodes: readonly TestRedis[];
  readonly #directory: string;
  readonly #shape: TestClusterShape;

  private constructor(nodes: readonly TestRedis[], directory: string, shape: TestClusterShape) {
    this.nodes = nodes;
    this.#directory = directory;
    this.#shape = shape;
  }

  /** `options`: of redis-server, for every node. */
  static async start(
    options: readonly string[] = [],
    changes: Partial<TestClusterShape> = {},
  ): Promise<TestCluster> {
    const shape = { ...SHAPE, ...changes };
    const directory = mkdtempSync(join(tmpdir(), "godwit-redis-"));
    const count = shape.primaries * (1 + shape.replicas);
    const ports = await freePorts(2 * count);
    const nodes = Array.from({ length: count }, (_, at) => {
      const pair = [ports[2 * at] ?? 0, ports[2 * at + 1] ?? 0] as const;
      return new TestRedis(pair, join(directory, String(at)), options, shape.tls);
    });
    const cluster = new TestCluster(nodes, directory, shape);
    try {
      await Promise.all(nodes.map((node) => node.run()));
      await cluster.#form();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get seeds(): string[] {
    return this.nodes.map(({ address }) => address);
  }

  /** The node that is the primary of `slot` to most of those that run. */
  async primaryOf(slot: number): Promise<TestRedis> {
    for (const node of this.nodes.filter(({ isRunning }) => isRunning)) {
      const ranges = (await node.ask("CLUSTER", "SLOTS")) as [number, number, [string, number]][];
      const range = ranges.find(([first, last]) => slot >= first && slot <= last);
      const found = this.nodes.find(({ port }) => port === range?.[2][1]);
      if (found !== undefined) return found;
    }
    throw new Error(`nobody has slot ${slot}`);
  }

  /** Waits until every node runs, every slot has a primary, and every primary a replica in sync. */
  async whole(): Promise<void> {
    await until(async () => {
      const states = await Promise.all(this.nodes.map((node) => state(node).catch(() => null)));
      const roles = states.map((found) => found?.role);
      return (
        states.every((found) => found?.isOk) &&
        roles.filter((role) => role === "master").length === this.#shape.primaries &&
        states.every((found) => found?.role !== "master" || found.replicas === this.#shape.replicas)
      );
    });
  }

  /** Moves `slots` of the slots of `from` to `to` with Redis's own tool, and resolves when they are there. */
  async reshard(from: TestRedis, to: TestRedis, slots: number): Promise<void> {
    const [fromId, toId] = [await from.ask("CLUSTER", "MYID"), await to.ask("CLUSTER", "MYID")];
    const child = spawn(
      "redis-cli",
      [
        ...["--cluster", "reshard", from.address, "--cluster-yes", "--cluster-slots", String(slots)],
        ...["--cluster-from", String(fromId), "--cluster-to", String(toId)],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => {
        said = `${said}${String(chunk)}`.slice(-2_000);
      });
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`redis-cli: ${said}`);
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) node.signal("SIGCONT");
    await Promise.all(this.nodes.map((node) => node.kill()));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #form(): Promise<void> {
    const [first] = this.nodes;
    const { primaries } = this.#shape;
    if (first === undefined) return;
    for (const [at, node] of this.nodes.entries()) {
      await node.ask("CLUSTER", "SET-CONFIG-EPOCH", at + 1);
      if (node !== first) await first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.busPort);
    }
    const share = Math.ceil(SLOTS / primaries);
    for (const [at, node] of this.nodes.slice(0, primaries).entries())
      await node.ask("CLUSTER", "ADDSLOTSRANGE", at * share, Math.min(SLOTS, (at + 1) * share) - 1);
    for (const node of this.nodes)
      await until(async () => (await node.info("cluster_known_nodes")) === String(this.nodes.length));
    for (const [at, node] of this.nodes.slice(primaries).entries()) {
      const id = String(await this.nodes[at % primaries]?.ask("CLUSTER", "MYID"));
      // It may not have heard yet that the other one is a primary with slots.
      await until(async () => node.ask("CLUSTER", "REPLICATE", id).then(Boolean, () => false));
    }
    await this.whole();
  }
}

/** Asks again and again: a cluster tells nobody when it is whole. */
async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const giveUpMs = performance.now() + WAIT_MS_MAX;
  while (!(await isTrue())) {
    if (performance.now() > giveUpMs) throw new Error("the Redis Cluster does not become whole");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What goes wrong is told to whoever asks. */
function quiet(redis: Redis): Redis {
  return redis.on("error", () => {});
}

async function state(node: TestRedis) {
  const [role, isUp, clusterState, slots, replicas] = [
    await node.info("role"),
    (await node.info("master_link_status")) !== "down",
    await node.info("cluster_state"),
    await node.info("cluster_slots_ok"),
    Number(await node.info("connected_slaves")),
  ];
  const isOnline =
    role !== "master" ||
    !(await Promise.all(Array.from({ length: replicas }, (_, at) => node.info(`slave${at}`)))).some(
      (line) => !line.includes("state=online"),
    );
  const isOk = isUp && isOnline && clusterState === "ok" && slots === String(SLOTS);
  return { role, isOk, replicas };
}

/** All different: each is held until all are known. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => server.listening || once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  for (const server of servers) server.close();
  await Promise.all(servers.map((server) => once(server, "close")));
  return ports;
}
