// SPDX-License-Identifier: MIT
/** What the declarative specs share: a context, bytes of JSON, and the smallest valid message. */

import { utf8Encode } from "../../src/bytes.ts";
import {
  type DeclarativeResult,
  type GodwitNotification,
  type NotificationContext,
  parseDeclarative,
} from "../../src/declarative/index.ts";

/** Receive time of every message in these specs, ms since 1970. */
export const EPOCH_MS = 1_800_000_000_000;

export const context: NotificationContext = {
  baseUrl: "https://app.example/",
  maxActions: 2,
  epochMs: EPOCH_MS,
};

export function jsonBytes(value: unknown): Uint8Array {
  return utf8Encode(JSON.stringify(value));
}

/** A valid message with further members in its notification and at its top level. */
export function message(notification: object = {}, top: object = {}): Uint8Array {
  return jsonBytes({ web_push: 8030, notification: { title: "T", navigate: "/x", ...notification }, ...top });
}

/** The notification of a message that has to parse. */
export function parsed(bytes: Uint8Array, changes: Partial<NotificationContext> = {}): GodwitNotification {
  const result = parseDeclarative(bytes, { ...context, ...changes });
  if (!result.ok) throw new Error(`expected a notification, got ${result.reason}`);
  return result.notification;
}

/** Why a message does not parse, or null when it does. */
export function reasonOf(result: DeclarativeResult): string | null {
  return result.ok ? null : result.reason;
}
