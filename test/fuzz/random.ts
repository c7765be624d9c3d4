// SPDX-License-Identifier: MIT
/** Random numbers that a seed repeats, and the changes of bytes that every target has in common. No tests here. */

/** Marsaglia's xorshift of 32 bits; never for secrets. */
export class Random {
  #state: number;

  constructor(seed: number) {
    // Seeds beside each other begin far apart, and none with 0, where it would stay.
    this.#state = Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b) | 1;
  }

  uint32(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }

  /** From 0 to `count` - 1. */
  below(count: number): number {
    return this.uint32() % Math.max(1, count);
  }

  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

/** Integers at which something changes its width, its sign or its meaning. */
export const ODD_INTEGERS: readonly number[] = [
  ...[0, 1, 2, 3, 15, 16, 17, 23, 24, 25, 63, 64, 65, 99, 127, 128, 255, 256, 257, 4095, 4096, 4097],
  ...[16_383, 16_384, 16_385, 32_767, 32_768, 65_535, 65_536, 86_400, 2_592_000, 0x7fff_ffff, 0x8000_0000],
  ...[0xffff_ffff, 0x1_0000_0000, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER, -1, -2, -128],
];

const encoder = new TextEncoder();

/** `input` with one to eight changes, some of which put in parts of `other` or one of `words`. */
export function mutateBytes(
  input: Uint8Array,
  other: Uint8Array,
  words: readonly string[],
  random: Random,
): Uint8Array {
  let bytes = input;
  for (let changes = 1 + random.below(1 << random.below(4)); changes > 0; changes--)
    bytes = changeOnce(bytes, other, words, random);
  return bytes;
}

function changeOnce(
  bytes: Uint8Array,
  other: Uint8Array,
  words: readonly string[],
  random: Random,
): Uint8Array {
  const at = random.below(bytes.length + 1);
  const length = 1 + random.below(random.oneIn(4) ? bytes.length : 8);
  switch (random.below(10)) {
    case 0:
      return changedAt(bytes, at, (byte) => byte ^ (1 << random.below(8)));
    case 1:
      return changedAt(bytes, at, () => random.below(256));
    case 2:
      return changedAt(bytes, at, (byte) => byte + random.below(17) - 8);
    case 3:
      return splice(bytes, at, length, new Uint8Array(0));
    case 4:
      return splice(bytes, at, 0, random.bytes(Math.min(length, 64)));
    case 5:
      // Once more what stands there, or somewhere else.
      return splice(bytes, at, 0, slice(bytes, random.below(bytes.length + 1), length));
    case 6:
      return splice(
        bytes,
        at,
        random.below(2) * length,
        slice(other, random.below(other.length + 1), length),
      );
    case 7:
      return splice(bytes, at, random.below(2) * length, oddInteger(random));
    case 8:
      if (words.length === 0) return changedAt(bytes, at, () => random.below(256));
      return splice(bytes, at, random.below(2) * length, encoder.encode(random.pick(words)));
    default:
      return random.oneIn(2)
        ? bytes.slice(0, at)
        : splice(bytes, at, 0, new Uint8Array(length).fill(bytes[at] ?? 0x20));
  }
}

function changedAt(bytes: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const changed = bytes.slice();
  if (at < changed.length) changed[at] = change(changed[at] ?? 0);
  return changed;
}

function splice(bytes: Uint8Array, at: number, removed: number, put: Uint8Array): Uint8Array {
  const tail = bytes.subarray(Math.min(bytes.length, at + removed));
  const result = new Uint8Array(at + put.length + tail.length);
  result.set(bytes.subarray(0, at));
  result.set(put, at);
  result.set(tail, at + put.length);
  return result;
}

function slice(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return bytes.subarray(at, Math.min(bytes.length, at + length));
}

/** One of {@link ODD_INTEGERS} in 1, 2, 4 or 8 bytes, big-endian, or in decimal digits. */
function oddInteger(random: Random): Uint8Array {
  const value = random.pick(ODD_INTEGERS);
  if (random.oneIn(2)) return encoder.encode(String(value));
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value));
  return bytes.subarray(8 - (1 << random.below(4)));
}
