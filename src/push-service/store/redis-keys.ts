// SPDX-License-Identifier: MIT
/**
 * Keys of the Redis store and the slots they are in. All keys of a device have its uaid as hash tag, and the index of a slot
 * has a tag of that slot, so that one script may touch both, wherever the slot goes.
 */

import { hexEncode } from "../../bytes.ts";

/** Hash slots of a Redis Cluster. */
export const SLOTS = 16_384;

/** What scripts about one device are given as KEYS, in this order. */
export interface DeviceKeys {
  readonly slot: number;
  /** Member of the index of due devices. */
  readonly name: string;
  readonly keys: readonly [device: string, queue: string, due: string, messages: string];
}

export class RedisKeys {
  readonly #prefix: string;
  readonly #tags = slotTags();

  /** @param prefix first part of every key, so that several push services can share a cluster */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Format version and epoch. */
  get meta(): string {
    return `${this.#prefix}:meta`;
  }

  /** `uaid`: 16 bytes. */
  ofDevice(uaid: Uint8Array): DeviceKeys {
    const name = hexEncode(uaid);
    const own = `${this.#prefix}:{${name}}`;
    const slot = slotOf(own);
    const index = `${this.indexPrefix}${this.#tags[slot]}}`;
    return { slot, name, keys: [`${own}:device`, `${own}:queue`, `${index}:due`, `${index}:messages`] };
  }

  /** That a message was put or the device claimed: kept for as long as whoever had no answer may try once more. */
  ofOperation(uaid: Uint8Array, operation: string): string {
    return `${this.#prefix}:{${hexEncode(uaid)}}:done:${operation}`;
  }

  /** Which node acts on something that all of them heard of a device. */
  ofElection(uaid: Uint8Array, what: string): string {
    return `${this.#prefix}:{${hexEncode(uaid)}}:elected:${what}`;
  }

  /** Which node sweeps. */
  get sweep(): string {
    return `${this.#prefix}:sweep`;
  }

  /** The sharded channel of one node of the push service. */
  ofNode(nodeId: string): string {
    return `${this.#prefix}:{${nodeId}}:node`;
  }

  /** A hash tag of each slot, by slot. */
  get tags(): readonly string[] {
    return this.#tags;
  }

  /** What stands in front of a slot's tag in the keys of its index. */
  get indexPrefix(): string {
    return `${this.#prefix}:{`;
  }
}

/** The slot of a key: CRC-16/XMODEM of its hash tag, or of all of it. */
export function slotOf(key: string): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open + 1);
  return crc16(close > open + 1 ? key.slice(open + 1, close) : key) % SLOTS;
}

/** The first number, in base 36, that falls into each slot: found by trying, some 160,000 of them. */
function slotTags(): readonly string[] {
  const tags = new Array<string>(SLOTS).fill("");
  let left = SLOTS;
  for (let number = 0; left > 0; number++) {
    const tag = number.toString(36);
    const slot = crc16(tag) % SLOTS;
    if (tags[slot] !== "") continue;
    tags[slot] = tag;
    left--;
  }
  return tags;
}

/** Of ASCII text. */
function crc16(text: string): number {
  let crc = 0;
  for (let at = 0; at < text.length; at++)
    crc = ((crc << 8) & 0xffff) ^ (CRC_TABLE[((crc >> 8) ^ text.charCodeAt(at)) & 0xff] ?? 0);
  return crc;
}

const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});
