// SPDX-License-Identifier: MIT
/**
 * Noble as the scripts of the firmware have it. AES makes its tables (640 KB, two thirds of a start) when it is first used, which
 * with native cryptography is never. QuickJS calls every function it is told to call, so the one-line functions in the inner loops
 * of SHA-256, AES and GHASH are written out. Same results: inside QuickJS the specs run with this, on Node with noble as it is.
 */

import { readFileSync } from "node:fs";

// As the functions of these names in noble are.
const ROTR = (word, shift) => `(${word} << ${32 - Number(shift)} | ${word} >>> ${shift})`;
const SWAP = (n) => `(${n} << 24 | (${n} & 65280) << 8 | ${n} >>> 8 & 65280 | ${n} >>> 24)`;
const APPLY = (s0, s1, s2, s3) =>
  `(T01[${s0} << 8 & 65280 | ${s1} >>> 8 & 255] ^ T23[${s2} >>> 8 & 65280 | ${s3} >>> 24 & 255])`;
const SBOX = (s0, s1, s2, s3) =>
  `(sbox2[${s0} & 255 | ${s1} & 65280] | sbox2[${s2} >>> 16 & 255 | ${s3} >>> 16 & 65280] << 16)`;

/** By the end of a file's path: what is looked for, how often it is there, and what takes its place. */
const REWRITES = {
  "@noble/hashes/sha2.js": [
    [
      /(?<=process\(view, offset\) \{\n)(?=.*\n +for \(let i = 0; i < 16; i\+\+, offset \+= 4\)\n +SHA256_W)/g,
      1,
      "const [W, K] = [SHA256_W, SHA256_K];\n",
    ],
    [/SHA256_W\[/g, 8, "W["],
    [/(?<! \/\/.*)SHA256_K\[/g, 1, "K["],
    [/rotr\((\w+), (\d+)\)/g, 10, (_, word, shift) => ROTR(word, shift)],
    [/(?<= {12}const T1 = \(H \+ sigma1 \+ )Chi\(E, F, G\)/g, 1, "((E & F) ^ (~E & G))"],
    [/(?<=\(sigma0 \+ )Maj\(A, B, C\)/g, 1, "((A & B) ^ (A & C) ^ (B & C))"],
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
    [
      /\(\{ s0: k0, s1: k1, s2: k2, s3: k3 \} = mul2\(k0, k1, k2, k3\)\);/g,
      1,
      `const carry = k3 & 1;
            k3 = (k2 << 31) | (k3 >>> 1);
            k2 = (k1 << 31) | (k2 >>> 1);
            k1 = (k0 << 31) | (k1 >>> 1);
            k0 = (k0 >>> 1) ^ ((POLY << 24) & -carry);`,
    ],
    // Each entry from the one without its highest bit.
    [
      /(?<=for \(let w = 0; w < windows; w\+\+\) \{\n)[\s\S]*?(?=\n {8}\}\n {8}this\.t = items;)/g,
      1,
      `items.push({ s0: 0, s1: 0, s2: 0, s3: 0 });
            for (let j = W - 1, count = 1; j >= 0; j--, count *= 2) {
                const { s0, s1, s2, s3 } = doubles[W * w + j];
                for (let i = items.length - count, end = items.length; i < end; i++) {
                    const { s0: e0, s1: e1, s2: e2, s3: e3 } = items[i];
                    items.push({ s0: s0 ^ e0, s1: s1 ^ e1, s2: s2 ^ e2, s3: s3 ^ e3 });
                }
            }`,
    ],
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
