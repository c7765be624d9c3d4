// SPDX-License-Identifier: MIT
/**
 * One world from one plan: devices, push service and application servers over simulated time. First the plan's troubles, then a calm
 * in which all that is owed has to arrive; at the end the rules are held against what is left.
 */

import { createHash } from "node:crypto";
import { hexEncode, utf8Encode } from "../../src/bytes.ts";
import { nodeProvider } from "../../src/node/crypto.ts";
import type { TraceSink } from "../../src/node/trace/recorder.ts";
import type { NewMessage, PutResult } from "../../src/push-service/store/store.ts";
import type { CryptoProvider, KeyPair } from "../../src/webpush/crypto.ts";
import { encrypt } from "../../src/webpush/encrypt.ts";
import { generateKeyPair } from "../../src/webpush/keys.ts";
import { signVapid } from "../../src/webpush/vapid.ts";
import { GOOD_WEATHER } from "./access.ts";
import { Chance } from "./chance.ts";
import { Clockwork } from "./clockwork.ts";
import { Device, type DeviceSurroundings } from "./device.ts";
import { autopushMessageIdOf, nativeMessageId } from "./frames.ts";
import { Ledger, type Message, payloadOf, type Registration } from "./ledger.ts";
import type { Action, Plan } from "./plan.ts";
import { ORIGIN, Service } from "./service.ts";
import { useSurroundings } from "./surroundings.ts";

const START_EPOCH_MS = 1_800_000_000_000;
const MINUTE_MS = 60_000;
/** After the last trouble all that is owed arrives within this: the longest back-off of the journal, and a reconnect. */
const CALM_MS_MAX = 3 * 3_600_000;
const SWEEP_MS = 60_000;
/** A flash that is full has room for nothing new. */
const FULL_BYTES = 0;
const SLOW_SYNC_MS = 1_500;
/** A sender whose message was not taken comes back. */
const RESEND_MS = 30_000;

/** What a run comes to. */
export interface Outcome {
  readonly seed: number;
  /** The first violated rule and what happened, or null. */
  readonly violation: string | null;
  /** SHA-256 of the trace. */
  readonly hash: string;
  readonly messages: number;
  readonly events: Ledger["events"];
  readonly markedRepeats: number;
  /** Simulated ms from the last trouble to the last message, or null. */
  readonly calmMs: number | null;
  readonly simulatedMs: number;
}

export class World {
  readonly clockwork = new Clockwork();
  readonly ledger = new Ledger(() => this.clockwork.nowMs);
  readonly service: Service;
  readonly devices: Device[];
  readonly #plan: Plan;
  readonly #keys: KeyPair;
  readonly #provider = senderProvider();
  readonly #chance: Chance;
  readonly #hash = createHash("sha256");
  readonly #write: ((line: string) => void) | null;
  #vapid: { readonly header: string; readonly untilMs: number } | null = null;
  /** Messages whose senders wait for an answer. */
  readonly #asked = new Set<Message>();

  /**
   * @param write gets each line of the trace, or null
   * @param recordingOf where a device's agent is recorded, if it is
   */
  constructor(
    plan: Plan,
    write: ((line: string) => void) | null = null,
    recordingOf: DeviceSurroundings["recordingOf"] = () => null,
  ) {
    this.#plan = plan;
    this.#write = write;
    const { seed } = plan;
    const random = new Chance(seed, "runtime");
    useSurroundings({
      monotonicMs: () => this.clockwork.nowMs,
      epochMs: () => this.#epochMs(),
      after: (delayMs, action) => this.clockwork.after(delayMs, action),
      random: random.next,
    });
    this.#chance = new Chance(seed, "senders");
    this.#keys = generateKeyPair((target) => this.#chance.fill(target), nodeProvider);
    this.service = new Service({
      clockwork: this.clockwork,
      clock: { epochMs: () => this.#epochMs(), monotonicMs: () => this.clockwork.nowMs },
      witness: {
        put: (uaid, channel, message, result) => void this.#put(uaid, channel, message, result),
        acknowledged: () => {},
      },
      log: (event) => {
        const line = JSON.stringify(event);
        this.#trace(`service ${line}`);
        this.ledger.logged("the service", line);
        if (event.event === "unexpected") this.ledger.violate("no exceptions", line);
      },
    });
    const surroundings: DeviceSurroundings = {
      clockwork: this.clockwork,
      ledger: this.ledger,
      service: this.service,
      applicationServerKey: this.#keys.publicKey,
      epochMs: () => this.#epochMs(),
      chance: (name) => new Chance(seed, name),
      trace: (text) => this.#trace(text),
      recordingOf: (device) => this.#watched(device, recordingOf(device)),
    };
    this.devices = plan.devices.map((setting) => new Device(setting, surroundings));
  }

  /** What is recorded is a log too. */
  #watched(device: string, sink: TraceSink | null): TraceSink | null {
    if (sink === null) return null;
    const write = (line: string): boolean => {
      this.ledger.logged(`the recording of ${device}`, line);
      return sink.write(line);
    };
    return { write, writeLast: write, end: (why) => sink.end(why) };
  }

