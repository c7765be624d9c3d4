// SPDX-License-Identifier: MIT
// Goal: whatever the bytes, decodeCbor gives a value of the profile or one of three named errors, and encodeCbor writes
// what other implementations read. Method: examples of RFC 8949 Appendix A, one malformed input per rule, properties.
import { describe, expect, test } from "vitest";
import { hexDecode, hexEncode } from "../../src/bytes.ts";
import { GodwitError } from "../../src/errors.ts";
import { decodeCbor, encodeCbor } from "../../src/wire/cbor.ts";
import { fc, numRuns } from "../properties.ts";

const LIMITS = { depthMax: 8, itemsMax: 1000 };

function unhex(text: string): Uint8Array {
  const bytes = hexDecode(text);
  if (bytes === null) throw new Error(`not hex: ${text}`);
  return bytes;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return error instanceof GodwitError ? error.code : `not a GodwitError: ${String(error)}`;
  }
  return "no error";
}

/** Hex and value; each must also be what we write. */
const EXAMPLES: readonly (readonly [string, unknown])[] = [
  ["00", 0],
  ["17", 23],
  ["1818", 24],
  ["190100", 256],
  ["1a00010000", 65536],
  ["1affffffff", 4294967295],
  ["1b0000000100000000", 4294967296],
  ["1b000000e8d4a51000", 1000000000000],
  ["1b001fffffffffffff", Number.MAX_SAFE_INTEGER],
  ["20", -1],
  ["3903e7", -1000],
  ["3affffffff", -4294967296],
  ["3b0000000100000000", -4294967297],
  ["3b001ffffffffffffe", Number.MIN_SAFE_INTEGER],
  ["f4", false],
  ["f5", true],
  ["f6", null],
  ["40", new Uint8Array(0)],
  ["4401020304", Uint8Array.of(1, 2, 3, 4)],
  ["60", ""],
  ["6449455446", "IETF"],
  ["62c3bc", "\u00fc"],
  ["63e6b0b4", "\u6c34"],
  ["64f0908591", "\ud800\udd51"],
  ["80", []],
  ["8301820203820405", [1, [2, 3], [4, 5]]],
];

/** Why it is refused, and the bytes. */
const MALFORMED: readonly (readonly [string, string])[] = [
  ["no bytes", ""],
  ["truncated head", "19"],
  ["truncated integer", "1a0001"],
  ["truncated byte string", "44010203"],
  ["truncated text", "6261"],
  ["truncated array", "8201"],
  ["array longer than the input", "9affffffff"],
  ["array longer than 2^53", "9bffffffffffffffff"],
  ["byte string longer than 2^53", "5bffffffffffffffff"],
  ["bytes behind the value", "0000"],
  ["reserved additional information", "1c"],
  ["indefinite byte string", "5f4101ff"],
  ["indefinite text", "7f6161ff"],
  ["indefinite array", "9f01ff"],
  ["indefinite map", "bf616101ff"],
  ["break", "ff"],
  ["tag", "c11a514b67b0"],
  ["record tag of cbor-x", "d9dfff8301816161f6"],
  ["undefined", "f7"],
  ["simple value 0", "e0"],
  ["simple value 255", "f8ff"],
  ["integer 2^53", "1b0020000000000000"],
  ["integer -2^53", "3b001fffffffffffff"],
  ["integer 2^64 - 1", "1bffffffffffffffff"],
  ["map", "a161610a"],
  ["half float", "f93c00"],
  ["float", "fa47c35000"],
  ["double", "fb3ff199999999999a"],
  ["UTF-8: continuation first", "6180"],
  ["UTF-8: overlong of two", "62c080"],
  ["UTF-8: overlong of three", "63e08080"],
  ["UTF-8: surrogate", "63eda080"],
  ["UTF-8: above U+10FFFF", "64f4908080"],
  ["UTF-8: lead f5", "64f5808080"],
  ["UTF-8: cut off", "62e6b0"],
  ["UTF-8: third byte wrong", "63e6b041"],
  ["UTF-8: byte order mark", "64efbbbf61"],
];

describe("examples", () => {
  test.each(EXAMPLES)("%s", (hex, value) => {
    expect(decodeCbor(unhex(hex), LIMITS)).toEqual(value);
    expect(hexEncode(encodeCbor(value))).toBe(hex);
  });

  test("a longer form than needed is read", () => {
    expect(decodeCbor(unhex("1b0000000000000001"), LIMITS)).toBe(1);
    expect(decodeCbor(unhex("9b000000000000000101"), LIMITS)).toEqual([1]);
  });
});

