// SPDX-License-Identifier: MIT
/** Makes inputs of inputs, keeps those that do something new, and reports those for which a property does not hold. No tests here. */

import type { Coverage } from "./coverage.ts";
import { mutateBytes, Random } from "./random.ts";
import type { Target } from "./target.ts";

/** Inputs between two looks at the coverage. */
const BATCH_INPUTS = 64;
/** Findings of one run; after them it ends. */
const FINDINGS_MAX = 10;
/** Runs a finding's input may take to become smaller. */
const SHRINK_RUNS_MAX = 3000;
/** ArrayBuffers lie outside of V8's heap, which has a bound of its own. */
const BUFFER_BYTES_MAX = 256 * 1024 * 1024;

/** What did not hold, for an input that is as small as it was made. */
export interface Finding {
  readonly input: Uint8Array;
  readonly text: string;
}

export interface FuzzerOptions {
  readonly target: Target;
  readonly coverage: Coverage;
  readonly seed: number;
  /** Called in front of each input. */
  readonly handleInput: (input: Uint8Array) => void;
  readonly handleFinding: (finding: Finding) => void;
}

export class Fuzzer {
  readonly #target: Target;
  readonly #coverage: Coverage;
  readonly #random: Random;
  readonly #options: FuzzerOptions;
  /** Inputs that did something no other had done before. */
  readonly #kept: Uint8Array[] = [];
  /** What inputs came to. */
  readonly #outcomes = new Set<string>();
  readonly #findings = new Map<string, Finding>();
  #runs = 0;

  constructor(options: FuzzerOptions) {
    this.#options = options;
    this.#target = options.target;
    this.#coverage = options.coverage;
    this.#random = new Random(options.seed);
  }

  get runs(): number {
    return this.#runs;
  }

  get findings(): number {
    return this.#findings.size;
  }

  get outcomes(): number {
    return this.#outcomes.size;
  }

  get kept(): readonly Uint8Array[] {
    return this.#kept;
  }

  /** Runs `inputs` once each, and keeps all of them to begin with. */
  async replay(inputs: readonly Uint8Array[]): Promise<void> {
    for (const input of inputs) {
      await this.#try(input);
      this.#kept.push(input);
    }
    this.#coverage.take();
  }

  /** New inputs, until `isOver`. */
  async search(isOver: () => boolean): Promise<void> {
    while (!isOver() && this.#findings.size < FINDINGS_MAX) {
      const batch = Array.from({ length: BATCH_INPUTS }, () => this.#newInput());
      const isNew = await this.#runAll(batch);
      if (this.#coverage.take() > 0) await this.#attribute(batch);
      else for (const input of isNew) this.#keep(input);
      const bytes = process.memoryUsage().arrayBuffers;
      if (bytes > BUFFER_BYTES_MAX)
        throw new Error(`${bytes} bytes of ArrayBuffers after one batch of inputs`);
    }
  }

  /** The fewest and shortest of the kept inputs that reach all they reach together. */
  async smallestSet(): Promise<readonly Uint8Array[]> {
    const chosen: Uint8Array[] = [];
    this.#coverage.reset();
    this.#outcomes.clear();
    for (const input of this.#kept.toSorted((a, b) => a.length - b.length)) {
      const outcome = await this.#try(input);
      const isNewCode = this.#coverage.take() > 0;
      if (this.#noteOutcome(outcome) || isNewCode) chosen.push(input);
    }
    return chosen;
  }

  #newInput(): Uint8Array {
    const { words, inputBytesMax } = this.#target;
    const random = this.#random;
    // Of those found last the half, since what they began is still to be gone on with.
    const recent = Math.min(this.#kept.length, random.oneIn(2) ? 16 : this.#kept.length);
    const input = this.#kept[this.#kept.length - 1 - random.below(recent)] ?? new Uint8Array(0);
    const other = this.#kept[random.below(this.#kept.length)] ?? input;
    const meant = random.oneIn(4) ? null : (this.#target.mutate?.(input, random) ?? null);
    const isDone = meant !== null && !random.oneIn(8);
    const bytes = isDone ? meant : mutateBytes(meant ?? input, other, words, random);
    return bytes.subarray(0, inputBytesMax);
  }

  /** Those with an outcome that is new. */
  async #runAll(batch: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const isNew: Uint8Array[] = [];
    for (const input of batch) {
      const outcome = await this.#try(input);
      if (this.#noteOutcome(outcome)) isNew.push(input);
    }
    return isNew;
  }

  /** Something in `batch` reached new code: keeps what reaches it, each input asked on its own. */
  async #attribute(batch: readonly Uint8Array[]): Promise<void> {
    let left = this.#coverage.takeBack();
    for (const input of batch) {
      await this.#try(input);
      const reached = this.#coverage.take();
      if (reached > 0) this.#keep(input);
      left -= reached;
      if (left <= 0) break;
    }
  }

  #keep(input: Uint8Array): void {
    this.#kept.push(input.slice());
  }

  #noteOutcome(outcome: string | null): boolean {
    if (outcome === null || this.#outcomes.has(outcome)) return false;
    this.#outcomes.add(outcome);
    return true;
  }

  /** What `input` came to, or null: a finding. */
  async #try(input: Uint8Array): Promise<string | null> {
    try {
      return await this.#once(input);
    } catch (error) {
      await this.#report(input, error);
      return null;
    }
  }

  async #once(input: Uint8Array): Promise<string> {
    const { inputMsMax } = this.#target;
    this.#runs++;
    this.#options.handleInput(input);
    const beginMs = performance.now();
    const running = this.#target.run(input);
    const outcome = typeof running === "string" ? running : await running;
    if (performance.now() - beginMs > inputMsMax) await this.#checkTime(input);
    return outcome;
  }

  /** Slow once may be the machine: slow five times is the input. */
  async #checkTime(input: Uint8Array): Promise<void> {
    const { inputMsMax } = this.#target;
    for (let tries = 0; tries < 5; tries++) {
      const beginMs = performance.now();
      await this.#target.run(input);
      if (performance.now() - beginMs <= inputMsMax) return;
    }
    throw new Error(`slower than ${inputMsMax} ms`);
  }

  async #report(input: Uint8Array, error: unknown): Promise<void> {
    const kind = kindOf(error);
    if (this.#findings.has(kind)) return;
    // Known from here on, so that shrinking does not report it again.
    this.#findings.set(kind, { input, text: "" });
    const smallest = await this.#shrink(input, kind);
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.handleFinding({ input: smallest, text });
  }

  /** The smallest input found that fails in the same way. */
  async #shrink(input: Uint8Array, kind: string): Promise<Uint8Array> {
    let best = input.slice();
    let left = SHRINK_RUNS_MAX;
    const isAsBad = async (candidate: Uint8Array): Promise<boolean> => {
      left--;
      try {
        await this.#once(candidate);
        return false;
      } catch (error) {
        return kindOf(error) === kind;
      }
    };
    for (
      let size = Math.ceil(best.length / 2);
      size > 0 && left > 0;
      size = size === 1 ? 0 : Math.ceil(size / 2)
    ) {
      for (let at = 0; at < best.length && left > 0; ) {
        const shorter = Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + size)]);
        if (await isAsBad(shorter)) best = shorter;
        else at += size;
      }
    }
    return best;
  }
}

/** The same for errors that are the same but for numbers in their words. */
function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const place = /^\s+at .*$/m.exec(error.stack ?? "")?.[0] ?? "";
  return `${error.name} ${error.message.replace(/[\d.]+|0x[0-9a-f]*|"[^"]*"/g, "#").slice(0, 60)} ${place}`;
}
