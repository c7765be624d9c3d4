// SPDX-License-Identifier: MIT
/**
 * Deep equality with the meaning vitest gives it: `toEqual` overlooks undefined members and classes, `toStrictEqual` does
 * not, `toMatchObject` asks for a subset. Test code only.
 */

/** What `expect.any()` and its like return: it judges the other side by itself. */
export class AsymmetricMatcher {
  readonly matches: (value: unknown) => boolean;
  readonly description: string;

  constructor(description: string, matches: (value: unknown) => boolean) {
    this.description = description;
    this.matches = matches;
  }

  toJSON(): string {
    return this.description;
  }
}

type Mode = "loose" | "strict" | "subset";
type Bag = Readonly<Record<PropertyKey, unknown>>;

export function equals(actual: unknown, expected: unknown, mode: Mode): boolean {
  return compare(actual, expected, mode, []);
}

/** `seen` holds the pairs being compared: meeting one again, a cycle, counts as equal. */
function compare(actual: unknown, expected: unknown, mode: Mode, seen: readonly (readonly [unknown, unknown])[]): boolean {
  if (expected instanceof AsymmetricMatcher) return expected.matches(actual);
  if (actual instanceof AsymmetricMatcher) return actual.matches(expected);
  if (Object.is(actual, expected)) return true;
  if (typeof actual !== "object" || typeof expected !== "object" || actual === null || expected === null) return false;
  if (tagOf(actual) !== tagOf(expected)) return false;
  if (mode === "strict" && actual.constructor !== expected.constructor) return false;
  if (seen.some(([a, b]) => a === actual && b === expected)) return true;
  const inner = (a: unknown, b: unknown): boolean => compare(a, b, mode, [...seen, [actual, expected]]);
  if (expected instanceof Error) return equalErrors(actual as Error, expected, inner);
  if (expected instanceof Date) return Object.is(Number(actual), Number(expected));
  if (expected instanceof RegExp) return String(actual) === String(expected);
  if (expected instanceof ArrayBuffer) {
    return inner(new Uint8Array(actual as ArrayBuffer), new Uint8Array(expected));
  }
  if (expected instanceof Map) {
    const other = actual as Map<unknown, unknown>;
    return other.size === expected.size && [...expected].every(([key, value]) => hasEntry(other, key, value, inner));
  }
  if (expected instanceof Set) {
    const other = [...(actual as Set<unknown>)];
    return other.length === expected.size && [...expected].every((value) => other.some((item) => inner(item, value)));
  }
  if (isSequence(expected) && (actual as ArrayLike<unknown>).length !== expected.length) return false;
  return equalMembers(actual as Bag, expected as Bag, mode, inner);
}

function equalMembers(
  actual: Bag,
  expected: Bag,
  mode: Mode,
  inner: (a: unknown, b: unknown) => boolean,
): boolean {
  const isSequenceOfBoth = isSequence(expected);
  const names = (bag: Bag): PropertyKey[] => ownNames(bag).filter((name) => mode !== "loose" || bag[name] !== undefined);
  for (const name of names(expected)) {
    // A subset may find its members on the prototype, as vitest's does.
    const isThere = mode === "subset" && !isSequenceOfBoth ? name in actual : Object.hasOwn(actual, name);
    if (!isThere && !(mode === "loose" && expected[name] === undefined)) return false;
    if (!inner(actual[name], expected[name])) return false;
  }
  if (mode === "subset" && !isSequenceOfBoth) return true;
  return names(actual).every((name) => Object.hasOwn(expected, name));
}

function equalErrors(actual: Error, expected: Error, inner: (a: unknown, b: unknown) => boolean): boolean {
  return (
    Object.getPrototypeOf(actual) === Object.getPrototypeOf(expected) &&
    actual.name === expected.name &&
    actual.message === expected.message &&
    inner(actual.cause, expected.cause) &&
    inner({ ...actual }, { ...expected })
  );
}

function hasEntry(
  map: ReadonlyMap<unknown, unknown>,
  key: unknown,
  value: unknown,
  inner: (a: unknown, b: unknown) => boolean,
): boolean {
  if (map.has(key)) return inner(map.get(key), value);
  return [...map].some(([otherKey, otherValue]) => inner(otherKey, key) && inner(otherValue, value));
}

function isSequence(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

function ownNames(bag: Bag): PropertyKey[] {
  return Reflect.ownKeys(bag).filter((name) => Object.prototype.propertyIsEnumerable.call(bag, name));
}

function tagOf(value: object): string {
  return Object.prototype.toString.call(value);
}
