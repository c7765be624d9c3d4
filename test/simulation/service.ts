// SPDX-License-Identifier: MIT
/**
 * The push service of the world: the real sessions, sockets of both dialects, enrolment, publishing, hub and fleet over the
 * simulated disk and network, as one process that can die and come back.
 */

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import * as limits from "../../src/limits.ts";
import { nodeProvider } from "../../src/node/crypto.ts";
import { Canaries } from "../../src/push-service/canaries.ts";
import { sendAway } from "../../src/push-service/drain.ts";
import { type Clock, ENDPOINT_PATH, MESSAGE_PATH, Publishing } from "../../src/push-service/endpoint.ts";
import { Enrolment } from "../../src/push-service/enrolment.ts";
import { LocalFleet } from "../../src/push-service/fleet.ts";
import { errorReply, type Reply } from "../../src/push-service/http-errors.ts";
import { Hub } from "../../src/push-service/hub.ts";
import { newKeyring } from "../../src/push-service/keyring.ts";
import type { LogEvent } from "../../src/push-service/log.ts";
import { PublishAuth } from "../../src/push-service/publish-auth.ts";
import { RateLimit } from "../../src/push-service/rate-limit.ts";
import { DEFAULT_RATES } from "../../src/push-service/rates.ts";
import { type Keyring, Sealer } from "../../src/push-service/seal.ts";
import { Tokens } from "../../src/push-service/tokens.ts";
import { CANARY_PATH, DeviceWebSockets } from "../../src/push-service/websocket.ts";
import { base64urlEncode } from "../../src/webpush/base64url.ts";
import type { Clockwork } from "./clockwork.ts";
import { Disk, SimulatedStore, type StoreWitness } from "./store.ts";
import type { WebSocket, Wire } from "./web-socket.ts";

export const ORIGIN = "https://push.example";

/** A device's request on the network. Names of headers in lower case. */
export interface SimulatedRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the sender. */
  readonly address: string;
}

/** What a refused upgrade is answered. */
export type Refusal = (status: number, retryAfterS: number | null) => void;

export interface ServiceOptions {
  readonly clockwork: Clockwork;
  readonly clock: Clock;
  readonly witness: StoreWitness;
  readonly log: (event: LogEvent) => void;
}

export class Service {
  disk = new Disk();
  readonly #options: ServiceOptions;
  readonly #keyring: Keyring;
  readonly #tokens: Tokens;
  /** Sockets of the present process. */
  readonly #sockets = new Set<WebSocket>();
  #running: Process | null = null;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#keyring = newKeyring();
    this.#tokens = new Tokens(new Sealer(this.#keyring));
  }

  get isUp(): boolean {
    return this.#running !== null;
  }

  get hub(): Hub | null {
    return this.#running?.hub ?? null;
  }

  /** Seals and opens like the service, for whoever checks it. */
  get tokens(): Tokens {
    return this.#tokens;
  }

  start(): void {
    if (this.#running === null) this.#running = new Process(this.#options, this.disk, this.#keyring);
  }

  /** SIGKILL: connections are reset by the system, what is under way is lost. */
  crash(): void {
    const running = this.#running;
    this.#running = null;
    running?.store.die(this.#options.clock.epochMs());
    const sockets = [...this.#sockets];
    this.#sockets.clear();
    for (const socket of sockets) {
      socket.die();
      this.#wires.get(socket)?.cut();
    }
  }

  /** Sends every device away, then ends. */
  async drain(): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    await sendAway(running.hub, 0, limits.RECONNECT_SPREAD_S, new AbortController().signal);
    this.crash();
  }

  /** The disk is lost with everything on it: another store takes its place. */
  forget(): void {
    this.crash();
    this.disk = new Disk();
  }

  /** Expired messages and counts go, as the server does every minute. */
  sweep(): void {
    const nowMs = this.#options.clock.epochMs();
    this.#running?.hub.expire(nowMs);
    this.#running?.store.expire(nowMs).catch(() => {});
  }

  /** A WebSocket upgrade has arrived. */
  upgrade({ path, headers, address }: SimulatedRequest, wire: Wire, refuse: Refusal): void {
    const running = this.#running;
    if (running === null) return refuse(0, null);
    const request = { headers, url: path, wire: this.#keepTrack(wire), address };
    const socket = refusingSocket((text) => {
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0);
      const retryAfter = /\r\nRetry-After: (\d+)\r\n/i.exec(text)?.[1];
      refuse(status, retryAfter === undefined ? null : Number(retryAfter));
    });
    // What it uses of the request is there; the rest of Node's classes is not its business.
    const asNode = request as unknown as IncomingMessage;
    void running.sockets.handleUpgrade(path, asNode, socket as unknown as Duplex, Buffer.alloc(0));
  }

  /** POST /v1/token; null while there is nobody to answer. */
  issueToken({ headers, address }: SimulatedRequest): Promise<Reply | null> {
    const running = this.#running;
    if (running === null) return Promise.resolve(null);
    return running.enrolment.issue({ headers, address, isCertified: false }).catch(errorReply);
  }

  /** An application server's POST; null while there is nobody to answer. */
  publish(
    endpoint: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
  ): Promise<Reply | null> {
    const token = endpoint.slice(ORIGIN.length + ENDPOINT_PATH.length);
    const request = { headers, readBody: async () => body, addressOf: senderAddress };
    return this.#publishing((publishing) => publishing.post(token, request));
  }

  revoke(endpoint: string, authorization: string): Promise<Reply | null> {
    const token = endpoint.slice(ORIGIN.length + ENDPOINT_PATH.length);
    return this.#publishing((publishing) => publishing.revoke(token, authorization, senderAddress));
  }

  withdraw(location: string): Promise<Reply | null> {
    const token = location.slice(ORIGIN.length + MESSAGE_PATH.length);
    return this.#publishing((publishing) => publishing.withdraw(token, senderAddress));
  }

  #publishing(ask: (publishing: Publishing) => Promise<Reply>): Promise<Reply | null> {
    const running = this.#running;
    return running === null ? Promise.resolve(null) : ask(running.publishing).catch(errorReply);
  }

  readonly #wires = new WeakMap<WebSocket, Wire>();

  #keepTrack(wire: Wire): Wire {
    return {
      down: (packet, taken) => wire.down(packet, taken),
      cut: () => wire.cut(),
      after: (delayMs, action) => wire.after(delayMs, action),
      accepted: (socket) => {
        this.#sockets.add(socket);
        this.#wires.set(socket, wire);
        socket.on("close", () => this.#sockets.delete(socket));
        wire.accepted(socket);
      },
    };
  }
}