describe("what is refused", () => {
  test.each(MALFORMED)("%s", (_why, hex) => {
    expect(codeOf(() => decodeCbor(unhex(hex), LIMITS))).toBe("ERR_CBOR_MALFORMED");
  });

  test("one level too many", () => {
    const limits = { depthMax: 2, itemsMax: 100 };
    expect(decodeCbor(unhex("818101"), limits)).toEqual([[1]]);
    expect(codeOf(() => decodeCbor(unhex("81818101"), limits))).toBe("ERR_CBOR_TOO_DEEP");
  });

  test("ten thousand levels end at the limit, not at the stack", () => {
    const deep = new Uint8Array(10_000).fill(0x81);
    expect(codeOf(() => decodeCbor(deep, LIMITS))).toBe("ERR_CBOR_TOO_DEEP");
  });

  test("one item too many", () => {
    const limits = { depthMax: 2, itemsMax: 3 };
    expect(decodeCbor(unhex("820102"), limits)).toEqual([1, 2]);
    expect(codeOf(() => decodeCbor(unhex("83010203"), limits))).toBe("ERR_CBOR_TOO_MANY_ITEMS");
  });

  test.each([
    ["undefined", [undefined]],
    ["a function", [() => 1]],
    ["a Map", new Map([["a", 1]])],
    ["a number array of another kind", new Uint16Array(2)],
    ["a symbol", Symbol("s")],
    ["a big integer", 1n],
    ["a plain object", { a: 1 }],
    ["a fraction", 1.5],
    ["an integer beyond 2^53", 2 ** 53],
  ] as const)("encoding %s", (_what, value) => {
    expect(codeOf(() => encodeCbor(value))).toBe("ERR_CBOR_VALUE");
  });

  test("encoding a loop", () => {
    const loop: unknown[] = [];
    loop.push(loop);
    expect(codeOf(() => encodeCbor(loop))).toBe("ERR_CBOR_VALUE");
  });
});

describe("ownership", () => {
  test("encoded bytes are plain and stay what they are", () => {
    const first = encodeCbor([1, "one", Uint8Array.of(1)]);
    const before = hexEncode(first);
    encodeCbor(["something", "else", new Uint8Array(100)]);
    expect(hexEncode(first)).toBe(before);
    expect(Object.getPrototypeOf(first) === Uint8Array.prototype).toBe(true);
    expect(first.buffer.byteLength).toBe(first.length);
  });

  test("decoded byte strings are plain views of the input", () => {
    const input = unhex("824101" + "420203");
    const [one, two] = decodeCbor(input, LIMITS) as Uint8Array[];
    expect(one?.buffer === input.buffer).toBe(true);
    expect(Object.getPrototypeOf(two) === Uint8Array.prototype).toBe(true);
    input[4] = 9;
    expect(two).toEqual(Uint8Array.of(9, 3));
  });

  test("the input is left as it is", () => {
    const input = unhex("8101");
    decodeCbor(input, LIMITS);
    expect(Object.keys(input)).toEqual(["0", "1"]);
  });
});

describe("text", () => {
  test("lone surrogates become U+FFFD, whatever the length", () => {
    for (const length of [1, 40, 200]) {
      const text = `${"a".repeat(length)}\ud800`;
      expect(decodeCbor(encodeCbor(text), LIMITS)).toBe(`${"a".repeat(length)}\ufffd`);
    }
  });

  test("a leading byte order mark is dropped, one inside stays", () => {
    expect(decodeCbor(encodeCbor(`\ufeff${"a".repeat(100)}\ufeff`), LIMITS)).toBe(`${"a".repeat(100)}\ufeff`);
  });

  test("text of every length up to 300 survives", () => {
    for (let length = 0; length <= 300; length++) {
      const text = "\u00e9x".repeat(length).slice(0, length);
      expect(decodeCbor(encodeCbor(text), LIMITS)).toBe(text);
    }
  });
});

const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.string({ unit: "binary" }).filter((text) => !text.startsWith("\ufeff")),
    fc.uint8Array(),
    fc.array(tie("value"), { maxLength: 5 }),
  ),
}));

describe("properties", () => {
  const roomy = { depthMax: 16, itemsMax: 100_000 };

  test("what is encoded is read back", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(decodeCbor(encodeCbor(value), roomy)).toEqual(value);
      }),
      { numRuns: numRuns(1000) },
    );
  });

  test("random bytes give a value or a named error", () => {
    const codes = ["no error", "ERR_CBOR_MALFORMED", "ERR_CBOR_TOO_DEEP", "ERR_CBOR_TOO_MANY_ITEMS"];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(codes).toContain(codeOf(() => decodeCbor(bytes, { depthMax: 3, itemsMax: 10 })));
      }),
      { numRuns: numRuns(5000) },
    );
  });

  test("a changed byte gives a value or a named error", () => {
    const codes = ["no error", "ERR_CBOR_MALFORMED"];
    fc.assert(
      fc.property(anyValue, fc.nat(), fc.integer({ min: 0, max: 255 }), (value, where, byte) => {
        const bytes = encodeCbor(value);
        bytes[where % bytes.length] = byte;
        expect(codes).toContain(codeOf(() => decodeCbor(bytes, { depthMax: 1000, itemsMax: 1_000_000 })));
      }),
      { numRuns: numRuns(2000) },
    );
  });

  test("no proper prefix is a value", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const bytes = encodeCbor(value);
        for (let end = 0; end < bytes.length; end++) {
          expect(codeOf(() => decodeCbor(bytes.subarray(0, end), roomy))).toBe("ERR_CBOR_MALFORMED");
        }
      }),
      { numRuns: numRuns(100) },
    );
  });
});
