// SPDX-License-Identifier: MIT
// Goal: the provider over a bridge's native library keeps the contract every provider keeps. Method: the suites of the others.

import { describe, expect, test } from "vitest";
import { createBridgeProvider } from "../../src/quickjs/provider.ts";
import type { KeyPair } from "../../src/webpush/crypto.ts";
import { generateKeyPair } from "../../src/webpush/keys.ts";
import { nobleSigningProvider } from "../../src/webpush/noble-signing.ts";
import { describeProvider } from "../webpush/provider-suite.ts";
import { codeOf, seededFill } from "../webpush/support.ts";
import { describeVectors } from "../webpush/vector-suite.ts";
import { nodeBridgeCrypto } from "./node-bridge.ts";

const native = nodeBridgeCrypto();
const provider = createBridgeProvider(native);
/** A device has no use for verify(). */
const signing = { ...provider, name: "bridge", verify: nobleSigningProvider.verify };

describeProvider(signing);
describeVectors(signing);

describe("bridge provider", () => {
  test("a public key is worked out once for isPair() and once for signing", () => {
    let workedOut = 0;
    const counting = createBridgeProvider({
      ...native,
      publicKeyOf(privateKey) {
        workedOut++;
        return native.publicKeyOf(privateKey);
      },
    });
    const pair = generateKeyPair(seededFill(1), provider);
    const keys = { ...pair, authSecret: new Uint8Array(16) };
    for (let i = 0; i < 3; i++) expect(counting.importKeys(keys).isPair()).toBe(true);
    expect(workedOut).toBe(1);
    for (let i = 0; i < 3; i++) counting.sign(keys, Uint8Array.of(i));
    expect(workedOut).toBe(2);
  });

  test("a signature the library refuses is an error with a code", () => {
    const pair = generateKeyPair(seededFill(2), provider);
    const refusing = createBridgeProvider({ ...native, sign: () => null });
    const zeros: KeyPair = { privateKey: new Uint8Array(32), publicKey: pair.publicKey };
    expect(codeOf(() => refusing.sign(pair, Uint8Array.of(1)))).toBe("ERR_ECE_BAD_SUBSCRIPTION_KEYS");
    expect(codeOf(() => provider.sign(zeros, Uint8Array.of(1)))).toBe("ERR_ECE_BAD_SUBSCRIPTION_KEYS");
  });
});
