// SPDX-License-Identifier: MIT
/**
 * Every record of the journal and its bytes. One table below says which fields a record has, in which order they are
 * written, and which of them are sealed (SPEC.md, "Journal"). Pure; framing is in segment.ts, folding in state.ts.
 */
import { GodwitError } from "../errors.ts";
import { JOURNAL_RECORD_DEPTH_MAX, JOURNAL_RECORD_ITEMS_MAX } from "../limits.ts";
import { decodeCbor, encodeCbor } from "../wire/cbor.ts";
import { URGENCIES, type Urgency } from "../wire/dialect.ts";
import {
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
import type { Sealer } from "./seal.ts";

export const SUBSCRIPTION_MODES = ["auto", "auto+explainer", "only", "never"] as const;
/** How a subscription treats declarative messages. */
export type SubscriptionMode = (typeof SUBSCRIPTION_MODES)[number];

export const PERMISSIONS = ["prompt", "granted", "denied"] as const;
/** What the person answered for an owner. */
export type OwnerPermission = (typeof PERMISSIONS)[number];

/** Made once per device; registration ids are HMACs under it. */
export interface DeviceRecord {
  readonly type: "device";
  /** 32 bytes, sealed. */
  readonly deviceSecret: Uint8Array;
}

/** What the push service knows this device as. A new one replaces it. */
export interface UserAgentRecord {
  readonly type: "userAgent";
  /** 16 bytes. */
  readonly uaid: Uint8Array;
  /** Message ids are comparable only within one store epoch. */
  readonly storeEpoch: number;
  /** Sealed. */
  readonly uaToken: string;
  /** Still tried when the service does not know `uaToken` yet. Sealed. */
  readonly previousUaToken: string | null;
}

/** The service has forgotten the device, or the device was unregistered: no user agent and nothing to forget any more. */
export interface UserAgentRemovedRecord {
  readonly type: "userAgentRemoved";
}

/** The whole device is to be unregistered at the service. Done with {@link UserAgentRemovedRecord}. */
export interface PendingForgetRecord {
  readonly type: "pendingForget";
}

/** One registration of one owner. Written again, whole, whenever something changes; apps see those with an endpoint. */
export interface SubscriptionRecord {
  readonly type: "subscription";
  /** Local number, from 1, never used again. */
  readonly id: number;
  readonly owner: string;
  /** 16 bytes. */
  readonly registrationId: Uint8Array;
  /** 65 bytes, uncompressed P-256 point, or null. */
  readonly applicationServerKey: Uint8Array | null;
  readonly mode: SubscriptionMode;
  readonly userVisibleOnly: boolean;
  readonly allowAesgcm: boolean;
  /** True when the agent made the WAToken, false when it is the app's own. */
  readonly generatedToken: boolean;
  /** 65 bytes. */
  readonly publicKey: Uint8Array;
  /** null while the registration is pending. */
  readonly channel: number | null;
  /** ms since 1970, or null for none. */
  readonly expirationTime: number | null;
  readonly createdEpochMs: number;
  /** Sealed. */
  readonly waToken: string | null;
  /** 32 bytes, sealed. */
  readonly privateKey: Uint8Array;
  /** 16 bytes, sealed. */
  readonly authSecret: Uint8Array;
  /** null while the registration is pending. Sealed. */
  readonly endpoint: string | null;
}

/** The subscription and its waiting messages are gone. */
export interface SubscriptionRemovedRecord {
  readonly type: "subscriptionRemoved";
  readonly id: number;
}

/** The service is still to be told that `channel` ended here. */
export interface PendingUnregisterRecord {
  readonly type: "pendingUnregister";
  readonly channel: number;
}

export interface PendingUnregisterDoneRecord {
  readonly type: "pendingUnregisterDone";
  readonly channel: number;
}

/** What a person decided about one owner, and what the agent learned of it. Written again, whole, on each change. */
export interface OwnerRecord {
  readonly type: "owner";
  readonly owner: string;
  readonly permission: OwnerPermission;
  readonly hasHandler: boolean;
  readonly paused: boolean;
  readonly optedOut: boolean;
  /** A count, true for a bare flag, null for none. */
  readonly badge: number | true | null;
}

export interface OwnerRemovedRecord {
  readonly type: "ownerRemoved";
  readonly owner: string;
}

/** A push message kept here instead of at the service, still encrypted. */
export interface MessageRecord {
  readonly type: "message";
  readonly storeEpoch: number;
  readonly id: number;
  readonly channel: number;
  readonly subscriptionId: number;
  readonly saysNotification: boolean;
  readonly urgency: Urgency;
  readonly topic: string | null;
  /** The body as it came, or null for none. */
  readonly body: Uint8Array | null;
  readonly receivedEpochMs: number;
  readonly expiresEpochMs: number;
  /** Deliveries tried so far. */
  readonly attempt: number;
  /** True when an app has been handed the message before. */
  readonly handed: boolean;
}

/** Changes `attempt` and `handed` of a waiting message without writing its body again. */
export interface MessageAttemptRecord {
  readonly type: "messageAttempt";
  readonly storeEpoch: number;
  readonly id: number;
  readonly attempt: number;
  readonly handed: boolean;
}

/** The message is dealt with: it no longer waits, and its id joins the handled ones. */
export interface MessageDoneRecord {
  readonly type: "messageDone";
  readonly storeEpoch: number;
  readonly id: number;
}

/** A notification on the screen or in the tray. */
export interface NotificationRecord {
  readonly type: "notification";
  /** Local number, from 1, never used again. */
  readonly notificationId: number;
  readonly owner: string;
  /** null when the app showed it outside of a message. */
  readonly subscriptionId: number | null;
  readonly shownEpochMs: number;
  /** The notification as JSON text: its data nests deeper than records may. Sealed: it was end-to-end encrypted. */
  readonly notificationJson: string;
}

export interface NotificationClosedRecord {
  readonly type: "notificationClosed";
  readonly notificationId: number;
}

/** Message ids dealt with, oldest first. Joins what is known of the same store epoch; another epoch replaces it. */
export interface HandledRecord {
  readonly type: "handled";
  readonly storeEpoch: number;
  readonly ids: readonly number[];
}

/** Highest local numbers ever given out, so that a checkpoint without their bearers does not free them. */
export interface CountersRecord {
  readonly type: "counters";
  readonly subscriptionIdMax: number;
  readonly notificationIdMax: number;
}

/** A run of the agent began. */
export interface RunRecord {
  readonly type: "run";
  readonly runId: number;
}

/** The run ended in order. Means something only as the very last record. */
export interface CleanRecord {
  readonly type: "clean";
}

/** Ends the checkpoint at the beginning of a segment; without it the checkpoint is incomplete. */
export interface EndOfCheckpointRecord {
  readonly type: "endOfCheckpoint";
}

export type JournalRecord =
  | DeviceRecord
  | UserAgentRecord
  | UserAgentRemovedRecord
  | PendingForgetRecord
  | SubscriptionRecord
  | SubscriptionRemovedRecord
  | PendingUnregisterRecord
  | PendingUnregisterDoneRecord
  | OwnerRecord
  | OwnerRemovedRecord
  | MessageRecord
  | MessageAttemptRecord
  | MessageDoneRecord
  | NotificationRecord
  | NotificationClosedRecord
  | HandledRecord
  | CountersRecord
  | RunRecord
  | CleanRecord
  | EndOfCheckpointRecord;

export type RecordType = JournalRecord["type"];
type RecordOf<T extends RecordType> = Extract<JournalRecord, { readonly type: T }>;

/**
 * Number, version and fields of one record type. The order of the fields is their order on disk: a later release may
 * only add at the end, with a `decode` that accepts `undefined`; anything else needs a new `version`.
 */
interface Layout<R> {
  readonly number: number;
  readonly version: number;
  readonly fields: { readonly [Name in Exclude<keyof R, "type">]: Field<R[Name]> };
}

const LAYOUTS: { readonly [T in RecordType]: Layout<RecordOf<T>> } = {
  endOfCheckpoint: { number: 0, version: 1, fields: {} },
  device: { number: 1, version: 1, fields: { deviceSecret: secret(bytes(32)) } },
  userAgent: {
    number: 2,
    version: 1,
    fields: {
      uaid: bytes(16),
      storeEpoch: uint,
      uaToken: secret(text),
      previousUaToken: secret(nullable(text)),
    },
  },
  userAgentRemoved: { number: 3, version: 1, fields: {} },
  pendingForget: { number: 4, version: 1, fields: {} },
  subscription: {
    number: 5,
    version: 1,
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
    },
  },
  subscriptionRemoved: { number: 6, version: 1, fields: { id: uint } },
  pendingUnregister: { number: 7, version: 1, fields: { channel: uint } },
  pendingUnregisterDone: { number: 8, version: 1, fields: { channel: uint } },
  owner: {
    number: 9,
    version: 1,
    fields: {
      owner: text,
      permission: oneOf(PERMISSIONS),
      hasHandler: boolean,
      paused: boolean,
      optedOut: boolean,
      badge: nullable(countOrFlag),
    },
  },
  ownerRemoved: { number: 10, version: 1, fields: { owner: text } },
  message: {
    number: 11,
    version: 1,
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
    },
  },
  messageAttempt: {
    number: 12,
    version: 1,
    fields: { storeEpoch: uint, id: uint, attempt: uint, handed: boolean },
  },
  messageDone: { number: 13, version: 1, fields: { storeEpoch: uint, id: uint } },
  notification: {
    number: 14,
    version: 1,
    fields: {
      notificationId: uint,
      owner: text,
      subscriptionId: nullable(uint),
      shownEpochMs: epochMs,
      notificationJson: secret(text),
    },
  },
  notificationClosed: { number: 15, version: 1, fields: { notificationId: uint } },
  handled: { number: 16, version: 1, fields: { storeEpoch: uint, ids: uints } },
  counters: { number: 17, version: 1, fields: { subscriptionIdMax: uint, notificationIdMax: uint } },
  run: { number: 18, version: 1, fields: { runId: uint } },
  clean: { number: 19, version: 1, fields: {} },
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
  const clear: unknown[] = [layout.number, layout.version];
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
export function decodeRecord(encoded: EncodedRecord, sealer: Sealer): JournalRecord | null {
  const clear = decodeArray(encoded.clear);
  const type = TYPE_OF_NUMBER.get(clear[0]);
  if (type === undefined) return null;
  const layout: AnyLayout = LAYOUTS[type];
  if (clear[1] !== layout.version) return null;
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
  readonly version: number;
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
