// SPDX-License-Identifier: MIT
/** Sample records of every type and short ways to write and recover journals; no runtime imports, so QuickJS runs it. */
import { concatBytes } from "../../src/bytes.ts";
import { type JournalRecovery, recoverJournal } from "../../src/journal/journal.ts";
import type {
  JournalRecord,
  MessageRecord,
  NotificationRecord,
  OwnerRecord,
  SubscriptionRecord,
} from "../../src/journal/records.ts";
import { plainSealer, type Sealer } from "../../src/journal/seal.ts";
import { checkpointRecords, JournalState } from "../../src/journal/state.ts";
import { JournalWriter } from "../../src/journal/writer.ts";
import { numRuns } from "../properties.ts";

export const BINDING = bytesOf(16, 0xb0);
export const OTHER_BINDING = bytesOf(16, 0xc0);
export const DEVICE_KEY = bytesOf(32, 0x40);

/** `length` bytes counting up from `first`. */
export function bytesOf(length: number, first: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (first + i) & 0xff);
}

/** `length` bytes that occur nowhere else. */
export function secretBytes(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  seededFill(seed * 7919)(bytes);
  return bytes;
}

/** Every offset in [from, to), or every seventh on a slow engine. */
export function* offsets(from: number, to: number): Generator<number> {
  const step = numRuns(50) === 50 ? 1 : 7;
  for (let at = from; at < to; at += step) yield at;
}

/** A repeatable stand-in for a CSPRNG (xorshift32). */
export function seededFill(seed: number): (target: Uint8Array) => void {
  let state = seed | 1;
  return (target) => {
    for (let i = 0; i < target.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      target[i] = state & 0xff;
    }
  };
}

export function subscription(id: number, changes: Partial<SubscriptionRecord> = {}): SubscriptionRecord {
  return {
    type: "subscription",
    id,
    owner: "https://news.example",
    registrationId: bytesOf(16, id),
    applicationServerKey: bytesOf(65, 4),
    mode: "auto",
    userVisibleOnly: true,
    allowAesgcm: false,
    generatedToken: true,
    publicKey: bytesOf(65, 5),
    channel: id + 100,
    expirationTime: null,
    createdEpochMs: 1_760_000_000_000,
    waToken: `wa-token-secret-${id}`,
    privateKey: secretBytes(32, id),
    authSecret: secretBytes(16, 100 + id),
    endpoint: `https://push.example/endpoint-secret-${id}`,
    freshness: "normal",
    usedEpochMs: 1_760_000_050_000,
    ...changes,
  };
}

export function owner(name: string, changes: Partial<OwnerRecord> = {}): OwnerRecord {
  return {
    type: "owner",
    owner: name,
    permission: "granted",
    hasHandler: true,
    paused: false,
    optedOut: false,
    badge: null,
    owesChange: false,
    ...changes,
  };
}

export function message(id: number, changes: Partial<MessageRecord> = {}): MessageRecord {
  return {
    type: "message",
    storeEpoch: 7,
    id,
    channel: 101,
    subscriptionId: 1,
    saysNotification: false,
    urgency: "normal",
    topic: null,
    body: bytesOf(40, id),
    receivedEpochMs: 1_760_000_100_000,
    expiresEpochMs: 1_760_000_200_000,
    attempt: 0,
    handed: false,
    isDeclared: false,
    encryption: null,
    cryptoKey: null,
    ...changes,
  };
}

export function notification(notificationId: number): NotificationRecord {
  return {
    type: "notification",
    notificationId,
    owner: "https://news.example",
    subscriptionId: 1,
    shownEpochMs: 1_760_000_150_000,
    notificationJson: JSON.stringify({ title: "plaintext-secret", data: { nested: [[[[[[1]]]]]] } }),
  };
}

