// SPDX-License-Identifier: MIT
/**
 * The push service's Prometheus metrics, counted from its log events: SPEC.md lists them. Every label takes one of a few values that
 * stand in the code, or is the id of a sealing key; none names a device, an endpoint or an address.
 */

import type { Counter, Gauge, Registry } from "prom-client";
import type { LogEvent } from "./log.ts";
import { SEAL_KINDS, type SealKind } from "./seal.ts";
import type { PushServiceStats } from "./service-options.ts";

/** Text of a scrape. */
export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

type EventName = LogEvent["event"];
type EventOf<E extends EventName> = Extract<LogEvent, { event: E }>;

/** A counter that follows one kind of event. */
interface CounterRow<E extends EventName> {
  readonly event: E;
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly labelsOf?: (event: EventOf<E>) => Record<string, string | number>;
  /** Default 1. */
  readonly amountOf?: (event: EventOf<E>) => number;
}

const ROWS = [
  row({ event: "device-created", name: "devices_created_total", help: "Devices that got their first token" }),
  row({
    event: "device-forgotten",
    name: "devices_forgotten_total",
    help: "Devices that left, or that the administrator removed",
    labels: ["by"],
    labelsOf: ({ by }) => ({ by }),
  }),
  row({
    event: "expired",
    name: "devices_expired_total",
    help: "Devices forgotten because they never registered anything or were away for too long",
    amountOf: ({ devices }) => devices,
  }),
  row({ event: "device-connected", name: "connects_total", help: "Device links opened" }),
  row({
    event: "device-disconnected",
    name: "disconnects_total",
    help: "Device links that ended; reason link: the device or the network ended it",
    labels: ["reason"],
    labelsOf: ({ reason }) => ({ reason }),
  }),
  row({ event: "registered", name: "registrations_total", help: "Subscriptions made" }),
  row({ event: "unregistered", name: "unregistrations_total", help: "Subscriptions ended by their device" }),
  row({
    event: "revoked",
    name: "revocations_total",
    help: "Subscriptions ended by their application server or the administrator",
    labels: ["by"],
    labelsOf: ({ by }) => ({ by }),
  }),
  row({ event: "message-accepted", name: "messages_accepted_total", help: "Messages answered with 201" }),
  row({
    event: "message-accepted",
    name: "message_body_bytes_total",
    help: "Bodies of these messages",
    amountOf: ({ bodyBytes }) => bodyBytes,
  }),
  row({
    event: "acknowledged",
    name: "messages_acknowledged_total",
    help: "Messages acknowledged by devices, by what became of them",
    labels: ["code"],
    labelsOf: ({ code }) => ({ code }),
    amountOf: ({ messages }) => messages,
  }),
  row({
    event: "message-withdrawn",
    name: "messages_withdrawn_total",
    help: "Messages withdrawn by their sender",
  }),
  row({
    event: "expired",
    name: "messages_expired_total",
    help: "Messages that reached their TTL undelivered",
    amountOf: ({ messages }) => messages,
  }),
  row({
    event: "refused",
    name: "refusals_total",
    help: "Requests and upgrades refused, by route, HTTP status and errno",
    labels: ["route", "status", "errno"],
    labelsOf: ({ route, status, errno }) => ({ route, status, errno }),
  }),
  row({
    event: "store-failed",
    name: "store_failures_total",
    help: "Operations that the store failed to do",
  }),
  row({
    event: "store-unsafe",
    name: "store_warnings_total",
    help: "Times that the store was found able to lose what it accepts, or to accept nothing",
  }),
  row({
    event: "fleet-lost",
    name: "fleet_losses_total",
    help: "Times that the other processes could not be heard any more",
  }),
  row({
    event: "broker-failed",
    name: "broker_failures_total",
    help: "Failures of the external MQTT broker",
  }),
  row({ event: "unexpected", name: "unexpected_errors_total", help: "Errors that nobody foresaw" }),
];

const PREFIX = "godwit_push_";
/** From an answer out of memory to one that waited for a slow disk. */
const REQUEST_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
/** From a device that is there and quick, over the round trip of a slow network, to one that was away. */
const DELIVERY_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600, 3_600, 86_400];

export class Metrics {
  readonly #registry: Registry;
  readonly #counters = new Map<
    EventName,
    { readonly of: CounterRow<EventName>; readonly counter: Counter }[]
  >();
  readonly #requests: { observe(labels: { route: string }, seconds: number): void };
  readonly #deliveries: { observe(seconds: number): void };
  readonly #olderKeyUses: Counter<"key" | "kind">;

