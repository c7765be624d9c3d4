// SPDX-License-Identifier: MIT
/**
 * What may happen to a device's journal, drawn from a seed, through the agent's own way to its disk (src/agent/persistence.ts) and the
 * state directory: subscriptions made and ended, messages received, tried, handled, shown, choices, a factory reset, a new device key,
 * starts and stops, a disk that is full, fails or writes short. No tests here.
 */

import type { Effect } from "../../src/agent/events.ts";
import { Persistence } from "../../src/agent/persistence.ts";
import { GodwitError } from "../../src/errors.ts";
import {
  type JournalRecord,
  type JournalRecovery,
  JournalWriter,
  keySealer,
  type MessageRecord,
  recoverJournal,
  type Sealer,
} from "../../src/journal/index.ts";
import type { RecordOf } from "../../src/journal/records.ts";
import { JOURNAL_RETRY_MS_MAX, NOTE_DELAY_MS } from "../../src/limits.ts";
import { JournalDirectory } from "../../src/user-agent/journal-directory.ts";
import { BINDING, message, notification, owner, subscription } from "../journal/support.ts";
import type { Chance } from "../simulation/chance.ts";
import type { CrashFileSystem } from "../user-agent/crash-file-system.ts";
import { Expectation } from "./expectation.ts";
import { type Knowledge, knowledgeOf } from "./knowledge.ts";

/** One way in which things go on; how often, beside the others. */
const OPERATIONS = {
  subscribe: 8,
  registered: 8,
  unsubscribe: 4,
  receive: 26,
  tryMessage: 8,
  handle: 16,
  show: 6,
  closeNotification: 4,
  decideOwner: 5,
  choose: 2,
  clearOwner: 2,
  meetNetwork: 4,
  renewToken: 2,
  serviceTold: 4,
  suspect: 1,
  factoryReset: 1,
  passTime: 4,
  diskTrouble: 3,
  restart: 4,
  giveKey: 1,
} as const;
type Operation = keyof typeof OPERATIONS;
const WEIGHTS = Object.entries(OPERATIONS) as [Operation, number][];
const WEIGHT = WEIGHTS.reduce((sum, [, weight]) => sum + weight, 0);

const OWNERS = ["https://news.example", "https://chat.example", "kiosk.clock", "https://mail.example"];
const NETWORKS = ["wifi:home", "wifi:work", "262-01", ""];

/** Devices that are given a key some day; then nothing shows any more what lies on their flash. */
const KEYED_SHARE = 0.3;

/** Processes that ever were; the one that asks is the only one that runs. */
let lastPid = 0;

/** The journal of the agent that starts on this disk. */
export async function startOn(
  fileSystem: CrashFileSystem,
  sealer: Sealer,
  chance: Chance,
): Promise<{ files: JournalDirectory; recovery: JournalRecovery; writer: JournalWriter }> {
  const self = { pid: ++lastPid, startTicks: "1", bootId: "a" };
  const processes = { self: () => self, isRunning: (one: { pid: number }) => one.pid === self.pid };
  // What the reserve is filled with does not matter; drawing it takes most of the time.
  const randomFill = (target: Uint8Array): void => void target.fill(0xa5);
  const files = await JournalDirectory.open({ directory: "/state", fileSystem, processes, randomFill });
  const recovery = recoverJournal(await files.read(), { deviceBinding: BINDING, sealer });
  const fill = (target: Uint8Array): void => chance.fill(target);
  const writer = new JournalWriter(recovery, { deviceBinding: BINDING, sealer, randomFill: fill });
  return { files, recovery, writer };
}

/** The one of `expected` that a start has found. @throws {Error} when it is none of them, or the journal calls itself damaged */
export function matching(recovery: JournalRecovery, expected: readonly Knowledge[]): Knowledge {
  const found = knowledgeOf(recovery);
  const differences = new Set<string>();
  for (const known of expected) {
    // A stop in order behind which something was begun is none any more, whatever became of that.
    const meant = recovery.report.tornTailBytes > 0 ? known.asCheckpoint() : known;
    const difference = meant.difference(found);
    if (difference !== null) differences.add(difference);
    else if (recovery.report.damaged) throw new Error("a power cut passes for damage");
    else return meant;
  }
  throw new Error(`found what cannot be: ${[...differences].slice(-3).join("; or ")}`);
}

