// SPDX-License-Identifier: MIT
/**
 * The push service as one HTTP server: puts the parts together, bounds connections, starts and stops. Routes are in
 * routes.ts, device links in websocket.ts.
 */

import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { GodwitError } from "../errors.ts";
import * as limits from "../limits.ts";
import { nodeProvider } from "../node/crypto.ts";
import type { SigningProvider } from "../webpush/crypto.ts";
import { Canaries } from "./canaries.ts";
import { Connections } from "./connections.ts";
import { type Clock, CORS_HEADERS, Publishing, stored } from "./endpoint.ts";
import { Enrolment } from "./enrolment.ts";
import { type Fleet, LocalFleet } from "./fleet.ts";
import { errorReply, HttpError, type Reply } from "./http-errors.ts";
import { Hub } from "./hub.ts";
import type { Log, LogEvent } from "./log.ts";
import { divertMqtt, MQTT_ALPN, type MqttOptions, MqttService } from "./mqtt-service.ts";
import { isWebSocketUpgrade, servePlain } from "./plain-request.ts";
import { publicOriginOf } from "./public-origin.ts";
import { PublishAuth } from "./publish-auth.ts";
import { RateLimit, type RateOptions } from "./rate-limit.ts";
import { writeReply } from "./request.ts";
import { isCrossOriginRoute, type RoutesOptions, route, routeName } from "./routes.ts";
import { type Keyring, Sealer } from "./seal.ts";
import type { Store } from "./store/store.ts";
import { Tokens } from "./tokens.ts";
import { CANARY_PATH, DeviceWebSockets, refuseUpgrade, WEBSOCKET_PATH } from "./websocket.ts";

export interface PushServiceOptions {
  /** Owned from now on: {@link PushService.close} closes it. */
  readonly store: Store;
  readonly keyring: Keyring;
  /** PEM; null for plain HTTP behind a proxy that speaks TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0, any free one. */
  readonly port?: number;
  /** scheme://host[:port] that endpoints start with and VAPID tokens name. Default: `localhost` and the port. */
  readonly publicOrigin?: string;
  /** Addresses come from the last entry of X-Forwarded-For, and connections are not counted by address. Default false. */
  readonly isBehindProxy?: boolean;
  /** With any, a device without a token needs one of them in `Godwit-Enrolment`. Default none. */
  readonly enrolmentSecrets?: readonly string[];
  /** Devices come back spread over this long; default `RECONNECT_SPREAD_S`. */
  readonly reconnectSpreadS?: number;
  /** What a balancer in front allows a silent link; default null, no such limit. */
  readonly idleLimitS?: number | null;
  /**
   * Devices may come over MQTT: to a broker inside the service, which listens on `port` (0 for any free one; TLS when the
   * service has it) and takes connections to the service's own TLS port that negotiate ALPN `mqtt`; or to an external
   * Mosquitto with the dynamic-security plugin. Default: no MQTT.
   */
  readonly mqtt?: MqttOptions;
  /** Of devices and canaries together; default `DEVICE_LINKS_MAX`. */
  readonly deviceLinksMax?: number;
  /** Default `CONNECTIONS_PER_ADDRESS_MAX`. */
  readonly connectionsPerAddressMax?: number;
  /** Per address; default `TOKENS_PER_ADDRESS_*`. */
  readonly tokenRate?: RateOptions;
  /** Per endpoint; default `ENDPOINT_POSTS_*`. */
  readonly endpointRate?: RateOptions;
  /** Over all endpoints of one device; default `DEVICE_POSTS_*`. */
  readonly deviceRate?: RateOptions;
  /** Default {@link nodeProvider}. */
  readonly provider?: SigningProvider;
  /** Default the system's. Fractions of a wall-clock millisecond are dropped. */
  readonly clock?: Clock;
  /** Default none. */
  readonly log?: Log;
}

