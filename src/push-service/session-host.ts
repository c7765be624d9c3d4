// SPDX-License-Identifier: MIT
/**
 * Runs one pure Session: gives it times, performs its effects on the store and on a link, and feeds the outcomes back. The
 * same for every transport; knows no frames.
 */

import { GodwitError } from "../errors.ts";
import { DEVICE_SEEN_STEP_MS, STORE_RETRY_MS } from "../limits.ts";
import type { ByeReason, DeviceDialect, Downstream, Status, Upstream } from "../wire/dialect.ts";
import { STATUS } from "../wire/dialect.ts";
import { type Clock, ENDPOINT_PATH, stored } from "./endpoint.ts";
import type { Fleet, HeldDevice } from "./fleet.ts";
import { HttpError } from "./http-errors.ts";
import type { DeviceLink, Hub } from "./hub.ts";
import { deviceName, type Log } from "./log.ts";
import { Session } from "./session.ts";
import type {
  Delivered,
  DeviceSession,
  DeviceSnapshot,
  SessionEffect,
  SessionEvent,
  SessionOptions,
  SessionSettings,
} from "./session-events.ts";
import type { ChannelRecord, DeviceRecord, RegisterResult, Store } from "./store/store.ts";
import { endpointKeyHash, type Tokens } from "./tokens.ts";

/** Longest time setTimeout takes. */
const TIMER_MS_MAX = 0x7fff_ffff;

/** What carries the messages of one device. */
export interface LinkPort<Down = Downstream> {
  send(message: Down): void;
  /** Only where the dialect's session asks for pings. */
  ping?(): void;
  /** Sends what is queued, then closes. */
  close(reason: ByeReason): void;
}

/** What all sessions of one service share. */
export interface SessionServices extends SessionSettings {
  readonly store: Store;
  readonly tokens: Tokens;
  readonly hub: Hub;
  readonly fleet: Fleet;
  readonly publicOrigin: string;
  /** An MQTT broker that checks passwords itself, or null. */
  readonly credentials: DeviceCredentials | null;
  readonly delivered: Delivered;
  readonly clock: Clock;
  readonly log: Log;
}

/** Who has to know which devices there are. */
export interface DeviceCredentials {
  /** The device may use this token. Resolves soon, whatever becomes of it. */
  grant(uaid: Uint8Array, uaToken: string): Promise<void>;
  /** The device is forgotten. */
  withdraw(uaid: Uint8Array): void;
}

export interface SessionHostOptions<Up, Down> {
  readonly services: SessionServices;
  /** 16 bytes. */
  readonly uaid: Uint8Array;
  readonly dialect: DeviceDialect;
  /** Brings a device that the store does not know into it, before its first registration; null for one that it knows. */
  readonly create: (() => Promise<void>) | null;
  readonly session: DeviceSession<Up, Down>;
  readonly link: LinkPort<Down>;
}

/** What the store knows of a device. */
interface Known {
  readonly channels: readonly ChannelRecord[];
  readonly record: DeviceRecord | null;
}
const UNKNOWN: Known = { channels: [], record: null };

/** What a device of dialect `godwit.v1` says when it connects. */
export type GodwitDevice = Pick<SessionOptions, "uaid" | "conditions" | "channelsDigest">;

/** The options of {@link SessionHost} for a device of dialect `godwit.v1`. */
export function godwitSession(
  services: SessionServices,
  device: GodwitDevice,
  link: LinkPort,
): SessionHostOptions<Upstream, Downstream> {
  const { uaid, conditions, channelsDigest } = device;
  const attempts = services.hub.attempts(uaid);
  const session = new Session({ settings: services, uaid, conditions, channelsDigest, attempts });
  return { services, uaid: device.uaid, dialect: "godwit.v1", create: null, session, link };
}

/** Hears of the device from the start, but takes the place of its older link only with {@link start}. */
export class SessionHost<Up = Upstream, Down = Downstream> implements DeviceLink {
  readonly #services: SessionServices;
  readonly #uaid: Uint8Array;
  /** For the log: hashed once, not with each acknowledgement. */
  readonly #name: string;
  readonly #dialect: DeviceDialect;
  readonly #link: LinkPort<Down>;
  readonly #session: DeviceSession<Up, Down>;
  #create: (() => Promise<void>) | null;
  /** While one is being handled: those that came meanwhile. */
  #events: SessionEvent<Up>[] | null = null;
  #alarm: NodeJS.Timeout | null = null;
  /** The page that is being read. */
  #loading: Promise<void> | null = null;
  #loadingAgain: NodeJS.Timeout | null = null;
  #endReason: ByeReason | "link" = "link";
  #isOpen = false;
  /** Since this link claimed the device. */
  #held: HeldDevice | null = null;
  /** When it was last written down that the device was there, ms since 1970. */
  #seenMs = Number.POSITIVE_INFINITY;

