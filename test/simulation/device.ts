// SPDX-License-Identifier: MIT
/**
 * One device: the real user agent with its journal's directory on a simulated flash, on the simulated network, with apps and a screen.
 * Its process can die before any effect it has on the world; so can its power.
 */

import type { Choice, Instant } from "../../src/agent/events.ts";
import {
  type JournalRecovery,
  type JournalState,
  keySealer,
  plainSealer,
  recoverJournal,
} from "../../src/journal/index.ts";
import { nodeProvider } from "../../src/node/crypto.ts";
import type { TraceSink } from "../../src/node/trace/recorder.ts";
import { bindingOf } from "../../src/user-agent/start.ts";
import type { UserAgent } from "../../src/user-agent/user-agent.ts";
import type { DeviceDialect } from "../../src/wire/dialect.ts";
import { CrashFileSystem, SURVIVALS, type Survival } from "../user-agent/crash-file-system.ts";
import { Access } from "./access.ts";
import { Life } from "./agent-process.ts";
import { App } from "./app.ts";
import type { Chance } from "./chance.ts";
import type { Clockwork } from "./clockwork.ts";
import { type Ledger, type Message, payloadOf, type Run } from "./ledger.ts";
import { LinkWatch } from "./link-watch.ts";
import type { Service } from "./service.ts";

export interface DeviceSetting {
  readonly name: string;
  readonly dialect: DeviceDialect;
  readonly isSealed: boolean;
  readonly owners: readonly { readonly owner: string; readonly isKeyed: boolean }[];
}

export interface DeviceSurroundings {
  readonly clockwork: Clockwork;
  readonly ledger: Ledger;
  readonly service: Service;
  /** Of the application servers, which ask for it. */
  readonly applicationServerKey: Uint8Array;
  epochMs(): number;
  chance(name: string): Chance;
  trace(text: string): void;
  /** Where a device's agent is recorded; null when nobody wants that. */
  recordingOf(device: string): TraceSink | null;
}

/** How a process ends. */
export type Death = "process" | "power";

const RETRY_BOOT_MS = 30_000;
const MINUTE_MS = 60_000;
/** Nobody makes an app start faster. */
const APP_START_MS = 300;

export class Device {
  readonly name: string;
  readonly access: Access;
  readonly apps: App[];
  readonly watch: LinkWatch;
  /** The wall clock is off by this, and says whether it can be trusted. */
  clockOffMs = 0;
  isClockTrusted = true;
  isScreenOn = true;
  flash = new CrashFileSystem();
  /** What a step of the flash that syncs takes, ms. */
  syncMs = 8;
  hasRotted = false;
  /** Notifications that no screen has shown yet, by message. */
  readonly #kept = new Map<number, number>();
  readonly #setting: DeviceSetting;
  readonly #surroundings: DeviceSurroundings;
  readonly #random: Chance;
  readonly #deviceKey: Uint8Array | null;
  #life: Life | null = null;
  #runs = 0;
  #crashes = 0;
  #isAsleep = false;
  /** What happens when it is awake again. */
  #missed: (() => void)[] = [];
  /** The process dies before this many effects more; null: it does not. */
  #doom: { effects: number; readonly death: Death; readonly downMs: number } | null = null;

