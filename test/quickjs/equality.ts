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

/** A value and what it should equal. */
type Pair = readonly [actual: unknown, expected: unknown];

/**
 * True when `actual` equals `expected`. Nested members wait in a list instead of on the stack, which inside QuickJS has
 * room for few levels.
 */
export function equals(actual: unknown, expected: unknown, mode: Mode): boolean {
  const waiting: Pair[] = [[actual, expected]];
  // A pair met again, as in a cycle, has been or will be compared anyway.
  const seen = new Map<object, Set<object>>();
  for (let pair = waiting.pop(); pair !== undefined; pair = waiting.pop()) {
    const [a, b] = pair;
    if (isObject(a) && isObject(b)) {
      const partners = seen.get(a) ?? new Set();
      if (partners.has(b)) continue;
      seen.set(a, partners.add(b));
    }
    const inner = compare(a, b, mode);
    if (inner === null) return false;
    waiting.push(...inner);
  }
  return true;
}

/** Null when the two differ, else the pairs that still have to be equal. */
function compare(actual: unknown, expected: unknown, mode: Mode): readonly Pair[] | null {
  const answer = (isEqual: boolean): readonly Pair[] | null => (isEqual ? [] : null);
  if (expected instanceof AsymmetricMatcher) return answer(expected.matches(actual));
  if (actual instanceof AsymmetricMatcher) return answer(actual.matches(expected));
  if (Object.is(actual, expected)) return [];
  if (!isObject(actual) || !isObject(expected)) return null;
  // Anything may have the members a subset asks for.
  if (mode === "subset" && isPlain(expected)) return memberPairs(actual as Bag, expected as Bag, mode);
  if (Object.prototype.toString.call(actual) !== Object.prototype.toString.call(expected)) return null;
  if (mode === "strict" && actual.constructor !== expected.constructor) return null;
  if (expected instanceof Error) return errorPairs(actual as Error, expected);
  if (expected instanceof Date) return answer(Object.is(Number(actual), Number(expected)));
  if (expected instanceof RegExp) return answer(String(actual) === String(expected));
  if (expected instanceof ArrayBuffer)
    return [[new Uint8Array(actual as ArrayBuffer), new Uint8Array(expected)]];
  if (expected instanceof Map) return answer(equalMaps(actual as Map<unknown, unknown>, expected, mode));
  if (expected instanceof Set) return answer(equalSets(actual as Set<unknown>, expected, mode));
  if (ArrayBuffer.isView(expected)) return answer(equalViews(actual as Uint8Array, expected as Uint8Array));
  return memberPairs(actual as Bag, expected as Bag, mode);
}

function memberPairs(actual: Bag, expected: Bag, mode: Mode): readonly Pair[] | null {
  const isList = Array.isArray(expected);
  if (isList && (actual as unknown as unknown[]).length !== expected.length) return null;
  if (isList && mode !== "strict") return Array.from(expected, (item, index): Pair => [actual[index], item]);
  const counts = (bag: Bag) => (name: PropertyKey) => mode !== "loose" || bag[name] !== undefined;
  const names = ownNames(expected).filter(counts(expected));
  // A subset may find its members on the prototype, as vitest's does.
  const isThere = (name: PropertyKey) => (mode === "subset" ? name in actual : Object.hasOwn(actual, name));
  if (!names.every(isThere)) return null;
  const isNamed = (name: PropertyKey) => Object.hasOwn(expected, name);
  if (mode !== "subset" && !ownNames(actual).filter(counts(actual)).every(isNamed)) return null;
  return names.map((name) => [actual[name], expected[name]]);
}

function errorPairs(actual: Error, expected: Error): readonly Pair[] | null {
  if (Object.getPrototypeOf(actual) !== Object.getPrototypeOf(expected)) return null;
  if (actual.name !== expected.name || actual.message !== expected.message) return null;
  const members: Pair = [{ ...actual }, { ...expected }];
  // As in vitest: a cause counts when one is expected.
  return expected.cause === undefined ? [members] : [members, [actual.cause, expected.cause]];
}

function equalMaps(
  actual: ReadonlyMap<unknown, unknown>,
  expected: ReadonlyMap<unknown, unknown>,
  mode: Mode,
): boolean {
  const entries = [...actual];
  const hasEntry = ([key, value]: readonly [unknown, unknown]) =>
    actual.has(key)
      ? equals(actual.get(key), value, mode)
      : entries.some((entry) => equals(entry, [key, value], mode));
  return actual.size === expected.size && [...expected].every(hasEntry);
}

function equalSets(actual: ReadonlySet<unknown>, expected: ReadonlySet<unknown>, mode: Mode): boolean {
  const items = [...actual];
  const hasItem = (item: unknown) => actual.has(item) || items.some((other) => equals(other, item, mode));
  return actual.size === expected.size && [...expected].every(hasItem);
}

function equalViews(actual: Uint8Array | DataView, expected: Uint8Array | DataView): boolean {
  if (actual instanceof DataView || expected instanceof DataView) {
    const bytes = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    return equalViews(bytes(actual), bytes(expected));
  }
  return actual.length === expected.length && actual.every((item, index) => Object.is(item, expected[index]));
}

function isPlain(value: object): boolean {
  return Object.prototype.toString.call(value) === "[object Object]";
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function ownNames(bag: Bag): PropertyKey[] {
  return Reflect.ownKeys(bag).filter((name) => Object.prototype.propertyIsEnumerable.call(bag, name));
}