  constructor({ services, uaid, dialect, create, session, link }: SessionHostOptions<Up, Down>) {
    this.#services = services;
    this.#uaid = uaid;
    this.#name = deviceName(uaid);
    this.#dialect = dialect;
    this.#create = create;
    this.#link = link;
    this.#session = session;
    services.hub.expect(uaid, this);
  }

  /**
   * Claims the device, reads what the store knows and begins the session; of a new device the store knows nothing. A failure
   * detaches it.
   *
   * @param accept makes the link carry frames, at once: nothing can come between it and the first frame. May throw
   * @throws {HttpError} storage, draining, or what `accept` throws
   */
  async start(freshUaToken: string | null, accept: () => void): Promise<void> {
    try {
      const { channels, record } = this.#create === null ? await this.#claim() : UNKNOWN;
      if (!this.isLive()) throw new HttpError("draining");
      accept();
      this.#seenMs = record?.seenMs ?? Number.POSITIVE_INFINITY;
      this.#open({ channels, freshUaToken, lastId: record?.lastMessageId ?? 0 });
    } catch (error) {
      this.detach();
      throw error;
    }
  }

  async #claim(): Promise<Known> {
    const { fleet, log } = this.#services;
    const held = await stored(() => fleet.claim(this.#uaid), log);
    this.#held = held;
    const channels = await stored(() => held.channels(), log);
    return { channels, record: await stored(() => held.getDevice(), log) };
  }

  /** The link can carry frames: this is the device's link from now on. */
  #open(device: DeviceSnapshot): void {
    this.#isOpen = true;
    this.#services.hub.attach(this.#uaid, this);
    this.#services.log({ event: "device-connected", device: this.#name });
    this.handle({ type: "opened", device });
  }

  /** Handles `event` and everything that follows from it; from inside a handler it is queued. */
  handle(event: SessionEvent<Up>): void {
    if (this.#events !== null) {
      this.#events.push(event);
      return;
    }
    const events = [event];
    this.#events = events;
    try {
      for (let next = events.shift(); next !== undefined; next = events.shift()) this.#step(next);
    } finally {
      this.#events = null;
    }
  }

  async reread(): Promise<void> {
    this.handle({ type: "missed" });
    await Promise.all([this.#loading, this.#readRevoked()]);
  }

  /** True until the session said goodbye or lost its link. */
  isLive(): boolean {
    return this.#session.phase !== "closed";
  }

  /** The link is gone, or was never opened. Call it once, after the last {@link handle}. */
  detach(): void {
    this.handle({ type: "linkClosed" });
    this.#setAlarm(null);
    if (this.#loadingAgain !== null) clearTimeout(this.#loadingAgain);
    this.#services.hub.detach(this.#uaid, this);
    this.#held?.release();
    this.#held = null;
    if (!this.#isOpen) return;
    this.#services.log({ event: "device-disconnected", device: this.#name, reason: this.#endReason });
  }

  #step(event: SessionEvent<Up>): void {
    if (event.type === "opened" || event.type === "upstream" || event.type === "activity") this.#noteSeen();
    const { clock } = this.#services;
    this.#session.handle(event, { monotonicMs: clock.monotonicMs(), epochMs: clock.epochMs() });
    for (let effect = this.#session.poll(); effect !== undefined; effect = this.#session.poll()) {
      this.#perform(effect);
    }
  }

  #perform(effect: SessionEffect<Down>): void {
    switch (effect.type) {
      case "send":
        return this.#link.send(effect.message);
      case "ping":
        return this.#link.ping?.();
      case "setAlarm":
        return this.#setAlarm(effect.atMs);
      case "close":
        this.#endReason = effect.reason;
        return this.#link.close(effect.reason);
      case "load":
        this.#loading = this.#load(effect);
        return;
      case "ack":
        return void this.#ack(effect);
      case "register":
        return void this.#register(effect);
      case "unregister":
        return void this.#unregister(effect);
      case "forget":
        return void this.#forget(effect);
    }
  }

  async #load({ afterId, limit }: Extract<SessionEffect, { type: "load" }>): Promise<void> {
    const { clock, fleet } = this.#services;
    // The store knows nothing yet of a device that has not registered anything.
    const page =
      this.#held === null
        ? { messages: [], complete: true }
        : await this.#try((held) => held.messages({ afterId, limit, nowMs: clock.epochMs() }));
    if (page !== null) return this.handle({ type: "loaded", ...page });
    if (fleet.isAlone) return this.handle({ type: "loadFailed" });
    // The same store is behind every other node: nobody is better off elsewhere.
    if (!this.isLive()) return;
    const again = () => this.handle({ type: "loaded", messages: [], complete: false });
    this.#loadingAgain = setTimeout(again, STORE_RETRY_MS);
  }

  /** What the session does not load by itself. */
  async #readRevoked(): Promise<void> {
    const channels = await this.#try((held) => held.channels());
    for (const { channel, revoked } of channels ?? [])
      if (revoked !== null) this.handle({ type: "revoked", channel, reason: revoked });
  }

