// SPDX-License-Identifier: MIT
/**
 * What a device says once its link is open, in either dialect, while messages come, the store answers late or not at all, and time
 * passes. An input is lines: `g` or `a` for the dialect, then a message as JSON, or a letter and a number for what the service's own
 * side does. Nothing is thrown; what is sent can be read, is of a message that is there, and never more than may be in flight; each
 * request is answered once at most; what is acknowledged are ids; behind the end of a session nothing comes. No tests here.
 */

import { utf8Decode, utf8Encode } from "../../../src/bytes.ts";
import { GodwitError } from "../../../src/errors.ts";
import { AUTOPUSH_IN_FLIGHT_MAX, MESSAGES_IN_FLIGHT_MAX } from "../../../src/limits.ts";
import type { SessionEffect } from "../../../src/push-service/session-events.ts";
import {
  type AutopushDownstream,
  type AutopushUpstream,
  encodeAutopushDownstream,
  parseAutopushDownstream,
  parseAutopushUpstream,
} from "../../../src/wire/autopush.ts";
import type { Downstream, RevokeReason, Upstream } from "../../../src/wire/dialect.ts";
import { godwitDialect } from "../../../src/wire/godwit.ts";
import { AutopushBench } from "../../push-service/autopush-session-bench.ts";
import { SessionBench, type StoredSession, uaid } from "../../push-service/session-bench.ts";
import { mutateJson } from "../json.ts";
import type { Random } from "../random.ts";
import { holds, same, type Target } from "../target.ts";

const LINES_MAX = 60;
const URGENCIES = ["very-low", "low", "normal", "high"] as const;
const REASONS: readonly RevokeReason[] = ["application-server", "administrator", "expired"];
/** Of the answers to a device's requests. */
const STATUSES = [200, 200, 404, 503] as const;

export const target: Target = {
  name: "sessions",
  covers: ["session.", "outbox", "autopush-session", "autopush-outbox"].map(
    (name) => `src/push-service/${name}`,
  ),
  inputBytesMax: 8192,
  inputMsMax: 1000,
  words: [
    ...["type", "ref", "registrationId", "applicationServerKey", "channel", "ranges", "code", "conditions"],
    ...["heartbeatS", "windowS", "leastUrgency", "nonce", ...URGENCIES, "ok", "rejected", "undecryptable"],
    ...["registerWa", "unregisterWa", "unregisterUa", "getAllMessages", "ack", "hold", "resume", "probe"],
    ...["messageType", "hello", "register", "unregister", "broadcast_subscribe", "nack", "ping", "updates"],
    ...["channelID", "version", "key", "broadcasts", "{version}", "{channel}"],
    ..."pPewrlxkcthmb".split("").map((letter) => `\n${letter}1\n`),
  ],
  seeds: () => SEEDS.map(utf8Encode),
  mutate: mutateLines,
  run(input) {
    const [dialect = "", ...lines] = utf8Decode(input).split("\n").slice(0, LINES_MAX);
    const world = dialect === "a" ? new AutopushWorld() : new GodwitWorld();
    for (const line of lines) world.take(line);
    return world.end();
  },
};

/** One line changes where it means something; or lines are put in, taken out and exchanged. */
function mutateLines(input: Uint8Array, random: Random): Uint8Array | null {
  const lines = utf8Decode(input).split("\n");
  const at = 1 + random.below(lines.length);
  const line = lines[at] ?? "";
  const other = random.pick(random.pick(SEEDS).split("\n").slice(1));
  const event = `${random.pick([..."pPewrlxkcthmb"])}${random.pick([0, 1, 2, 3, 5, 40, 130, 300])}`;
  const changed = line.startsWith("{") ? mutateJson(utf8Encode(line), target.words, random) : null;
  const options = [
    () => lines.toSpliced(at, 1),
    () => lines.toSpliced(at, 0, other),
    () => lines.toSpliced(at, 0, line),
    () => lines.toSpliced(at, 0, event),
    () =>
      changed === null
        ? lines.with(Math.min(at, lines.length - 1), event)
        : lines.with(at, utf8Decode(changed)),
  ];
  return utf8Encode(random.pick(options)().join("\n"));
}

