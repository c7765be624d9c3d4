// SPDX-License-Identifier: MIT
/**
 * Device links over MQTT, whatever broker carries them: which session a frame belongs to, from RegisterUA to
 * Bye or the device's last will. Brokers are in mqtt-embedded.ts and mqtt-external.ts; the rules of a session in session.ts.
 */

import { bytesEqual, hexDecode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import {
  LINK_CONGESTED_BYTES,
  LINK_QUEUED_BYTES_MAX,
  MQTT_ELSEWHERE_MS,
  MQTT_REGISTRATIONS_BURST_MAX,
  MQTT_REGISTRATIONS_PER_MINUTE_MAX,
  MQTT_RETURNS_PER_SECOND,
  RATES_REMEMBERED_MAX,
} from "../limits.ts";
import { type ByeReason, type Downstream, STATUS, type Upstream } from "../wire/dialect.ts";
import { godwitDialect } from "../wire/godwit.ts";
import { stored } from "./endpoint.ts";
import type { Enrolment } from "./enrolment.ts";
import { HttpError } from "./http-errors.ts";
import { RateLimit } from "./rate-limit.ts";
import {
  type GodwitDevice,
  godwitSession,
  type LinkPort,
  SessionHost,
  type SessionServices,
} from "./session-host.ts";
import { UAID_BYTES } from "./tokens.ts";
import { UpstreamFrames } from "./upstream-frames.ts";

/** A device at the broker goes by its uaid, 32 hex digits: its user name, client id and the third level of its topics. */
export type DeviceId = string;

export const MQTT_TOPIC_PREFIX = "godwit/v1/";

/** What carries frames to devices. */
export interface Broker {
  /**
   * `done` is called once the broker has taken the frame, or lost it with the connection.
   *
   * @returns false when there is nobody to take it: the device, or the whole broker, is away
   */
  publish(device: DeviceId, frame: Uint8Array, done: () => void): boolean;
  /** Ends the device's connection behind what was published. One that sends too much is cut whatever it costs. */
  disconnect(device: DeviceId, isFlooding: boolean): void;
}

export interface MqttDevicesOptions {
  /** MQTT has no canaries: `canary` is null. */
  readonly services: SessionServices;
  readonly enrolment: Enrolment;
  /** Of all transports together. */
  readonly deviceLinksMax: number;
  /** False where the broker checks passwords itself and would not know a fresh token. */
  readonly givesFreshTokens: boolean;
  /** True where other nodes of the push service hear the same devices at the same broker. */
  readonly isShared: boolean;
}

type RegisterUa = Extract<Upstream, { type: "registerUa" }>;

export class MqttDevices {
  readonly #options: MqttDevicesOptions;
  readonly #broker: Broker;
  readonly #links = new Map<DeviceId, MqttLink>();
  /** Whose RegisterUA is being checked, and the one that counts: anything else that happens takes it away. */
  readonly #registering = new Map<DeviceId, object>();
  /** Devices of which it is known whether they are there, since the broker is. */
  readonly #seen = new Set<DeviceId>();
  /** To be told, once the broker is back, that their session is over: something waits for them. */
  readonly #untold = new Set<DeviceId>();
  /** Devices that another node served when it was asked last, and when that was, monotonic ms. */
  readonly #elsewhere = new Map<DeviceId, number>();
  /** Of frames that begin a session, or should have. */
  readonly #registrations = new RateLimit({
    burstMax: MQTT_REGISTRATIONS_BURST_MAX,
    perMinute: MQTT_REGISTRATIONS_PER_MINUTE_MAX,
    namesMax: RATES_REMEMBERED_MAX,
  });

  constructor(options: MqttDevicesOptions, broker: Broker) {
    this.#options = options;
    this.#broker = broker;
  }

  /** Something came in on a device's `up` topic. The broker has seen to it that it was that device. Never throws. */
  handleUp(device: DeviceId, payload: Uint8Array): void {
    this.#see(device);
    if (payload.length === 0) return this.handleGone(device);
    const registration = parseRegistration(payload);
    const link = this.#links.get(device);
    if (registration === null && link !== undefined) return link.frames.handle(payload);
    // Too early, not too late: Registered is still to come.
    if (registration === null && this.#registering.has(device)) return;
    if (registration === null && this.#options.isShared) return void this.#handleStray(device);
    if (this.#registrations.take(device, performance.now()) > 0) return this.#broker.disconnect(device, true);
    if (registration !== null) void this.#register(device, registration);
    // A session from before the service, or its connection to the broker, began anew.
    else this.#sayBye(device, this.#options.services.reconnectSpreadS);
  }

  /** The device's connection to the broker is gone. */
  handleGone(device: DeviceId): void {
    this.#registering.delete(device);
    const link = this.#links.get(device);
    this.#links.delete(device);
    link?.end();
  }

  /** The connection to the broker is gone, and nobody knows who is still there. */
  handleBrokerLost(): void {
    this.#seen.clear();
    this.#registering.clear();
    for (const [device, link] of [...this.#links]) {
      // What was under way may be lost, and the device does not know.
      if (link.hasUnacknowledged()) this.#remind(device);
      this.handleGone(device);
    }
  }

  /** The broker is there, and `up` frames arrive: those for whom something came meanwhile are told. */
  handleBrokerReady(): void {
    const devices = [...this.#untold];
    this.#untold.clear();
    // A few come back at once: a message waits for each.
    const spreadS = Math.floor(devices.length / MQTT_RETURNS_PER_SECOND);
    for (const device of devices) this.handleAbsent(device, { spreadS });
  }

  /**
   * A message waits for a device that may be at the broker still without knowing that its session is over. `isNobodys`: no other
   * node serves it either; what was seen here says nothing of that.
   */
  handleAbsent(device: DeviceId, { spreadS = 0, isNobodys = false } = {}): void {
    if (this.#seen.has(device) && !isNobodys) return;
    if (this.#sayBye(device, spreadS)) this.#see(device);
    else this.#remind(device);
  }

  /** Every node hears what a device says to one of them. Those who do not serve it look after one that nobody serves. */
  async #handleStray(device: DeviceId): Promise<void> {
    const { fleet, log, reconnectSpreadS } = this.#options.services;
    const uaid = hexDecode(device) ?? new Uint8Array();
    try {
      const knownMs = this.#elsewhere.get(device) ?? Number.NEGATIVE_INFINITY;
      if (performance.now() < knownMs + MQTT_ELSEWHERE_MS) return;
      if (await stored(() => fleet.isElsewhere(uaid), log)) return this.#noteElsewhere(device);
      // Its session may have begun here meanwhile; and one Bye is enough.
      if (!(await stored(() => fleet.elect(uaid, "bye"), log))) return;
      if (this.#links.has(device) || this.#registering.has(device)) return;
    } catch {
      // Logged by `stored`. No session could begin now.
      return;
    }
    if (this.#registrations.take(device, performance.now()) > 0) this.#broker.disconnect(device, true);
    else this.#sayBye(device, reconnectSpreadS);
  }

  #noteElsewhere(device: DeviceId): void {
    if (this.#elsewhere.size >= RATES_REMEMBERED_MAX) this.#elsewhere.clear();
    this.#elsewhere.set(device, performance.now());
  }

  async #register(device: DeviceId, message: RegisterUa): Promise<void> {
    const { services, enrolment, deviceLinksMax, givesFreshTokens, isShared } = this.#options;
    const { uaToken, conditions } = message;
    // It views the frame, which is borrowed.
    const channelsDigest = message.channelsDigest.slice();
    this.handleGone(device);
    const registration = {};
    this.#registering.set(device, registration);
    const isCurrent = () => this.#registering.get(device) === registration;
    let link: MqttLink | null = null;
    try {
      const { fleet, log } = services;
      const named = hexDecode(device) ?? new Uint8Array();
      if (isShared && !(await stored(() => fleet.elect(named, "register"), log))) {
        if (isCurrent()) this.#registering.delete(device);
        return;
      }
      const { uaid, freshUaToken } = await enrolment.authenticate(uaToken);
      // The device went away meanwhile, or a later RegisterUA counts.
      if (!isCurrent()) return;
      if (!bytesEqual(uaid, named)) throw new HttpError("uaToken");
      const { hub } = services;
      if (!hub.isConnected(uaid) && hub.size + hub.pendingSize >= deviceLinksMax)
        throw new HttpError("linksFull");
      link = this.#open(device, { uaid, conditions, channelsDigest });
      await link.host.start(givesFreshTokens ? freshUaToken : null, () => {
        if (!isCurrent()) throw new HttpError("draining");
        this.#registering.delete(device);
      });
    } catch (error) {
      // Who took this one's place hears what becomes of it, and nobody else is there.
      if (!isCurrent()) return;
      this.#registering.delete(device);
      // Its session has said Bye already.
      if (link?.isEnded) return;
      this.#links.delete(device);
      link?.end();
      this.#refuse(device, error);
    }
  }

  #open(device: DeviceId, registration: GodwitDevice): MqttLink {
    const { services } = this.#options;
    const attempts = services.hub.attempts(registration.uaid);
    const link = new MqttLink(
      device,
      { broker: this.#broker, attempts, isShared: this.#options.isShared },
      () => {
        if (this.#links.get(device) === link) this.#links.delete(device);
      },
    );
    link.open(new SessionHost(godwitSession(services, registration, link)));
    this.#links.set(device, link);
    return link;
  }

  /** Tells it to begin a session, within `spreadS`. False when the broker could not take it. */
  #sayBye(device: DeviceId, spreadS: number): boolean {
    const bye = { type: "bye", reason: "idle", retryAfterS: Math.round(Math.random() * spreadS) } as const;
    const isTaken = this.#broker.publish(device, godwitDialect.encodeDownstream(bye), () => {});
    this.#broker.disconnect(device, false);
    return isTaken;
  }

  #see(device: DeviceId): void {
    if (this.#seen.size >= RATES_REMEMBERED_MAX) this.#seen.clear();
    this.#seen.add(device);
  }

  /** Who is too many is told with its next message, or when it says something. */
  #remind(device: DeviceId): void {
    if (this.#untold.size < RATES_REMEMBERED_MAX) this.#untold.add(device);
  }

  /** A token that is void is renewed over HTTPS; anything else is worth coming back for. */
  #refuse(device: DeviceId, error: unknown): void {
    const { services } = this.#options;
    if (!(error instanceof HttpError))
      services.log({ event: "unexpected", error: (error as Error | undefined)?.name ?? "unknown" });
    if (!(error instanceof HttpError) || error.httpErrorName !== "uaToken")
      return void this.#sayBye(device, services.reconnectSpreadS);
    const refused: Downstream = {
      type: "registered",
      status: STATUS.badToken,
      uaid: new Uint8Array(UAID_BYTES),
      freshUaToken: null,
      idleLimitS: null,
      reconnectSpreadS: services.reconnectSpreadS,
      canary: null,
      epochMs: services.clock.epochMs(),
      storeEpoch: services.storeEpoch,
      channels: null,
      lastId: 0,
    };
    this.#broker.publish(device, godwitDialect.encodeDownstream(refused), () => {});
    this.#broker.disconnect(device, false);
  }
}

/** One device's MQTT connection as its session sees it. */
class MqttLink implements LinkPort {
  readonly #device: DeviceId;
  readonly #broker: Broker;
  /** How often each message was sent that is not acknowledged yet; the hub's. */
  readonly #attempts: { readonly size: number };
  readonly #isShared: boolean;
  readonly #forget: () => void;
  #host: SessionHost | null = null;
  #frames: UpstreamFrames | null = null;
  #queuedBytes = 0;
  #isCongested = false;
  #isEnded = false;

  constructor(
    device: DeviceId,
    options: {
      readonly broker: Broker;
      readonly attempts: { readonly size: number };
      readonly isShared: boolean;
    },
    forget: () => void,
  ) {
    this.#device = device;
    this.#broker = options.broker;
    this.#attempts = options.attempts;
    this.#isShared = options.isShared;
    this.#forget = forget;
  }

  get frames(): UpstreamFrames {
    if (this.#frames === null) throw new Error("not open");
    return this.#frames;
  }

  get host(): SessionHost {
    if (this.#host === null) throw new Error("not open");
    return this.#host;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** True when messages were sent that the device has not acknowledged. */
  hasUnacknowledged(): boolean {
    return this.#attempts.size > 0;
  }

  open(host: SessionHost): void {
    this.#host = host;
    this.#frames = new UpstreamFrames(host);
  }

  send(message: Downstream): void {
    if (this.#isEnded) return;
    // The device hears by one topic whatever node serves it, and would take this for the end of its new session.
    if (message.type === "bye" && message.reason === "replaced" && this.#isShared) return;
    const frame = godwitDialect.encodeDownstream(message);
    this.#queuedBytes += frame.length;
    this.#broker.publish(this.#device, frame, () => {
      this.#queuedBytes -= frame.length;
      if (this.#queuedBytes <= LINK_CONGESTED_BYTES / 2) this.#setCongested(false);
    });
    if (this.#queuedBytes > LINK_QUEUED_BYTES_MAX) this.close("overload");
    else if (this.#queuedBytes > LINK_CONGESTED_BYTES) this.#setCongested(true);
  }

  close(_reason: ByeReason): void {
    if (this.#isEnded) return;
    // Overload may as well be the store's.
    this.#broker.disconnect(this.#device, this.#frames?.isFlooding ?? false);
    this.#forget();
    this.end();
  }

  /** The connection is gone. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#host?.detach();
  }

  #setCongested(isCongested: boolean): void {
    if (this.#isCongested === isCongested || this.#isEnded) return;
    this.#isCongested = isCongested;
    this.#host?.handle({ type: "congested", isCongested });
  }
}

/** The message when it is a RegisterUA, else null: the session's own rules judge everything else, malformed or not. */
function parseRegistration(frame: Uint8Array): RegisterUa | null {
  try {
    const message = godwitDialect.parseUpstream(frame);
    return message.type === "registerUa" ? message : null;
  } catch (error) {
    if (error instanceof GodwitError) return null;
    throw error;
  }
}
