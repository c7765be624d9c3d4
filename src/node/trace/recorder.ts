// SPDX-License-Identifier: MIT
/**
 * An agent whose events and effects are written down without secrets, so that another agent can be led through the same run (SPEC.md,
 * "Recorded trace"). Whatever the recording meets, the agent does what it would have done.
 */

import { Agent } from "../../agent/agent.ts";
import type { AgentOptions } from "../../agent/agent-options.ts";
import type { AgentEvent, Effect, Instant } from "../../agent/events.ts";
import { GodwitError } from "../../errors.ts";
import { TRACE_LINE_BYTES_MAX } from "../../limits.ts";
import type { CryptoProvider, ImportedKeys } from "../../webpush/crypto.ts";
import { AUTOPUSH_SUBPROTOCOL } from "../../wire/autopush.ts";
import { stripJournal } from "./journal.ts";
import { Names } from "./names.ts";
import { opened } from "./payload.ts";
import { type Json, owner } from "./shapes.ts";
import { making, Vocabulary } from "./vocabulary.ts";

/** Of the format; a trace of another one is not replayed. */
export const TRACE_VERSION = 1;

/** Where the lines go. */
export interface TraceSink {
  /** One line, without its end. False: it is not taken, and nothing is any more. */
  write(line: string): boolean;
  /** The agent threw, and its process may be about to end: what was written is to be safe from that when this returns. */
  writeLast(line: string): void;
  /** No more comes: there is too much of it, or what came cannot be written down. */
  end(why: "full" | "error"): void;
}

/** The agent and what it was asked and answered since its event came. */
class Recording {
  readonly options: AgentOptions;
  readonly #sink: TraceSink;
  readonly #names = new Names();
  readonly #vocabulary: Vocabulary;
  #isOver = false;
  /** Of the event at hand: when, what, what it drew and was told, what it did. */
  #at: Json = null;
  #event: Json = null;
  #drawn: Json[] = [];
  #told: Json[] = [];
  #effects: Json[] = [];

  constructor(options: AgentOptions, sink: TraceSink, version: string) {
    this.#sink = sink;
    const dialect = options.dialect.name === AUTOPUSH_SUBPROTOCOL ? "autopush" : "godwit.v1";
    this.#vocabulary = new Vocabulary(dialect, options);
    this.#guard(() => {
      const made = making.strip(options, this.#names) as object;
      const records = stripJournal(options.recovery, this.#names);
      this.#write({ trace: TRACE_VERSION, godwit: version, dialect, records: records.length, ...made });
      for (const record of records) this.#write({ record });
    });
    this.options = {
      ...options,
      provider: this.#watched(options.provider),
      jitter: () => {
        const drawn = options.jitter();
        this.#guard(() => this.#drawn.push(drawn));
        return drawn;
      },
      ...(options.silentPushMax === undefined ? {} : { silentPushMax: this.#budget(options.silentPushMax) }),
    };
  }

  begin(event: AgentEvent, { monotonicMs, epochMs, epochTrusted }: Instant): void {
    this.#guard(() => {
      this.#at = [monotonicMs, epochMs, epochTrusted];
      this.#event = this.#vocabulary.stripEvent(event, this.#names);
    });
  }

  add(effect: Effect): void {
    this.#guard(() => this.#effects.push(this.#vocabulary.stripEffect(effect, this.#names)));
  }

  /** There are no more effects. */
  end(): void {
    if (this.#event === null) return;
    this.#guard(() => this.#write(this.#line()));
    this.#clear();
  }

  /** The agent threw: nobody knows what it would do next. */
  fail(error: unknown): void {
    this.#guard(() => this.#sink.writeLast(JSON.stringify({ ...this.#line(), threw: nameOf(error) })));
    this.#isOver = true;
  }

  #line(): { readonly [name: string]: Json } {
    return {
      at: this.#at,
      event: this.#event,
      ...(this.#drawn.length > 0 ? { drawn: this.#drawn } : {}),
      ...(this.#told.length > 0 ? { told: this.#told } : {}),
      effects: this.#effects,
    };
  }

  #clear(): void {
    this.#event = null;
    this.#drawn = [];
    this.#told = [];
    this.#effects = [];
  }

  /** What a message decrypted to cannot be worked out again without its keys. */
  #watched(provider: CryptoProvider): CryptoProvider {
    const imported = new WeakMap<ImportedKeys, ImportedKeys>();
    let sender: Uint8Array | null = null;
    return {
      ...provider,
      importKeys: (keys) => {
        const own = provider.importKeys(keys);
        let watched = imported.get(own);
        if (watched === undefined) {
          watched = {
            authHmac: own.authHmac,
            isPair: () => own.isPair(),
            agree: (peer, into) => {
              const agreed = own.agree(peer, into);
              sender = peer;
              this.#guard(() => this.#told.push({ agreed }));
              return agreed;
            },
          };
          imported.set(own, watched);
        }
        return watched;
      },
      gcmOpen: (key, nonce, sealed, associated) => {
        const plaintext = provider.gcmOpen(key, nonce, sealed, associated);
        // A body in the other coding has its sender's key right in front of the ciphertext.
        const isAesgcm =
          sender?.buffer !== sealed.buffer || sender.byteOffset + sender.length !== sealed.byteOffset;
        this.#guard(() => this.#told.push({ opened: opened.strip(plaintext, isAesgcm, this.#names) }));
        return plaintext;
      },
    };
  }

  #budget(maxOf: (owner: string) => number | null): (owner: string) => number | null {
    return (of) => {
      const silentPushMax = maxOf(of);
      this.#guard(() => this.#told.push({ owner: owner.strip(of, this.#names), silentPushMax }));
      return silentPushMax;
    };
  }

  #write(line: { readonly [name: string]: Json }): void {
    const text = JSON.stringify(line);
    if (text.length >= TRACE_LINE_BYTES_MAX) this.#stop("full");
    else if (!this.#sink.write(text)) this.#isOver = true;
  }

  /** Once something is missing, what follows would mean nothing. */
  #stop(why: "full" | "error"): void {
    this.#isOver = true;
    this.#sink.end(why);
  }

  #guard(act: () => void): void {
    if (this.#isOver) return;
    try {
      act();
    } catch (error) {
      this.#stop(error instanceof GodwitError && error.code === "ERR_TRACE" ? "full" : "error");
    }
  }
}

/** Of what was thrown never the text, which may quote anything. */
export function nameOf(error: unknown): string {
  if (error instanceof GodwitError) return error.code;
  return error instanceof Error ? error.constructor.name : "unknown";
}

/** Does what an {@link Agent} does. */
export class RecordedAgent extends Agent {
  readonly #recording: Recording;

  /** @param version of the program, for whoever reads the trace */
  constructor(options: AgentOptions, sink: TraceSink, version: string) {
    const recording = new Recording(options, sink, version);
    super(recording.options);
    this.#recording = recording;
  }

  override handle(event: AgentEvent, now: Instant): void {
    this.#recording.begin(event, now);
    try {
      super.handle(event, now);
    } catch (error) {
      this.#recording.fail(error);
      throw error;
    }
  }

  override poll(): Effect | undefined {
    const effect = super.poll();
    if (effect === undefined) this.#recording.end();
    else this.#recording.add(effect);
    return effect;
  }
}