  constructor(setting: DeviceSetting, surroundings: DeviceSurroundings) {
    this.name = setting.name;
    this.#setting = setting;
    this.#surroundings = surroundings;
    const { clockwork, ledger } = surroundings;
    this.#random = surroundings.chance(`${this.name} random`);
    this.access = new Access(clockwork, surroundings.chance(`${this.name} network`));
    this.watch = new LinkWatch(this.name, clockwork, ledger);
    this.#deviceKey = setting.isSealed ? this.#randomBytes(32) : null;
    if (this.#deviceKey !== null) ledger.addSecretBytes(this.#deviceKey);
    const chance = surroundings.chance(`${this.name} apps`);
    this.apps = setting.owners.map(
      ({ owner, isKeyed }) =>
        new App(owner, isKeyed ? surroundings.applicationServerKey : null, {
          device: this.name,
          ledger,
          chance,
          after: (delayMs, action) => this.#after(delayMs, action),
          trace: (text) => this.trace(text),
          touch: () => this.#life?.touch() ?? false,
          isStopping: () => this.#life?.isStopping ?? false,
        }),
    );
  }

  get dialect(): DeviceDialect {
    return this.#setting.dialect;
  }

  get userAgent(): UserAgent | null {
    return this.#life?.userAgent ?? null;
  }

  get run(): Run | null {
    return this.#life?.run ?? null;
  }

  get isAsleep(): boolean {
    return this.#isAsleep;
  }

  /** The power is on: the agent starts. */
  boot(): void {
    if (this.#life !== null) return;
    const run = { device: this.name, number: ++this.#runs, crashesBefore: this.#crashes };
    this.trace(`boot ${run.number}`);
    const life = new Life(this, run);
    this.#life = life;
    life.start().then(
      (userAgent) => {
        if (!life.isAlive) return;
        life.userAgent = userAgent;
        for (const app of this.apps) app.meet(userAgent, run);
      },
      (error: unknown) => {
        if (!life.isAlive) return;
        this.trace(`no start: ${error instanceof Error ? error.message : error}`);
        life.end();
        this.#life = null;
        this.#after(RETRY_BOOT_MS, () => this.boot());
      },
    );
  }

  /** The process dies `effects` effects from now, and comes back `downMs` later. */
  doom(effects: number, death: Death, downMs: number): void {
    this.#doom ??= { effects, death, downMs };
  }

  spare(): void {
    this.#doom = null;
  }

  /** Stops in order, and starts again. */
  stop(downMs: number): void {
    const life = this.#life;
    const userAgent = life?.userAgent;
    if (!life || !userAgent || life.isStopping) return;
    life.isStopping = true;
    this.trace("stop");
    userAgent.close().then(
      () => {
        if (!life.isAlive) return;
        this.trace("stopped");
        // On a broken flash it could not be written down that this was in order.
        if (!this.#recover().cleanStop) this.#crashes++;
        this.#letGo(life);
        this.#surroundings.clockwork.after(downMs, () => this.boot());
      },
      () => life.isAlive && this.die("process", downMs),
    );
  }

  die(death: Death, downMs: number): void {
    const life = this.#life;
    if (life === null) return;
    this.trace(`dies (${death})`);
    this.#doom = null;
    this.#crashes++;
    const survival: Survival = death === "process" ? "everything" : this.#random.pick(...SURVIVALS);
    this.flash.powerCutAt = this.flash.steps;
    const { capacityBytes, fault } = this.flash;
    this.flash = this.flash.afterPowerCut(survival, () => this.#random.is(0.5));
    Object.assign(this.flash, { capacityBytes, fault });
    // The system of a machine with power tells the other end.
    for (const connection of [...this.access.connections])
      if (death === "process") connection.abort();
      else connection.forget();
    if (death === "power") for (const app of this.apps) app.isRunning = false;
    this.#letGo(life);
    this.#surroundings.clockwork.after(downMs, () => {
      this.boot();
      if (death === "power") for (const app of this.apps) app.start();
    });
  }

  sleep(ms: number): void {
    if (this.#isAsleep) return;
    this.trace(`sleeps for ${ms} ms`);
    this.#isAsleep = true;
    this.watch.hinder("sleep", true);
    this.#surroundings.clockwork.after(ms, () => this.wake());
  }

  wake(): void {
    if (!this.#isAsleep) return;
    this.trace("wakes");
    this.#isAsleep = false;
    this.watch.hinder("sleep", false);
    for (const act of this.#missed.splice(0)) this.#surroundings.clockwork.after(0, act);
  }

  /** Calls `act` now, or when the device is awake again. */
  awake(act: () => void): void {
    if (this.#isAsleep) this.#missed.push(act);
    else act();
  }

  /** The device is on another network, on none, or has another address. */
  move(label: string | null): void {
    const before = this.access.network?.label ?? null;
    this.access.move(label);
    this.watch.networkChanged();
    this.#life?.tellNetwork(label !== null && label === before);
  }

  /** What nobody could show comes with the screen. */
  lightScreen(): void {
    if (this.isScreenOn) return;
    this.isScreenOn = true;
    this.#life?.showAgain();
  }

  unpause(): void {
    if (this.userAgent === null || this.#life?.isStopping)
      return void this.#surroundings.clockwork.after(MINUTE_MS, () => this.unpause());
    this.choose({ type: "setPaused", owner: null, paused: false });
    for (const { owner } of this.apps) this.choose({ type: "setPaused", owner, paused: false });
  }

  /** It runs, and nothing waits to be said or done. */
  get isSettled(): boolean {
    const { userAgent } = this;
    if (userAgent === null) return false;
    const { subscriptions, link } = userAgent.status();
    return link === (subscriptions.length > 0 ? "online" : "idle");
  }

  /** A connection exists while there is something to wait for; otherwise none. */
  checkConnection(): void {
    const { ledger } = this.#surroundings;
    const { subscriptions = [], link } = this.userAgent?.status() ?? {};
    const open = this.watch.openLinks;
    if (open !== (subscriptions.length > 0 ? 1 : 0))
      ledger.violate(
        "a connection while it is needed",
        `${this.name}: ${open} links, ${subscriptions.length} subscriptions, ${link}`,
      );
  }

  /** A screen that is off keeps no notification of `message` from coming later. */
  keep(notificationId: number, message: number): void {
    this.#kept.set(notificationId, message);
  }

  /** It was there for a person before a screen was. */
  wasKept(notificationId: number): boolean {
    return this.#kept.has(notificationId);
  }

  /** Closed before anybody saw it, since there are too many. */
  closed(notificationId: number): void {
    const message = this.#surroundings.ledger.messages[this.#kept.get(notificationId) ?? -1];
    if (message !== undefined) message.excuse ??= "closed";
  }

  /** A person decides. */
  choose(choice: Choice): void {
    const life = this.#life;
    const userAgent = life?.userAgent;
    if (!life || !userAgent || life.isStopping) return;
    const { ledger } = this.#surroundings;
    const ended = this.#endedBy(choice);
    for (const registration of ended) ledger.end(registration, life.run);
    const secrets = this.#secretsOf(choice);
    if (choice.type === "setPaused" && choice.paused) this.watch.hinder(`pause ${choice.owner}`, true);
    const decided = userAgent.choose(choice);
    const noteResumed = (): void => {
      // A crash before that leaves it paused.
      if (life.isAlive && choice.type === "setPaused")
        this.watch.hinder(`pause ${choice.owner}`, choice.paused);
    };
    decided.then(noteResumed, noteResumed);
    decided.then(
      () => {
        if (!life.isAlive) return;
        for (const registration of ended) if (registration.isEnded) registration.isEndDurable = true;
        for (const bytes of secrets)
          if (this.isOnFlash(bytes)) ledger.violate("ended is ended", "a key is still on the flash");
      },
      // It holds, and could not be written down.
      () => {},
    );
  }

  /** These bytes survive a power cut. */
  isOnFlash(bytes: Uint8Array): boolean {
    const sought = Buffer.from(bytes);
    return this.flash
      .durableContents()
      .some(({ buffer, byteOffset, length }) => Buffer.from(buffer, byteOffset, length).includes(sought));
  }

  /** The message survives one: as it came, or as a notification. */
  isKept({ tail, number }: Message): boolean {
    if (tail !== null && this.isOnFlash(tail)) return true;
    const text = payloadOf(number);
    for (const { notificationJson } of this.durableState().notifications.values())
      if (notificationJson.includes(text)) return true;
    return false;
  }

  /** What a restart would find. */
  durableState(): JournalState {
    return this.#recover().state;
  }

  #recover(): JournalRecovery {
    const sealer =
      this.#deviceKey === null ? plainSealer() : keySealer(this.#deviceKey, (target) => this.fill(target));
    const segments = [0, 1].flatMap((slot) => this.flash.durable(`/state/journal-${slot}`) ?? []);
    return recoverJournal(segments, { deviceBinding: bindingOf(this.name, nodeProvider), sealer });
  }

  /** A bit of the journal is another one when the device comes back from a power cut. */
  rot(downMs: number): void {
    const { ledger } = this.#surroundings;
    this.hasRotted = true;
    if (this.#life !== null) this.die("power", downMs);
    for (const path of this.flash.paths().filter((one) => one.startsWith("/state/journal-")))
      this.flash.rot(path, this.#random.integer(0, 8 * 65_536));
    // What was in the journal alone, and what the journal said of the rest, may be gone.
    for (const message of ledger.messages)
      if (message.registration.device === this.name) message.excuse ??= "rot";
    for (const registration of ledger.liveRegistrations(this.name, null)) ledger.end(registration, null);
  }

  trace(text: string): void {
    this.#surroundings.trace(`${this.name} ${text}`);
  }

  // --- for its process ---

  get setting(): DeviceSetting {
    return this.#setting;
  }

  get surroundings(): DeviceSurroundings {
    return this.#surroundings;
  }

  get deviceKey(): Uint8Array | null {
    return this.#deviceKey;
  }

  fill(target: Uint8Array): void {
    this.#random.fill(target);
  }

  now(): Instant {
    const { clockwork, epochMs } = this.#surroundings;
    return {
      monotonicMs: clockwork.nowMs,
      epochMs: epochMs() + this.clockOffMs,
      epochTrusted: this.isClockTrusted,
    };
  }

  /** Called before each effect; true when that was the last moment of the process. */
  isDoomed(): boolean {
    const doom = this.#doom;
    if (doom === null || doom.effects-- > 0) return false;
    this.die(doom.death, doom.downMs);
    return true;
  }

  #letGo(life: Life): void {
    life.end();
    this.watch.runEnded();
    if (this.#life === life) this.#life = null;
    for (const app of this.apps) app.lose();
  }

  /** Timers of processes do not go on while the device sleeps. */
  #after(delayMs: number, action: () => void): () => void {
    return this.#surroundings.clockwork.after(delayMs, () => this.awake(action));
  }

  #endedBy(choice: Choice) {
    const { ledger } = this.#surroundings;
    switch (choice.type) {
      case "setPermission":
        return choice.permission === "granted" ? [] : ledger.liveRegistrations(this.name, choice.owner);
      case "setOptedOut":
        return choice.optedOut ? ledger.liveRegistrations(this.name, choice.owner) : [];
      case "clearData":
      case "uninstall":
        return ledger.liveRegistrations(this.name, choice.owner);
      case "factoryReset":
        return ledger.liveRegistrations(this.name, null);
      default:
        return [];
    }
  }

  /** What must not be on the flash once that is done. Sealed ones are never found there. */
  #secretsOf(choice: Choice): Uint8Array[] {
    const registrations = this.#endedBy(choice);
    if (choice.type === "setOptedOut" && !choice.optedOut) return [];
    return registrations.map(({ authSecret }) => authSecret).concat(this.#endedSecrets(choice));
  }

  #endedSecrets(choice: Choice): Uint8Array[] {
    if (!("owner" in choice) && choice.type !== "factoryReset") return [];
    if (!["uninstall", "clearData", "factoryReset"].includes(choice.type)) return [];
    const owner = "owner" in choice ? choice.owner : null;
    const subscriptions = [...this.durableState().subscriptions.values()];
    return subscriptions
      .filter((one) => owner === null || one.owner === owner)
      .map(({ privateKey }) => privateKey);
  }

  #randomBytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.fill(bytes);
    return bytes;
  }

  startApp(owner: string): void {
    const app = this.apps.find((one) => one.owner === owner);
    this.#after(APP_START_MS, () => app?.start());
  }
}
