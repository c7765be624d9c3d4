// SPDX-License-Identifier: MIT
/**
 * How one field of a journal record is written and checked when it is read back. Pure.
 */
import { GodwitError } from "../errors.ts";

/** One field: its form as encodeCbor takes it, and the check that turns what was read into `V` again. */
export interface Field<V> {
  /** True when it belongs to the sealed part of the record. */
  readonly isSecret: boolean;
  /** @throws {GodwitError} ERR_JOURNAL_RECORD for what `decode` would refuse: better now than at the next start. */
  encode(value: V): unknown;
  /** @throws {GodwitError} ERR_JOURNAL_RECORD when `raw` is no `V`. Byte arrays are copied: `raw` views the segment. */
  decode(raw: unknown): V;
}

/** The same field in the sealed part. */
export function secret<V>(field: Field<V>): Field<V> {
  return { ...field, isSecret: true };
}

/** `null` or what `field` holds. */
export function nullable<V>(field: Field<V>): Field<V | null> {
  return {
    ...field,
    encode: (value) => (value === null ? null : field.encode(value)),
    decode: (raw) => (raw === null ? null : field.decode(raw)),
  };
}

/** A field that came with a later release: `before` where a record was written without it. */
export function added<V>(field: Field<V>, before: V): Field<V> {
  return { ...field, decode: (raw) => (raw === undefined ? before : field.decode(raw)) };
}

/** Integer from 0 to 2^53 - 1. */
export const uint: Field<number> = checked(isUint);

/** Milliseconds since 1970; a fraction is cut off. */
export const epochMs: Field<number> = { ...uint, encode: (value) => uint.encode(Math.floor(value)) };

export const text: Field<string> = checked((raw): raw is string => typeof raw === "string");

export const boolean: Field<boolean> = checked((raw): raw is boolean => typeof raw === "boolean");

/** A count from 0, or true for a bare flag. */
export const countOrFlag: Field<number | true> = checked(
  (raw): raw is number | true => raw === true || isUint(raw),
);

export const uints: Field<readonly number[]> = clear(
  (value) => value.map(uint.encode),
  (raw) => (Array.isArray(raw) ? raw.map(uint.decode) : refuse()),
);

/** A byte string of exactly `length` bytes, or of any length when that is left out. */
export function bytes(length?: number): Field<Uint8Array> {
  const { encode, decode } = checked(
    (raw): raw is Uint8Array => raw instanceof Uint8Array && (length === undefined || raw.length === length),
  );
  return clear(encode, (raw) => decode(raw).slice());
}

/** One of `values`; written as its index. */
export function oneOf<const T extends string>(values: readonly T[]): Field<T> {
  return clear<T>(
    (value) => (values.includes(value) ? values.indexOf(value) : refuse()),
    (raw) => (typeof raw === "number" ? values[raw] : undefined) ?? refuse(),
  );
}

function clear<V>(encode: Field<V>["encode"], decode: Field<V>["decode"]): Field<V> {
  return { isSecret: false, encode, decode };
}

function checked<V>(isValue: (raw: unknown) => raw is V): Field<V> {
  const check = (raw: unknown): V => (isValue(raw) ? raw : refuse());
  return clear<V>(check, check);
}

function isUint(raw: unknown): raw is number {
  return Number.isSafeInteger(raw) && (raw as number) >= 0;
}

function refuse(): never {
  // Neither name nor value: it may be a secret, and the caller counts rather than shows it.
  throw new GodwitError("ERR_JOURNAL_RECORD", "a field of the record has the wrong type or length");
}