/** Counts since the start, by kind of {@link LogEvent}, and what there is now. */
export interface PushServiceStats {
  readonly devicesConnected: number;
  readonly canariesConnected: number;
  readonly connections: number;
  readonly events: Readonly<Partial<Record<LogEvent["event"], number>>>;
}

export interface PushService {
  /** Valid once {@link listen} resolved. */
  readonly origin: string;
  readonly port: number;
  /** Of the embedded MQTT broker; 0 without one. */
  readonly mqttPort: number;
  /** @throws {NodeJS.ErrnoException} as `net.Server.listen` */
  listen(): Promise<void>;
  /** Says goodbye to every device, finishes what is under way, closes the store. */
  close(): Promise<void>;
  stats(): PushServiceStats;
}

/**
 * A push service that does not listen yet.
 *
 * @throws {GodwitError} ERR_CONFIG `publicOrigin` is no http or https URL
 */
export function createPushService(options: PushServiceOptions): PushService {
  return new Service(options);
}

const SYSTEM_CLOCK: Clock = { epochMs: () => Date.now(), monotonicMs: () => performance.now() };

class Service implements PushService {
  readonly #options: PushServiceOptions;
  readonly #clock: Clock;
  readonly #hub = new Hub();
  readonly #canaries = new Canaries();
  readonly #counts: Partial<Record<LogEvent["event"], number>> = {};
  readonly #log: Log;
  readonly #server: Server;
  readonly #connections: Connections;
  readonly #perAddressMax: number;
  #mqtt: MqttService | null = null;
  #routes: RoutesOptions | null = null;
  #devices: DeviceWebSockets | null = null;
  #sweep: NodeJS.Timeout | null = null;
  #isDraining = false;
  #origin = "";