  async run(): Promise<Outcome> {
    const { clockwork, ledger } = this;
    const { seed, actions, spanMs } = this.#plan;
    const isOver = () => ledger.violations.length > 0;
    this.service.start();
    for (const device of this.devices) {
      device.boot();
      for (const app of device.apps) app.start();
    }
    this.#sweep();
    // So that there is something to trouble.
    await clockwork.runUntil(clockwork.nowMs + MINUTE_MS, isOver);
    for (const { atMs, action } of actions) clockwork.after(atMs, () => this.#perform(action));
    await clockwork.runUntil(clockwork.nowMs + spanMs, isOver);
    const calmedMs = clockwork.nowMs;
    let calmMs: number | null = null;
    if (!isOver()) {
      this.#calm();
      calmMs = await this.#drain("with apps that do not come", calmedMs, isOver);
    }
    if (!isOver()) {
      for (const device of this.devices)
        for (const app of device.apps) {
          app.conduct = "prompt";
          app.start();
        }
      await this.#drain("", clockwork.nowMs, isOver);
    }
    if (!isOver()) await this.#checkEnd();
    const { messages, events, markedRepeats, violations } = ledger;
    this.#trace(`end ${JSON.stringify(events)} ${violations[0] ?? ""}`);
    return {
      seed,
      violation: violations[0] ?? null,
      hash: this.#hash.digest("hex"),
      messages: messages.length,
      events,
      markedRepeats,
      calmMs,
      simulatedMs: clockwork.nowMs,
    };
  }

  #epochMs(): number {
    return START_EPOCH_MS + this.clockwork.nowMs;
  }

