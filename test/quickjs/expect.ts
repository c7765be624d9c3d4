// SPDX-License-Identifier: MIT
/**
 * `expect` for specs that run inside QuickJS: the matchers the specs use, with vitest's meaning. One it does not know is
 * an error, so that nothing passes by not being checked.
 */

import { AsymmetricMatcher, equals } from "./equality.ts";
import { show } from "./format.ts";

/** True when `received` matches. */
type Matcher = (received: unknown, ...parameters: readonly unknown[]) => boolean;
type Check = (...parameters: readonly unknown[]) => unknown;

export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

const MATCHERS = {
  toBe: (received, expected) => Object.is(received, expected),
  toEqual: (received, expected) => equals(received, expected, "loose"),
  toStrictEqual: (received, expected) => equals(received, expected, "strict"),
  toMatchObject: (received, expected) => equals(received, expected, "subset"),
  toBeNull: (received) => received === null,
  toBeUndefined: (received) => received === undefined,
  toBeDefined: (received) => received !== undefined,
  toBeNaN: (received) => Number.isNaN(received),
  toBeTruthy: (received) => Boolean(received),
  toBeFalsy: (received) => !received,
  toBeTypeOf: (received, type) => typeof received === type,
  toBeInstanceOf: (received, type) => received instanceof (type as new () => unknown),
  toBeGreaterThan: (received, bound) => ordered(received) > ordered(bound),
  toBeGreaterThanOrEqual: (received, bound) => ordered(received) >= ordered(bound),
  toBeLessThan: (received, bound) => ordered(received) < ordered(bound),
  toBeLessThanOrEqual: (received, bound) => ordered(received) <= ordered(bound),
  toBeCloseTo: (received, expected, digits = 2) =>
    received === expected || Math.abs(Number(received) - Number(expected)) < 10 ** -Number(digits) / 2,
  toBeOneOf: (received, choices) =>
    [...(choices as Iterable<unknown>)].some((item) => equals(received, item, "loose")),
  toContain: contains,
  toContainEqual: (received, item) =>
    [...(received as Iterable<unknown>)].some((candidate) => equals(candidate, item, "loose")),
  toHaveLength: (received, length) => (received as ArrayLike<unknown>).length === length,
  toHaveProperty: hasProperty,
  toMatch: (received, pattern) =>
    typeof pattern === "string"
      ? String(received).includes(pattern)
      : (pattern as RegExp).test(String(received)),
  toSatisfy: (received, predicate) => Boolean((predicate as (value: unknown) => unknown)(received)),
} satisfies Readonly<Record<string, Matcher>>;

/** What `expect(value)` returns. After `resolves` and `rejects` the checks return promises. */
export type Expectation = Readonly<Record<keyof typeof MATCHERS | "toThrow" | "toThrowError", Check>> & {
  readonly not: Expectation;
  readonly resolves: Expectation;
  readonly rejects: Expectation;
};

/** Asserts about `received`; `note` goes in front of the failure. */
function expectValue(received: unknown, note?: string): Expectation {
  return expectation(received, note, false, (check) => check(received));
}

function any(type: unknown): AsymmetricMatcher {
  const name = (type as { name: string }).name;
  return new AsymmetricMatcher(`Any<${name}>`, (value) => {
    const primitive = name.toLowerCase();
    if (["string", "number", "boolean", "bigint", "symbol", "function"].includes(primitive)) {
      return typeof value === primitive || value instanceof (type as new () => unknown);
    }
    return name === "Object" ? typeof value === "object" : value instanceof (type as new () => unknown);
  });
}

const asymmetric = {
  any,
  anything: () => new AsymmetricMatcher("Anything", (value) => value !== undefined && value !== null),
  objectContaining: (expected: Readonly<Record<string, unknown>>) =>
    new AsymmetricMatcher("ObjectContaining", (value) =>
      Object.entries(expected).every(([name, item]) => hasProperty(value, [name], item)),
    ),
  arrayContaining: (expected: readonly unknown[]) =>
    new AsymmetricMatcher(
      "ArrayContaining",
      (value) =>
        Array.isArray(value) && expected.every((item) => value.some((other) => equals(other, item, "loose"))),
    ),
  stringContaining: (part: string) =>
    new AsymmetricMatcher("StringContaining", (value) => typeof value === "string" && value.includes(part)),
  stringMatching: (pattern: string | RegExp) =>
    new AsymmetricMatcher(
      "StringMatching",
      (value) => typeof value === "string" && new RegExp(pattern).test(value),
    ),
};

const statics = {
  ...asymmetric,
  fail(note = "expect.fail()"): never {
    throw new AssertionError(note);
  },
  unreachable(note = ""): never {
    throw new AssertionError(`expected not to be reached: ${note}`);
  },
};