/** A session, its store, and a device that says what it likes. */
abstract class World<Up, Down> {
  protected readonly bench: StoredSession<Up, Down>;
  protected readonly outcomes = new Set<string>();
  /** Ids of messages that the store has, or had. */
  readonly #put = new Set<number>();
  /** How many of the effects were looked at, and answered. */
  #seen = 0;
  #answered = 0;
  #isAnswering = true;
  #fails = false;
  #lastChannel = 1;

  constructor(bench: StoredSession<Up, Down>) {
    this.bench = bench;
    bench.isAnswering = false;
    this.bench.open();
    this.#settle();
  }

  /** A message that can be read; null where its text cannot. */
  protected abstract read(text: string): Up | null;
  /** What holds of everything that is sent. Adds what it is to the outcomes. */
  protected abstract check(message: Down, isThere: (id: number) => boolean): void;

  /** What is in flight may have left without an acknowledgement: it expired, was withdrawn, or its channel ended. */
  protected abstract forgetInFlight(): void;

  take(line: string): void {
    const number = Number.parseInt(line.slice(1), 10) || 0;
    if (/^[rtw]/.test(line)) this.forgetInFlight();
    if (line.startsWith("{")) this.#say(line);
    else this.#happen(line[0] ?? "", number);
    this.#settle();
  }

  /** Everything is answered and comes to rest. */
  end(): string {
    this.#isAnswering = true;
    this.#fails = false;
    this.#settle();
    this.bench.pass(3_600_000);
    this.#settle();
    this.bench.handle({ type: "linkClosed" });
    this.#settle();
    return [...this.outcomes].sort().slice(0, 3).join(" ");
  }

