// SPDX-License-Identifier: MIT
/**
 * The push service at a broker of its own, Mosquitto with the dynamic-security plugin: one client that hears every
 * device's `up` topic, publishes to their `down` topics, and tells the broker which devices there are.
 */

import { createHash } from "node:crypto";
import type { IClientOptions, MqttClient } from "mqtt";
import { hexEncode } from "../bytes.ts";
import { MQTT_PROVISION_TIMEOUT_MS, MQTT_PROVISIONS_PENDING_MAX, RATES_REMEMBERED_MAX } from "../limits.ts";
import type { Log } from "./log.ts";
import { type Broker, type DeviceId, MQTT_TOPIC_PREFIX, type MqttDevices } from "./mqtt.ts";
import type { DeviceCredentials } from "./session-host.ts";

export interface ExternalBrokerOptions {
  /** mqtts or mqtt, with host and port. */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** PEM certificates trusted besides the system's. */
  readonly ca?: string | null;
}

const CONTROL_TOPIC = "$CONTROL/dynamic-security/v1";
const RECONNECT_MS = 1_000;
/** Nothing but what a role allows; and devices have roles of their own. */
const DEFAULT_ACCESS = ["publishClientSend", "publishClientReceive", "subscribe"].map((acltype) => ({
  acltype,
  allow: false,
}));

const SERVICE_ROLE = "godwit-push-service";
const SERVICE_ACCESS = [
  { acltype: "publishClientSend", topic: `${MQTT_TOPIC_PREFIX}+/down`, allow: true },
  { acltype: "publishClientReceive", topic: `${MQTT_TOPIC_PREFIX}+/up`, allow: true },
  { acltype: "subscribePattern", topic: `${MQTT_TOPIC_PREFIX}+/up`, allow: true },
];

interface Command {
  readonly command: string;
  readonly [member: string]: unknown;
}

/** What is to be known of one device at the broker: its password, or null when it is to be forgotten. */
type Credential = string | null;

export class ExternalBroker implements Broker, DeviceCredentials {
  readonly #client: MqttClient;
  readonly #log: Log;
  /** Not yet told to the broker; the newest word of each device counts. */
  readonly #pending = new Map<DeviceId, Credential>();
  /** Digests of the tokens the broker was told in this run; the oldest go first. */
  readonly #known = new Map<DeviceId, string>();
  readonly #answers = new Map<string, (error: string | null) => void>();
  #devices: MqttDevices | null = null;
  #lastCommand = 0;
  #isProvisioning = false;

  private constructor(client: MqttClient, log: Log) {
    this.#client = client;
    this.#log = log;
    client.on("connect", () => void this.#begin());
    client.on("message", (topic, payload) => this.#received(topic, payload));
    client.on("close", () => this.#lost());
    // Followed by "close"; the library tries again by itself.
    client.on("error", () => {});
  }

  /** Begins to connect; what is asked meanwhile waits. */
  static async create(
    { url, username, password, ca }: ExternalBrokerOptions,
    log: Log,
  ): Promise<ExternalBroker> {
    const { connect } = await import("mqtt");
    const options: IClientOptions = {
      clientId: `godwit-push-service-${process.pid}`,
      username,
      password,
      clean: true,
      reconnectPeriod: RECONNECT_MS,
      queueQoSZero: false,
      ...(ca ? { ca } : {}),
    };
    return new ExternalBroker(connect(url, options), log);
  }

  /** From now on frames go to `devices`. */
  connect(devices: MqttDevices): void {
    this.#devices = devices;
  }

  publish(device: DeviceId, frame: Uint8Array, done: () => void): void {
    if (!this.#client.connected) return void queueMicrotask(done);
    const payload = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
    this.#client.publish(`${MQTT_TOPIC_PREFIX}${device}/down`, payload, { qos: 1 }, () => done());
  }

  /** Bye has told the device, which goes by itself; Mosquitto has no command for it. */
  disconnect(): void {}

  /** The device may enter with this token from now on; resolves when the broker knows, or after a while. */
  async grant(uaid: Uint8Array, uaToken: string): Promise<void> {
    const device = hexEncode(uaid);
    if (this.#known.get(device) === digestOf(uaToken)) return;
    this.#pend(device, uaToken);
    const known = this.#provision();
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, MQTT_PROVISION_TIMEOUT_MS);
    });
    await Promise.race([known, timeout]);
    clearTimeout(timer);
  }

  /** The device is forgotten, and cut off. */
  withdraw(uaid: Uint8Array): void {
    this.#pend(hexEncode(uaid), null);
    void this.#provision();
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#client.end(false, {}, () => resolve()));
  }

  /** Makes sure of the broker's rules and our own place in them, then goes to work. */
  async #begin(): Promise<void> {
    this.#subscribe(`${CONTROL_TOPIC}/response`);
    const rules = await this.#command({ command: "setDefaultACLAccess", acls: DEFAULT_ACCESS });
    if (rules === "lost") return;
    if (rules !== null) return this.#fail("the broker refuses a dynamic-security command");
    // Both are errors when they are there already.
    await this.#command({ command: "createRole", rolename: SERVICE_ROLE, acls: SERVICE_ACCESS });
    const { username } = this.#client.options;
    if ((await this.#command({ command: "addClientRole", username, rolename: SERVICE_ROLE })) === "lost")
      return;
    this.#subscribe(`${MQTT_TOPIC_PREFIX}+/up`);
    this.#log({ event: "broker-connected" });
    await this.#provision();
  }

  #subscribe(topic: string): void {
    this.#client.subscribe(topic, { qos: 1 }, (error, granted) => {
      const isRefused = error !== null || granted?.some(({ qos }) => Number(qos) > 2);
      if (isRefused && this.#client.connected) this.#fail("the broker refuses a subscription");
    });
  }

  #lost(): void {
    for (const answer of this.#answers.values()) answer("lost");
    this.#answers.clear();
    this.#devices?.handleBrokerLost();
  }

  #received(topic: string, payload: Buffer): void {
    if (topic === `${CONTROL_TOPIC}/response`) return this.#answered(payload);
    const device = /^godwit\/v1\/([0-9a-f]{32})\/up$/.exec(topic)?.[1];
    if (device === undefined) return;
    this.#devices?.handleUp(device, new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength));
  }

