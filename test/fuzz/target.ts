// SPDX-License-Identifier: MIT
/** What a fuzz target is, and how one says that a property does not hold. No tests here. */

import { isDeepStrictEqual } from "node:util";
import { type ErrorCode, GodwitError } from "../../src/errors.ts";
import type { Random } from "./random.ts";

/** One kind of input, what reads it, and what has to hold whatever it is. */
export interface Target {
  readonly name: string;
  /** Beginnings of the source paths whose coverage counts. */
  readonly covers: readonly string[];
  readonly inputBytesMax: number;
  /** One input takes this long at most, other programs on the machine not counted. */
  readonly inputMsMax: number;
  /** What text inputs are made of: names of members, words of a grammar. */
  readonly words: readonly string[];
  /** Inputs that are right, made by our own encoders. */
  seeds(): readonly Uint8Array[];
  /** An input like `input`, changed where it means something; null where it cannot be read, and bytes are changed instead. */
  mutate?(input: Uint8Array, random: Random): Uint8Array | null;
  /**
   * Reads `input` (borrowed) as the product does. What it returns names what happened; an input that makes something happen for the
   * first time is kept, like one that reaches new code.
   *
   * @throws {Error} a property does not hold, or the product threw what it must not
   */
  run(input: Uint8Array): string | Promise<string>;
  /** Lets go of what the inputs ran in. */
  close?(): Promise<void>;
}

/** What `read` returns, or the code it threw, which has to be one of `codes`; any other error is a finding. */
export function resultOrCode<T>(
  codes: readonly ErrorCode[],
  read: () => T,
): { value: T } | { code: ErrorCode } {
  try {
    return { value: read() };
  } catch (error) {
    if (error instanceof GodwitError && codes.includes(error.code)) return { code: error.code };
    throw error;
  }
}

/** Both are the same, deeply; else a finding that says what should be. */
export function same(what: string, got: unknown, expected: unknown): void {
  if (isDeepStrictEqual(got, expected)) return;
  throw new Error(`${what}: ${show(got)} is not ${show(expected)}`);
}

export function holds(what: string, condition: boolean): void {
  if (!condition) throw new Error(what);
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_, inner) =>
    inner instanceof Uint8Array ? `0x${Buffer.from(inner).toString("hex")}` : inner,
  );
  return text === undefined ? "undefined" : text.slice(0, 400);
}
