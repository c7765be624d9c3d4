// SPDX-License-Identifier: MIT
/**
 * Every record of the journal, as the agent writes and reads it. Pure types; their bytes are in record-codec.ts, what they
 * add up to is in state.ts.
 */
import type { Urgency } from "../wire/dialect.ts";

export const SUBSCRIPTION_MODES = ["auto", "auto+explainer", "only", "never"] as const;
/** How a subscription treats declarative messages. */
export type SubscriptionMode = (typeof SUBSCRIPTION_MODES)[number];

export const FRESHNESS = ["normal", "urgent", "relaxed"] as const;
/** How long a dead link may be taken for a live one: 29, 9, 58 minutes. */
export type Freshness = (typeof FRESHNESS)[number];

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
  /** Dialect and host name of the service it is meant for; "" in a record of before this was noted. */
  readonly service: string;
}

/** The service has forgotten the device, or the device was unregistered: no user agent and nothing to forget any more. */
export interface UserAgentRemovedRecord {
  readonly type: "userAgentRemoved";
}

/**
 * A factory reset: all that was recorded before is void but the user agent, which is to be unregistered at the service, the
 * run and the numbers given out. Done with {@link UserAgentRemovedRecord}.
 */
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
  /** How soon its app must be known to be unreachable; caps the heartbeat. */
  readonly freshness: Freshness;
  /** When a message came for it, or its app asked for it, to about a day; 0 when no clock told. */
  readonly usedEpochMs: number;
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
  /** A subscription changed or ended while its app was away: it is told when it comes. */
  readonly owesChange: boolean;
}

/** What a person decided for all owners. */
export interface ChoicesRecord {
  readonly type: "choices";
  readonly paused: boolean;
  readonly optedOut: boolean;
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
  /** True for a declarative message: it is shown as declared when its app does not come. */
  readonly isDeclared: boolean;
  /** Headers of a message in the `aesgcm` coding, null for `aes128gcm`. */
  readonly encryption: string | null;
  readonly cryptoKey: string | null;
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

/**
 * A run crashed: messages up to `idMax` of `storeEpoch` that the service sends again may have been handed out before.
 * `storeEpoch` null: all of them, until the service has told how far it had come.
 */
export interface SuspectRecord {
  readonly type: "suspect";
  readonly storeEpoch: number | null;
  readonly idMax: number;
}

/** What is known of one network: how long it keeps an idle connection. Written again, whole, when it changes. */
export interface NetworkRecord {
  readonly type: "network";
  /** SSID, MCC-MNC, or "" where the host tells none. Sealed: it says where a person is. */
  readonly label: string;
  /** Longest idleness seen to survive, ms. */
  readonly loMs: number;
  /** Shortest seen to fail, ms; null when none. */
  readonly hiMs: number | null;
  /** False while `hiMs` rests on a lost main link only, which may have had other causes. */
  readonly isHiSure: boolean;
  /** Pings answered at the interval since it last changed, at most 255. */
  readonly confidence: number;
  /** Main links lost here. */
  readonly losses: number;
  readonly confirmedEpochMs: number;
  /** The MQTT URL that worked last, "" for WebSocket. */
  readonly transport: string;
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
  | ChoicesRecord
  | OwnerRemovedRecord
  | MessageRecord
  | MessageAttemptRecord
  | MessageDoneRecord
  | NotificationRecord
  | NotificationClosedRecord
  | HandledRecord
  | CountersRecord
  | RunRecord
  | SuspectRecord
  | NetworkRecord
  | CleanRecord
  | EndOfCheckpointRecord;

export type RecordType = JournalRecord["type"];
/** The record of one type. */
export type RecordOf<T extends RecordType> = Extract<JournalRecord, { readonly type: T }>;
