// SPDX-License-Identifier: MIT
/** What is asked of a measured program: messages as fast as it takes them, or at a pace; how long each was on its way. */

import type { Device } from "./fleet.ts";
import { Sender, type Target } from "./raw-http.ts";
import { RawMqtt } from "./raw-mqtt.ts";

const HEADERS = { TTL: "600", "Content-Encoding": "aes128gcm" };
const CREATED = 201;
const TOO_MANY = 429;
/** Enough that a message at a pace seldom waits for one. */
const PACED_CARRIERS = 256;
/** Behind the last answer, a message that did not come by now never will. */
const DELIVERY_TIMEOUT_MS = 10_000;

export interface Outcome {
  /** Messages that were answered 201 and delivered within the measured time, and that time. */
  readonly messages: number;
  readonly elapsedMs: number;
  /** From the moment each was due to the moment its device had it, in no order. */
  readonly latenciesMs: readonly number[];
}

/** Sends messages to a fleet and hears of their arrival: {@link Load.received} belongs to every device. */
export class Load {
  readonly #bodyBytes: number;
  readonly #connectOne: ConnectCarrier;
  readonly #dueMs: number[] = [];
  readonly #latenciesMs: number[] = [];
  /** Requests whose device was full. */
  readonly #waiting: (() => void)[] = [];
  #delivered = 0;
  #wake: (() => void) | null = null;

  constructor(bodyBytes: number, connect: ConnectCarrier) {
    this.#bodyBytes = bodyBytes;
    this.#connectOne = connect;
  }

  /** A device has `body`: the number of the message stands in its first four bytes. */
  readonly received = (body: Uint8Array): void => {
    const number = new DataView(body.buffer, body.byteOffset).getUint32(0);
    this.#latenciesMs.push(performance.now() - (this.#dueMs[number] ?? Number.NaN));
    this.#delivered++;
    this.#waiting.shift()?.();
    if (this.#delivered === this.#dueMs.length) this.#wake?.();
  };

  /** `inFlight` requests under way all the time, for `forMs`, to the devices in turn. */
  async saturate(
    target: Target,
    fleet: readonly Device[],
    inFlight: number,
    forMs: number,
  ): Promise<Outcome> {
    const senders = await this.#connect(target, inFlight);
    const startMs = performance.now();
    await Promise.all(
      senders.map(async (sender) => {
        while (performance.now() < startMs + forMs) await this.#post(sender, fleet, performance.now());
      }),
    );
    return this.#finish(senders, startMs);
  }

  /** A message each `everyMs`, for `forMs`. One that could not go when it was due is late from then on. */
  async pace(target: Target, fleet: readonly Device[], everyMs: number, forMs: number): Promise<Outcome> {
    const senders = await this.#connect(target, PACED_CARRIERS);
    const idle = [...senders];
    const startMs = performance.now();
    const count = Math.floor(forMs / everyMs);
    const posts: Promise<unknown>[] = [];
    let next = 0;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        while (next < count && idle.length > 0 && performance.now() >= startMs + next * everyMs) {
          const sender = idle.shift() as Carrier;
          const post = this.#post(sender, fleet, startMs + next++ * everyMs);
          posts.push(post.then(() => idle.push(sender)));
        }
        if (next >= count) resolve();
        else setImmediate(go);
      };
      go();
    });
    await Promise.all(posts);
    return this.#finish(senders, startMs);
  }

  #connect(target: Target, count: number): Promise<Carrier[]> {
    return Promise.all(Array.from({ length: count }, () => this.#connectOne(target)));
  }

  async #post(sender: Carrier, fleet: readonly Device[], dueMs: number): Promise<void> {
    const number = this.#dueMs.push(dueMs) - 1;
    const body = new Uint8Array(this.#bodyBytes);
    new DataView(body.buffer).setUint32(0, number);
    const device = fleet[number % fleet.length];
    for (;;) {
      const status = await sender.send(device?.path ?? "", body);
      if (status === CREATED) return;
      if (status !== TOO_MANY) throw new Error(`a message was answered ${status}`);
      // The device has as many waiting as it may: there is room when it has taken some.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Waits for what is on its way, and forgets the round. */
  async #finish(senders: readonly Carrier[], startMs: number): Promise<Outcome> {
    if (this.#delivered < this.#dueMs.length) {
      const late = setTimeout(() => this.#wake?.(), DELIVERY_TIMEOUT_MS);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      clearTimeout(late);
    }
    const elapsedMs = performance.now() - startMs;
    for (const sender of senders) sender.close();
    const messages = this.#dueMs.length;
    if (this.#delivered < messages) throw new Error(`${messages - this.#delivered} messages did not arrive`);
    const outcome = { messages, elapsedMs, latenciesMs: this.#latenciesMs.splice(0) };
    this.#dueMs.length = 0;
    this.#delivered = 0;
    this.#wake = null;
    return outcome;
  }
}

/** A connection that takes one message at a time; the status is that of HTTP. */
export interface Carrier {
  send(path: string, body: Uint8Array): Promise<number>;
  close(): void;
}

export type ConnectCarrier = (target: Target) => Promise<Carrier>;

export async function httpCarrier(target: Target): Promise<Carrier> {
  let sender = await Sender.connect(target);
  // Node takes up one connection each time it looks: one that is not taken up yet would wait for all that are under way.
  await sender.ask("GET", "/healthz", {}, new Uint8Array());
  return {
    send: async (path, body) => {
      for (;;) {
        const { status } = await sender.ask("POST", path, HEADERS, body);
        if (status !== 0) return status;
        // It was not used for a while, and the server closed it meanwhile.
        sender = await Sender.connect(target);
      }
    },
    close: () => sender.close(),
  };
}

let mqttCarriers = 0;
export async function mqttCarrier(target: Target): Promise<Carrier> {
  const client = await RawMqtt.connect(target, `sender-${++mqttCarriers}`);
  return {
    send: (path, body) => client.publish(path, body).then(() => CREATED),
    close: () => client.close(),
  };
}