  #pend(device: DeviceId, credential: Credential): void {
    // Said again it goes to the end. Who falls out is told of again when the device next shows itself.
    this.#pending.delete(device);
    this.#pending.set(device, credential);
    const [oldest] = this.#pending.keys();
    if (this.#pending.size > MQTT_PROVISIONS_PENDING_MAX && oldest !== undefined)
      this.#pending.delete(oldest);
  }

  /** Tells the broker what it does not know, one device after the other. */
  async #provision(): Promise<void> {
    if (this.#isProvisioning) return;
    this.#isProvisioning = true;
    try {
      for (const [device, credential] of this.#pending) {
        if (!this.#client.connected) return;
        const error = credential === null ? await this.#remove(device) : await this.#add(device, credential);
        if (error === "lost") return;
        // Unless something else was said meanwhile.
        if (this.#pending.get(device) === credential) this.#pending.delete(device);
        if (error !== null) this.#fail("the broker refuses a dynamic-security command");
        else this.#remember(device, credential);
      }
    } finally {
      this.#isProvisioning = false;
    }
  }

  #remember(device: DeviceId, credential: Credential): void {
    this.#known.delete(device);
    if (credential === null) return;
    this.#known.set(device, digestOf(credential));
    const [oldest] = this.#known.keys();
    if (this.#known.size > RATES_REMEMBERED_MAX && oldest !== undefined) this.#known.delete(oldest);
  }

  async #add(device: DeviceId, password: string): Promise<string | null> {
    const topic = `${MQTT_TOPIC_PREFIX}${device}`;
    const rolename = `godwit-${device}`;
    const role = await this.#command({
      command: "createRole",
      rolename,
      acls: [
        { acltype: "publishClientSend", topic: `${topic}/up`, allow: true },
        { acltype: "publishClientReceive", topic: `${topic}/down`, allow: true },
        { acltype: "subscribeLiteral", topic: `${topic}/down`, allow: true },
      ],
    });
    if (role === "lost") return role;
    const roles = [{ rolename }];
    const made = await this.#command({
      command: "createClient",
      username: device,
      password,
      clientid: device,
      roles,
    });
    if (made === null || made === "lost") return made;
    return this.#command({ command: "setClientPassword", username: device, password });
  }

  async #remove(device: DeviceId): Promise<string | null> {
    const gone = await this.#command({ command: "deleteClient", username: device });
    if (gone === "lost") return gone;
    const role = await this.#command({ command: "deleteRole", rolename: `godwit-${device}` });
    return role === "lost" ? role : null;
  }

  /** Resolves with the broker's error, "lost" when there is no answer, or null. */
  #command(command: Command): Promise<string | null> {
    const correlationData = String(++this.#lastCommand);
    return new Promise((resolve) => {
      this.#answers.set(correlationData, resolve);
      const payload = JSON.stringify({ commands: [{ ...command, correlationData }] });
      this.#client.publish(CONTROL_TOPIC, payload, { qos: 1 });
    });
  }

  #answered(payload: Buffer): void {
    for (const { correlationData, error } of parseResponses(payload)) {
      this.#answers.get(correlationData)?.(error);
      this.#answers.delete(correlationData);
    }
  }

  #fail(error: string): void {
    this.#log({ event: "broker-failed", error });
  }
}

function digestOf(uaToken: string): string {
  return createHash("sha256").update(uaToken).digest("base64");
}

/** `{"responses": [{"correlationData", "error"?}]}`; anything else is nobody's answer. */
function parseResponses(payload: Buffer): { correlationData: string; error: string | null }[] {
  try {
    const { responses } = JSON.parse(payload.toString("utf8")) as { responses?: unknown };
    if (!Array.isArray(responses)) return [];
    return responses.flatMap((response: unknown) => {
      const { correlationData, error } = (response ?? {}) as Record<string, unknown>;
      if (typeof correlationData !== "string") return [];
      return [{ correlationData, error: typeof error === "string" ? error : null }];
    });
  } catch {
    return [];
  }
}