  #trace(text: string): void {
    const line = `${this.clockwork.nowMs} ${text}\n`;
    this.#hash.update(line);
    this.#write?.(line);
  }

  #sweep(): void {
    this.clockwork.after(SWEEP_MS, () => {
      this.service.sweep();
      this.#sweep();
    });
  }

  // --- troubles ---

  #perform(action: Action): void {
    this.#trace(`* ${JSON.stringify(action)}`);
    switch (action.type) {
      case "service-crash":
        this.#crashService();
        return void this.clockwork.after(action.ms, () => this.service.start());
      case "service-drain":
        void this.service.drain().then(() => this.#crashService());
        return void this.clockwork.after(action.ms, () => this.service.start());
      case "service-forget":
        return this.#forget(action.ms);
      case "store-broken":
        this.service.disk.isBroken = true;
        return void this.clockwork.after(action.ms, () => {
          this.service.disk.isBroken = false;
        });
    }
    const device = this.devices[action.device];
    if (device !== undefined) this.#trouble(device, action);
  }

  #trouble(device: Device, action: Exclude<Action, { ms: number; device?: never }>): void {
    const { access } = device;
    switch (action.type) {
      case "post":
        for (let left = action.count; left > 0; left--) this.#post(device, action);
        return;
      case "withdraw":
        return void this.#withdraw(device, action.app);
      case "revoke":
        return void this.#revoke(device, action.app);
      case "reset":
        for (const connection of [...access.connections]) connection.reset();
        return;
      case "half-open":
        for (const connection of access.connections) connection.die();
        return;
      case "new-address":
        return device.move(access.network?.label ?? "wifi");
      case "network":
        return device.move(action.label);
      case "tunnel":
        return access.enterTunnel(action.ms);
      case "flap":
        access.flapMs = action.linkMs;
        return void this.clockwork.after(action.ms, () => {
          access.flapMs = null;
        });
      case "weather":
        access.weather = action.weather;
        return;
      case "sleep":
        return device.sleep(action.ms);
      case "stop":
        return device.stop(action.ms);
      case "rot":
        return device.rot(action.ms);
      case "crash":
        return device.doom(action.effects, action.death, action.downMs);
      case "clock":
        device.clockOffMs = action.offMs;
        device.isClockTrusted = action.isTrusted;
        return;
      case "flash":
        return this.#setFlash(device, action.state);
      case "screen-off":
        device.isScreenOn = false;
        return;
      case "screen-on":
        return device.lightScreen();
      case "app-stop":
        return device.apps[action.app]?.stop();
      case "app-start":
        return device.apps[action.app]?.start();
      case "app-unsubscribe":
        return device.apps[action.app]?.unsubscribe();
      case "conduct": {
        const app = device.apps[action.app];
        if (app === undefined) return;
        app.conduct = action.conduct;
        return action.conduct === "absent" ? app.stop() : app.start();
      }
      case "choice":
        return device.choose(action.choice);
    }
  }

  #setFlash(device: Device, state: "good" | "full" | "broken" | "slow"): void {
    device.watch.hinder("flash", state !== "good");
    device.syncMs = state === "slow" ? SLOW_SYNC_MS : 8;
    device.flash.capacityBytes = state === "full" ? FULL_BYTES : Number.POSITIVE_INFINITY;
    device.flash.fault =
      state === "broken" ? (operation) => (operation.endsWith("sync") ? "EIO" : null) : () => null;
  }

  /** Whoever waits for an answer gets none; what was stored by then is, and nobody can say. */
  #crashService(): void {
    this.service.crash();
    for (const message of this.#asked) message.excuse ??= "refused";
    this.#asked.clear();
  }

  #forget(downMs: number): void {
    this.#crashService();
    this.service.forget();
    for (const registration of this.ledger.registrations) this.ledger.end(registration, null);
    this.clockwork.after(downMs, () => this.service.start());
  }

  /** Nothing is wrong any more, but for apps that do not come. */
  #calm(): void {
    this.#trace("* calm");
    this.service.disk.isBroken = false;
    this.service.start();
    for (const device of this.devices) {
      device.spare();
      device.access.weather = GOOD_WEATHER;
      device.access.flapMs = null;
      device.access.leaveTunnel();
      device.clockOffMs = 0;
      device.isClockTrusted = true;
      this.#setFlash(device, "good");
      device.wake();
      device.move("wifi");
      device.boot();
      device.lightScreen();
      device.unpause();
      for (const app of device.apps) if (app.conduct !== "absent") app.conduct = "prompt";
    }
  }

  // --- application servers ---

  #registrationOf(device: Device, app: number): Registration | null {
    const owner = device.apps[app]?.owner ?? "";
    return this.ledger.liveRegistrations(device.name, owner)[0] ?? null;
  }

  #post(device: Device, action: Extract<Action, { type: "post" }>): void {
    const registration = this.#registrationOf(device, action.app);
    if (registration !== null) void this.#send(registration, action, 3);
  }

  async #send(
    registration: Registration,
    action: Extract<Action, { type: "post" }>,
    tries: number,
  ): Promise<void> {
    const { kind, ttlS, urgency, topic } = action;
    const number = this.ledger.messages.length;
    const body = this.#bodyOf(number, registration, action);
    const message = this.ledger.add({ number, kind, registration, ttlS }, body);
    const headers = {
      ttl: String(ttlS),
      urgency,
      ...(topic === null ? {} : { topic }),
      ...(body.length === 0 ? {} : { "content-encoding": "aes128gcm" }),
      ...(registration.isKeyed ? { authorization: this.#authorization() } : {}),
    };
    const asked = this.service.publish(registration.endpoint, headers, body);
    this.#asked.add(message);
    const reply = await asked;
    this.#asked.delete(message);
    if (reply?.status !== 201) message.excuse ??= "refused";
    this.#trace(
      `posts ${number} ${kind} to ${registration.device} ${registration.owner}: ${reply?.status ?? "-"}`,
    );
    if (reply?.status === 201) return this.ledger.accepted(message, reply.headers.Location ?? "");
    const isBusy = reply === null || reply.status === 503 || reply.status === 429;
    if (isBusy && tries > 0 && !registration.isEnded)
      this.clockwork.after(RESEND_MS, () => void this.#send(registration, action, tries - 1));
  }

  #bodyOf(number: number, registration: Registration, action: Extract<Action, { type: "post" }>): Uint8Array {
    const { kind, paddingBytes } = action;
    if (kind === "empty") return new Uint8Array(0);
    const text = payloadOf(number);
    const notification = { title: text, navigate: "https://news.example/read" };
    const plaintext =
      kind === "declared" || kind === "mutable"
        ? JSON.stringify({ web_push: 8030, notification, ...(kind === "mutable" ? { mutable: true } : {}) })
        : text;
    const randomFill = (target: Uint8Array): void => this.#chance.fill(target);
    const body = encrypt(utf8Encode(plaintext), registration, {
      provider: this.#provider,
      senderKeys: this.#keys,
      randomFill,
      paddingBytes,
    });
    if (kind === "corrupt") body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
    return body;
  }

  /** One token for hours, as senders have it. */
  #authorization(): string {
    if (this.#vapid === null || this.#vapid.untilMs < this.clockwork.nowMs)
      this.#vapid = { header: this.#sign(43_200), untilMs: this.clockwork.nowMs + 36_000_000 };
    return this.#vapid.header;
  }

  #sign(lifeS: number, claims: Record<string, unknown> = {}, subject = "mailto:server@news.example"): string {
    const expiresS = Math.floor(this.#epochMs() / 1000) + lifeS;
    return signVapid({
      keys: this.#keys,
      audience: ORIGIN,
      expiresS,
      subject,
      claims,
      provider: nodeProvider,
    });
  }

  async #withdraw(device: Device, app: number): Promise<void> {
    const owner = device.apps[app]?.owner;
    const message = this.ledger.messages.findLast(
      ({ location, registration }) =>
        location !== null && registration.owner === owner && registration.device === device.name,
    );
    if (message?.location == null) return;
    // It may be gone before the answer.
    message.excuse ??= "withdrawn";
    await this.service.withdraw(message.location);
  }

  async #revoke(device: Device, app: number): Promise<void> {
    const registration = this.#registrationOf(device, app);
    // Dialect autopush has no word for it: the app learns it from its server.
    if (registration === null || !registration.isKeyed || device.dialect === "autopush") return;
    this.ledger.end(registration, null);
    const { endpoint } = registration;
    await this.service.revoke(endpoint, this.#sign(200, { act: "revoke" }, endpoint));
  }

  // --- what the store has seen ---

  async #put(uaid: Uint8Array, channel: number, stored: NewMessage, result: PutResult): Promise<void> {
    if (result.outcome !== "stored") return;
    const { id, replacedId } = result;
    const message = stored.body === null ? this.#emptyOf(uaid, channel) : this.ledger.byBody(stored.body);
    const nameOf = await this.#namer(uaid, channel);
    if (message !== undefined) this.ledger.stored(message, nameOf(id));
    if (replacedId === null) return;
    const replaced = this.ledger.byId(nameOf(replacedId));
    if (replaced !== undefined) replaced.excuse ??= "replaced";
  }

  /** How the agent calls messages of that channel. */
  async #namer(uaid: Uint8Array, channel: number): Promise<(id: number) => string> {
    const { memory } = this.service.disk;
    const record = await memory.getChannel(uaid, channel);
    const device = await memory.getDevice(uaid);
    const channelId = record?.registrationId ?? new Uint8Array(16);
    return (id) =>
      device?.dialect === "autopush"
        ? autopushMessageIdOf(uaid, memory.epoch, channelId, id)
        : nativeMessageId(uaid, memory.epoch, id);
  }

  /** One without a body looks like every other: the oldest of those that wait for their answer. */
  #emptyOf(uaid: Uint8Array, channel: number): Message | undefined {
    const name = `${hexEncode(uaid)} ${channel}`;
    return [...this.#asked].find(
      ({ kind, messageId, registration }) =>
        kind === "empty" && messageId === null && this.#channelName(registration) === name,
    );
  }

  #channelName({ endpoint }: Registration): string {
    const { uaid, channel } = this.service.tokens.openEndpoint(endpoint.slice(endpoint.lastIndexOf("/") + 1));
    return `${hexEncode(uaid)} ${channel}`;
  }

  // --- the end ---

  /** Waits until nothing is owed. Returns how long that took. */
  async #drain(circumstance: string, sinceMs: number, isOver: () => boolean): Promise<number | null> {
    const { clockwork, ledger } = this;
    const isAbsent = (message: Message): boolean =>
      this.devices.some(
        ({ name, apps }) =>
          name === message.registration.device &&
          apps.some(({ owner, conduct }) => owner === message.registration.owner && conduct === "absent"),
      );
    while (!isOver()) {
      await clockwork.runUntil(clockwork.nowMs + MINUTE_MS, isOver);
      const owed = ledger.owed().filter((message) => !isAbsent(message));
      const isDone = owed.length === 0 && this.devices.every(({ isSettled }) => isSettled);
      if (isDone) return clockwork.nowMs - sinceMs;
      if (clockwork.nowMs - sinceMs < CALM_MS_MAX) continue;
      const [first] = owed;
      const text =
        first === undefined ? "a device is not settled" : `message ${first.number} (${first.kind}) is owed`;
      ledger.violate("nothing lost", `${text} ${circumstance}`);
    }
    return null;
  }

  async #checkEnd(): Promise<void> {
    const { ledger, service } = this;
    const { memory } = service.disk;
    for (const registration of ledger.registrations) {
      const device = this.devices.find(({ name }) => name === registration.device);
      if (device === undefined || device.hasRotted) continue;
      const isAgain = ledger.registrations.some(
        (one) => one.endpoint === registration.endpoint && !one.isEnded,
      );
      const { uaid, channel } = service.tokens.openEndpoint(
        registration.endpoint.slice(registration.endpoint.lastIndexOf("/") + 1),
      );
      const record = await memory.getChannel(uaid, channel);
      const isLive = record !== null && record.revoked === null;
      if (!registration.isEnded && !isLive)
        ledger.violate(
          "apps know their endpoint",
          `${registration.device} ${registration.owner} has a dead one`,
        );
      if (registration.isEndDurable && isLive && !isAgain)
        ledger.violate(
          "unregistered at the service",
          `${registration.device} ${registration.owner} is still there`,
        );
    }
    for (const device of this.devices) device.checkConnection();
    const connected = service.hub?.size ?? 0;
    const remembered = service.hub?.rememberedSize ?? 0;
    if (remembered > connected && (await memory.countMessages()) === 0)
      ledger.violate(
        "bounds",
        `the hub remembers ${remembered} devices, of which ${connected} are connected`,
      );
  }
}

/**
 * What senders encrypt with: node:crypto, but each shared secret is agreed on once, since they all have the one key pair. Devices
 * agree on it for each message.
 */
function senderProvider(): CryptoProvider {
  const agreed = new Map<string, Uint8Array>();
  return {
    ...nodeProvider,
    importKeys: (keys) => {
      const own = nodeProvider.importKeys(keys);
      return {
        authHmac: own.authHmac,
        isPair: () => own.isPair(),
        agree: (peer, into) => {
          const name = hexEncode(peer);
          const known = agreed.get(name);
          if (known === undefined) {
            const isGood = own.agree(peer, into);
            agreed.set(name, into.slice());
            return isGood;
          }
          into.set(known);
          return true;
        },
      };
    },
  };
}
