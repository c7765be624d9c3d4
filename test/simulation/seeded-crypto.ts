// SPDX-License-Identifier: MIT
/** node:crypto with the seed's randomness; stands in its place in the bundle of the simulation. */

import { simulatedRandom } from "./surroundings.ts";

export * from "node:crypto";

export function randomFillSync<Bytes extends Uint8Array>(target: Bytes): Bytes {
  for (let i = 0; i < target.length; i++) target[i] = Math.floor(simulatedRandom() * 256);
  return target;
}

export function randomBytes(length: number): Buffer {
  return randomFillSync(Buffer.alloc(length));
}
