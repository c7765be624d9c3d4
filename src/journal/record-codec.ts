// SPDX-License-Identifier: MIT
/**
 * Journal records and their bytes. One table says which fields a record has, in which order they are written, and which of
 * them are sealed (SPEC.md, "Journal"). Pure; framing is in segment.ts.
 */
import { GodwitError } from "../errors.ts";
import { JOURNAL_RECORD_DEPTH_MAX, JOURNAL_RECORD_ITEMS_MAX } from "../limits.ts";
import { decodeCbor, encodeCbor } from "../wire/cbor.ts";
import { URGENCIES } from "../wire/dialect.ts";
import {
  added,
  boolean,
  bytes,
  countOrFlag,
  epochMs,
  type Field,
  nullable,
  oneOf,
  secret,
  text,
  uint,
  uints,
} from "./fields.ts";
import {
  FRESHNESS,
  type JournalRecord,
  PERMISSIONS,
  type RecordOf,
  type RecordType,
  SUBSCRIPTION_MODES,
} from "./records.ts";
import type { Sealer } from "./seal.ts";

/** Of every record type so far. */
const VERSION = 1;

/**
 * Number and fields of one record type. The order of the fields is their order on disk: a later release may only add at
 * the end, with a `decode` that accepts `undefined`; anything else needs a new version.
 */
interface Layout<R> {
  readonly number: number;
  readonly fields: { readonly [Name in Exclude<keyof R, "type">]: Field<R[Name]> };
}

const LAYOUTS: { readonly [T in RecordType]: Layout<RecordOf<T>> } = {
  endOfCheckpoint: { number: 0, fields: {} },
  device: { number: 1, fields: { deviceSecret: secret(bytes(32)) } },
  userAgent: {
    number: 2,
    fields: {
      uaid: bytes(16),
      storeEpoch: uint,
      uaToken: secret(text),
      service: added(text, ""),
    },
  },
  userAgentRemoved: { number: 3, fields: {} },
  pendingForget: { number: 4, fields: {} },
  subscription: {
    number: 5,
    fields: {
      id: uint,
      owner: text,
      registrationId: bytes(16),
      applicationServerKey: nullable(bytes(65)),
      mode: oneOf(SUBSCRIPTION_MODES),
      userVisibleOnly: boolean,
      allowAesgcm: boolean,
      generatedToken: boolean,
      publicKey: bytes(65),
      channel: nullable(uint),
      expirationTime: nullable(epochMs),
      createdEpochMs: epochMs,
      waToken: secret(nullable(text)),
      privateKey: secret(bytes(32)),
      authSecret: secret(bytes(16)),
      endpoint: secret(nullable(text)),
      freshness: added(oneOf(FRESHNESS), "normal"),
      usedEpochMs: added(epochMs, 0),
    },
  },
  subscriptionRemoved: { number: 6, fields: { id: uint } },
  pendingUnregister: { number: 7, fields: { channel: uint } },
  pendingUnregisterDone: { number: 8, fields: { channel: uint } },
  owner: {
    number: 9,
    fields: {
      owner: text,
      permission: oneOf(PERMISSIONS),
      hasHandler: boolean,
      paused: boolean,
      optedOut: boolean,
      badge: nullable(countOrFlag),
      owesChange: added(boolean, false),
    },
  },
  ownerRemoved: { number: 10, fields: { owner: text } },
  message: {
    number: 11,
    fields: {
      storeEpoch: uint,
      id: uint,
      channel: uint,
      subscriptionId: uint,
      saysNotification: boolean,
      urgency: oneOf(URGENCIES),
      topic: nullable(text),
      body: nullable(bytes()),
      receivedEpochMs: epochMs,
      expiresEpochMs: epochMs,
      attempt: uint,
      handed: boolean,
      isDeclared: boolean,
      encryption: added(nullable(text), null),
      cryptoKey: added(nullable(text), null),
    },
  },
  messageAttempt: {
    number: 12,
    fields: { storeEpoch: uint, id: uint, attempt: uint, handed: boolean },
  },
  messageDone: { number: 13, fields: { storeEpoch: uint, id: uint } },
  notification: {
    number: 14,
    fields: {
      notificationId: uint,
      owner: text,
      subscriptionId: nullable(uint),
      shownEpochMs: epochMs,
      notificationJson: secret(text),
    },
  },
  notificationClosed: { number: 15, fields: { notificationId: uint } },
  handled: { number: 16, fields: { storeEpoch: uint, ids: uints } },
  counters: { number: 17, fields: { subscriptionIdMax: uint, notificationIdMax: uint } },
  run: { number: 18, fields: { runId: uint } },
  clean: { number: 19, fields: {} },
  suspect: { number: 20, fields: { storeEpoch: nullable(uint), idMax: uint } },
  network: {
    number: 21,
    fields: {
      label: secret(text),
      loMs: uint,
      hiMs: nullable(uint),
      isHiSure: boolean,
      confidence: uint,
      losses: uint,
      confirmedEpochMs: epochMs,
      transport: added(text, ""),
    },
  },
  choices: { number: 22, fields: { paused: boolean, optedOut: boolean } },
};

