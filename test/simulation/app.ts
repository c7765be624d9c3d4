// SPDX-License-Identifier: MIT
/** One app of a device: a process that comes and goes, takes messages as its conduct has it, and tells its server its endpoint. */

import type { AppWarning, Delivery, SubscriptionView } from "../../src/agent/events.ts";
import type { AppPeer, Seat } from "../../src/user-agent/app-peers.ts";
import type { UserAgent } from "../../src/user-agent/user-agent.ts";
import type { Chance } from "./chance.ts";
import { type Ledger, type Message, PAYLOAD_MARK, type Run } from "./ledger.ts";

/** How an app takes messages: at once, slowly, with a notification of its own, badly; "absent": it never comes. */
export const CONDUCTS = ["prompt", "slow", "showing", "failing", "absent"] as const;
export type Conduct = (typeof CONDUCTS)[number];

export interface AppSurroundings {
  readonly device: string;
  readonly ledger: Ledger;
  readonly chance: Chance;
  /** Not called when the device's process, or the app's, is gone by then. */
  after(delayMs: number, action: () => void): () => void;
  trace(text: string): void;
  /** Before each effect the agent has on it. False: the agent is gone. */
  touch(): boolean;
  /** The agent takes nothing back any more: what is in hands comes again. */
  isStopping(): boolean;
}

export class App implements AppPeer {
  readonly owner: string;
  readonly key: Uint8Array | null;
  conduct: Conduct = "prompt";
  /** Its server wants messages. */
  wantsMessages = true;
  isRunning = false;
  readonly #surroundings: AppSurroundings;
  #userAgent: UserAgent | null = null;
  #run: Run | null = null;
  #seat: Seat | null = null;
  /** Rises with each of its processes, and each of the agent's. */
  #life = 0;
  readonly #inHand = new Map<number, Message>();

  constructor(owner: string, key: Uint8Array | null, surroundings: AppSurroundings) {
    this.owner = owner;
    this.key = key;
    this.#surroundings = surroundings;
  }

  /** The agent runs; the app, if it does, finds it. */
  meet(userAgent: UserAgent, run: Run): void {
    this.#userAgent = userAgent;
    this.#run = run;
    if (this.isRunning) this.#join();
  }

  /** The agent is gone. */
  lose(): void {
    this.#life++;
    this.#drop();
    this.#userAgent = null;
    this.#seat = null;
  }

