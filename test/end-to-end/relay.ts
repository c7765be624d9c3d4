// SPDX-License-Identifier: MIT
/**
 * A TCP relay between a real agent and a real push service, both in clear, which treats their flows as bad networks do: it
 * forgets idle ones like a NAT, goes deaf, resets, or answers upgrades itself. It looks into a flow only to tell what it is
 * and to count pings and pongs. Its clock can be skipped with the agent's. No tests here.
 */

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { WebSocketOpcodes } from "./opcodes.ts";
import { Lines } from "./stage.ts";

/** Forgets flows on which nothing went either way for so long; their packets vanish, or are answered with a reset. */
export interface Nat {
  readonly timeoutMs: number;
  readonly answer: "silence" | "reset";
}

type Way = "up" | "down";

const OPCODE = { binary: 2, ping: 9, pong: 10 } as const;

/** One TCP connection of the agent. */
class Flow {
  /** What it is for, and its number among those, from 1: "main 1", "canary 3", "other 1". */
  readonly name: string;
  readonly agent: Socket;
  readonly service: Socket;
  readonly frames: Readonly<Record<Way, WebSocketOpcodes>>;
  /** Ways on which everything vanishes, though nothing is closed. */
  readonly deaf: Set<Way>;
  readonly dialedMs: number;
  /** Anything went through. */
  movedMs: number;
  /** The agent's last ping came here, and perhaps no further. */
  pingedMs: number | null = null;
  isForgotten = false;
  isClosed = false;

  constructor(
    name: string,
    sockets: Record<"agent" | "service", Socket>,
    up: WebSocketOpcodes,
    deaf: readonly Way[],
    nowMs: number,
  ) {
    this.name = name;
    this.agent = sockets.agent;
    this.service = sockets.service;
    this.frames = { up, down: new WebSocketOpcodes() };
    this.deaf = new Set(deaf);
    this.dialedMs = this.movedMs = nowMs;
  }

  get isMain(): boolean {
    return this.name.startsWith("main");
  }

  get pings(): number {
    return this.frames.up.count(OPCODE.ping);
  }

  /** The service is about to answer, and the answer will arrive. */
  get isOwed(): boolean {
    if (this.name.startsWith("other") || this.isClosed || this.isForgotten || this.deaf.size > 0)
      return false;
    const { down } = this.frames;
    // The first frame on a main link is Registered.
    const isOpen = down.isUpgraded && (!this.isMain || down.count(OPCODE.binary) > 0);
    return !isOpen || down.count(OPCODE.pong) < this.pings;
  }
}

export class Relay {
  /** All but those refused, oldest first. */
  readonly flows: Flow[] = [];
  /** "main 1 dialed", "… ping", "… pong", "… forgotten", "… closed" (by the agent); also "refused". */
  readonly log: Lines;
  nat: Nat | null = null;
  /** What upgrades are answered with instead of being passed on: a whole HTTP response. */
  refusal: string | null = null;
  /** Flows yet to come are deaf from the start on these ways. */
  newFlowsDeaf: readonly Way[] = [];
  /** When upgrades were refused, by the relay's clock. */
  readonly refusedAtMs: number[] = [];
  readonly #out = new PassThrough();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #servicePort: number;
  readonly #moved = new Set<() => void>();
  #skippedMs = 0;
  /** Connections whose request is still coming in. */
  #arriving = 0;

