// SPDX-License-Identifier: MIT
// Goal: the portable provider keeps the provider contract, also at each width its tables may have. Method: the shared provider
// suite; ciphertexts that OpenSSL made, by their digests.

import { describe, expect, test } from "vitest";
import { hexEncode } from "../../src/bytes.ts";
import { nobleSigningProvider } from "../../src/webpush/noble-signing.ts";
import { describeProvider } from "./provider-suite.ts";

describeProvider(nobleSigningProvider);

describe("AES-GCM where GHASH's table changes its width", () => {
  const counting = (length: number, first: number) =>
    Uint8Array.from({ length }, (_, i) => (first + i * 7) % 251);

  test.each([
    [128, "735d612716341e460caa9d0056afefc1"],
    [129, "900d7dfb9874faeba24ee4e109f3d202"],
    [1024, "a21e84144ec33a176713aaefc2d2a992"],
    [1025, "96cd94f582bcd3440fea9d43a12d40e9"],
    [65_536, "65b1763a802d4d4e657cd06e94981ec2"],
    [65_553, "a447328ac76a602bad01c32b732b5e7d"],
  ])("%i bytes", (bytes, digest) => {
    const { gcmSeal, gcmOpen, sha256 } = nobleSigningProvider;
    const [key, nonce, plaintext] = [counting(16, 1), counting(12, 2), counting(bytes, 3)];
    const sealed = gcmSeal(key, nonce, plaintext);
    expect(hexEncode(sha256(sealed)).slice(0, 32)).toBe(digest);
    expect(gcmOpen(key, nonce, sealed)?.length).toBe(bytes);
  });
});
