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
import { createServer as createHttpsServer, Server as HttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { GodwitError } from "../errors.ts";
import * as limits from "../limits.ts";
import { nodeProvider } from "../node/crypto.ts";
import { AdminListener } from "./admin.ts";
import { Administration } from "./administration.ts";
import { Canaries } from "./canaries.ts";
import { hasClientCertificate } from "./client-certificate.ts";
import { type ConnectionBounds, Connections } from "./connections.ts";
import { pause, sendAway } from "./drain.ts";
import { type Clock, CORS_HEADERS, Publishing, stored } from "./endpoint.ts";
import { type Applicant, addressGroup, Enrolment, forwardedAddress } from "./enrolment.ts";
import { type Fleet, LocalFleet } from "./fleet.ts";
import { errorReply, HttpError, type Reply } from "./http-errors.ts";
import { Hub } from "./hub.ts";
import type { Log, LogEvent } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { divertMqtt, MQTT_ALPN, MqttService } from "./mqtt-service.ts";
import { isWebSocketUpgrade, servePlain } from "./plain-request.ts";
import { publicOriginOf } from "./public-origin.ts";
import { PublishAuth } from "./publish-auth.ts";
import { RateLimit } from "./rate-limit.ts";
import { DEFAULT_RATES } from "./rates.ts";
import { writeReply } from "./request.ts";
import { isCrossOriginRoute, type RoutesOptions, route, routeName } from "./routes.ts";
import { Sealer } from "./seal.ts";
import type {
  PushService,
  PushServiceOptions,
  PushServiceReload,
  PushServiceStats,
} from "./service-options.ts";
import { Tokens } from "./tokens.ts";
import {
  AUTOPUSH_PATH,
  CANARY_PATH,
  cutBroken,
  DeviceWebSockets,
  refuseUpgrade,
  WEBSOCKET_PATH,
} from "./websocket.ts";

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
  readonly #bounds: ConnectionBounds;
  readonly #upgradeRate: RateLimit;
  readonly #sealer: Sealer;
  readonly #hurry = new AbortController();
  #admin: AdminListener | null = null;
  #metrics: Metrics | null = null;
  #mqtt: MqttService | null = null;
  #routes: RoutesOptions | null = null;
  #devices: DeviceWebSockets | null = null;
  #fleet: Fleet | null = null;
  #sweep: NodeJS.Timeout | null = null;
  #enrolment: Enrolment | null = null;
  #administration: Administration | null = null;
  #closing: Promise<void> | null = null;
  /** Nobody new may stay; POSTs are taken for a while yet. */
  #isLeaving = false;
  /** Nothing is served any more. */
  #isStopping = false;
  /** Whether the store takes messages, as tried last, and the monotonic ms until which that counts. */
  #ready: Promise<void> = Promise.resolve();
  #readyUntilMs = Number.NEGATIVE_INFINITY;
  #origin = "";
  /** The fleet's authorities; a reload can change them and not take them away. */
  #enrolmentCa: string | null;

  constructor(options: PushServiceOptions) {
    this.#options = options;
    this.#enrolmentCa = options.enrolmentCa ?? null;
    if (options.publicOrigin !== undefined) this.#origin = publicOriginOf(options.publicOrigin);
    const clock = options.clock ?? SYSTEM_CLOCK;
    this.#clock = { epochMs: () => Math.floor(clock.epochMs()), monotonicMs: () => clock.monotonicMs() };
    this.#log = (event) => {
      this.#counts[event.event] = (this.#counts[event.event] ?? 0) + 1;
      this.#metrics?.count(event);
      options.log?.(event);
    };
    this.#sealer = new Sealer(options.keyring, (key, kind) => this.#metrics?.olderKeyUsed(key, kind));
    this.#server = createServer(options);
    // Else Node leaves out headers that its parser framed the body by; their bytes are bounded.
    this.#server.maxHeadersCount = 0;
    divertMqtt(this.#server, (socket) => {
      this.#connections.upgraded(socket);
      if (this.#mqtt === null) socket.destroy();
      else this.#mqtt.serve(socket);
    });
    const { isBehindProxy = false, connectionsPerAddressMax = limits.CONNECTIONS_PER_ADDRESS_MAX } = options;
    this.#bounds = isBehindProxy
      ? { perAddressMax: Number.POSITIVE_INFINITY, rate: null }
      : {
          perAddressMax: connectionsPerAddressMax,
          rate: new RateLimit(options.connectionRate ?? DEFAULT_RATES.connectionRate),
        };
    this.#upgradeRate = new RateLimit(options.upgradeRate ?? DEFAULT_RATES.upgradeRate);
    this.#connections = new Connections(this.#server, this.#bounds);
    this.#server.on("request", (request, response) => void this.#answer(request, response));
    // Of what is expected only `100-continue` means anything (RFC 9110 §10.1.1); to the rest Node would answer 417, without errno.
    this.#server.on("checkExpectation", (request, response) => void this.#answer(request, response));
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

  get adminPort(): number {
    return this.#admin?.port ?? 0;
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
      // Counted from the first request on.
      await this.#openAdmin();
    } catch (error) {
      await this.#close();
      throw error;
    }
    this.#sweep = setInterval(() => void this.#expire(), limits.EXPIRE_INTERVAL_MS);
    this.#log({ event: "listening", port: this.port, isTls: tls !== null });
  }

  reload({ keyring, tls, enrolmentSecrets, enrolmentCa }: PushServiceReload): void {
    if (tls !== null && this.#server instanceof HttpsServer) {
      // Without any, certificates of the public authorities would count as the fleet's.
      this.#enrolmentCa = enrolmentCa ?? this.#enrolmentCa;
      const ca = this.#enrolmentCa;
      this.#server.setSecureContext({ ...tls, ...(ca === null ? {} : { ca }) });
      this.#mqtt?.useTls(tls);
    }
    this.#sealer.use(keyring);
    this.#metrics?.expectOlderKeys(this.#sealer.olderKeyIds);
    this.#enrolment?.useSecrets(enrolmentSecrets);
    this.#log({ event: "reloaded", keys: 1 + keyring.older.length });
  }

  close(): Promise<void> {
    if (this.#closing !== null) this.#hurry.abort();
    this.#closing ??= this.#stop();
    return this.#closing;
  }

  async #stop(): Promise<void> {
    const { drain: { delayS = 0, spreadS = 0 } = {}, reconnectSpreadS = limits.RECONNECT_SPREAD_S } =
      this.#options;
    this.#log({ event: "draining", links: this.#hub.size, delayS, spreadS });
    if (delayS > 0) await pause(delayS * 1000, this.#hurry.signal);
    this.#isLeaving = true;
    this.#devices?.drain();
    this.#canaries.closeAll();
    await sendAway(this.#hub, spreadS * 1000, reconnectSpreadS, this.#hurry.signal);
    this.#isStopping = true;
    if (this.#sweep !== null) clearInterval(this.#sweep);
    await this.#close();
    await this.#fleet?.close();
    await this.#options.store.close();
    await this.#admin?.close();
    this.#log({ event: "stopped" });
  }

  stats(): PushServiceStats {
    return {
      devicesConnected: this.#hub.size,
      canariesConnected: this.#canaries.size,
      connections: this.#connections.size + (this.#mqtt?.connections ?? 0),
      deviceLinksMax: this.#deviceLinksMax,
      isDraining: this.#closing !== null,
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
    const {
      store,
      provider = nodeProvider,
      enrolmentSecrets: secrets = [],
      enrolmentCa = null,
    } = this.#options;
    const shared = { store, tokens: new Tokens(this.#sealer), clock: this.#clock, log: this.#log };
    const fleet: Fleet = (await store.join?.(this.#hub, this.#log)) ?? new LocalFleet(store, this.#hub);
    this.#fleet = fleet;
    const publicOrigin = this.#origin;
    const posts = {
      endpoint: new RateLimit(this.#options.endpointRate ?? DEFAULT_RATES.endpointRate),
      device: new RateLimit(this.#options.deviceRate ?? DEFAULT_RATES.deviceRate),
    };
    const auth = new PublishAuth({ audience: publicOrigin, provider });
    const credentials = this.#mqtt?.credentials ?? null;
    const enrolment = new Enrolment({
      ...shared,
      credentials,
      secrets,
      takesCertificates: enrolmentCa !== null,
      rate: new RateLimit(this.#options.tokenRate ?? DEFAULT_RATES.tokenRate),
    });
    const applicantOf = (request: IncomingMessage): Applicant => ({
      headers: request.headers,
      address: this.#addressOf(request),
      isCertified: enrolmentCa !== null && hasClientCertificate(request.socket),
    });
    this.#routes = {
      enrolment,
      publishing: new Publishing({
        ...shared,
        ...{ fleet, auth, posts, publicOrigin },
        refusals: new RateLimit(this.#options.refusalRate ?? DEFAULT_RATES.refusalRate),
      }),
      checkReady: () => this.#checkReady(),
      applicantOf,
    };
    const services = {
      ...shared,
      hub: this.#hub,
      fleet,
      publicOrigin,
      storeEpoch: store.epoch,
      reconnectSpreadS: this.#options.reconnectSpreadS ?? limits.RECONNECT_SPREAD_S,
      idleLimitS: this.#options.idleLimitS ?? null,
      canary: CANARY_PATH,
      delivered: (delayMs: number) => this.#metrics?.delivered(delayMs / 1000),
      credentials,
    };
    this.#enrolment = enrolment;
    this.#administration = new Administration(services);
    const deviceLinksMax = this.#deviceLinksMax;
    const { tls, host = "127.0.0.1" } = this.#options;
    await this.#mqtt?.start({ services, enrolment, deviceLinksMax, tls, host, bounds: this.#bounds });
    this.#devices = new DeviceWebSockets({
      services,
      enrolment,
      canaries: this.#canaries,
      deviceLinksMax,
      applicantOf,
    });
  }

  async #openAdmin(): Promise<void> {
    const { admin } = this.#options;
    const administration = this.#administration;
    if (admin === undefined || admin === null || administration === null) return;
    this.#metrics = await Metrics.create(() => this.stats());
    this.#metrics.expectOlderKeys(this.#sealer.olderKeyIds);
    const checkReady = () => this.#checkReady();
    this.#admin = new AdminListener({ ...admin, administration, checkReady, metrics: this.#metrics });
    await this.#admin.listen();
    this.#log({ event: "admin-listening", port: this.#admin.port });
  }

  get #deviceLinksMax(): number {
    return this.#options.deviceLinksMax ?? limits.DEVICE_LINKS_MAX;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startMs = performance.now();
    this.#connections.requested(request.socket, response);
    const reply = await this.#reply(request);
    const cors = isCrossOriginRoute(request) ? CORS_HEADERS : {};
    this.#metrics?.answered(routeName(request), (performance.now() - startMs) / 1000);
    const more = this.#closing === null ? cors : { ...cors, Connection: "close" };
    await writeReply(request, response, reply, more);
  }

  async #reply(request: IncomingMessage): Promise<Reply> {
    try {
      if (this.#routes === null || this.#isStopping) throw new HttpError("draining");
      return await route(this.#routes, request);
    } catch (error) {
      return this.#refused(routeName(request), error);
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if (!isWebSocketUpgrade(request)) return servePlain(this.#server, request, socket, head);
    this.#connections.upgraded(socket);
    socket.on("error", cutBroken);
    const path = request.url?.split("?", 1)[0] ?? "";
    const isKnown = [WEBSOCKET_PATH, AUTOPUSH_PATH, CANARY_PATH].includes(path);
    if (this.#devices === null || this.#isLeaving || !isKnown) {
      const refusal = new HttpError(isKnown ? "draining" : "notFound");
      return refuseUpgrade(socket, this.#refused(routeName(request), refusal));
    }
    const retryAfterS = this.#upgradeRate.take(
      addressGroup(this.#addressOf(request)),
      this.#clock.monotonicMs(),
    );
    if (retryAfterS > 0) {
      const refusal = new HttpError("addressRate", { "Retry-After": String(retryAfterS) });
      return refuseUpgrade(socket, this.#refused(path, refusal));
    }
    const error = await this.#devices.handleUpgrade(path, request, socket, head);
    if (error !== null) this.#refused(path, error);
    // `ws` listens now.
    else socket.off("error", cutBroken);
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

  /** Anybody may ask, and each answer is a write of the store: one serves all who ask within a while. */
  async #checkReady(): Promise<void> {
    if (this.#closing !== null) throw new HttpError("draining");
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#readyUntilMs) {
      this.#readyUntilMs = nowMs + limits.READY_CHECK_MS;
      this.#ready = this.#tryStore();
    }
    await this.#ready;
  }

  async #tryStore(): Promise<void> {
    const fleet = this.#fleet;
    if (fleet === null) throw new HttpError("draining");
    await stored(() => fleet.checkReady(), this.#log);
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
    return forwardedAddress(last ?? "") ?? request.socket.remoteAddress ?? "";
  }

  /** What did not end by itself in time. */
  #cut(): void {
    this.#devices?.terminate();
    this.#mqtt?.cut();
    this.#connections.cutAll();
  }
}

/** The server with its time-outs; a slow sender is cut by Node after these. */
function createServer({ tls, mqtt, enrolmentCa }: PushServiceOptions): Server {
  const takesMqtt = mqtt !== undefined && "port" in mqtt;
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
    // A certificate is asked for, and whoever has none is served all the same.
    ...(enrolmentCa == null ? {} : { ca: enrolmentCa, requestCert: true, rejectUnauthorized: false }),
    ...(takesMqtt ? { ALPNProtocols: ["http/1.1", MQTT_ALPN] } : {}),
    minVersion: "TLSv1.2",
    handshakeTimeout: limits.TLS_HANDSHAKE_TIMEOUT_MS,
  });
}
