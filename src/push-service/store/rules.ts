// SPDX-License-Identifier: MIT
/** What every store decides alike: epochs, what counts against a quota, when two keys are one. */

import { randomBytes } from "node:crypto";
import { bytesEqual } from "../../bytes.ts";
import {
  DEVICE_MESSAGE_BYTES_MAX,
  DEVICE_MESSAGES_MAX,
  DEVICE_UNSEEN_MS_MAX,
  DEVICE_UNUSED_MS_MAX,
  STORED_MESSAGE_OVERHEAD_BYTES,
} from "../../limits.ts";
import type { DeviceQuota, NewMessage } from "./store.ts";

export const DEVICE_QUOTA: DeviceQuota = {
  messagesMax: DEVICE_MESSAGES_MAX,
  messageBytesMax: DEVICE_MESSAGE_BYTES_MAX,
};

/** A new random store epoch, 1 to 2^48. */
export function newStoreEpoch(): number {
  return 1 + randomBytes(6).readUIntBE(0, 6);
}

/** Bytes a message counts against its device's quota. */
export function quotaBytes({ body, aesgcm }: Pick<NewMessage, "body" | "aesgcm">): number {
  const headerBytes = aesgcm === undefined ? 0 : aesgcm.encryption.length + aesgcm.cryptoKey.length;
  return STORED_MESSAGE_OVERHEAD_BYTES + (body?.length ?? 0) + headerBytes;
}

/** When a device is forgotten as things stand, ms since 1970. `isUsed`: it registered something once. */
export function deviceExpiryMs(
  { createdMs, seenMs }: { readonly createdMs: number; readonly seenMs: number },
  isUsed: boolean,
): number {
  const unseenMs = seenMs + DEVICE_UNSEEN_MS_MAX;
  return isUsed ? unseenMs : Math.min(unseenMs, createdMs + DEVICE_UNUSED_MS_MAX);
}

/** True when both are null or the same point. */
export function sameKey(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : bytesEqual(a, b);
}