export class History {
  readonly fileSystem: CrashFileSystem;
  readonly #chance: Chance;
  expectation: Expectation;
  sealer: Sealer;
  /** Of subscriptions that ended last, when they were said to be gone for good: on no disk any more. */
  gone: readonly Buffer[] = [];
  operations = 0;
  #persistence!: Persistence;
  #files!: JournalDirectory;
  #writing: Promise<void> | null = null;
  #monotonicMs = 1_000_000;
  #storeEpoch = 7;
  #lastMessage: number;
  #lastSubscription: number;
  #lastNotification: number;
  #runs = 0;
  readonly #key: Uint8Array;
  readonly #getsKey: boolean;

  /** On this disk, which is empty, or what an earlier one left, with what there is to know. */
  constructor(fileSystem: CrashFileSystem, known: Knowledge, sealer: Sealer, chance: Chance) {
    this.fileSystem = fileSystem;
    this.#chance = chance;
    this.expectation = new Expectation(known);
    this.#key = new Uint8Array(32);
    chance.fill(this.#key);
    this.#getsKey = chance.is(KEYED_SHARE);
    this.sealer = sealer;
    // Above all that the disk may remember.
    const begin = chance.integer(0, 1_000) * 1_000;
    this.#lastMessage = this.#lastSubscription = this.#lastNotification = begin;
    fileSystem.writeBytesMax = chance.is(0.3) ? chance.integer(40, 2_000) : Number.POSITIVE_INFINITY;
  }

  /** A process begins. */
  async start(): Promise<void> {
    const { files, recovery, writer } = await startOn(this.fileSystem, this.sealer, this.#chance);
    this.#files = files;
    this.expectation = new Expectation(matching(recovery, this.expectation.possible));
    this.#persistence = new Persistence({
      ...{ state: recovery.state, writer, riders: () => [] },
      emit: (effect) => this.#write(effect),
    });
    if (recovery.state.device === null) {
      const deviceSecret = new Uint8Array(32);
      this.#chance.fill(deviceSecret);
      this.#note({ type: "device", deviceSecret });
    }
    this.#store([{ type: "run", runId: ++this.#runs }]);
    this.#flush();
  }

  /** One operation more. What it writes may not be done when this resolves. */
  async step(): Promise<void> {
    this.operations++;
    this.#monotonicMs += this.#chance.integer(0, 2_000);
    await this.#perform(this.#draw());
    this.#flush();
    if (this.#chance.is(0.8)) await this.#written();
  }

  /** Resolves when nothing is being written. */
  async settle(): Promise<void> {
    await this.#written();
  }

  #draw(): Operation {
    let at = this.#chance.next() * WEIGHT;
    for (const [operation, weight] of WEIGHTS) {
      at -= weight;
      if (at < 0) return operation;
    }
    return "passTime";
  }