/** The bytes of one record, before framing. */
export interface EncodedRecord {
  /** CBOR array [number, version, ...fields that are not secret]. */
  readonly clear: Uint8Array;
  /** The sealed CBOR array of the secret fields, bound to every byte of `clear`; empty when there are none. */
  readonly sealed: Uint8Array;
}

/**
 * Bytes of `record`, its secrets sealed.
 *
 * @throws {GodwitError} ERR_JOURNAL_RECORD when a byte array has the wrong length, ERR_CBOR_VALUE as encodeCbor
 */
export function encodeRecord(record: JournalRecord, sealer: Sealer): EncodedRecord {
  const layout: AnyLayout = LAYOUTS[record.type];
  const clear: unknown[] = [layout.number, VERSION];
  const secrets: unknown[] = [];
  for (const [name, field] of Object.entries(layout.fields)) {
    const value = field.encode((record as unknown as Record<string, unknown>)[name]);
    if (field.isSecret) secrets.push(value);
    else clear.push(value);
  }
  const clearBytes = encodeCbor(clear);
  if (secrets.length === 0) return { clear: clearBytes, sealed: EMPTY };
  const plain = encodeCbor(secrets);
  const sealed = sealer.seal(plain, clearBytes);
  plain.fill(0);
  return { clear: clearBytes, sealed };
}

/**
 * The record in `encoded`, or null when its number or version is of a later release: such a record is skipped, not kept,
 * since nobody here could say when it is obsolete. Byte arrays of the result are copies.
 *
 * @throws {GodwitError} ERR_JOURNAL_SEAL when the sealed part does not open; ERR_CBOR_* or ERR_JOURNAL_RECORD when the
 *   record is not what it should be
 */
export function decodeRecord(encoded: EncodedRecord, sealer: Pick<Sealer, "open">): JournalRecord | null {
  const clear = decodeArray(encoded.clear);
  const type = TYPE_OF_NUMBER.get(clear[0]);
  if (type === undefined || clear[1] !== VERSION) return null;
  const layout: AnyLayout = LAYOUTS[type];
  const fields = Object.entries(layout.fields);
  const plain = fields.some(([, field]) => field.isSecret)
    ? sealer.open(encoded.sealed, encoded.clear)
    : EMPTY;
  try {
    const secrets = plain.length > 0 ? decodeArray(plain) : [];
    const record: Record<string, unknown> = { type };
    let clearAt = 2;
    let secretAt = 0;
    for (const [name, field] of fields) {
      record[name] = field.decode(field.isSecret ? secrets[secretAt++] : clear[clearAt++]);
    }
    return record as unknown as JournalRecord;
  } finally {
    plain.fill(0);
  }
}

type AnyLayout = {
  readonly number: number;
  readonly fields: Record<string, Field<unknown>>;
};

const EMPTY = new Uint8Array(0);
const LIMITS = { depthMax: JOURNAL_RECORD_DEPTH_MAX, itemsMax: JOURNAL_RECORD_ITEMS_MAX };
const TYPE_OF_NUMBER: ReadonlyMap<unknown, RecordType> = new Map(
  (Object.keys(LAYOUTS) as RecordType[]).map((type) => [LAYOUTS[type].number, type]),
);

function decodeArray(bytesOfArray: Uint8Array): readonly unknown[] {
  const value = decodeCbor(bytesOfArray, LIMITS);
  if (!Array.isArray(value)) throw new GodwitError("ERR_JOURNAL_RECORD", "a record is an array");
  return value;
}
