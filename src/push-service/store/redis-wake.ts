// SPDX-License-Identifier: MIT
/**
 * What the nodes of one push service tell each other, as bytes: CBOR arrays that begin with {@link WAKE_FORMAT} and the type.
 * A node that gets another format reads the store again instead.
 */

import { GodwitError } from "../../errors.ts";
import { decodeCbor, encodeCbor } from "../../wire/cbor.ts";
import { REVOKE_REASONS } from "../../wire/dialect.ts";
import type { ServiceEvent } from "../hub.ts";
import { storedMessage } from "./redis-records.ts";

const WAKE_FORMAT = 1;
const TYPE = { replaced: 0, stored: 1, ephemeral: 2, withdrawn: 3, revoked: 4, beat: 5, reread: 6 } as const;

/** Something happened to a device whose link the node that hears it holds, by `fence`. */
export interface Wake {
  /** 16 bytes. */
  readonly uaid: Uint8Array;
  readonly fence: number;
  readonly event: ServiceEvent;
}

/** What is told beside device and fence. `value`: the message as it is stored. */
export type News =
  | { readonly type: "replaced" }
  | {
      readonly type: "stored";
      readonly id: number;
      readonly replacedId: number | null;
      readonly value: Uint8Array;
    }
  | { readonly type: "ephemeral"; readonly id: number; readonly value: Uint8Array }
  | { readonly type: "withdrawn"; readonly id: number }
  | { readonly type: "revoked"; readonly channel: number; readonly reason: (typeof REVOKE_REASONS)[number] };

/** A node says it to itself, to know that it hears. */
export const BEAT: Uint8Array = encodeCbor([WAKE_FORMAT, TYPE.beat]);

/** To a node that may not have heard something: whatever it was, the store has it. */
export const REREAD: Uint8Array = encodeCbor([WAKE_FORMAT, TYPE.reread]);

export function encodeWake(uaid: Uint8Array, fence: number, news: News): Uint8Array {
  return encodeCbor([WAKE_FORMAT, TYPE[news.type], uaid, fence, ...fieldsOf(news)]);
}

/** @throws {GodwitError} ERR_CBOR_* another version wrote it */
export function parseWake(bytes: Uint8Array): Wake | "beat" | "reread" {
  const fields = decodeCbor(bytes, { depthMax: 1, itemsMax: 16 });
  if (!Array.isArray(fields) || fields[0] !== WAKE_FORMAT)
    throw new GodwitError("ERR_CBOR_VALUE", "another version of the push service said something");
  const [, type, uaid, fence, ...rest] = fields as [number, number, Uint8Array, number, ...unknown[]];
  if (type === TYPE.beat) return "beat";
  if (type === TYPE.reread) return "reread";
  // It views what was received.
  return { uaid: uaid.slice(), fence, event: eventOf(type, rest) };
}

function fieldsOf(news: News): unknown[] {
  switch (news.type) {
    case "replaced":
      return [];
    case "stored":
      return [news.id, news.replacedId, news.value];
    case "ephemeral":
      return [news.id, news.value];
    case "withdrawn":
      return [news.id];
    case "revoked":
      return [news.channel, REVOKE_REASONS.indexOf(news.reason)];
  }
}

function eventOf(type: number, fields: unknown[]): ServiceEvent {
  const [first, second, third] = fields as [number, never, never];
  switch (type) {
    case TYPE.stored:
      return { type: "stored", message: storedMessage(first, third, false), replacedId: second };
    case TYPE.ephemeral:
      return { type: "ephemeral", message: storedMessage(first, second, false) };
    case TYPE.withdrawn:
      return { type: "withdrawn", id: first };
    case TYPE.revoked:
      return { type: "revoked", channel: first, reason: REVOKE_REASONS[second] ?? "expired" };
    default:
      return { type: "goodbye", reason: "replaced", retryAfterS: 0 };
  }
}