  constructor(servicePort: number) {
    this.#servicePort = servicePort;
    this.log = new Lines("relay", this.#out);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (agent) => this.#accept(agent));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get nowMs(): number {
    return performance.now() + this.#skippedMs;
  }

  get mains(): Flow[] {
    return this.flows.filter(({ isMain }) => isMain);
  }

  /** Pings on main links. */
  get mainPings(): number {
    return this.mains.reduce((sum, { pings }) => sum + pings, 0);
  }

  /** Flows of one kind that were used after the NAT had forgotten them. */
  forgotten(kind: "main" | "canary"): Flow[] {
    return this.flows.filter(({ name, isForgotten }) => isForgotten && name.startsWith(kind));
  }

  /** Something is on its way to the agent: no time for skipping time. */
  get isBusy(): boolean {
    return this.#arriving > 0 || this.flows.some(({ isOwed }) => isOwed);
  }

  /** Nothing will come of the agent's last dial. */
  get isLastMainDeaf(): boolean {
    return (this.mains.at(-1)?.deaf.size ?? 0) > 0;
  }

  skip(ms: number): void {
    this.#skippedMs += ms;
  }

  /** Resolves when anything else has come in. */
  moved(): Promise<void> {
    return new Promise((resolve) => this.#moved.add(resolve));
  }

  /** Both ends get a reset. */
  reset(flow: Flow): void {
    flow.isClosed = true;
    flow.agent.resetAndDestroy();
    flow.service.resetAndDestroy();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    this.#out.end();
  }

  #accept(agent: Socket): void {
    this.#keep(agent);
    this.#arriving++;
    const up = new WebSocketOpcodes();
    const chunks: Buffer[] = [];
    const read = (chunk: Buffer): void => {
      chunks.push(chunk);
      up.push(chunk);
      if (up.firstLine === null) return;
      agent.off("data", read);
      agent.off("close", gone);
      gone();
      if (this.refusal !== null && / \/v1\/(ws|canary) /.test(up.firstLine))
        this.#refuse(agent, this.refusal);
      else this.#connect(agent, up, Buffer.concat(chunks));
    };
    const gone = (): void => {
      this.#arriving--;
      this.#tell();
    };
    agent.on("data", read);
    agent.once("close", gone);
  }

  #refuse(agent: Socket, answer: string): void {
    this.refusedAtMs.push(this.nowMs);
    this.#say("refused");
    agent.resume();
    agent.end(answer);
  }

  #connect(agent: Socket, up: WebSocketOpcodes, request: Buffer): void {
    const path = up.firstLine?.split(" ")[1];
    const kind = path === "/v1/ws" ? "main" : path === "/v1/canary" ? "canary" : "other";
    const number = this.flows.filter(({ name }) => name.startsWith(kind)).length + 1;
    const service = connect({
      port: this.#servicePort,
      host: "127.0.0.1",
      allowHalfOpen: true,
      noDelay: true,
    });
    this.#keep(service);
    const flow = new Flow(`${kind} ${number}`, { agent, service }, up, this.newFlowsDeaf, this.nowMs);
    this.flows.push(flow);
    this.#say(`${flow.name} dialed`);
    if (!flow.deaf.has("up")) service.write(request);
    this.#join(flow, "up", agent, service);
    this.#join(flow, "down", service, agent);
  }

  #join(flow: Flow, way: Way, from: Socket, to: Socket): void {
    from.on("data", (chunk: Buffer) => {
      const passes = this.#passes(flow, way, from);
      if (!flow.name.startsWith("other")) this.#look(flow, way, chunk);
      if (passes) to.write(chunk);
      this.#tell();
    });
    from.on("end", () => {
      if (way === "up") this.#ended(flow);
      if (this.#passes(flow, way, from)) to.end();
    });
    // Without an end before: a reset.
    from.on("close", (hadError) => {
      if (way === "up") this.#ended(flow);
      if (hadError && !flow.isForgotten && flow.deaf.size === 0) to.resetAndDestroy();
    });
  }

  /** False when the packet that has just come vanishes here. */
  #passes(flow: Flow, way: Way, from: Socket): boolean {
    const { nat, nowMs } = this;
    if (nat !== null && !flow.isForgotten && nowMs - flow.movedMs > nat.timeoutMs) {
      flow.isForgotten = true;
      this.#say(`${flow.name} forgotten`);
    }
    if (flow.isForgotten) {
      if (nat?.answer === "reset") from.resetAndDestroy();
      return false;
    }
    flow.movedMs = nowMs;
    return !flow.deaf.has(way);
  }

  #look(flow: Flow, way: Way, chunk: Buffer): void {
    for (const opcode of flow.frames[way].push(chunk)) {
      if (opcode === OPCODE.ping && way === "up") {
        flow.pingedMs = this.nowMs;
        this.#say(`${flow.name} ping`);
      }
      if (opcode === OPCODE.pong && way === "down") this.#say(`${flow.name} pong`);
    }
  }

  #ended(flow: Flow): void {
    if (flow.isClosed) return;
    flow.isClosed = true;
    this.#say(`${flow.name} closed`);
    this.#tell();
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    // What went wrong is told by "close".
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #say(line: string): void {
    this.#out.write(`${line}\n`);
  }

  #tell(): void {
    const waiting = [...this.#moved];
    this.#moved.clear();
    for (const resolve of waiting) resolve();
  }
}

export type { Flow };
