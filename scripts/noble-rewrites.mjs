// SPDX-License-Identifier: MIT
/**
 * Noble as the scripts of the firmware have it. AES makes its tables (640 KB, two thirds of a start) when it is first used, which
 * with native cryptography is never. QuickJS calls every function and makes every object it is told to, so the
 * one-line functions in the inner loops of SHA-256, AES and GHASH are written out, and GHASH has a table that is quickly made. It keeps a word
 * of 2^31 or more as a double, whose shifts and exclusive-ors are slow: tables are of signed words. Same results: inside QuickJS
 * the specs run with this, on Node with noble as it is.
 */

import { readFileSync } from "node:fs";

// As the functions of these names in noble are.
const ROTR = (word, shift) => `(${word} << ${32 - Number(shift)} | ${word} >>> ${shift})`;
const SWAP = (n) => `(${n} << 24 | (${n} & 65280) << 8 | ${n} >>> 8 & 65280 | ${n} >>> 24)`;
const APPLY = (s0, s1, s2, s3) =>
  `(T01[${s0} << 8 & 65280 | ${s1} >>> 8 & 255] ^ T23[${s2} >>> 8 & 65280 | ${s3} >>> 24 & 255])`;
const SBOX = (s0, s1, s2, s3) =>
  `(sbox2[${s0} & 255 | ${s1} & 65280] | sbox2[${s2} >>> 16 & 255 | ${s3} >>> 16 & 65280] << 16)`;

