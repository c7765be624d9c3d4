// SPDX-License-Identifier: MIT
/**
 * What an external Mosquitto knows of devices, told to its dynamic-security plugin: roles, clients and their passwords, and
 * who is kept away for a while. Commands go one after the other; the connection they go over is in mqtt-external.ts.
 */

import { createHash } from "node:crypto";
import { hexEncode } from "../bytes.ts";
import {
  MQTT_COMMAND_TIMEOUT_MS,
  MQTT_FLOOD_BAN_MS,
  MQTT_PROVISION_TIMEOUT_MS,
  MQTT_PROVISIONS_PENDING_MAX,
  RATES_REMEMBERED_MAX,
} from "../limits.ts";
import { type DeviceId, MQTT_TOPIC_PREFIX } from "./mqtt.ts";
import type { DeviceCredentials } from "./session-host.ts";

export const CONTROL_TOPIC = "$CONTROL/dynamic-security/v1";

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

/** "lost" when there was no answer, for whatever reason. */
type Outcome = "done" | "refused" | "lost";

interface Answer {
  readonly outcome: Outcome;
  /** Of getClient, when there is such a client. */
  readonly client: { readonly digest: string; readonly isDisabled: boolean } | null;
}

/** What is to be told of one device. */
interface Pending {
  /** Its password, or null when it is to be forgotten. */
  readonly password: string | null;
  /** Called when the broker was told, or refused. */
  readonly waiters: (() => void)[];
}

export interface DynamicSecurityOptions {
  /** Publishes to {@link CONTROL_TOPIC}. */
  readonly send: (payload: string) => void;
  /** Told of what goes wrong, in one of a few fixed sentences. */
  readonly fail: (sentence: string) => void;
}

export class DynamicSecurity implements DeviceCredentials {
  readonly #options: DynamicSecurityOptions;
  /** Not yet told to the broker; the newest word of each device counts. */
  readonly #pending = new Map<DeviceId, Pending>();
  /** Devices to be disabled or enabled, before all else. */
  readonly #access = new Map<DeviceId, "disableClient" | "enableClient">();
  readonly #banned = new Map<DeviceId, NodeJS.Timeout>();
  /** Digests of the tokens the broker was told in this run; the oldest go first. */
  readonly #known = new Map<DeviceId, string>();
  readonly #answers = new Map<string, (answer: Answer) => void>();
  #lastCommand = 0;
  #isReady = false;
  #isWorking = false;
  #hasRole = false;

  constructor(options: DynamicSecurityOptions) {
    this.#options = options;
  }

  /**
   * Makes sure of the broker's rules and our own place in them.
   *
   * @returns "again" when the broker will drop the connection because our roles have changed, "refused" or "lost" when it
   *   cannot be worked with, which {@link DynamicSecurityOptions.fail} was told
   */
  async prepare(username: string): Promise<"ready" | "again" | "refused" | "lost"> {
    const rules = await this.#command({ command: "setDefaultACLAccess", acls: DEFAULT_ACCESS });
    if (rules.outcome === "lost") this.#options.fail("the broker does not answer dynamic-security commands");
    if (rules.outcome === "refused") this.#options.fail("the broker refuses a dynamic-security command");
    if (rules.outcome !== "done") return rules.outcome;
    // Both are errors when they are there already.
    await this.#command({ command: "createRole", rolename: SERVICE_ROLE, acls: SERVICE_ACCESS });
    const role = await this.#command({ command: "addClientRole", username, rolename: SERVICE_ROLE });
    if (role.outcome === "lost") return "lost";
    const isNew = role.outcome === "done" && !this.#hasRole;
    this.#hasRole = true;
    return isNew ? "again" : "ready";
  }

  /** From now on the broker is told what it does not know. */
  begin(): void {
    this.#isReady = true;
    void this.#work();
  }