  async #perform(operation: Operation): Promise<void> {
    const chance = this.#chance;
    switch (operation) {
      case "subscribe":
        return this.#subscribe();
      case "registered":
        return this.#registered();
      case "unsubscribe":
        // As the agent: no record of it is still to be written.
        await this.#written();
        return this.#end(this.#some("subscription").slice(0, 1));
      case "receive":
        return this.#receive();
      case "tryMessage":
        for (const { storeEpoch, id, attempt } of this.#some("message").slice(0, 1))
          this.#note({ type: "messageAttempt", storeEpoch, id, attempt: attempt + 1, handed: true });
        return;
      case "handle":
        for (const { storeEpoch, id } of this.#some("message").slice(0, chance.integer(1, 3)))
          this.#note({ type: "messageDone", storeEpoch, id });
        return;
      case "show":
        return this.#show();
      case "closeNotification":
        for (const { notificationId } of this.#some("notification").slice(0, 1))
          this.#note({ type: "notificationClosed", notificationId });
        return;
      case "decideOwner": {
        const permission = chance.pick("granted", "denied", "prompt");
        const badge = chance.pick<number | true | null>(null, true, chance.integer(1, 99));
        return this.#note(
          owner(chance.pick(...OWNERS), { permission, badge, paused: chance.is(0.2) }),
          "soon",
        );
      }
      case "choose":
        return this.#erase([{ type: "choices", paused: chance.is(0.5), optedOut: chance.is(0.3) }]);
      case "clearOwner":
        await this.#written();
        return this.#clear(chance.pick(...OWNERS));
      case "meetNetwork":
        return this.#meetNetwork();
      case "renewToken":
        return this.#store([this.#userAgent()]);
      case "serviceTold":
        for (const channel of this.expectation.memory.all("ending").keys())
          if (chance.is(0.5)) this.#note({ type: "pendingUnregisterDone", channel: Number(channel) });
        return;
      case "suspect":
        return this.#note({ type: "suspect", storeEpoch: this.#storeEpoch, idMax: this.#lastMessage });
      case "factoryReset":
        await this.#written();
        return this.#factoryReset();
      case "passTime":
        this.#monotonicMs += chance.pick(NOTE_DELAY_MS, JOURNAL_RETRY_MS_MAX);
        return;
      case "diskTrouble":
        return this.#diskTrouble();
      case "restart":
        return this.#restart();
      case "giveKey":
        if (this.sealer.sealsSecrets || !this.#getsKey) return;
        await this.#restart(() => {
          this.sealer = keySealer(this.#key, (target) => chance.fill(target));
        });
    }
  }

  #subscribe(): void {
    const chance = this.#chance;
    const id = ++this.#lastSubscription;
    const privateKey = new Uint8Array(32);
    chance.fill(privateKey);
    const mode = chance.pick("auto" as const, "only" as const);
    const one = subscription(id, {
      owner: chance.pick(...OWNERS),
      privateKey,
      mode,
      channel: null,
      endpoint: null,
    });
    this.#store([one]);
  }