  async #ack({ operationId, ranges, code }: Extract<SessionEffect, { type: "ack" }>): Promise<void> {
    const { log } = this.#services;
    const removed = await this.#try((held) => held.ack(ranges));
    if (removed !== null) {
      log({ event: "acknowledged", device: this.#name, code, messages: removed });
    }
    this.handle({ type: "acked", operationId, isRemoved: removed !== null });
  }

  async #register(effect: Extract<SessionEffect, { type: "register" }>): Promise<void> {
    const { clock } = this.#services;
    const { operationId, registrationId, applicationServerKey } = effect;
    const isThere = this.#create === null || (await this.#enter(this.#create));
    const register = (held: HeldDevice) =>
      held.register(registrationId, applicationServerKey, clock.epochMs());
    const result = isThere ? await this.#try(register) : null;
    const reply = this.#registration(result, applicationServerKey);
    this.handle({ type: "registered", operationId, ...reply });
  }

  /** Brings a new device into the store, where it can be claimed from then on. False when that failed, which is logged. */
  async #enter(create: () => Promise<void>): Promise<boolean> {
    const { fleet, clock } = this.#services;
    try {
      await create();
      const held = await fleet.claim(this.#uaid);
      if (this.isLive()) this.#held = held;
      else held.release();
      this.#create = null;
      this.#seenMs = clock.epochMs();
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #registration(result: RegisterResult | null, applicationServerKey: Uint8Array | null) {
    if (result?.outcome !== "registered") {
      return {
        status: result === null ? STATUS.unavailable : REFUSED[result.outcome],
        channel: 0,
        endpoint: "",
      };
    }
    const { tokens, publicOrigin, log } = this.#services;
    const { channel, created } = result;
    if (created) log({ event: "registered", device: this.#name, channel });
    const keyHash = endpointKeyHash(applicationServerKey);
    const token = tokens.sealEndpoint({ uaid: this.#uaid, channel, keyHash, dialect: this.#dialect });
    return { status: STATUS.ok, channel, endpoint: `${publicOrigin}${ENDPOINT_PATH}${token}` };
  }

  async #unregister({ operationId, channel }: Extract<SessionEffect, { type: "unregister" }>): Promise<void> {
    const { hub, log } = this.#services;
    const wasThere = await this.#try((held) => held.unregister(channel));
    if (wasThere) {
      hub.forget(this.#uaid, channel);
      log({ event: "unregistered", device: this.#name, channel });
    }
    const status = wasThere === null ? STATUS.unavailable : wasThere ? STATUS.ok : STATUS.notFound;
    this.handle({ type: "unregistered", operationId, status });
  }

  async #forget({ operationId }: Extract<SessionEffect, { type: "forget" }>): Promise<void> {
    const { hub, log, credentials } = this.#services;
    const done = await this.#try(async (held) => {
      await held.removeDevice();
      return true;
    });
    if (done) {
      hub.forget(this.#uaid);
      log({ event: "device-forgotten", device: this.#name, by: "device" });
    }
    this.handle({ type: "forgotten", operationId, status: done ? STATUS.ok : STATUS.unavailable });
    // Behind the Bye: a broker cuts the device off at once.
    if (done) credentials?.withdraw(this.#uaid);
  }

  /** Once in a while is enough: a device is forgotten only after many days. */
  #noteSeen(): void {
    const nowMs = this.#services.clock.epochMs();
    if (nowMs < this.#seenMs + DEVICE_SEEN_STEP_MS) return;
    this.#seenMs = nowMs;
    void this.#try((held) => held.noteSeen(nowMs));
  }

  /** The operation's result, or null when it failed, which is logged, or another link holds the device. */
  async #try<T>(operation: (held: HeldDevice) => Promise<T>): Promise<T | null> {
    if (this.#held === null) return null;
    try {
      return await operation(this.#held);
    } catch (error) {
      if (error instanceof GodwitError && error.code === "ERR_STORE_FENCED") {
        this.handle({ type: "goodbye", reason: "replaced", retryAfterS: 0 });
        return null;
      }
      this.#failed(error);
      return null;
    }
  }

  #failed(error: unknown): void {
    // Logged where it was refused.
    if (error instanceof HttpError) return;
    const text = error instanceof GodwitError ? error.message : String((error as Error).name);
    this.#services.log({ event: "store-failed", error: text });
  }

  #setAlarm(atMs: number | null): void {
    if (this.#alarm !== null) clearTimeout(this.#alarm);
    this.#alarm = null;
    if (atMs === null) return;
    const delayMs = Math.ceil(Math.max(0, atMs - this.#services.clock.monotonicMs()));
    this.#alarm = setTimeout(() => this.handle({ type: "alarm" }), Math.min(delayMs, TIMER_MS_MAX));
  }
}

const REFUSED = {
  conflict: STATUS.conflict,
  tooMany: STATUS.tooMany,
  gone: STATUS.gone,
} as const satisfies Record<Exclude<RegisterResult["outcome"], "registered">, Status>;
