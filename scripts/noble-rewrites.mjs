// SPDX-License-Identifier: MIT
/**
 * Noble as the scripts of the firmware have it. AES makes its tables (640 KB, two thirds of a start) when it is first used, which
 * with native cryptography is never. QuickJS calls every function and makes every object it is told to, so the
 * one-line functions in the inner loops of SHA-256, AES and GHASH are written out, and GHASH's table is one array. Same results: inside QuickJS the specs run with this, on Node with noble as it is.
 */

import { readFileSync } from "node:fs";

// As the functions of these names in noble are.
const ROTR = (word, shift) => `(${word} << ${32 - Number(shift)} | ${word} >>> ${shift})`;
const SWAP = (n) => `(${n} << 24 | (${n} & 65280) << 8 | ${n} >>> 8 & 65280 | ${n} >>> 24)`;
const APPLY = (s0, s1, s2, s3) =>
  `(T01[${s0} << 8 & 65280 | ${s1} >>> 8 & 255] ^ T23[${s2} >>> 8 & 65280 | ${s3} >>> 24 & 255])`;
const SBOX = (s0, s1, s2, s3) =>
  `(sbox2[${s0} & 255 | ${s1} & 65280] | sbox2[${s2} >>> 16 & 255 | ${s3} >>> 16 & 65280] << 16)`;

/** Round `i + round` of SHA-256 (FIPS 180-4 §6.2.2), on variables that take turns instead of being moved. */
function sha256Round(_, round) {
  const [a, b, c, d, e, f, g, h] = [..."ABCDEFGH"].map((_, i, all) => all[(i - round + 8) % 8]);
  const sigma = (word, ...shifts) => shifts.map((shift) => ROTR(word, shift)).join(" ^ ");
  return `
            t = (${h} + (${sigma(e, 6, 11, 25)}) + ((${e} & ${f}) ^ (~${e} & ${g})) + K[i + ${round}] + W[i + ${round}]) | 0;
            ${d} = (${d} + t) | 0;
            ${h} = (t + (${sigma(a, 2, 13, 22)}) + ((${a} & ${b}) ^ (${a} & ${c}) ^ (${b} & ${c}))) | 0;`;
}

/** By the end of a file's path: what is looked for, how often it is there, and what takes its place. */
const REWRITES = {
  "@noble/hashes/sha2.js": [
    [
      /(?<=process\(view, offset\) \{\n)(?=.*\n +for \(let i = 0; i < 16; i\+\+, offset \+= 4\)\n +SHA256_W)/g,
      1,
      "const [W, K] = [SHA256_W, SHA256_K];\n",
    ],
    [/SHA256_W\[/g, 8, "W["],
    [
      /for \(let i = 0; i < 64; i\+\+\) \{\n +const sigma1 = rotr\(E, 6\)[\s\S]*? A = \(T1 \+ T2\) \| 0;\n +\}/g,
      1,
      () =>
        `for (let i = 0, t; i < 64; i += 8) {${Array.from({ length: 8 }, sha256Round).join("")}\n        }`,
    ],
    [/rotr\((\w+), (\d+)\)/g, 4, (_, word, shift) => ROTR(word, shift)],
  ],
  "@noble/ciphers/aes.js": [
    [
      /const tableEncoding = \/\* @__PURE__ \*\/ (genTtable\(sbox, .*\));/g,
      1,
      "let madeTable;\nconst tableEncoding = () => (madeTable ??= $1);",
    ],
    [/= tableEncoding;/g, 3, "= tableEncoding();"],
    [/(?<=\^) apply0123\(T01, T23, (\w+), (\w+), (\w+), (\w+)\)/g, 8, (_, ...s) => ` ${APPLY(...s)}`],
    [/(?<=\^) applySbox\(sbox2, (s\d), (s\d), (s\d), (s\d)\)/g, 8, (_, ...s) => ` ${SBOX(...s)}`],
  ],
  "@noble/ciphers/_polyval.js": [
    [/swapLE\((k\d)\)/g, 4, (_, n) => SWAP(n)],
    [/const doubles = \[\];/g, 1, "const doubles = new Int32Array(4 * 128);"],
    [
      /doubles\.push\(\{ s0: (.*), s1: (.*), s2: (.*), s3: (.*) \}\);/g,
      1,
      (_, ...words) =>
        words
          .slice(0, 4)
          .map((word, n) => `doubles[4 * i + ${n}] = ${word};`)
          .join(" "),
    ],
    [
      /\(\{ s0: k0, s1: k1, s2: k2, s3: k3 \} = mul2\(k0, k1, k2, k3\)\);/g,
      1,
      `const carry = k3 & 1;
            k3 = (k2 << 31) | (k3 >>> 1);
            k2 = (k1 << 31) | (k2 >>> 1);
            k1 = (k0 << 31) | (k1 >>> 1);
            k0 = (k0 >>> 1) ^ ((POLY << 24) & -carry);`,
    ],
    // That table costs less than it did, so wider windows pay sooner.
    [/bytes > 1024/g, 1, "bytes > 128"],
    // The table as one array of words instead of an object an entry; each entry from the one without its highest bit.
    [
      /const items = \[\];\n[\s\S]*? this\.t = items;/g,
      1,
      `const t = (this.t = new Int32Array(4 * windows * windowSize));
        for (let w = 0; w < windows; w++) {
            const base = 4 * windowSize * w;
            for (let j = W - 1, end = 4; j >= 0; j--, end *= 2) {
                const of = 4 * (W * w + j);
                const s0 = doubles[of], s1 = doubles[of + 1], s2 = doubles[of + 2], s3 = doubles[of + 3];
                for (let from = base, to = base + end; from < base + end; from += 4, to += 4) {
                    t[to] = t[from] ^ s0;
                    t[to + 1] = t[from + 1] ^ s1;
                    t[to + 2] = t[from + 2] ^ s2;
                    t[to + 3] = t[from + 3] ^ s3;
                }
            }
        }`,
    ],
    // One step for each window; where its entries are moves along with it.
    [
      /let w = 0;\n[\s\S]*? w \+= 1;\n +\}\n +\}\n +\}/g,
      1,
      `let base = 0;
        for (let i = 0; i < 4; i++) {
            const num = i === 0 ? s0 : i === 1 ? s1 : i === 2 ? s2 : s3;
            for (let shift = 0; shift < 32; shift += 8) {
                for (let bits = shift + 8 - W; bits >= shift; bits -= W, base += 4 * windowSize) {
                    const at = base + 4 * ((num >>> bits) & mask);
                    ((o0 ^= t[at]), (o1 ^= t[at + 1]), (o2 ^= t[at + 2]), (o3 ^= t[at + 3]));
                }
            }
        }`,
    ],
    [/for \(const elm of t\) \{\n.*\n +\}/g, 1, "t.fill(0);"],
  ],
};

/** For esbuild. A file in which something is not there as often as it was fails the build: noble has changed, look at it again. */
export const nobleRewrites = {
  name: "noble",
  setup(plugin) {
    plugin.onLoad({ filter: /@noble\/(hashes|ciphers)\/(sha2|aes|_polyval)\.js$/ }, ({ path }) => {
      const [, rewrites = []] = Object.entries(REWRITES).find(([end]) => path.endsWith(end)) ?? [];
      let contents = readFileSync(path, "utf8");
      for (const [pattern, count, replacement] of rewrites) {
        const found = [...contents.matchAll(pattern)].length;
        if (found !== count)
          return { errors: [{ text: `${pattern} is there ${found} times, not ${count}` }] };
        contents = contents.replace(pattern, replacement);
      }
      return { contents, loader: "js" };
    });
  },
};