/** Round `i + round` of SHA-256 (FIPS 180-4 §6.2.2), on variables that take turns instead of being moved; Ch and Maj with the fewest operations. */
function sha256Round(_, round) {
  const [a, b, c, d, e, f, g, h] = [..."ABCDEFGH"].map((_, i, all) => all[(i - round + 8) % 8]);
  const sigma = (word, ...shifts) => shifts.map((shift) => ROTR(word, shift)).join(" ^ ");
  return `
            t = (${h} + (${sigma(e, 6, 11, 25)}) + (${g} ^ (${e} & (${f} ^ ${g}))) + K[i + ${round}] + W[i + ${round}]) | 0;
            ${d} = (${d} + t) | 0;
            ${h} = (t + (${sigma(a, 2, 13, 22)}) + ((${a} & ${b}) | (${c} & (${a} | ${b})))) | 0;`;
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
      /const SHA256_W = \/\* @__PURE__ \*\/ new Uint32Array\(64\);/g,
      1,
      "const SHA256_W = new Int32Array(64);",
    ],
    [
      /const SHA256_K = \/\* @__PURE__ \*\/ Uint32Array\.from\(/g,
      1,
      "const SHA256_K = /* @__PURE__ */ Int32Array.from(",
    ],
    [
      /for \(let i = 0; i < 64; i\+\+\) \{\n +const sigma1 = rotr\(E, 6\)[\s\S]*? A = \(T1 \+ T2\) \| 0;\n +\}/g,
      1,
      () =>
        `for (let i = 0, t; i < 64; i += 8) {${Array.from({ length: 8 }, sha256Round).join("")}\n        }`,
    ],
    [/view\.getUint32\(offset, false\)/g, 1, "view.getInt32(offset, false)"],
    [/rotr\((\w+), (\d+)\)/g, 4, (_, word, shift) => ROTR(word, shift)],
  ],
  "@noble/ciphers/aes.js": [
    [
      /const tableEncoding = \/\* @__PURE__ \*\/ (genTtable\(sbox, .*\));/g,
      1,
      "let madeTable;\nconst tableEncoding = () => (madeTable ??= $1);",
    ],
    [/const T0 = new Uint32Array\(256\)/g, 1, "const T0 = new Int32Array(256)"],
    [/const (T01|T23) = new Uint32Array\(/g, 2, "const $1 = new Int32Array("],
    [/= tableEncoding;/g, 3, "= tableEncoding();"],
    [/(?<=\^) apply0123\(T01, T23, (\w+), (\w+), (\w+), (\w+)\)/g, 8, (_, ...s) => ` ${APPLY(...s)}`],
    [/(?<=\^) applySbox\(sbox2, (s\d), (s\d), (s\d), (s\d)\)/g, 8, (_, ...s) => ` ${SBOX(...s)}`],
  ],
  "@noble/ciphers/utils.js": [[/(?<=function u32\(arr\) \{\n +return new )Uint32Array/g, 1, "Int32Array"]],
  "@noble/ciphers/_polyval.js": [
    [
      /(?=export class GHASH \{)/g,
      1,
      `/** What four shifts push out at the end of a product, reduced: its highest word. */
const REDUCED = Int32Array.from({ length: 16 }, (_, out) =>
  ((out & 1 ? 0xe1 << 21 : 0) ^ (out & 2 ? 0xe1 << 22 : 0) ^ (out & 4 ? 0xe1 << 23 : 0) ^ (out & 8 ? 0xe1 << 24 : 0)) | 0);
`,
    ],
    // Four bits at a time by one table of 16 multiples (NIST SP 800-38D §6.3): it is made in no time, which for a short message
    // counts more than what a step costs. The first words of all multiples in one array, then the second words ….
    [
      /let k0 = kView\.getUint32[\s\S]*? this\.t = items;/g,
      1,
      `let k0 = kView.getInt32(0, false);
        let k1 = kView.getInt32(4, false);
        let k2 = kView.getInt32(8, false);
        let k3 = kView.getInt32(12, false);
        const t = [new Int32Array(16), new Int32Array(16), new Int32Array(16), new Int32Array(16)];
        const [t0, t1, t2, t3] = (this.t = t);
        for (let bit = 8; bit > 0; bit >>= 1) {
            ((t0[bit] = k0), (t1[bit] = k1), (t2[bit] = k2), (t3[bit] = k3));
            // The multiples of the higher bits are there: this one added to each of them.
            for (let of = 2 * bit; of < 16; of += 2 * bit) {
                ((t0[of + bit] = t0[of] ^ k0), (t1[of + bit] = t1[of] ^ k1));
                ((t2[of + bit] = t2[of] ^ k2), (t3[of + bit] = t3[of] ^ k3));
            }
            const carry = k3 & 1;
            k3 = (k2 << 31) | (k3 >>> 1);
            k2 = (k1 << 31) | (k2 >>> 1);
            k1 = (k0 << 31) | (k1 >>> 1);
            k0 = (k0 >>> 1) ^ (-carry & (0xe1 << 24));
        }`,
    ],
    [
      /const \{ W, t, windowSize \} = this;[\s\S]*?(?=\n {4}\}\n {4}update\(data\))/g,
      1,
      `const { t } = this;
        const t0 = t[0], t1 = t[1], t2 = t[2], t3 = t[3];
        let o0 = 0, o1 = 0, o2 = 0, o3 = 0;
        // Words are little-endian, and the highest coefficient comes first.
        for (let i = 3; i >= 0; i--) {
            const word = i === 3 ? s3 : i === 2 ? s2 : i === 1 ? s1 : s0;
            let bits = ${SWAP("word")};
            for (let end = 8; end > 0; end--, bits >>= 4) {
                const at = bits & 15;
                const out = o3 & 15;
                o3 = (o3 >>> 4 | o2 << 28) ^ t3[at];
                o2 = (o2 >>> 4 | o1 << 28) ^ t2[at];
                o1 = (o1 >>> 4 | o0 << 28) ^ t1[at];
                o0 = (o0 >>> 4) ^ REDUCED[out] ^ t0[at];
            }
        }
        this.s0 = ${SWAP("o0")};
        this.s1 = ${SWAP("o1")};
        this.s2 = ${SWAP("o2")};
        this.s3 = ${SWAP("o3")};`,
    ],
    [/for \(const elm of t\) \{\n.*\n +\}/g, 1, "for (const words of t) words.fill(0);"],
  ],
};

/** For esbuild. A file in which something is not there as often as it was fails the build: noble has changed, look at it again. */
export const nobleRewrites = {
  name: "noble",
  setup(plugin) {
    plugin.onLoad({ filter: /@noble\/(hashes|ciphers)\/(sha2|aes|_polyval|utils)\.js$/ }, ({ path }) => {
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
