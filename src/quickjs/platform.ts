// SPDX-License-Identifier: MIT
/** Clock, timers, randomness and cryptography of the firmware scripts, all from the bridge. */

import type { Instant } from "../agent/events.ts";
import type { Platform } from "../user-agent/platform.ts";
import type { CryptoProvider, KeyPair, RandomFill } from "../webpush/crypto.ts";
import { nobleSigningProvider } from "../webpush/noble-signing.ts";
import type { Bridge } from "./bridge.d.ts";
import { createBridgeProvider, type DeviceProvider } from "./provider.ts";
import { Timers } from "./timers.ts";

export class BridgePlatform implements Platform {
  readonly randomFill: RandomFill;
  readonly timers: Timers;
  readonly #bridge: Bridge;
  readonly #provider: DeviceProvider;

  constructor(bridge: Bridge) {
    this.#bridge = bridge;
    this.#provider = bridge.crypto === null ? nobleSigningProvider : createBridgeProvider(bridge.crypto);
    this.timers = new Timers(bridge);
    this.randomFill = (target) => bridge.randomFill(target);
  }

  get provider(): CryptoProvider {
    return this.#provider;
  }

  now(): Instant {
    return {
      monotonicMs: Math.floor(this.#bridge.monotonicMs()),
      epochMs: this.#bridge.epochMs(),
      epochTrusted: this.#bridge.isEpochTrusted(),
    };
  }

  monotonicMs(): number {
    return this.#bridge.monotonicMs();
  }

  epochMs(): number {
    return this.#bridge.epochMs();
  }

  after(delayMs: number, action: () => void): () => void {
    return this.timers.after(delayMs, action);
  }

  sign(keys: KeyPair, data: Uint8Array): Uint8Array {
    return this.#provider.sign(keys, data);
  }
}
