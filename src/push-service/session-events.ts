// SPDX-License-Identifier: MIT
/**
 * The whole vocabulary between a device session and its host: options, events in, effects out, and the table of phases.
 * Types and data only. Pure.
 */

import type {
  AckCode,
  ByeReason,
  Conditions,
  Downstream,
  IdRange,
  RevokeReason,
  Status,
  Upstream,
} from "../wire/dialect.ts";
import type { Attempt, Instant } from "./outbox.ts";
import type { SparseMap } from "./sparse-map.ts";
import type { ChannelRecord, StoredMessage } from "./store/store.ts";

/**
 * Told of each message that was sent over the link when its device acknowledges it: ms since the service accepted it. May be
 * negative where clocks of several nodes differ.
 */
export type Delivered = (delayMs: number) => void;

/** What all sessions of a service share. */
export interface SessionSettings {
  readonly storeEpoch: number;
  readonly reconnectSpreadS: number;
  /** What a balancer or proxy in front allows a silent link; null for none. */
  readonly idleLimitS: number | null;
  /** A longer heartbeat counts as this; default `HEARTBEAT_S_MAX`. */
  readonly heartbeatSMax?: number;
  /** Path of the canary responder, or null. */
  readonly canary: string | null;
  readonly delivered?: Delivered;
}

export interface SessionOptions {
  readonly settings: SessionSettings;
  /** 16 bytes. */
  readonly uaid: Uint8Array;
  readonly conditions: Conditions;
  /** 8 bytes: what the device believes its channels are. */
  readonly channelsDigest: Uint8Array;
  /** How often messages of this device were sent; outlives the session, changed by it. */
  readonly attempts: SparseMap<number, Attempt>;
}

/** What the store knew of the device when its link opened. */
export interface DeviceSnapshot {
  /** The revoked ones with their reason. */
  readonly channels: readonly Pick<ChannelRecord, "channel" | "registrationId" | "revoked">[];
  readonly freshUaToken: string | null;
  /** Highest message id given out so far, 0 for none. */
  readonly lastId: number;
}

/** One link as its host runs it: drain `poll` after every `handle`. Both are of one dialect, `Up` and `Down` its messages. */
export interface DeviceSession<Up = Upstream, Down = Downstream> {
  readonly phase: Phase;
  handle(event: SessionEvent<Up>, now: Instant): void;
  poll(): SessionEffect<Down> | undefined;
}

export type SessionEvent<Up = Upstream> =
  /** The link can carry frames. Events that come earlier count all the same. */
  | { readonly type: "opened"; readonly device: DeviceSnapshot }
  | { readonly type: "upstream"; readonly message: Up }
  /** A frame that could not be read; `status` 501 for a type this service does not know. */
  | { readonly type: "malformed"; readonly status: Status; readonly text: string }
  /** The device showed life without a frame (a ping). */
  | { readonly type: "activity" }
  | { readonly type: "stored"; readonly message: StoredMessage; readonly replacedId: number | null }
  /** TTL 0: send now or never. */
  | { readonly type: "ephemeral"; readonly message: StoredMessage }
  | { readonly type: "withdrawn"; readonly id: number }
  | { readonly type: "revoked"; readonly channel: number; readonly reason: RevokeReason }
  /** Answers to effects. `loadFailed`, `isRemoved` false and status 503 mean that the store changed nothing. */
  | { readonly type: "loaded"; readonly messages: readonly StoredMessage[]; readonly complete: boolean }
  | { readonly type: "loadFailed" }
  | { readonly type: "acked"; readonly operationId: number; readonly isRemoved: boolean }
  | {
      readonly type: "registered";
      readonly operationId: number;
      readonly status: Status;
      /** 0 and "" unless the status is 200. */
      readonly channel: number;
      readonly endpoint: string;
    }
  | { readonly type: "unregistered"; readonly operationId: number; readonly status: Status }
  | { readonly type: "forgotten"; readonly operationId: number; readonly status: Status }
  /** Something may have been stored, withdrawn or revoked unheard: only the store knows. */
  | { readonly type: "missed" }
  /** The link's queue went over or back under its bound. */
  | { readonly type: "congested"; readonly isCongested: boolean }
  | { readonly type: "alarm" }
  /** The service ends the session. */
  | { readonly type: "goodbye"; readonly reason: ByeReason; readonly retryAfterS: number }
  | { readonly type: "linkClosed" };

export type SessionEffect<Down = Downstream> =
  | { readonly type: "send"; readonly message: Down }
  /** A ping of the transport's; any sign of life answers it. */
  | { readonly type: "ping" }
  | { readonly type: "load"; readonly afterId: number; readonly limit: number }
  | {
      readonly type: "ack";
      readonly operationId: number;
      readonly ranges: readonly IdRange[];
      readonly code: AckCode;
    }
  | {
      readonly type: "register";
      readonly operationId: number;
      readonly registrationId: Uint8Array;
      readonly applicationServerKey: Uint8Array | null;
    }
  | { readonly type: "unregister"; readonly operationId: number; readonly channel: number }
  | { readonly type: "forget"; readonly operationId: number }
  /** Replaces the one alarm; monotonic ms, null for none. */
  | { readonly type: "setAlarm"; readonly atMs: number | null }
  /** The last effect: send what is queued, then close. */
  | { readonly type: "close"; readonly reason: ByeReason };

/** Where a session stands. */
export type Phase = "opening" | "open" | "leaving" | "closed";

/** Phase × what happened → next phase. What is not listed is ignored in that phase. */
export const PHASES = {
  opening: { opened: "open", goodbye: "closed", linkClosed: "closed" },
  open: { unregisterUa: "leaving", goodbye: "closed", linkClosed: "closed" },
  leaving: { forgotten: "closed", forgetFailed: "open", goodbye: "closed", linkClosed: "closed" },
  closed: {},
} as const satisfies Record<Phase, Readonly<Record<string, Phase>>>;

export type Transition = { [P in Phase]: keyof (typeof PHASES)[P] }[Phase];

/** The phase after `transition`, or null where it is ignored. */
export function phaseAfter(phase: Phase, transition: Transition): Phase | null {
  const row: Partial<Record<Transition, Phase>> = PHASES[phase];
  return row[transition] ?? null;
}