  #say(text: string): void {
    const message = this.read(text);
    if (message === null) this.bench.handle({ type: "malformed", status: 400, text: "no message" });
    else this.bench.up(message);
  }

  #happen(letter: string, number: number): void {
    const { bench } = this;
    switch (letter) {
      case "p":
      case "P":
        for (let count = 0; count < 1 + (number % 200); count++) {
          const topic = number % 7 === 3 ? "t" : null;
          this.#put.add(
            bench.put(
              { urgency: URGENCIES[number % 4] ?? "normal", topic, saysNotification: number % 2 === 1 },
              letter === "p",
            ),
          );
        }
        if (letter === "P") bench.handle({ type: "missed" });
        return;
      case "e": {
        const id = bench.put({}, false);
        this.#put.add(id);
        const message = bench.messages.get(id);
        bench.messages.delete(id);
        if (message !== undefined) bench.handle({ type: "ephemeral", message });
        return;
      }
      case "w":
        if (bench.messages.delete(number)) bench.handle({ type: "withdrawn", id: number });
        return;
      case "r":
        return bench.handle({
          type: "revoked",
          channel: 1 + (number % 3),
          reason: REASONS[number % 3] ?? "expired",
        });
      case "l":
        this.#isAnswering = !this.#isAnswering;
        return;
      case "x":
        this.#fails = !this.#fails;
        return;
      case "k":
        return this.#answer();
      case "c":
        return bench.handle({ type: "congested", isCongested: number % 2 === 1 });
      case "t":
        return bench.pass(number * 1000);
      case "h":
        return bench.handle({ type: "activity" });
      case "m":
        return bench.handle({ type: "malformed", status: number % 2 === 1 ? 501 : 400, text: "no message" });
      case "b":
        return bench.handle({ type: "goodbye", reason: "shutdown", retryAfterS: number });
    }
  }

  /** Looks at what came of it, and lets the store answer until nothing more does. */
  #settle(): void {
    do {
      this.#look();
      if (this.#isAnswering) while (this.#answered < this.bench.effects.length) this.#answer();
    } while (this.#seen < this.bench.effects.length);
  }

  #look(): void {
    const { effects, messages } = this.bench;
    for (; this.#seen < effects.length; this.#seen++) {
      const effect = effects[this.#seen] as SessionEffect<Down>;
      if (effect.type === "send") this.check(effect.message, (id) => this.#put.has(id) || messages.has(id));
      if (effect.type === "close") {
        this.outcomes.add(`close ${effect.reason}`);
        same(
          "what comes behind the end",
          effects.slice(this.#seen + 1).map(({ type }) => type),
          [],
        );
      }
      if (effect.type === "ack")
        for (const [first, last] of effect.ranges)
          holds(
            "ranges of ids",
            Number.isSafeInteger(first) && first > 0 && last >= first && Number.isSafeInteger(last),
          );
    }
  }

  /** The store's, to the next effect that wants one. */
  #answer(): void {
    const { bench } = this;
    const effect = bench.effects[this.#answered];
    if (effect === undefined) return;
    const at = this.#answered++;
    const status = this.#fails ? 503 : (STATUSES[at % STATUSES.length] ?? 200);
    const operationId = "operationId" in effect ? effect.operationId : 0;
    if (effect.type === "load")
      bench.handle(this.#fails ? { type: "loadFailed" } : bench.page(effect.afterId, effect.limit));
    if (effect.type === "ack") this.#acknowledge(effect.ranges, operationId);
    if (effect.type === "register") {
      const channel = status === 200 ? ++this.#lastChannel : 0;
      const endpoint = status === 200 ? `https://p.example/p/${channel}` : "";
      bench.handle({ type: "registered", operationId, status, channel, endpoint });
    }
    if (effect.type === "unregister") bench.handle({ type: "unregistered", operationId, status });
    if (effect.type === "forget") bench.handle({ type: "forgotten", operationId, status });
  }

  #acknowledge(ranges: readonly (readonly [number, number])[], operationId: number): void {
    const { messages } = this.bench;
    if (!this.#fails)
      for (const id of [...messages.keys()])
        if (ranges.some(([first, last]) => id >= first && id <= last)) messages.delete(id);
    this.bench.handle({ type: "acked", operationId, isRemoved: !this.#fails });
  }
}

class GodwitWorld extends World<Upstream, Downstream> {
  readonly #inFlight = new Set<number>();
  /** Requests by what they are answered with, less the answers. */
  readonly #asked = new Map<string, number>();

  constructor() {
    super(new SessionBench({ windowS: 60, leastUrgency: "very-low" }));
  }

  protected read(text: string): Upstream | null {
    let message: Upstream;
    try {
      message = godwitDialect.parseUpstream(godwitDialect.encodeUpstream(revived(text) as Upstream));
    } catch {
      return null;
    }
    if (message.type === "ack")
      for (const id of [...this.#inFlight])
        if (message.ranges.some(([first, last]) => id >= first && id <= last)) this.#inFlight.delete(id);
    // All goes again, or not before the device wants it.
    if (["hold", "getAllMessages", "unregisterWa"].includes(message.type)) this.forgetInFlight();
    if (message.type === "registerWa") this.#count(`waRegistered ${message.ref}`, 1);
    if (message.type === "unregisterWa") this.#count(`waUnregistered ${message.ref}`, 1);
    return message;
  }

  protected check(message: Downstream, isThere: (id: number) => boolean): void {
    same(
      "what is sent can be read",
      godwitDialect.parseDownstream(godwitDialect.encodeDownstream(message)),
      message,
    );
    this.outcomes.add(message.type === "error" ? `error ${message.status}` : message.type);
    if (message.type === "waRegistered" || message.type === "waUnregistered") {
      const left = this.#count(`${message.type} ${message.ref}`, -1);
      holds("one answer to each request", left >= 0);
    }
    if (message.type !== "notification") return;
    holds("a message that is there", isThere(message.id));
    this.#inFlight.add(message.id);
    holds("no more than may be in flight", this.#inFlight.size <= MESSAGES_IN_FLIGHT_MAX);
  }

  protected forgetInFlight(): void {
    this.#inFlight.clear();
  }

  #count(what: string, change: number): number {
    const count = (this.#asked.get(what) ?? 0) + change;
    this.#asked.set(what, count);
    return count;
  }
}

class AutopushWorld extends World<AutopushUpstream, AutopushDownstream> {
  #unacknowledged: { channelID: string; version: string }[] = [];
  #registers = 0;

  constructor() {
    super(new AutopushBench({ uaid, broadcasts: new Map([["b", "1"]]) }));
  }

  /** Words in braces stand for the notification that came last. */
  protected read(text: string): AutopushUpstream | null {
    const last = this.#unacknowledged.at(-1);
    const said = text
      .replaceAll("{version}", last?.version ?? "")
      .replaceAll("{channel}", last?.channelID ?? "");
    try {
      const message = parseAutopushUpstream(said);
      if (message.type === "register") this.#registers++;
      if (message.type === "ack") this.#unacknowledged = [];
      return message;
    } catch (error) {
      holds(`a listed error: ${error}`, error instanceof GodwitError);
      return null;
    }
  }

  protected check(message: AutopushDownstream, _isThere: (id: number) => boolean): void {
    const text = encodeAutopushDownstream(message);
    this.outcomes.add(parseAutopushDownstream(text).type);
    if (message.type === "register") holds("one answer to each request", --this.#registers >= 0);
    if (message.type !== "notification") return;
    const { channelID, version } = JSON.parse(text) as { channelID: string; version: string };
    this.#unacknowledged.push({ channelID, version });
    holds("no more than may be in flight", this.#unacknowledged.length <= AUTOPUSH_IN_FLIGHT_MAX);
  }

  protected forgetInFlight(): void {
    this.#unacknowledged = [];
  }
}

/** JSON with byte strings as texts of hex digits behind 0x. */
function revived(text: string): unknown {
  return JSON.parse(text, (_, value) =>
    typeof value === "string" && /^0x([0-9a-f]{2})*$/.test(value)
      ? Uint8Array.from(value.slice(2).match(/../g) ?? [], (digits) => Number.parseInt(digits, 16))
      : value,
  );
}

const wa = `0x${"09".repeat(16)}`;
const channelID = "09090909-0909-4909-8909-090909090909";
const SEEDS: readonly string[] = [
  `g\np2\n{"type":"getAllMessages","ref":1}\n{"type":"ack","code":"ok","ranges":[[1,3]]}\ne0\np0\nt70`,
  `g\n{"type":"registerWa","ref":1,"registrationId":"${wa}","applicationServerKey":null}\n{"type":"unregisterWa","ref":2,"channel":2}\n{"type":"unregisterUa","ref":3}`,
  `g\nl0\np130\n{"type":"hold","channel":1}\nk0\nk0\n{"type":"resume","channel":1}\n{"type":"conditions","conditions":{"heartbeatS":60,"windowS":0,"leastUrgency":"high"}}\nl0\np3`,
  `g\nr1\n{"type":"probe","nonce":7}\nx0\nP2\n{"type":"ack","code":"rejected","ranges":[[1,1]]}\n{"type":"getAllMessages","ref":1}\nx0\nt300`,
  `g\nl0\n${'{"type":"registerWa","ref":1,"registrationId":"0x09090909090909090909090909090909","applicationServerKey":null}\n{"type":"unregisterWa","ref":2,"channel":2}\n{"type":"getAllMessages","ref":4}\n'.repeat(18)}l0`,
  `g\nc1\np1\nc0\nw1\nm1\nh0\nb5`,
  `g\np0\nt3000\np3\np3\nt100\n{"type":"registerUa","uaToken":"dG9rZW4","conditions":{"heartbeatS":240,"windowS":60,"leastUrgency":"low"},"channelsDigest":"0x0707070707070707"}`,
  `a\np2\n{"messageType":"ack","updates":[{"channelID":"{channel}","version":"{version}","code":100}]}\np150\n{"messageType":"ack","updates":[{"channelID":"{channel}","version":"{version}","code":101}]}`,
  `a\n{"messageType":"register","channelID":"${channelID}"}\n{"messageType":"unregister","channelID":"${channelID}","code":200}\n{"messageType":"broadcast_subscribe","broadcasts":{"b":"0"}}\n{"messageType":"ping"}\n{"messageType":"ping"}`,
  `a\ne0\nr0\nc1\np1\nc0\nt400\nh0\nt10\n{"messageType":"nack","version":"{version}","code":301}\nb3`,
  `a\nl0\nP3\nk0\nk0\nx0\n{"messageType":"ack","updates":[{"channelID":"{channel}","version":"{version}","code":102}]}\nl0\nx0\n{"messageType":"hello","use_webpush":true}`,
];
