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
  return { isSecret: true, encode: field.encode, decode: field.decode };
}

/** `null` or what `field` holds. */
export function nullable<V>(field: Field<V>): Field<V | null> {
  return {
    isSecret: field.isSecret,
    encode: (value) => (value === null ? null : field.encode(value)),
    decode: (raw) => (raw === null ? null : field.decode(raw)),
  };
}

/** A field that came with a later release: `before` where a record was written without it. */
export function added<V>(field: Field<V>, before: V): Field<V> {
  return { ...field, decode: (raw) => (raw === undefined ? before : field.decode(raw)) };
}

/** Integer from 0 to 2^53 - 1. */
export const uint: Field<number> = checked(
  (raw): raw is number => typeof raw === "number" && Number.isSafeInteger(raw) && raw >= 0,
);

/** Milliseconds since 1970; a fraction is cut off. */
export const epochMs: Field<number> = {
  isSecret: false,
  encode: (value) => uint.encode(Math.floor(value)),
  decode: (raw) => uint.decode(raw),
};

export const text: Field<string> = checked((raw): raw is string => typeof raw === "string");

export const boolean: Field<boolean> = checked((raw): raw is boolean => typeof raw === "boolean");

/** A count from 0, or true for a bare flag. */
export const countOrFlag: Field<number | true> = checked(
  (raw): raw is number | true =>
    raw === true || (typeof raw === "number" && Number.isSafeInteger(raw) && raw >= 0),
);

export const uints: Field<readonly number[]> = {
  isSecret: false,
  encode: (value) => value.map((item) => uint.encode(item)),
  decode: (raw) => (Array.isArray(raw) ? raw.map((item) => uint.decode(item)) : refuse()),
};

/** A byte string of exactly `length` bytes, or of any length when that is left out. */
export function bytes(length?: number): Field<Uint8Array> {
  return {
    isSecret: false,
    encode: (value) => (length === undefined || value.length === length ? value : refuse()),
    decode: (raw) =>
      raw instanceof Uint8Array && (length === undefined || raw.length === length) ? raw.slice() : refuse(),
  };
}

/** One of `values`; written as its index. */
export function oneOf<const T extends string>(values: readonly T[]): Field<T> {
  return {
    isSecret: false,
    encode: (value) => (values.includes(value) ? values.indexOf(value) : refuse()),
    decode: (raw) => (typeof raw === "number" ? values[raw] : undefined) ?? refuse(),
  };
}

function checked<V>(isValue: (raw: unknown) => raw is V): Field<V> {
  return {
    isSecret: false,
    encode: (value) => (isValue(value) ? value : refuse()),
    decode: (raw) => (isValue(raw) ? raw : refuse()),
  };
}

function refuse(): never {
  // Neither name nor value: it may be a secret, and the caller counts rather than shows it.
  throw new GodwitError("ERR_JOURNAL_RECORD", "a field of the record has the wrong type or length");
}
