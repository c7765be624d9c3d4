// SPDX-License-Identifier: MIT
/**
 * The group of P-256 (SP 800-186 §3.2.1.3) from noble's curve arithmetic. Made here and not taken from `nist.js` so that a
 * bundle which only receives messages holds no signatures, no other curves and no hash-to-curve: 12 KB on QuickJS.
 */
import { weierstrass } from "@noble/curves/abstract/weierstrass.js";

/** Points with coordinates below p and on the curve; anything else is refused by `fromBytes`. */
export const Point = /* @__PURE__ */ weierstrass({
  p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
  n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  h: 1n,
  a: 0xffffffff00000001000000000000000000000000fffffffffffffffffffffffcn,
  b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  Gx: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
  Gy: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
});

/** The scalar of a 32-byte private key, or null when it is 0 or not below the group order. */
export function scalarOf(privateKey: Uint8Array): bigint | null {
  try {
    const scalar = Point.Fn.fromBytes(privateKey);
    return Point.Fn.isValidNot0(scalar) ? scalar : null;
  } catch {
    return null;
  }
}