  /** The service has answered. */
  #registered(): void {
    const waiting = this.#some("subscription").find(({ endpoint }) => endpoint === null);
    if (waiting === undefined) return this.#subscribe();
    const { id } = waiting;
    this.#store([{ ...waiting, channel: id, endpoint: `https://push.example/p/${id}` }]);
  }

  #end(subscriptions: readonly RecordOf<"subscription">[]): void {
    if (subscriptions.length === 0) return;
    const records: JournalRecord[] = [];
    for (const { id, channel } of subscriptions) {
      records.push({ type: "subscriptionRemoved", id });
      if (channel !== null) records.push({ type: "pendingUnregister", channel });
    }
    this.#erase(records, subscriptions);
  }

  #clear(name: string): void {
    const subscriptions = this.#some("subscription").filter((one) => one.owner === name);
    const shown = this.#some("notification").filter((one) => one.owner === name);
    for (const { notificationId } of shown) this.#note({ type: "notificationClosed", notificationId });
    this.#note({ type: "ownerRemoved", owner: name });
    this.#end(subscriptions);
  }

  #receive(): void {
    const chance = this.#chance;
    const subscribed = this.#some("subscription").find(({ endpoint }) => endpoint !== null);
    if (subscribed === undefined) return this.#subscribe();
    const records: MessageRecord[] = [];
    for (let count = chance.integer(1, 3); count > 0; count--) {
      const body = new Uint8Array(chance.is(0.2) ? chance.integer(1_000, 4_096) : chance.integer(20, 600));
      chance.fill(body);
      const { id: subscriptionId, channel } = subscribed;
      const urgency = chance.pick("normal" as const, "high" as const);
      const ids = { storeEpoch: this.#storeEpoch, subscriptionId, channel: channel ?? 0 };
      records.push(message(++this.#lastMessage, { ...ids, body, urgency }));
    }
    // Each with a promise of its own, as they come; all go into the next write.
    for (const record of records) this.#store([record]);
  }

  #show(): void {
    const [shown] = this.#some("message");
    const note = { ...notification(++this.#lastNotification), owner: this.#chance.pick(...OWNERS) };
    this.#note(note, "soon");
    if (shown !== undefined)
      this.#note({ type: "messageDone", storeEpoch: shown.storeEpoch, id: shown.id }, "soon");
    // As the service's acknowledgement waits for it.
    this.#store([]);
  }

  #meetNetwork(): void {
    const chance = this.#chance;
    this.#note({
      type: "network",
      label: chance.is(0.3) ? `wifi:${chance.integer(0, 60)}` : chance.pick(...NETWORKS),
      loMs: chance.integer(1, 1_000_000),
      hiMs: chance.pick(null, chance.integer(1_000_000, 2_000_000)),
      isHiSure: chance.is(0.5),
      confidence: chance.integer(0, 255),
      losses: chance.integer(0, 9),
      confirmedEpochMs: 1_760_000_000_000 + this.#monotonicMs,
      transport: "",
    });
  }

  #userAgent(): RecordOf<"userAgent"> {
    const uaid = new Uint8Array(16);
    this.#chance.fill(uaid);
    return {
      ...{ type: "userAgent", uaid, storeEpoch: this.#storeEpoch, service: "godwit.v1 push.example" },
      uaToken: `token-${this.#chance.integer(0, 1e9)}`,
    };
  }

  #factoryReset(): void {
    this.#erase([{ type: "pendingForget" }], this.#some("subscription"));
    this.#erase([{ type: "userAgentRemoved" }]);
    this.#storeEpoch++;
    this.#store([this.#userAgent()]);
  }

  /** The disk is full, or fails now and then, or is well again. */
  #diskTrouble(): void {
    const chance = this.#chance;
    const { fileSystem } = this;
    const trouble = chance.pick("none", "full", "broken");
    fileSystem.capacityBytes =
      trouble === "full" ? fileSystem.usedBytes() + chance.integer(0, 2_000) : Number.POSITIVE_INFINITY;
    fileSystem.fault = trouble === "broken" ? () => (chance.is(0.1) ? "EIO" : null) : () => null;
  }

  /** In order, or killed. */
  async #restart(meanwhile: () => void = () => {}): Promise<void> {
    await this.#written();
    this.fileSystem.capacityBytes = Number.POSITIVE_INFINITY;
    this.fileSystem.fault = () => null;
    if (this.#chance.is(0.5)) {
      this.#store([{ type: "clean" }]);
      this.#persistence.flush(this.#now(), true);
      await this.#written();
      await this.#files.close();
    }
    meanwhile();
    await this.start();
  }

  #store(records: readonly JournalRecord[]): void {
    const { expectation } = this;
    expectation.store(records);
    this.#persistence.store(records, (failure) => {
      if (failure === null) expectation.promised(records);
    });
  }

  #note(record: JournalRecord, when: "withOthers" | "soon" = "withOthers"): void {
    this.expectation.note(record);
    this.#persistence.note(record, when);
  }

  #erase(records: readonly JournalRecord[], ended: readonly RecordOf<"subscription">[] = []): void {
    const { expectation } = this;
    expectation.erase(records);
    this.#persistence.erase(records, () => {
      expectation.promised(records);
      if (ended.length > 0) this.gone = ended.map(({ privateKey }) => Buffer.from(privateKey));
    });
  }

  /** What is known of one kind, beginning anywhere. */
  #some<T extends "subscription" | "message" | "notification">(kind: T): RecordOf<T>[] {
    const all = [...this.expectation.memory.all(kind).values()] as RecordOf<T>[];
    const at = this.#chance.integer(0, Math.max(0, all.length - 1));
    return [...all.slice(at), ...all.slice(0, at)];
  }

  #flush(): void {
    this.#persistence.flush(this.#now());
  }

  #write(effect: Effect): void {
    if (effect.type !== "append" && effect.type !== "checkpoint") return;
    const { expectation } = this;
    if (effect.type === "append") expectation.appending();
    else expectation.checkpointing();
    const written =
      effect.type === "append"
        ? this.#files.append(effect.bytes)
        : this.#files.checkpoint(effect.bytes, { urgent: effect.urgent });
    this.#writing = written.then(
      () => {
        this.#writing = null;
        expectation.written();
        this.#persistence.handleAppended(effect.appendId);
        this.#flush();
      },
      (error: unknown) => {
        if (!(error instanceof GodwitError)) throw error;
        this.#writing = null;
        expectation.failed();
        const reason = error.code === "ERR_JOURNAL_FULL" ? "full" : "io";
        this.#persistence.handleFailed(effect.appendId, reason, this.#now());
        this.#flush();
      },
    );
  }

  async #written(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
  }

  #now() {
    return {
      monotonicMs: this.#monotonicMs,
      epochMs: 1_760_000_000_000 + this.#monotonicMs,
      epochTrusted: true,
    };
  }
}