/** The `expect` of the harness, with what it carries; asking for more throws. */
export const expect = strict(Object.assign(expectValue, statics), "expect");

/** Makes an {@link Expectation}. `settle` hands the value to a check, at once or after a promise. */
function expectation(
  received: unknown,
  note: string | undefined,
  isNegated: boolean,
  settle: (check: (value: unknown) => void) => unknown,
): Expectation {
  const checks: Record<string, Check> = {};
  for (const [name, matcher] of Object.entries<Matcher>(MATCHERS)) {
    checks[name] = (...parameters) =>
      settle((value) => verdict(matcher(value, ...parameters), isNegated, note, name, value, parameters));
  }
  const toThrow: Check = (...parameters) =>
    settle((value) => {
      const thrown = value instanceof Settled ? value : outcomeOf(value);
      const isMatch = thrown.hasThrown && matchesThrown(thrown.value, parameters[0]);
      const shown = thrown.hasThrown ? thrown.value : "no throw";
      verdict(isMatch, isNegated, note, "toThrow", shown, parameters);
    });
  const base = { ...checks, toThrow, toThrowError: toThrow };
  const lazily = {
    get not(): Expectation {
      return expectation(received, note, !isNegated, settle);
    },
    get resolves(): Expectation {
      return expectation(received, note, isNegated, async (check) => check(await received));
    },
    get rejects(): Expectation {
      return expectation(received, note, isNegated, async (check) =>
        check(new Settled(await rejectionOf(received, note))),
      );
    },
  };
  const whole: unknown = Object.defineProperties(base, Object.getOwnPropertyDescriptors(lazily));
  return strict(whole as Expectation, "expect()");
}

/** A thrown value, or the reason of a rejection, on its way to `toThrow`. */
class Settled {
  readonly value: unknown;
  readonly hasThrown: boolean;

  constructor(value: unknown, hasThrown = true) {
    this.value = value;
    this.hasThrown = hasThrown;
  }
}

function outcomeOf(action: unknown): Settled {
  if (typeof action !== "function") throw new AssertionError(`toThrow needs a function, not ${show(action)}`);
  try {
    action();
    return new Settled(undefined, false);
  } catch (error) {
    return new Settled(error);
  }
}

async function rejectionOf(received: unknown, note: string | undefined): Promise<unknown> {
  let value: unknown;
  try {
    value = await (typeof received === "function" ? received() : received);
  } catch (error) {
    return error;
  }
  throw new AssertionError(
    `${note === undefined ? "" : `${note}: `}resolved with ${show(value)} instead of rejecting`,
  );
}

function matchesThrown(thrown: unknown, expected: unknown): boolean {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (expected === undefined) return true;
  if (typeof expected === "string") return message.includes(expected);
  if (expected instanceof RegExp) return expected.test(message);
  if (expected instanceof AsymmetricMatcher) return expected.matches(thrown);
  if (typeof expected === "function") return thrown instanceof expected;
  return equals(thrown, expected, "loose");
}

function verdict(
  isMatch: boolean,
  isNegated: boolean,
  note: string | undefined,
  name: string,
  received: unknown,
  parameters: readonly unknown[],
): void {
  if (isMatch !== isNegated) return;
  const value = received instanceof Settled ? received.value : received;
  const sentence = `expected ${show(value)} ${isNegated ? "not " : ""}${name} ${parameters.map(show).join(", ")}`;
  throw new AssertionError(note === undefined ? sentence : `${note}: ${sentence}`);
}

function ordered(value: unknown): number | bigint {
  if (typeof value === "number" || typeof value === "bigint") return value;
  throw new AssertionError(`${show(value)} is not a number`);
}

function contains(received: unknown, item: unknown): boolean {
  if (typeof received === "string") return received.includes(String(item));
  return [...(received as Iterable<unknown>)].includes(item);
}

function hasProperty(received: unknown, path: unknown, ...expected: readonly unknown[]): boolean {
  let value = received;
  for (const name of Array.isArray(path) ? path : String(path).split(".")) {
    if (value === null || value === undefined || !(name in Object(value))) return false;
    value = (value as Record<string, unknown>)[name];
  }
  return expected.length === 0 || equals(value, expected[0], "loose");
}

/** `target` as it is, except that asking for a member it does not have throws. */
function strict<T extends object>(target: T, owner: string): T {
  return new Proxy(target, {
    get(object, name) {
      if (name in object || typeof name === "symbol" || name === "then") return Reflect.get(object, name);
      throw new Error(`${owner}.${name} is unknown to the QuickJS harness: add it to test/quickjs/expect.ts`);
    },
  });
}