  private constructor(library: typeof import("prom-client"), read: () => PushServiceStats) {
    const { Registry, Counter, Gauge, Histogram } = library;
    const registers = [new Registry()];
    this.#registry = registers[0] as Registry;
    for (const of of ROWS) {
      const { name, help, labels = [] } = of;
      const counter = new Counter({ name: `${PREFIX}${name}`, help, labelNames: [...labels], registers });
      this.#counters.set(of.event, [...(this.#counters.get(of.event) ?? []), { of, counter }]);
    }
    this.#requests = new Histogram({
      name: `${PREFIX}request_seconds`,
      help: "From a request's headers to its answer, by route; of accepted messages this includes storing them",
      labelNames: ["route"],
      buckets: REQUEST_BUCKETS_S,
      registers,
    });
    this.#deliveries = new Histogram({
      name: `${PREFIX}delivery_seconds`,
      help: "From the acceptance of a message to its device's acknowledgement, the device's absence included",
      buckets: DELIVERY_BUCKETS_S,
      registers,
    });
    this.#olderKeyUses = new Counter({
      name: `${PREFIX}older_key_uses_total`,
      help: "Tokens, endpoints and Locations presented that were sealed by a key which does not seal now",
      labelNames: ["key", "kind"] as const,
      registers,
    });
    for (const [name, help, value] of GAUGES) {
      const collect = function (this: Gauge): void {
        this.set(value(read()));
      };
      new Gauge({ name: `${PREFIX}${name}`, help, registers, collect });
    }
    // Not the library's own: those watch the event loop and the collector all the time, and walk all sockets at each scrape.
    for (const [name, help, total] of PROCESS_TOTALS) {
      const collect = function (this: Counter): void {
        this.reset();
        this.inc(total());
      };
      new Counter({ name, help, registers, collect });
    }
    for (const [name, help, value] of PROCESS_GAUGES) {
      const collect = function (this: Gauge): void {
        this.set(value());
      };
      new Gauge({ name, help, registers, collect });
    }
  }

  /** @param read called at each scrape */
  static async create(read: () => PushServiceStats): Promise<Metrics> {
    return new Metrics(await import("prom-client"), read);
  }

  count(event: LogEvent): void {
    for (const { of, counter } of this.#counters.get(event.event) ?? []) {
      counter.inc(of.labelsOf?.(event) ?? {}, of.amountOf?.(event) ?? 1);
    }
  }

  /** @param route as in the log, without what is behind it */
  answered(route: string, seconds: number): void {
    this.#requests.observe({ route }, seconds);
  }

  /** A message was acknowledged so long after it was accepted; of several nodes' clocks it may seem to be before. */
  delivered(seconds: number): void {
    this.#deliveries.observe(Math.max(0, seconds));
  }

  /** Those of the ring: a key that nobody uses is told as well. */
  expectOlderKeys(keyIds: readonly string[]): void {
    for (const key of keyIds) for (const kind of SEAL_KINDS) this.#olderKeyUses.inc({ key, kind }, 0);
  }

  /** As {@link OlderKeyUsed}. */
  olderKeyUsed(key: string, kind: SealKind): void {
    this.#olderKeyUses.inc({ key, kind });
  }

  async read(): Promise<Exposition> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}

const GAUGES: readonly (readonly [name: string, help: string, value: (stats: PushServiceStats) => number])[] =
  [
    ["devices_connected", "Devices with a link to this process", ({ devicesConnected }) => devicesConnected],
    ["canaries_connected", "Canary links", ({ canariesConnected }) => canariesConnected],
    ["device_links_max", "Devices and canaries this process takes", ({ deviceLinksMax }) => deviceLinksMax],
    ["connections", "Open TCP connections", ({ connections }) => connections],
    ["draining", "1 while the process is on its way out", ({ isDraining }) => (isDraining ? 1 : 0)],
  ];

type ProcessRow = readonly [name: string, help: string, value: () => number];

/** Under the names that dashboards know, where there is one. */
const PROCESS_TOTALS: readonly ProcessRow[] = [
  ["process_cpu_seconds_total", "Processor time", () => cpuSeconds()],
  [
    `${PREFIX}event_loop_active_seconds_total`,
    "Time in which the event loop had something to do; its rate is how busy the process is, 1 being full",
    () => performance.eventLoopUtilization().active / 1000,
  ],
];
const PROCESS_GAUGES: readonly ProcessRow[] = [
  ["process_resident_memory_bytes", "Memory in use", () => process.memoryUsage.rss()],
  ["process_start_time_seconds", "When the process began, since 1970", () => performance.timeOrigin / 1000],
  [
    "nodejs_heap_size_used_bytes",
    "JavaScript objects, those not collected yet included",
    () => process.memoryUsage().heapUsed,
  ],
];

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Each row is only ever given events of its own kind. */
function row<E extends EventName>(of: CounterRow<E>): CounterRow<EventName> {
  return of as unknown as CounterRow<EventName>;
}