  /** The connection is gone, and with it every answer. */
  lost(): void {
    this.#isReady = false;
    for (const answer of [...this.#answers.values()]) answer({ outcome: "lost", client: null });
  }

  /** @param payload of a message to `CONTROL_TOPIC/response`; anything but an answer to us is ignored */
  answered(payload: Buffer): void {
    for (const { correlationData, answer } of parseResponses(payload))
      this.#answers.get(correlationData)?.(answer);
  }

  async grant(uaid: Uint8Array, uaToken: string): Promise<void> {
    const device = hexEncode(uaid);
    if (this.#known.get(device) === digestOf(uaToken) && !this.#pending.has(device)) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, MQTT_PROVISION_TIMEOUT_MS);
      this.#pend(device, { password: uaToken, waiters: [resolve] });
    });
    clearTimeout(timer);
  }

  withdraw(uaid: Uint8Array): void {
    this.#pend(hexEncode(uaid), { password: null, waiters: [] });
  }

  /** Cuts the device's connection and lets it in again after `MQTT_FLOOD_BAN_MS`. */
  ban(device: DeviceId): void {
    if (this.#banned.has(device) || this.#banned.size >= MQTT_PROVISIONS_PENDING_MAX) return;
    const timer = setTimeout(() => this.#unban(device), MQTT_FLOOD_BAN_MS);
    this.#banned.set(device, timer);
    this.#access.set(device, "disableClient");
    void this.#work();
  }

  isBanned(device: DeviceId): boolean {
    return this.#banned.has(device);
  }

  /** Lets everybody in again; to be called before the connection is ended. */
  close(): void {
    this.#isReady = false;
    for (const [device, timer] of this.#banned) {
      clearTimeout(timer);
      this.#options.send(JSON.stringify({ commands: [{ command: "enableClient", username: device }] }));
    }
    this.#banned.clear();
  }

  #unban(device: DeviceId): void {
    this.#banned.delete(device);
    this.#access.set(device, "enableClient");
    void this.#work();
  }

  #pend(device: DeviceId, { password, waiters }: Pending): void {
    // Said again it goes to the end, and who waited for the older word waits for this one. Who falls out is told of again
    // when the device next shows itself.
    const older = this.#pending.get(device)?.waiters ?? [];
    this.#pending.delete(device);
    this.#pending.set(device, { password, waiters: [...older, ...waiters] });
    const [oldest] = this.#pending.keys();
    if (this.#pending.size > MQTT_PROVISIONS_PENDING_MAX && oldest !== undefined)
      this.#pending.delete(oldest);
    void this.#work();
  }

  /** Tells the broker one thing after the other; what got no answer is told again. */
  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    while (this.#isReady) {
      const [access] = this.#access;
      const [pending] = this.#pending;
      if (access !== undefined) await this.#setAccess(...access);
      else if (pending !== undefined) await this.#provision(...pending);
      else break;
    }
    this.#isWorking = false;
  }

  async #setAccess(device: DeviceId, command: "disableClient" | "enableClient"): Promise<void> {
    const { outcome } = await this.#command({ command, username: device });
    // Refused: the device was forgotten meanwhile.
    if (outcome !== "lost" && this.#access.get(device) === command) this.#access.delete(device);
  }

  async #provision(device: DeviceId, pending: Pending): Promise<void> {
    const { password } = pending;
    const outcome = password === null ? await this.#remove(device) : await this.#add(device, password);
    // Something else was said meanwhile, and waits for its turn.
    if (this.#pending.get(device) !== pending) return;
    this.#pending.delete(device);
    if (outcome === "lost") {
      this.#pending.set(device, pending);
      if (this.#isReady) this.#options.fail("the broker does not answer dynamic-security commands");
      return;
    }
    if (outcome === "refused") this.#options.fail("the broker refuses a dynamic-security command");
    else this.#remember(device, password);
    for (const done of pending.waiters) done();
  }

  #remember(device: DeviceId, password: string | null): void {
    this.#known.delete(device);
    if (password === null) return;
    this.#known.set(device, digestOf(password));
    const [oldest] = this.#known.keys();
    if (this.#known.size > RATES_REMEMBERED_MAX && oldest !== undefined) this.#known.delete(oldest);
  }

  /** A password set anew cuts the device's connection, so the broker keeps the digest of the token it has. */
  async #add(device: DeviceId, password: string): Promise<Outcome> {
    const textdescription = digestOf(password);
    const credentials = { username: device, password, textdescription };
    const { outcome, client } = await this.#command({ command: "getClient", username: device });
    if (outcome === "lost") return outcome;
    if (client === null) return this.#create(device, credentials);
    // Left behind by a service that ended before the time was over.
    if (client.isDisabled && !this.#banned.has(device)) this.#access.set(device, "enableClient");
    if (client.digest === textdescription) return "done";
    return (await this.#command({ command: "modifyClient", ...credentials })).outcome;
  }

  async #create(device: DeviceId, credentials: Readonly<Record<string, string>>): Promise<Outcome> {
    const topic = `${MQTT_TOPIC_PREFIX}${device}`;
    const rolename = `godwit-${device}`;
    const acls = [
      { acltype: "publishClientSend", topic: `${topic}/up`, allow: true },
      { acltype: "publishClientReceive", topic: `${topic}/down`, allow: true },
      { acltype: "subscribeLiteral", topic: `${topic}/down`, allow: true },
    ];
    // Refused when it is there already.
    const role = await this.#command({ command: "createRole", rolename, acls });
    if (role.outcome === "lost") return "lost";
    const roles = [{ rolename }];
    const made = await this.#command({ command: "createClient", ...credentials, clientid: device, roles });
    return made.outcome;
  }

  async #remove(device: DeviceId): Promise<Outcome> {
    const gone = await this.#command({ command: "deleteClient", username: device });
    if (gone.outcome === "lost") return "lost";
    const role = await this.#command({ command: "deleteRole", rolename: `godwit-${device}` });
    return role.outcome === "lost" ? "lost" : "done";
  }

  #command(command: Command): Promise<Answer> {
    const correlationData = String(++this.#lastCommand);
    return new Promise((resolve) => {
      const answered = (answer: Answer) => {
        clearTimeout(timer);
        this.#answers.delete(correlationData);
        resolve(answer);
      };
      const timer = setTimeout(answered, MQTT_COMMAND_TIMEOUT_MS, { outcome: "lost", client: null });
      this.#answers.set(correlationData, answered);
      this.#options.send(JSON.stringify({ commands: [{ ...command, correlationData }] }));
    });
  }
}

function digestOf(uaToken: string): string {
  return createHash("sha256").update(uaToken).digest("base64");
}

/** `{"responses": [{"correlationData", "error"?, "data"?}]}`; anything else is nobody's answer. */
function parseResponses(payload: Buffer): { correlationData: string; answer: Answer }[] {
  try {
    const { responses } = JSON.parse(payload.toString("utf8")) as { responses?: unknown };
    if (!Array.isArray(responses)) return [];
    return responses.flatMap((response: unknown) => {
      const { correlationData, error, data } = (response ?? {}) as Record<string, unknown>;
      if (typeof correlationData !== "string") return [];
      const outcome = typeof error === "string" ? ("refused" as const) : ("done" as const);
      return [{ correlationData, answer: { outcome, client: parseClient(data) } }];
    });
  } catch {
    return [];
  }
}

function parseClient(data: unknown): Answer["client"] {
  const { client } = (data ?? {}) as { client?: unknown };
  if (typeof client !== "object" || client === null) return null;
  const { textdescription, disabled } = client as Record<string, unknown>;
  return {
    digest: typeof textdescription === "string" ? textdescription : "",
    isDisabled: disabled === true,
  };
}
