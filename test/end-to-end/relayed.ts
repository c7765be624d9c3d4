// SPDX-License-Identifier: MIT
/**
 * An agent behind a relay: push service, relay and agent as they really are, time that is skipped while nothing is under
 * way, and an application server that posts in clear. No tests here.
 */

import { fileURLToPath } from "node:url";
import webPush from "web-push";
import type { AgentStatus } from "../../src/agent/status.ts";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { type Nat, Relay } from "./relay.ts";
import type { AgentProcess, Program, Stage } from "./stage.ts";

export const NEWS = "https://news.example";
const SKIPPABLE_TIME = fileURLToPath(new URL("children/skippable-time.mjs", import.meta.url));
/** States in which the agent waits for time to pass, unless something is on its way to it. */
const RESTING = ["online", "waiting"];
const CONNECTING = ["dialing", "greeting"];
/** A ping may come a tenth of the interval early. */
const IDLE_SHARE = 0.9;

export interface RelayedOptions {
  readonly nat?: Nat;
  /** What Math.random gives the agent. */
  readonly random?: number;
  /** Further arguments of the push service. */
  readonly serviceArgs?: readonly string[];
  /** Where MQTT is, given the port of the embedded broker (0 without one). */
  readonly mqttUrl?: (mqttPort: number) => string;
}

export class Relayed {
  readonly relay: Relay;
  readonly agent: AgentProcess;
  /** The push service; assign the new one when it was started again. */
  service: Program;
  readonly posted: string[] = [];
  #again: () => Promise<Program> = () => Promise.reject(new Error("not started"));
  readonly #keys: webPush.VapidKeys;
  readonly #subscription: PushSubscriptionJSON;

  private constructor(
    relay: Relay,
    agent: AgentProcess,
    service: Program,
    keys: webPush.VapidKeys,
    subscription: PushSubscriptionJSON,
  ) {
    this.relay = relay;
    this.agent = agent;
    this.service = service;
    this.#keys = keys;
    this.#subscription = subscription;
  }

  /** Starts everything, and an app that subscribes. */
  static async start(stage: Stage, options: RelayedOptions = {}): Promise<Relayed> {
    const { serviceArgs = [], mqttUrl } = options;
    const state = stage.newDirectory();
    const command = ["push-service", "--json", "--no-tls", "--port", "0", "--state", state, ...serviceArgs];
    const service = stage.godwit(command);
    const ready = await service.stdout.until("the push service is ready", (lines) => lines[0] ?? null);
    const { port, mqttPort = 0 } = JSON.parse(ready) as { port: number; mqttPort?: number };
    const relay = new Relay(port);
    relay.nat = options.nat ?? null;
    await relay.listen();
    stage.defer(() => relay.close());
    const agent = await stage.agent({
      service: { origin: relay.origin, ca: "" },
      stateDirectory: stage.newDirectory(),
      owners: [NEWS],
      ...(options.random === undefined ? {} : { random: options.random }),
      ...(mqttUrl === undefined ? {} : { mqttUrls: [mqttUrl(mqttPort)] }),
      environment: { NODE_OPTIONS: `--import ${SKIPPABLE_TIME}` },
    });
    const keys = webPush.generateVAPIDKeys();
    const subscription = await agent.subscribe(NEWS, { applicationServerKey: keys.publicKey });
    const relayed = new Relayed(relay, agent, service, keys, subscription);
    const ports = new Map([
      ["--port", port],
      ["--mqtt-port", mqttPort],
    ]);
    relayed.#again = async () => {
      const again = stage.godwit(command.map((word, i) => String(ports.get(command[i - 1] ?? "") ?? word)));
      await again.stdout.until("the push service is ready", (lines) => lines[0] ?? null);
      return again;
    };
    return relayed;
  }

  /** Kills the push service and starts it again, on the same port and state. */
  async restartService(): Promise<void> {
    await this.service.end("SIGKILL");
    this.service = await this.#again();
  }

  async status(): Promise<AgentStatus> {
    return (await this.agent.ask("status")) as AgentStatus;
  }

  /** Resolves once nothing happens any more before some time has passed. */
  async settle(): Promise<void> {
    for (;;) {
      // With the answer, whatever the agent has sent before is in the relay's sockets, to be read in the next turns.
      await this.status();
      const states = this.agent.reports("state");
      const link = String(states.at(-1)?.state);
      for (let turn = 0; turn < 3; turn++) await new Promise((next) => setImmediate(next));
      const isResting = RESTING.includes(link) || (CONNECTING.includes(link) && this.relay.isLastMainDeaf);
      if (isResting && !this.relay.isBusy) return;
      const changes = [this.relay.moved()];
      if (!isResting) changes.push(this.#changed(states.length));
      await Promise.race(changes);
    }
  }

  async #changed(statesBefore: number): Promise<void> {
    await this.agent.stdout.until("another state", () =>
      this.agent.reports("state").length > statesBefore ? true : null,
    );
  }

  /** Skips the time until the agent's next timer, but no more than `msMax`; returns how much it was. */
  async skip(msMax = Number.POSITIVE_INFINITY): Promise<number> {
    await this.settle();
    const next = (await this.agent.ask("nextTimer")) as number | null;
    const ms = Math.min(next ?? msMax, msMax);
    if (!Number.isFinite(ms)) throw new Error("the agent waits for nothing");
    this.relay.skip(ms);
    await this.agent.ask("skip", { ms });
    await this.settle();
    return ms;
  }

  /** Lets this much time go by. */
  async pass(ms: number): Promise<void> {
    const endMs = this.relay.nowMs + ms;
    while (this.relay.nowMs < endMs) await this.skip(endMs - this.relay.nowMs);
  }

  /** Lets time go by until `isIt`; fails when that takes longer than `msMax`. */
  async passUntil(what: string, msMax: number, isIt: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = this.relay.nowMs + msMax;
    await this.settle();
    while (!(await isIt())) {
      if (this.relay.nowMs >= endMs) throw new Error(`not within ${msMax} ms: ${what}`);
      await this.skip(endMs - this.relay.nowMs);
    }
  }

  /** Lets the main link be idle for as long as the agent lets it, up to a second before its ping. */
  async idle(): Promise<void> {
    const { intervalMs } = (await this.status()).network;
    await this.settle();
    for (;;) {
      const idleMs = this.relay.nowMs - (this.relay.mains.at(-1)?.movedMs ?? 0);
      const next = (await this.agent.ask("nextTimer")) as number;
      if (idleMs + next >= IDLE_SHARE * intervalMs) {
        await this.skip(Math.max(0, next - 1_000));
        return;
      }
      await this.skip();
    }
  }

  /** Posts a message to the app; what becomes of it is another matter. */
  async post(text: string): Promise<void> {
    const { endpoint, method, headers, body } = webPush.generateRequestDetails(this.#subscription, text, {
      vapidDetails: { subject: "mailto:sender@news.example", ...this.#keys },
      TTL: 86_400,
    });
    const { status } = await fetch(endpoint, {
      method,
      headers: headers as Record<string, string>,
      body: body as Buffer<ArrayBuffer>,
    });
    if (status !== 201) throw new Error(`the push service answered ${status}`);
    this.posted.push(text);
  }

  /** What the app got, in order. A message that came again is there again. */
  get texts(): (string | null)[] {
    return this.agent.pushes().map(({ text }) => text);
  }
}
