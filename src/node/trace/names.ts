// SPDX-License-Identifier: MIT
/**
 * What a recorded trace says instead of a secret: a number, the same for the same value, and another for another. A replay gives each
 * number a value of its own making (SPEC.md, "Recorded trace").
 */

import { createHash } from "node:crypto";
import { GodwitError } from "../../errors.ts";
import { TRACE_NAMES_MAX, TRACE_VALUES_BYTES_MAX } from "../../limits.ts";

/** What is named: never equal to one of another kind. */
export type Kind = "bytes" | "text" | "host" | "app" | "rest" | "number" | "count";
export type Nameable = string | number | Uint8Array;

/** Values longer than this are known by their hash, chars. */
const KEY_CHARS_MAX = 64;

/** Numbers given out in order of appearance, from 1. */
export class Names {
  readonly #numbers = new Map<string, number>();
  #last = 0;

  /** @throws {GodwitError} ERR_TRACE when there are more values than a trace may name */
  of(kind: Kind, value: Nameable): number {
    const key = keyOf(kind, value);
    return this.#numbers.get(key) ?? this.#add(key, this.#last + 1, value);
  }

  has(kind: Kind, value: Nameable): boolean {
    return this.#numbers.has(keyOf(kind, value));
  }

  /** From here on `number` is this value's. */
  bind(number: number, kind: Kind, value: Nameable): void {
    this.#add(keyOf(kind, value), number, value);
  }

  /** A number was given out. */
  protected handleNamed(_number: number, _value: Nameable): void {}

  #add(key: string, number: number, value: Nameable): number {
    if (this.#numbers.size >= TRACE_NAMES_MAX)
      throw new GodwitError("ERR_TRACE", `a trace names at most ${TRACE_NAMES_MAX} values`);
    this.#numbers.set(key, number);
    this.#last = Math.max(this.#last, number);
    this.handleNamed(number, value);
    return number;
  }
}

function keyOf(kind: Kind, value: Nameable): string {
  if (typeof value === "number") return `${kind} ${value}`;
  const bytes = typeof value === "string" ? value : Buffer.from(value).toString("latin1");
  if (bytes.length <= KEY_CHARS_MAX) return `${kind} ${bytes}`;
  return `${kind} #${createHash("sha256").update(value).digest("base64")}`;
}

/** Tries for a value nobody has yet, of so few characters that there may be none. */
const TRIES_MAX = 20_000;

/** The other way round: the value of a number, made where there is none yet. */
export class Values extends Names {
  readonly #values = new Map<number, Nameable>();
  readonly #privateKeys = new Map<string, Uint8Array>();
  #madeBytes = 0;

  /**
   * @param make a value of the right form, another one for each `attempt`, the same in each replay
   * @throws {GodwitError} ERR_TRACE when the number is of another kind, or all values together get too long
   */
  value<T extends Nameable>(number: number, kind: Kind, make: (attempt: number) => T): T {
    const known = this.#values.get(number);
    if (known !== undefined) {
      if (this.of(kind, known) !== number)
        throw new GodwitError("ERR_TRACE", `#${number} is of another kind`);
      return (known instanceof Uint8Array ? known.slice() : known) as T;
    }
    for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
      const value = make(attempt);
      this.#madeBytes += typeof value === "number" ? 1 : value.length;
      if (this.#madeBytes > TRACE_VALUES_BYTES_MAX)
        throw new GodwitError("ERR_TRACE", `of values that take ${TRACE_VALUES_BYTES_MAX} bytes and more`);
      if (this.has(kind, value)) continue;
      this.bind(number, kind, value);
      return (value instanceof Uint8Array ? value.slice() : value) as T;
    }
    throw new GodwitError("ERR_TRACE", `there is no value left for #${number}`);
  }

  isBound(number: number): boolean {
    return this.#values.has(number);
  }

  /** The public key of a pair made here has its private key remembered. */
  keepPair({ publicKey, privateKey }: { publicKey: Uint8Array; privateKey: Uint8Array }): void {
    this.#privateKeys.set(Buffer.from(publicKey).toString("latin1"), privateKey);
  }

  privateKeyOf(publicKey: Uint8Array): Uint8Array | undefined {
    return this.#privateKeys.get(Buffer.from(publicKey).toString("latin1"))?.slice();
  }

  protected override handleNamed(number: number, value: Nameable): void {
    this.#values.set(number, value instanceof Uint8Array ? value.slice() : value);
  }
}

/** Bytes that follow from `seed`, each length from a sequence of its own. */
export function bytesFrom(seed: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0, block = 0; at < length; block++) {
    const digest = createHash("sha256").update(`${seed} ${block}`).digest();
    bytes.set(digest.subarray(0, length - at), at);
    at += digest.length;
  }
  return bytes;
}