  /** Its process begins, unless it runs. */
  start(): void {
    if (this.isRunning || this.conduct === "absent") return;
    this.isRunning = true;
    if (this.#userAgent !== null) this.#join();
  }

  /** Its process is gone, with what was in its hands. */
  stop(): void {
    if (!this.isRunning) return;
    this.isRunning = false;
    this.#life++;
    this.#drop();
    const seat = this.#seat;
    this.#seat = null;
    seat?.leave();
  }

  /** Asks for its subscription, makes one if need be, and tells its server. */
  subscribe(): void {
    const userAgent = this.#userAgent;
    if (userAgent === null || !this.isRunning || !this.wantsMessages) return;
    const life = this.#life;
    const asked = userAgent.request(this.owner, {
      type: "subscribe",
      applicationServerKey: this.key,
      userVisibleOnly: false,
      waToken: null,
      declarative: "auto",
      allowAesgcm: false,
    });
    asked.then((reply) => {
      if (life !== this.#life) return;
      if (reply.type === "subscription") this.#tellServer(reply.subscription);
      else if (this.isRunning)
        this.#later(20_000 + this.#surroundings.chance.integer(0, 20_000), () => this.subscribe());
    });
  }

  unsubscribe(): void {
    const { ledger, device } = this.#surroundings;
    const userAgent = this.#userAgent;
    if (userAgent === null || !this.isRunning) return;
    this.wantsMessages = false;
    for (const registration of ledger.liveRegistrations(device, this.owner)) ledger.end(registration, null);
    for (const { subscriptionId, owner } of userAgent.status().subscriptions)
      if (owner === this.owner) void userAgent.request(this.owner, { type: "unsubscribe", subscriptionId });
  }

  deliver(delivery: Delivery): Promise<void> {
    const { ledger, trace, touch, isStopping } = this.#surroundings;
    const run = this.#run;
    if (!touch() || run === null) return new Promise(() => {});
    const { deliveryId, messageId, redelivered, data, notification } = delivery;
    const text = data === null ? (notification?.title ?? "") : new TextDecoder().decode(data);
    const message = ledger.handed(run, this.owner, numberIn(text), messageId, redelivered);
    trace(`${this.owner} gets ${message?.number ?? "?"}${redelivered ? " again" : ""}`);
    if (message === null) return Promise.resolve();
    this.#inHand.set(deliveryId, message);
    return new Promise((resolve, reject) => {
      const end = (isHandled: boolean): void => {
        if (!this.#inHand.delete(deliveryId)) return;
        ledger.ended(message, run, isHandled && !isStopping());
        if (isHandled) resolve();
        else reject(new Error("the app cannot"));
      };
      this.#handle(message, delivery, end);
    });
  }

  cancel(deliveryId: number): void {
    const message = this.#inHand.get(deliveryId);
    this.#inHand.delete(deliveryId);
    if (message !== undefined && this.#run !== null)
      this.#surroundings.ledger.ended(message, this.#run, false);
  }

  handleClick(): void {}

  handleSubscriptionChange(_before: SubscriptionView | null, after: SubscriptionView | null): void {
    const { ledger, device, trace } = this.#surroundings;
    trace(`${this.owner} hears that its subscription ${after === null ? "ended" : "changed"}`);
    for (const registration of ledger.liveRegistrations(device, this.owner))
      if (registration.endpoint !== after?.endpoint) ledger.end(registration, null);
    if (after !== null) return this.#tellServer(after);
    // It wants another one; a person may be against it.
    this.#later(30_000, () => this.subscribe());
  }

  handleWarning(_code: AppWarning, _text: string): void {}

  #join(): void {
    const life = ++this.#life;
    const userAgent = this.#userAgent;
    this.#later(50, () => {
      if (userAgent === null || this.#seat !== null || life !== this.#life) return;
      this.#seat = userAgent.join(this.owner, this);
      this.#surroundings.trace(`${this.owner} attaches`);
      this.#seat.attach(true);
      this.subscribe();
    });
  }

  #handle(message: Message, { deliveryId }: Delivery, end: (isHandled: boolean) => void): void {
    const { chance } = this.#surroundings;
    switch (this.conduct) {
      case "slow":
        // Beyond 4 s it is written down, beyond 30 s its time is over.
        return this.#later(chance.pick(1_000, 6_000, 15_000, 40_000), () => end(true));
      case "failing":
        return this.#later(20, () => end(message.failures >= 2 || chance.is(0.3)));
      case "showing":
        return this.#later(20, () => {
          const show = {
            type: "showNotification",
            deliveryId,
            title: `shown by the app`,
            options: { tag: "app" },
          } as const;
          this.#userAgent?.request(this.owner, show).then(() => end(true));
        });
      default:
        return this.#later(5, () => end(true));
    }
  }

  #tellServer(view: SubscriptionView | null): void {
    if (view === null) return;
    const { ledger, device, trace } = this.#surroundings;
    trace(`${this.owner} tells its server`);
    for (const registration of ledger.liveRegistrations(device, this.owner))
      if (registration.endpoint !== view.endpoint) ledger.end(registration, null);
    ledger.register({
      device,
      owner: this.owner,
      endpoint: view.endpoint,
      publicKey: view.p256dh,
      authSecret: view.auth,
      isKeyed: view.applicationServerKey !== null,
    });
  }

  /** What was in its hands has failed. */
  #drop(): void {
    for (const message of this.#inHand.values())
      if (this.#run !== null) this.#surroundings.ledger.ended(message, this.#run, false);
    this.#inHand.clear();
  }

  #later(delayMs: number, action: () => void): void {
    const life = this.#life;
    this.#surroundings.after(delayMs, () => {
      if (life === this.#life) action();
    });
  }
}

/** Which message a payload says it is, or null. */
export function numberIn(text: string): number | null {
  const found = text.indexOf(PAYLOAD_MARK);
  return found < 0 ? null : Number.parseInt(text.slice(found + PAYLOAD_MARK.length), 10);
}
