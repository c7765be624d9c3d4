// SPDX-License-Identifier: MIT
/** From a message as POSTed to one as handed to a session. Pure. */

import type { NewMessage, StoredMessage } from "./store.ts";

/** `message` as it is stored, or handed out without that, by the run of the service that took it. The body is the same array. */
export function storedMessageOf(message: NewMessage, channel: number, id: number): StoredMessage {
  const { receivedMs, ttlS, urgency, topic, saysNotification, body, aesgcm } = message;
  const expiresMs = receivedMs + ttlS * 1000;
  const described = { receivedMs, expiresMs, urgency, topic, saysNotification, body };
  const stored = { id, channel, ...described, mayHaveBeenSent: false };
  return aesgcm === undefined ? stored : { ...stored, aesgcm };
}