/** At least one record of every type that can be appended, in an order a run could write them. */
export const HISTORY: readonly JournalRecord[] = [
  // Of a reset before all of it.
  { type: "pendingForget" },
  { type: "device", deviceSecret: secretBytes(32, 999) },
  { type: "suspect", storeEpoch: 7, idMax: 12 },
  {
    type: "network",
    label: "wifi:secret-home",
    loMs: 275_000,
    hiMs: 280_000,
    isHiSure: true,
    confidence: 3,
    losses: 1,
    transport: "",
    confirmedEpochMs: 1_700_000_000_000,
  },
  { type: "run", runId: 1 },
  {
    type: "userAgent",
    uaid: bytesOf(16, 1),
    storeEpoch: 7,
    uaToken: "ua-token-secret",
    service: "godwit.v1 push.example",
  },
  owner("https://news.example", { badge: 3 }),
  owner("kiosk.clock", { permission: "prompt", hasHandler: false, badge: true }),
  subscription(1, { channel: null, endpoint: null, expirationTime: null }),
  subscription(1),
  subscription(2, {
    owner: "kiosk.clock",
    mode: "only",
    applicationServerKey: null,
    generatedToken: false,
    expirationTime: 1_790_000_000_000,
  }),
  message(11, { topic: "score", urgency: "high", saysNotification: true }),
  message(12, { body: null }),
  message(13, { subscriptionId: 2 }),
  { type: "messageAttempt", storeEpoch: 7, id: 12, attempt: 2, handed: true },
  notification(1),
  notification(2),
  { type: "messageDone", storeEpoch: 7, id: 11 },
  { type: "handled", storeEpoch: 7, ids: [1, 2, 9_007_199_254_740_991] },
  { type: "notificationClosed", notificationId: 1 },
  { type: "pendingUnregister", channel: 102 },
  { type: "pendingUnregister", channel: 103 },
  { type: "subscriptionRemoved", id: 2 },
  { type: "pendingUnregisterDone", channel: 103 },
  { type: "ownerRemoved", owner: "kiosk.clock" },
  { type: "counters", subscriptionIdMax: 40, notificationIdMax: 30 },
  { type: "choices", paused: true, optedOut: false },
];

/** The state after `records`. */
export function fold(records: readonly JournalRecord[], state = new JournalState()): JournalState {
  for (const record of records) state.apply(record);
  return state;
}

/** A state as plain data that `toEqual` compares. */
export function plain(state: JournalState): unknown {
  return checkpointRecords(state);
}

export function recover(
  segments: readonly Uint8Array[],
  sealer: Sealer | null = plainSealer(),
  deviceBinding: Uint8Array = BINDING,
): JournalRecovery {
  return recoverJournal(segments, { deviceBinding, sealer });
}

export function writerAfter(
  recovery: JournalRecovery,
  sealer: Sealer = plainSealer(),
  seed = 1,
): JournalWriter {
  return new JournalWriter(recovery, { deviceBinding: BINDING, sealer, randomFill: seededFill(seed) });
}

export interface WrittenSegment {
  readonly image: Uint8Array;
  /** Offset at which the checkpoint ends. */
  readonly checkpointEnd: number;
  /** Offset behind each record of `appended`. */
  readonly ends: readonly number[];
}

/** A segment with a checkpoint of `base` and then `appended`, one append each. */
export function writeSegment(
  base: JournalState,
  appended: readonly JournalRecord[],
  sealer: Sealer = plainSealer(),
  generation = 1,
  deviceBinding: Uint8Array = BINDING,
): WrittenSegment {
  const before = { ...recover([]), generation: generation - 1 };
  const writer = new JournalWriter(before, { deviceBinding, sealer, randomFill: seededFill(generation) });
  const parts = [writer.checkpointBytes(base)];
  const checkpointEnd = writer.segmentBytes;
  const ends: number[] = [];
  for (const record of appended) {
    parts.push(writer.appendBytes([record]));
    ends.push(writer.segmentBytes);
  }
  return { image: concatBytes(...parts), checkpointEnd, ends };
}

/** True when `needle` stands somewhere in `bytes`. */
export function includesBytes(bytes: Uint8Array, needle: Uint8Array): boolean {
  for (let at = 0; at + needle.length <= bytes.length; at++) {
    let same = 0;
    while (same < needle.length && bytes[at + same] === needle[same]) same++;
    if (same === needle.length) return true;
  }
  return false;
}

/** ASCII bytes of `text`. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