  constructor(options: PushServiceOptions) {
    this.#options = options;
    if (options.publicOrigin !== undefined) this.#origin = publicOriginOf(options.publicOrigin);
    const clock = options.clock ?? SYSTEM_CLOCK;
    this.#clock = { epochMs: () => Math.floor(clock.epochMs()), monotonicMs: () => clock.monotonicMs() };
    this.#log = (event) => {
      this.#counts[event.event] = (this.#counts[event.event] ?? 0) + 1;
      options.log?.(event);
    };
    this.#server = createServer(options.tls, options.mqtt !== undefined && "port" in options.mqtt);
    divertMqtt(this.#server, (socket) => {
      this.#connections.upgraded(socket);
      if (this.#mqtt === null) socket.destroy();
      else this.#mqtt.serve(socket);
    });
    const { isBehindProxy = false, connectionsPerAddressMax = limits.CONNECTIONS_PER_ADDRESS_MAX } = options;
    this.#perAddressMax = isBehindProxy ? Number.POSITIVE_INFINITY : connectionsPerAddressMax;
    this.#connections = new Connections(this.#server, this.#perAddressMax);
    this.#server.on("request", (request, response) => void this.#answer(request, response));
    this.#server.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
  }

  get origin(): string {
    return this.#origin;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  get mqttPort(): number {
    return this.#mqtt?.port ?? 0;
  }

  async listen(): Promise<void> {
    const { host = "127.0.0.1", port = 0, tls } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    const scheme = tls === null ? "http" : "https";
    if (this.#origin === "") this.#origin = publicOriginOf(`${scheme}://localhost:${this.port}`);
    try {
      if (this.#options.mqtt !== undefined)
        this.#mqtt = await MqttService.create(this.#options.mqtt, this.#log);
      await this.#assemble();
    } catch (error) {
      await this.#close();
      throw error;
    }
    this.#sweep = setInterval(() => void this.#expire(), limits.EXPIRE_INTERVAL_MS);
    this.#log({ event: "listening", port: this.port, isTls: tls !== null });
  }

  async close(): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    if (this.#sweep !== null) clearInterval(this.#sweep);
    const spreadS = this.#options.reconnectSpreadS ?? limits.RECONNECT_SPREAD_S;
    for (const link of this.#hub.links()) {
      // Drawn for each device, so that they do not all come back at once.
      const retryAfterS = Math.round(Math.random() * spreadS);
      link.handle({ type: "goodbye", reason: "shutdown", retryAfterS });
    }
    this.#canaries.closeAll();
    await this.#close();
    await this.#options.store.close();
    this.#log({ event: "stopped" });
  }

  stats(): PushServiceStats {
    return {
      devicesConnected: this.#hub.size,
      canariesConnected: this.#canaries.size,
      connections: this.#connections.size + (this.#mqtt?.connections ?? 0),
      events: { ...this.#counts },
    };
  }

  /** Nobody comes in any more, and everybody goes, within a bounded time. */
  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#connections.cutSilent();
    const cut = setTimeout(() => this.#cut(), limits.SHUTDOWN_TIMEOUT_MS);
    await Promise.all([closed, this.#mqtt?.close()]);
    clearTimeout(cut);
  }

  /** Made once the port, and so the public origin, is known. */
  async #assemble(): Promise<void> {
    const { store, keyring, provider = nodeProvider, enrolmentSecrets: secrets = [] } = this.#options;
    const shared = { store, tokens: new Tokens(new Sealer(keyring)), clock: this.#clock, log: this.#log };
    const fleet: Fleet = new LocalFleet(store, this.#hub);
    const publicOrigin = this.#origin;
    const posts = {
      endpoint: new RateLimit(this.#options.endpointRate ?? ENDPOINT_RATE),
      device: new RateLimit(this.#options.deviceRate ?? DEVICE_RATE),
    };
    const auth = new PublishAuth({ audience: publicOrigin, provider });
    const credentials = this.#mqtt?.credentials ?? null;
    const enrolment = new Enrolment({
      ...shared,
      credentials,
      secrets,
      rate: new RateLimit(this.#options.tokenRate ?? TOKEN_RATE),
    });
    this.#routes = {
      enrolment,
      publishing: new Publishing({ ...shared, fleet, auth, posts, publicOrigin }),
      checkReady: () => this.#checkReady(),
      addressOf: (request) => this.#addressOf(request),
    };
    const services = {
      ...shared,
      hub: this.#hub,
      fleet,
      publicOrigin,
      reconnectSpreadS: this.#options.reconnectSpreadS ?? limits.RECONNECT_SPREAD_S,
      idleLimitS: this.#options.idleLimitS ?? null,
      canary: CANARY_PATH,
      credentials,
    };
    const deviceLinksMax = this.#options.deviceLinksMax ?? limits.DEVICE_LINKS_MAX;
    const { tls, host = "127.0.0.1" } = this.#options;
    const connectionsPerAddressMax = this.#perAddressMax;
    await this.#mqtt?.start({ services, enrolment, deviceLinksMax, tls, host, connectionsPerAddressMax });
    this.#devices = new DeviceWebSockets({ services, enrolment, canaries: this.#canaries, deviceLinksMax });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#connections.requested(request.socket, response);
    const reply = await this.#reply(request);
    const cors = isCrossOriginRoute(request) ? CORS_HEADERS : {};
    const draining = this.#isDraining ? { Connection: "close" } : {};
    const headers = { ...reply.headers, ...cors, ...draining };
    await writeReply(request, response, { ...reply, headers });
  }

  async #reply(request: IncomingMessage): Promise<Reply> {
    try {
      if (this.#routes === null || this.#isDraining) throw new HttpError("draining");
      return await route(this.#routes, request);
    } catch (error) {
      return this.#refused(routeName(request), error);
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if (!isWebSocketUpgrade(request)) return servePlain(this.#server, request, socket, head);
    this.#connections.upgraded(socket);
    // Node leaves the socket to us: without a listener an error on it would end the process.
    socket.on("error", () => socket.destroy());
    const path = request.url?.split("?", 1)[0] ?? "";
    const isKnown = path === WEBSOCKET_PATH || path === CANARY_PATH;
    if (this.#devices === null || this.#isDraining || !isKnown) {
      const refusal = new HttpError(isKnown ? "draining" : "notFound");
      return refuseUpgrade(socket, this.#refused(routeName(request), refusal));
    }
    const error = await this.#devices.handleUpgrade(path, request, socket, head);
    if (error !== null) this.#refused(path, error);
  }

  #refused(routeName: string, error: unknown): Reply {
    const reply = errorReply(error);
    const { status } = reply;
    const { errno } = JSON.parse(reply.body) as { errno: number };
    this.#log({ event: "refused", route: routeName, status, errno });
    if (!(error instanceof HttpError)) {
      const name =
        error instanceof GodwitError ? error.message : ((error as Error | undefined)?.name ?? "unknown");
      this.#log({ event: "unexpected", error: name });
    }
    return reply;
  }

  /** An empty group commit tells a full or broken disk; nobody has this uaid. */
  async #checkReady(): Promise<void> {
    await stored(() => this.#options.store.raiseTokenGeneration(new Uint8Array(16), 0), this.#log);
  }

  async #expire(): Promise<void> {
    const nowMs = this.#clock.epochMs();
    this.#hub.expire(nowMs);
    try {
      const { messages, devices } = await stored(() => this.#options.store.expire(nowMs), this.#log);
      if (messages > 0 || devices.length > 0)
        this.#log({ event: "expired", messages, devices: devices.length });
      for (const uaid of devices) this.#mqtt?.credentials?.withdraw(uaid);
    } catch {
      // Logged by `stored`; the next sweep tries again.
    }
  }

  #addressOf(request: IncomingMessage): string {
    const forwarded = this.#options.isBehindProxy ? request.headers["x-forwarded-for"] : undefined;
    // The last entry is the proxy's own; those before it are the sender's claim.
    const last = (Array.isArray(forwarded) ? forwarded.join(",") : forwarded)?.split(",").at(-1)?.trim();
    return last ?? request.socket.remoteAddress ?? "";
  }

  /** What did not end by itself in time. */
  #cut(): void {
    this.#devices?.terminate();
    this.#mqtt?.cut();
    this.#connections.cutAll();
  }
}

const TOKEN_RATE: RateOptions = {
  burstMax: limits.TOKENS_PER_ADDRESS_BURST_MAX,
  perMinute: limits.TOKENS_PER_ADDRESS_PER_MINUTE_MAX,
};
const ENDPOINT_RATE: RateOptions = {
  burstMax: limits.ENDPOINT_POSTS_BURST_MAX,
  perMinute: limits.ENDPOINT_POSTS_PER_MINUTE_MAX,
};
const DEVICE_RATE: RateOptions = {
  burstMax: limits.DEVICE_POSTS_BURST_MAX,
  perMinute: limits.DEVICE_POSTS_PER_MINUTE_MAX,
};

/** The server with its time-outs; a slow sender is cut by Node after these. */
function createServer(tls: PushServiceOptions["tls"], takesMqtt: boolean): Server {
  const bounds = {
    maxHeaderSize: limits.HTTP_HEADER_BYTES_MAX,
    headersTimeout: limits.HTTP_HEADERS_TIMEOUT_MS,
    requestTimeout: limits.HTTP_REQUEST_TIMEOUT_MS,
    keepAliveTimeout: limits.HTTP_KEEP_ALIVE_MS,
    connectionsCheckingInterval: 5_000,
  };
  if (tls === null) return createHttpServer(bounds);
  return createHttpsServer({
    ...bounds,
    ...tls,
    ...(takesMqtt ? { ALPNProtocols: ["http/1.1", MQTT_ALPN] } : {}),
    minVersion: "TLSv1.2",
    handshakeTimeout: limits.TLS_HANDSHAKE_TIMEOUT_MS,
  });
}