/** One run of the service's process. */
class Process {
  readonly hub = new Hub();
  readonly store: SimulatedStore;
  readonly enrolment: Enrolment;
  readonly publishing: Publishing;
  readonly sockets: DeviceWebSockets;

  constructor({ clockwork, clock, witness, log }: ServiceOptions, disk: Disk, keyring: Keyring) {
    const store = new SimulatedStore(disk, clockwork, witness);
    this.store = store;
    const shared = { store, tokens: new Tokens(new Sealer(keyring)), clock, log };
    const fleet = new LocalFleet(store, this.hub);
    this.enrolment = new Enrolment({
      ...shared,
      credentials: null,
      secrets: [],
      takesCertificates: false,
      rate: new RateLimit(DEFAULT_RATES.tokenRate),
    });
    const auth = new PublishAuth({ audience: ORIGIN, provider: nodeProvider });
    const posts = {
      endpoint: new RateLimit(DEFAULT_RATES.endpointRate),
      device: new RateLimit(DEFAULT_RATES.deviceRate),
    };
    const refusals = new RateLimit(DEFAULT_RATES.refusalRate);
    this.publishing = new Publishing({ ...shared, fleet, auth, posts, refusals, publicOrigin: ORIGIN });
    const services = {
      ...shared,
      hub: this.hub,
      fleet,
      publicOrigin: ORIGIN,
      storeEpoch: store.epoch,
      reconnectSpreadS: limits.RECONNECT_SPREAD_S,
      idleLimitS: null,
      canary: CANARY_PATH,
      credentials: null,
      delivered: () => {},
    };
    this.sockets = new DeviceWebSockets({
      services,
      enrolment: this.enrolment,
      canaries: new Canaries(),
      deviceLinksMax: limits.DEVICE_LINKS_MAX,
      applicantOf: ({ headers, address }: IncomingMessage & { address?: string }) => ({
        headers,
        address: address ?? "",
        isCertified: false,
      }),
    });
  }
}

const senderAddress = () => "192.0.2.1";

/** The headers of an upgrade, as a device's WebSocket library adds them. */
export function upgradeHeaders(subprotocol: string): Readonly<Record<string, string>> {
  return {
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": base64urlEncode(new Uint8Array(16)).concat("=="),
    "sec-websocket-protocol": subprotocol,
  };
}

/** Of a ws or wss URL. */
export function pathOf(url: string): string {
  return url.slice(url.indexOf("/", "wss://".length));
}

/** What the service uses of the connection while it has not accepted. */
function refusingSocket(answered: (text: string) => void) {
  const nothing = (): void => {};
  const emitter = { on: nothing, once: nothing, destroy: nothing, cork: nothing, uncork: nothing };
  return { destroyed: false, writable: true, ...emitter, end: answered };
}
