// SPDX-License-Identifier: MIT
/**
 * Leads the agent through a recorded trace (SPEC.md, "Recorded trace"): the events come at the times they came, what is drawn and told
 * is what was drawn and told, and each effect has to be what it was.
 */

import { closeSync, openSync, readSync } from "node:fs";
import { Agent } from "../../src/agent/agent.ts";
import type { Instant } from "../../src/agent/events.ts";
import { GodwitError } from "../../src/errors.ts";
import { keySealer, plainSealer } from "../../src/journal/index.ts";
import { TRACE_LINE_BYTES_MAX } from "../../src/limits.ts";
import { nodeProvider } from "../../src/node/crypto.ts";
import type { RestoredFrame } from "../../src/node/trace/frames.ts";
import { journalRecord } from "../../src/node/trace/journal.ts";
import { bytesFrom, Values } from "../../src/node/trace/names.ts";
import { opened } from "../../src/node/trace/payload.ts";
import { nameOf, TRACE_VERSION } from "../../src/node/trace/recorder.ts";
import { arrayOf, countOf, type Json, malformed, objectOf, owner } from "../../src/node/trace/shapes.ts";
import { dialectNamed, making, Vocabulary } from "../../src/node/trace/vocabulary.ts";
import { deviceEnd } from "../../src/user-agent/start.ts";
import type { CryptoProvider, ImportedKeys } from "../../src/webpush/crypto.ts";
import type { DeviceDialect, DeviceEnd, IdRange } from "../../src/wire/dialect.ts";

/** Where the agent first did something else than it did then. */
export interface Difference {
  /** Of the file, from 1. */
  readonly event: number;
  readonly line: number;
  /** An effect, or what it asked for or threw; "nothing". */
  readonly was: string;
  readonly is: string;
  /** The last events up to it, as they are in the file. */
  readonly before: readonly string[];
}

export interface Replayed {
  readonly events: number;
  /** Times the agent was started. */
  readonly runs: number;
  readonly difference: Difference | null;
}

const BEFORE_MAX = 20;
const NOTHING = "nothing";
/** Of a value that people read. */
const SHOWN_CHARS_MAX = 240;

/**
 * Replays all runs of a trace, up to the first difference.
 *
 * @throws {GodwitError} ERR_TRACE with the line when the file holds no trace, one of another version, or one that is damaged
 */
export function replayTrace(path: string): Replayed {
  let run: Run | null = null;
  let events = 0;
  let runs = 0;
  /** A line that is none: what a run that was killed had begun, if another run begins behind it. */
  let isCut = false;
  const before: string[] = [];
  for (const { text, line } of linesOf(path)) {
    const failed = (error: unknown): GodwitError =>
      error instanceof GodwitError && error.code === "ERR_TRACE"
        ? new GodwitError("ERR_TRACE", `line ${line} is ${error.message}`)
        : new GodwitError("ERR_TRACE", `line ${line} is no line of a trace`);
    const parsed = parse(text);
    if (isCut && parsed?.trace === undefined) throw failed(null);
    isCut = parsed === null;
    if (parsed === null) {
      if (run === null) throw failed(null);
      continue;
    }
    try {
      if (parsed.trace !== undefined) {
        run = new Run(parsed);
        runs++;
      } else if (run === null) throw malformed("the beginning of a trace");
      else if (parsed.record !== undefined) run.addRecord(parsed.record);
      else if (parsed.end === undefined) {
        events++;
        before.push(shorten(text));
        if (before.length > BEFORE_MAX) before.shift();
        const step = run.step(parsed);
        if (step !== null) return { events, runs, difference: { event: events, line, ...step, before } };
      }
    } catch (error) {
      throw failed(error);
    }
  }
  if (run === null) throw new GodwitError("ERR_TRACE", "the file holds no trace");
  return { events, runs, difference: null };
}

/** For people; the same for the same difference. */
export function describeReplay({ events, runs, difference }: Replayed): string {
  if (difference === null) return `${events} events replayed in ${runs} runs, the same effects`;
  const { event, line, was, is, before } = difference;
  return [
    `event ${event} (line ${line}): was ${was}, is ${is}`,
    `the ${before.length} events up to it:`,
    ...before.map((text) => `  ${text}`),
  ].join("\n");
}

