// SPDX-License-Identifier: MIT
/** Reads the fields of one decoded frame in order, each checked for type and bound. Pure. */

import { GodwitError } from "../errors.ts";

/**
 * Cursor over a frame's array. Every reader throws ERR_FRAME_FIELD naming the field; fields behind the last one read
 * are ignored, so that a later version may add some.
 */
export class Fields {
  readonly #values: readonly unknown[];
  #at: number;

  /** Starts behind the type, at `values[1]`. */
  constructor(values: readonly unknown[]) {
    this.#values = values;
    this.#at = 1;
  }

  /** An integer in [min, max]. */
  int(name: string, min: number, max: number): number {
    return boundedInt(name, this.#next(), min, max);
  }

  /** Like {@link int}, or null. */
  intOrNull(name: string, min: number, max: number): number | null {
    return this.#skipNull() ? null : this.int(name, min, max);
  }

  /** The member of `names` at the integer's index. */
  oneOf<T>(name: string, names: readonly T[]): T {
    return names[this.int(name, 0, names.length - 1)] as T;
  }

  /** A byte string of `bytesMin` to `bytesMax` bytes; views the frame. */
  bytes(name: string, bytesMin: number, bytesMax: number = bytesMin): Uint8Array {
    const value = this.#next();
    if (!(value instanceof Uint8Array) || value.length < bytesMin || value.length > bytesMax) {
      throw fieldError(name, `a byte string of ${bytesMin} to ${bytesMax} bytes`);
    }
    return value;
  }

  /** Like {@link bytes}, or null. */
  bytesOrNull(name: string, bytesMin: number, bytesMax: number = bytesMin): Uint8Array | null {
    return this.#skipNull() ? null : this.bytes(name, bytesMin, bytesMax);
  }

  /** A text string of at most `charsMax` UTF-16 code units. */
  text(name: string, charsMax: number): string {
    const value = this.#next();
    if (typeof value !== "string" || value.length > charsMax) {
      throw fieldError(name, `a text of at most ${charsMax} characters`);
    }
    return value;
  }

  /** Like {@link text}, or null. */
  textOrNull(name: string, charsMax: number): string | null {
    return this.#skipNull() ? null : this.text(name, charsMax);
  }

  /** An array of at most `itemsMax` values, each turned by `read`. */
  list<T>(name: string, itemsMax: number, read: (value: unknown) => T): T[] {
    const value = this.#next();
    if (!Array.isArray(value) || value.length > itemsMax) {
      throw fieldError(name, `an array of at most ${itemsMax}`);
    }
    return value.map(read);
  }

  /** Like {@link list}, or null. */
  listOrNull<T>(name: string, itemsMax: number, read: (value: unknown) => T): T[] | null {
    return this.#skipNull() ? null : this.list(name, itemsMax, read);
  }

  #skipNull(): boolean {
    if (this.#values[this.#at] !== null) return false;
    this.#at++;
    return true;
  }

  #next(): unknown {
    return this.#values[this.#at++];
  }
}

/** `value`, an integer in [min, max], or the error that names the field it is of. */
export function boundedInt(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
    throw fieldError(name, `an integer from ${min} to ${max}`);
  }
  return value;
}

/** The error for a field that is not what it must be. The value itself is never quoted: it may be a secret. */
export function fieldError(name: string, expected: string): GodwitError {
  return new GodwitError("ERR_FRAME_FIELD", `${name} must be ${expected}`);
}
