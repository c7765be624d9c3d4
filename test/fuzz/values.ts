// SPDX-License-Identifier: MIT
/** Changes of values such as JSON and CBOR have, wherever in them. No tests here. */

import { ODD_INTEGERS, type Random } from "./random.ts";

/** What may stand for a value in the grammar that is fuzzed. */
export interface Vocabulary {
  /** Names of members and texts that mean something somewhere. */
  readonly words: readonly string[];
  /** Whether there are byte strings. */
  readonly hasBytes: boolean;
  /** Whether there are objects, fractions and infinitely large numbers. */
  readonly isJson: boolean;
}

/** `value` with one to four changes; nothing of it is changed itself. */
export function mutateValue(value: unknown, vocabulary: Vocabulary, random: Random): unknown {
  let changed = value;
  for (let changes = 1 + random.below(1 << random.below(3)); changes > 0; changes--)
    changed = changeSomewhere(changed, vocabulary, random);
  return changed;
}

/** Goes down to one place, each of them about as likely as another, and changes what is there. */
function changeSomewhere(value: unknown, vocabulary: Vocabulary, random: Random): unknown {
  if (Array.isArray(value) && value.length > 0 && !random.oneIn(4)) {
    const at = random.below(value.length);
    return value.with(at, changeSomewhere(value[at], vocabulary, random));
  }
  if (isObject(value) && Object.keys(value).length > 0 && !random.oneIn(4)) {
    const name = random.pick(Object.keys(value));
    return { ...value, [name]: changeSomewhere(value[name], vocabulary, random) };
  }
  return changeHere(value, vocabulary, random);
}

function changeHere(value: unknown, vocabulary: Vocabulary, random: Random): unknown {
  if (random.oneIn(6)) return newValue(vocabulary, random);
  if (Array.isArray(value)) return changeArray(value, vocabulary, random);
  if (isObject(value)) return changeObject(value, vocabulary, random);
  if (typeof value === "number") return changeNumber(value, vocabulary, random);
  if (typeof value === "string") return changeText(value, vocabulary, random);
  if (value instanceof Uint8Array) return changeBytes(value, random);
  return newValue(vocabulary, random);
}

function changeArray(items: readonly unknown[], vocabulary: Vocabulary, random: Random): unknown {
  const at = random.below(items.length + 1);
  switch (random.below(6)) {
    case 0:
      return items.toSpliced(at, 1);
    case 1:
      return items.slice(0, at);
    case 2:
      return items.toSpliced(at, 0, newValue(vocabulary, random));
    case 3:
      return items.toSpliced(at, 0, items[random.below(items.length)] ?? null);
    case 4:
      // Up to some bound there may be.
      return Array.from(
        { length: random.pick([2, 16, 63, 64, 65, 257]) },
        (_, i) => items[i % items.length] ?? null,
      );
    default:
      return [items];
  }
}

function changeObject(
  object: Readonly<Record<string, unknown>>,
  vocabulary: Vocabulary,
  random: Random,
): unknown {
  const names = Object.keys(object);
  const name = names.length === 0 ? "" : random.pick(names);
  const { [name]: value, ...others } = object;
  const otherName = random.oneIn(8)
    ? random.pick(["__proto__", "constructor", "", "toString"])
    : word(vocabulary, random);
  switch (random.below(5)) {
    case 0:
      return others;
    case 1:
      return Object.fromEntries([...Object.entries(object), [otherName, newValue(vocabulary, random)]]);
    case 2:
      return Object.fromEntries([...Object.entries(others), [otherName, value]]);
    case 3:
      return Object.fromEntries([...Object.entries(object), [otherName, object[random.pick(names)] ?? null]]);
    default:
      return [object];
  }
}

function changeNumber(value: number, vocabulary: Vocabulary, random: Random): number {
  switch (random.below(4)) {
    case 0:
      return random.pick(ODD_INTEGERS);
    case 1:
      return value + random.below(5) - 2;
    case 2:
      return vocabulary.isJson
        ? random.pick([0.5, -0.5, 1e21, 1e308, -1e308, 5e-324, value / 2])
        : Math.floor(value / 2);
    default:
      return random.uint32();
  }
}

function changeText(text: string, vocabulary: Vocabulary, random: Random): string {
  const at = random.below(text.length + 1);
  switch (random.below(7)) {
    case 0:
      return text.slice(0, at) + text.slice(at + 1 + random.below(8));
    case 1:
      return text.slice(0, at) + oddText(random) + text.slice(at);
    case 2:
      return text.slice(0, at) + word(vocabulary, random) + text.slice(at);
    case 3:
      return word(vocabulary, random);
    case 4:
      return text.slice(0, at) + String.fromCharCode(random.below(128)) + text.slice(at + 1);
    case 5:
      return text.repeat(random.pick([2, 16, 300])).slice(0, 20_000);
    default:
      return text.slice(0, at);
  }
}

function changeBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1);
  switch (random.below(4)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      return Uint8Array.from([...bytes, ...random.bytes(1 + random.below(4))]);
    case 2:
      return random.bytes(random.pick([0, 1, 8, 16, 32, 65]));
    default:
      return bytes.map((byte, index) => (index === at ? byte ^ (1 << random.below(8)) : byte));
  }
}

function newValue(vocabulary: Vocabulary, random: Random): unknown {
  const { hasBytes, isJson } = vocabulary;
  switch (random.below(7)) {
    case 0:
      return null;
    case 1:
      return random.oneIn(2);
    case 2:
      return random.pick(ODD_INTEGERS);
    case 3:
      return random.oneIn(2) ? word(vocabulary, random) : oddText(random);
    case 4:
      return hasBytes
        ? random.bytes(random.pick([0, 1, 8, 16, 32, 65]))
        : changeNumber(1, vocabulary, random);
    case 5:
      return isJson && random.oneIn(2) ? { [word(vocabulary, random)]: 1 } : [];
    default:
      return nested(random.pick([1, 2, 8, 9, 16, 17, 128, 129, 200]));
  }
}

function nested(levels: number): unknown {
  let value: unknown = [];
  for (let level = 1; level < levels; level++) value = [value];
  return value;
}

function word({ words }: Vocabulary, random: Random): string {
  return words.length === 0 ? "" : random.pick(words);
}

/** Characters that are more than one byte or unit, none at all, or change what stands beside them. */
function oddText(random: Random): string {
  return random.pick([
    ...[
      "",
      "\0",
      "\n",
      "\r\n",
      '"',
      "\\",
      "\u007f",
      "\u0085",
      "\u00ad",
      "\u2028",
      "\u202e",
      "\u2066",
      "\ufeff",
    ],
    ...[
      "\ufffd",
      "\ud800",
      "\udfff",
      "\u{10ffff}",
      "\u{1f600}",
      "\u05d0",
      "%",
      "%00",
      "..",
      "/",
      "//",
      "\u0130",
      "ß",
    ],
  ]);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