/** The agent asked for something that it did not ask for then, so that nobody knows the answer. */
class Unrecorded extends Error {}

type Line = { readonly [name: string]: Json | undefined };

/** One agent from its start. */
class Run {
  readonly #values = new Values();
  readonly #dialect: DeviceDialect;
  readonly #made: ReturnType<typeof making.restore>;
  #recordsLeft: number;
  #agent: Agent | null = null;
  #vocabulary: Vocabulary | null = null;
  #randomBytes = 0;
  /** What the event at hand has in store. */
  #drawn: number[] = [];
  #agreed: boolean[] = [];
  #opened: (Uint8Array | null)[] = [];
  /** By owner. */
  readonly #silentPushMax = new Map<string, number | null>();
  readonly #frames = new WeakMap<Uint8Array, RestoredFrame>();
  readonly #imported = new WeakMap<ImportedKeys, ImportedKeys>();

  constructor(header: Line) {
    if (header.trace !== TRACE_VERSION)
      throw new GodwitError("ERR_TRACE", `a trace of another version than ${TRACE_VERSION}`);
    this.#dialect = dialectNamed(header.dialect);
    this.#recordsLeft = countOf(header.records);
    this.#made = making.restore(header as Json, this.#values);
  }

  addRecord(record: Json): void {
    if (this.#recordsLeft-- <= 0) throw malformed("an event");
    this.#made.recovery.state.apply(journalRecord.restore(record, this.#dialect, this.#values));
  }

  /** One event. Null: everything was as it was. */
  step({ at, event, drawn, told, effects, threw }: Line): { was: string; is: string } | null {
    if (this.#recordsLeft > 0) throw malformed("a record of the journal");
    this.#agent ??= this.#start();
    const agent = this.#agent;
    const vocabulary = this.#vocabulary;
    const now = instantOf(at);
    const restored = vocabulary?.restoreEvent(event ?? null, this.#values);
    if (vocabulary === null || restored === undefined) throw malformed("an event");
    this.#drawn = arrayOf(drawn ?? []).map(Number);
    this.#agreed = [];
    this.#opened = [];
    for (const each of arrayOf(told ?? [])) this.#take(objectOf(each));
    const was = [...arrayOf(effects), ...(threw === undefined ? [] : [{ threw }])];
    const is: Json[] = [];
    try {
      agent.handle(restored, now);
      for (let effect = agent.poll(); effect !== undefined; effect = agent.poll())
        is.push(vocabulary.stripEffect(effect, this.#values));
    } catch (error) {
      is.push(error instanceof Unrecorded ? { asks: error.message } : { threw: nameOf(error) });
    }
    const differs = Array.from({ length: Math.max(was.length, is.length) }, (_, i) => i).find(
      (i) => JSON.stringify(was[i]) !== JSON.stringify(is[i]),
    );
    return differs === undefined ? null : { was: describe(was[differs]), is: describe(is[differs]) };
  }

  #take(told: Line): void {
    if (told.agreed !== undefined) this.#agreed.push(told.agreed === true);
    else if (told.opened !== undefined) this.#opened.push(opened.restore(told.opened, this.#values));
    else {
      const max = told.silentPushMax;
      if (max !== null && typeof max !== "number") throw malformed("a budget");
      this.#silentPushMax.set(owner.restore(told.owner ?? null, this.#values), max);
    }
  }

  #start(): Agent {
    const { seals, recovery, ...told } = this.#made;
    const randomFill = (target: Uint8Array): void => {
      target.set(bytesFrom(`random ${this.#randomBytes++}`, target.length));
    };
    const sealer = seals ? keySealer(bytesFrom("device key", 32), randomFill) : plainSealer();
    const options = { ...told, recovery, sealer, randomFill };
    this.#vocabulary = new Vocabulary(this.#dialect, options, (restored) =>
      this.#frames.set(restored.frame, restored),
    );
    return new Agent({
      ...options,
      dialect: this.#recordedEnd(deviceEnd(this.#dialect, recovery.state)),
      provider: this.#recordedProvider(),
      jitter: () => this.#drawn.shift() ?? unrecorded("a delay drawn"),
      silentPushMax: (of) => {
        const max = this.#silentPushMax.get(of);
        return max === undefined ? unrecorded("a budget for messages that show nothing") : max;
      },
    });
  }

  /** Keys are of this replay's own making, so that what was encrypted for others is opened as it was then. */
  #recordedProvider(): CryptoProvider {
    return {
      ...nodeProvider,
      importKeys: (keys) => {
        const own = nodeProvider.importKeys(keys);
        const known = this.#imported.get(own);
        if (known !== undefined) return known;
        const recorded: ImportedKeys = {
          authHmac: own.authHmac,
          isPair: () => own.isPair(),
          agree: () => this.#agreed.shift() ?? unrecorded("a message decrypted"),
        };
        this.#imported.set(own, recorded);
        return recorded;
      },
      gcmOpen: () => {
        const plaintext = this.#opened.shift();
        return plaintext === undefined ? unrecorded("a message decrypted") : plaintext;
      },
    };
  }

  /** What had no good frame has its fault; what is named after replaced values has its recorded id. */
  #recordedEnd(end: DeviceEnd): DeviceEnd {
    const own = new Map<number, number>();
    return {
      ...end,
      encodeUpstream: (message) => {
        if (message.type !== "ack" || own.size === 0) return end.encodeUpstream(message);
        const ranges = message.ranges.flatMap((range) => idsOf(range).map((id) => own.get(id) ?? id));
        return end.encodeUpstream({ ...message, ranges: ranges.map((id): IdRange => [id, id]) });
      },
      parseDownstream: (frame) => {
        const { fault = null, messageId = null } = this.#frames.get(frame) ?? {};
        if (fault !== null) throw fault;
        const message = end.parseDownstream(frame);
        if (message?.type !== "notification" || messageId === null) return message;
        own.set(messageId, message.id);
        return { ...message, id: messageId };
      },
    };
  }
}

