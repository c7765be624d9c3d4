// SPDX-License-Identifier: MIT
/**
 * Device records of the LMDB store. In a group commit many messages come and go for few devices: each device that a transaction
 * touches is read once and written once, behind all the operations.
 */

import type { RootDatabase } from "lmdb";
import { deviceKey } from "./lmdb-keys.ts";
import { type DeviceState, deviceState, deviceValue } from "./lmdb-records.ts";

/** A device within one transaction. */
interface Device {
  readonly uaid: Uint8Array;
  /** Null: there is none. */
  state: DeviceState | null;
  isChanged: boolean;
}

export class LmdbDevices {
  readonly #database: RootDatabase<unknown, Uint8Array>;
  /** What the transaction under way has read, by the characters of the uaid; null outside of one. */
  #open: Map<string, Device> | null = null;

  constructor(database: RootDatabase<unknown, Uint8Array>) {
    this.#database = database;
  }

  /** Called inside a transaction: runs its `operations`, then writes the devices they changed. */
  within<T>(operations: () => T): T {
    const open = new Map<string, Device>();
    this.#open = open;
    try {
      const result = operations();
      for (const device of open.values()) if (device.isChanged) this.#write(device);
      return result;
    } finally {
      this.#open = null;
    }
  }

  get(uaid: Uint8Array): DeviceState | null {
    return this.#open === null ? this.#read(uaid) : this.#deviceIn(this.#open, uaid).state;
  }

  /** Inside {@link within} only. `uaid` is borrowed until that ends; a null `state` removes the device. */
  put(uaid: Uint8Array, state: DeviceState | null): void {
    if (this.#open === null) throw new RangeError("no transaction");
    const device = this.#deviceIn(this.#open, uaid);
    device.state = state;
    device.isChanged = true;
  }

  #deviceIn(open: Map<string, Device>, uaid: Uint8Array): Device {
    // Copied: what is asked for its buffer gets one outside of the heap, for as long as it lives.
    const name = Buffer.from(uaid).toString("latin1");
    const known = open.get(name);
    if (known !== undefined) return known;
    const device = { uaid, state: this.#read(uaid), isChanged: false };
    open.set(name, device);
    return device;
  }

  #read(uaid: Uint8Array): DeviceState | null {
    const value = this.#database.get(deviceKey(uaid));
    return value === undefined ? null : deviceState(value);
  }

  /** Inside a synchronous transaction a write is done on return; the promises are for asynchronous ones. */
  #write({ uaid, state }: Device): void {
    if (state === null) void this.#database.remove(deviceKey(uaid));
    else void this.#database.put(deviceKey(uaid), deviceValue(state));
  }
}
