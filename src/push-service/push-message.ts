// SPDX-License-Identifier: MIT
/**
 * What a POST to an endpoint says of its message (RFC 8030 §5, RFC 8291, and the drafts before it that senders still use). Reads
 * headers; neither the ciphertext nor the keys in them are anybody's here but the user agent's.
 */

import type { IncomingHttpHeaders } from "node:http";
import { isNotificationContentType } from "../declarative/disposition.ts";
import { ENCRYPTION_HEADER_CHARS_MAX, TOPIC_CHARS_MAX, TTL_S_MAX } from "../limits.ts";
import { type AesgcmHeaders, type DeviceDialect, URGENCIES, type Urgency } from "../wire/dialect.ts";
import { HttpError } from "./http-errors.ts";
import type { NewMessage } from "./store/store.ts";

/**
 * The message of `body`, as headers describe it. Checks in autopush's order: TTL there, coding, TTL's sign, Topic; then Urgency.
 *
 * @param dialect what the endpoint's device speaks: the `aesgcm` coding exists in autopush only
 * @throws {HttpError} ttlMissing, encoding, ttlNegative, topic, urgency
 */
export function parsePushMessage(
  headers: IncomingHttpHeaders,
  body: Uint8Array,
  dialect: DeviceDialect,
  receivedMs: number,
): NewMessage {
  const ttl = header(headers, "ttl") ?? "";
  if (!/^[+-]?\d+$/.test(ttl)) throw new HttpError("ttlMissing");
  const aesgcm = body.length > 0 ? parseCoding(headers, dialect) : null;
  const ttlS = Math.min(Number(ttl), TTL_S_MAX);
  if (ttlS < 0) throw new HttpError("ttlNegative");
  return {
    ttlS,
    topic: parseTopic(header(headers, "topic")),
    urgency: parseUrgency(header(headers, "urgency")),
    saysNotification: isNotificationContentType(headers["content-type"] ?? null),
    body: body.length === 0 ? null : body,
    ...(aesgcm === null ? {} : { aesgcm }),
    receivedMs,
  };
}

/**
 * The value of member `name` in an `Encryption` or `Crypto-Key` header, quote marks taken off; null when there is none. Of
 * several the first. Reads past whatever else is there: which keys a sender names in which list is between it and the user agent.
 */
export function memberOf(headers: IncomingHttpHeaders, headerName: string, name: string): string | null {
  for (const part of (header(headers, headerName) ?? "").split(/[;,]/)) {
    const at = part.indexOf("=");
    if (at === -1 || part.slice(0, at).trim().toLowerCase() !== name) continue;
    return part
      .slice(at + 1)
      .trim()
      .replaceAll('"', "");
  }
  return null;
}

/** The headers of an `aesgcm` message, or null for `aes128gcm`, whose body holds all there is to say. */
function parseCoding(headers: IncomingHttpHeaders, dialect: DeviceDialect): AesgcmHeaders | null {
  const salt = memberOf(headers, "encryption", "salt");
  const dh = memberOf(headers, "crypto-key", "dh");
  const coding = headers["content-encoding"];
  if (coding === "aes128gcm") {
    if (salt !== null || dh !== null) {
      throw new HttpError("encoding", {}, "aes128gcm has its salt and key in the body, not in headers");
    }
    return null;
  }
  if (coding !== "aesgcm" || dialect !== "autopush") throw new HttpError("encoding");
  const encryption = header(headers, "encryption") ?? "";
  const cryptoKey = header(headers, "crypto-key");
  if (!isBase64url(salt)) throw new HttpError("encoding", {}, "Encryption needs a salt in base64url");
  if (cryptoKey !== undefined && !isBase64url(dh)) {
    throw new HttpError("encoding", {}, "Crypto-Key needs a dh in base64url");
  }
  if (Math.max(encryption.length, cryptoKey?.length ?? 0) > ENCRYPTION_HEADER_CHARS_MAX) {
    throw new HttpError("encoding", {}, "Encryption or Crypto-Key is too long");
  }
  return { encryption, cryptoKey: cryptoKey ?? "" };
}

/** Padding is tolerated, the length not looked at: senders' own tests send junk for keys. */
function isBase64url(text: string | null): boolean {
  return text !== null && /^[A-Za-z0-9_-]+=*$/.test(text);
}

function parseTopic(topic: string | undefined): string | null {
  if (topic === undefined) return null;
  if (topic.length > TOPIC_CHARS_MAX || !isBase64url(topic)) throw new HttpError("topic");
  return topic;
}

function parseUrgency(urgency: string | undefined): Urgency {
  if (urgency === undefined) return "normal";
  const known = URGENCIES.find((name) => name === urgency);
  if (known === undefined) throw new HttpError("urgency");
  return known;
}

/** Repeated headers arrive joined by a comma, which no reader here but {@link memberOf} takes. */
function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}