function idsOf([first, last]: IdRange): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

function unrecorded(what: string): never {
  throw new Unrecorded(what);
}

function instantOf(json: Json | undefined): Instant {
  const [monotonicMs, epochMs, epochTrusted] = arrayOf(json);
  if (typeof monotonicMs !== "number" || typeof epochMs !== "number" || typeof epochTrusted !== "boolean")
    throw malformed("a time");
  return { monotonicMs, epochMs, epochTrusted };
}

/** `send ack {…}`: what kind of effect, and all of it. */
function describe(effect: Json | undefined): string {
  if (effect === undefined) return NOTHING;
  const { type = "", frame, report, reply, threw, asks } = objectOf(effect);
  if (threw !== undefined) return `an exception ${threw}`;
  if (asks !== undefined) return `${asks}`;
  const inner = [frame, report, reply].find((each) => each !== undefined);
  const kind = inner === undefined ? "" : ` ${objectOf(inner).type}`;
  return shorten(`${type}${kind} ${JSON.stringify(effect)}`);
}

function shorten(text: string): string {
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`;
}

function parse(text: string): Line | null {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    return null;
  }
}

/** The lines that have an end; what is behind the last one was cut off. @throws {GodwitError} ERR_TRACE */
function* linesOf(path: string): Generator<{ readonly text: string; readonly line: number }> {
  const file = openTrace(path);
  try {
    const chunk = Buffer.alloc(65_536);
    let begun: Buffer[] = [];
    let begunBytes = 0;
    let line = 1;
    for (let size = readSync(file, chunk); size > 0; size = readSync(file, chunk)) {
      let start = 0;
      for (let end = chunk.indexOf(10); end >= 0 && end < size; end = chunk.indexOf(10, start)) {
        const text = Buffer.concat([...begun, chunk.subarray(start, end)]).toString();
        yield { text, line: line++ };
        begun = [];
        begunBytes = 0;
        start = end + 1;
      }
      begun.push(Buffer.from(chunk.subarray(start, size)));
      begunBytes += size - start;
      if (begunBytes > TRACE_LINE_BYTES_MAX)
        throw new GodwitError("ERR_TRACE", `line ${line} is longer than ${TRACE_LINE_BYTES_MAX} bytes`);
    }
  } finally {
    closeSync(file);
  }
}

function openTrace(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw new GodwitError("ERR_TRACE", `the trace cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}
