// SPDX-License-Identifier: MIT
/**
 * Dialect `autopush`: one JSON object per WebSocket text frame, as Mozilla's push service and its user agents speak it
 * (SPEC.md has the table). Messages of both directions as they are on the wire, not yet those of dialect.ts. Pure.
 */

import { hexDecode, hexEncode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { jsonNesting } from "../json.ts";
import {
  AUTOPUSH_BROADCAST_CHARS_MAX,
  AUTOPUSH_BROADCASTS_MAX,
  AUTOPUSH_FRAME_BYTES_MAX,
  AUTOPUSH_JSON_DEPTH_MAX,
  AUTOPUSH_UAID_CHARS_MAX,
  AUTOPUSH_VERSION_CHARS_MAX,
  ENCRYPTION_HEADER_CHARS_MAX,
  ENDPOINT_CHARS_MAX,
} from "../limits.ts";
import { base64urlDecodeLenient, base64urlEncode } from "../webpush/base64url.ts";
import { fieldError } from "./fields.ts";

/** WebSocket subprotocol (RFC 6455 §1.9) that user agents offer; a service may leave it out. */
export const AUTOPUSH_SUBPROTOCOL = "push-notification";

/** What became of a message, as `code` of an update in `ack`. */
export const AUTOPUSH_ACK = { delivered: 100, undecryptable: 101, undelivered: 102 } as const;

/** Id of a broadcast → its version. */
export type Broadcasts = ReadonlyMap<string, string>;

/** Service to device: the broadcasts that changed, and those that there are none of, with a sentence about it. */
export interface BroadcastNews {
  readonly versions: Broadcasts;
  readonly errors: Broadcasts;
}

/** One message the device is done with. */
export interface AutopushUpdate {
  /** 16 bytes. */
  readonly channelId: Uint8Array;
  readonly version: string;
  /** {@link AUTOPUSH_ACK}, or any other whole number; null when left out, which means delivered. */
  readonly code: number | null;
}

/** Device to service. */
export type AutopushUpstream =
  | {
      readonly type: "hello";
      /** As the device spells it, a UUID or not; null when it says none. */
      readonly uaid: string | null;
      readonly broadcasts: Broadcasts;
    }
  | {
      readonly type: "register";
      /** 16 bytes. */
      readonly channelId: Uint8Array;
      /** An application server's key as its app spelled it, usable or not; null for none. */
      readonly key: string | null;
    }
  | { readonly type: "unregister"; readonly channelId: Uint8Array; readonly code: number | null }
  | { readonly type: "broadcast_subscribe"; readonly broadcasts: Broadcasts }
  | { readonly type: "ack"; readonly updates: readonly AutopushUpdate[] }
  | { readonly type: "nack"; readonly version: string; readonly code: number | null }
  | { readonly type: "ping" };

/** How a message is encrypted. Texts as the service sent them, which need not make sense. */
export interface AutopushHeaders {
  /** `aes128gcm` or `aesgcm`, if the service is of today. */
  readonly encoding: string;
  /** `Encryption` and `Crypto-Key` of the sender; null for `aes128gcm`. */
  readonly encryption: string | null;
  readonly cryptoKey: string | null;
}

/** Service to device. */
export type AutopushDownstream =
  | {
      readonly type: "hello";
      readonly status: number;
      readonly uaid: string;
      /** False: the service sends no data with its notifications. */
      readonly usesWebPush: boolean;
      readonly broadcasts: BroadcastNews;
    }
  | {
      readonly type: "register";
      readonly channelId: Uint8Array;
      readonly status: number;
      /** "" when the service sent none. */
      readonly pushEndpoint: string;
    }
  | { readonly type: "unregister"; readonly channelId: Uint8Array; readonly status: number }
  | {
      readonly type: "notification";
      readonly channelId: Uint8Array;
      /** Opaque; names the message in `ack`. */
      readonly version: string;
      /** Encrypted body, null for none, empty for one that was unreadable; a new array. */
      readonly data: Uint8Array | null;
      readonly headers: AutopushHeaders | null;
    }
  | { readonly type: "broadcast"; readonly broadcasts: BroadcastNews }
  | { readonly type: "ping" };

type AutopushNotification = Extract<AutopushDownstream, { type: "notification" }>;

/** JSON text of a message to the service. */
export function encodeAutopushUpstream(message: AutopushUpstream): string {
  switch (message.type) {
    case "hello":
      return encode("hello", {
        uaid: message.uaid ?? undefined,
        broadcasts: Object.fromEntries(message.broadcasts),
        use_webpush: true,
      });
    case "register":
      return encode("register", {
        channelID: formatUuid(message.channelId),
        key: message.key ?? undefined,
      });
    case "unregister":
      return encode("unregister", {
        channelID: formatUuid(message.channelId),
        code: message.code ?? undefined,
      });
    case "broadcast_subscribe":
      return encode("broadcast_subscribe", { broadcasts: Object.fromEntries(message.broadcasts) });
    case "ack":
      return encode("ack", { updates: message.updates.map(updateMembers) });
    case "nack":
      return encode("nack", { version: message.version, code: message.code ?? undefined });
    case "ping":
      return "{}";
  }
}

/**
 * A message of a device. Members nobody knows are ignored.
 *
 * @throws {GodwitError} ERR_FRAME_TOO_LONG, ERR_JSON_MALFORMED, ERR_FRAME_UNKNOWN_TYPE, ERR_FRAME_FIELD
 * @throws {GodwitError} ERR_CHANNEL_ID of `register`, when it is no UUID in lower case with dashes
 */
export function parseAutopushUpstream(text: string): AutopushUpstream {
  const members = new Members(text);
  switch (members.messageType) {
    case "hello":
      return readHello(members);
    case "register":
      return { type: "register", channelId: readNewChannelId(members), key: readKey(members) };
    case "unregister":
      return { type: "unregister", channelId: members.uuid("channelID"), code: members.codeOrNull("code") };
    case "broadcast_subscribe":
      return { type: "broadcast_subscribe", broadcasts: readBroadcasts(members.value("broadcasts")) };
    case "ack":
      return { type: "ack", updates: members.list("updates").map(readUpdate) };
    case "nack":
      return { type: "nack", version: readVersion(members), code: members.codeOrNull("code") };
    case "ping":
      return { type: "ping" };
    default:
      throw unknownType();
  }
}

/** JSON text of a message to a device. */
export function encodeAutopushDownstream(message: AutopushDownstream): string {
  switch (message.type) {
    case "hello":
      return encode("hello", {
        uaid: message.uaid,
        status: message.status,
        use_webpush: message.usesWebPush,
        broadcasts: newsMembers(message.broadcasts),
      });
    case "register":
      return encode("register", {
        channelID: formatUuid(message.channelId),
        status: message.status,
        pushEndpoint: message.pushEndpoint,
      });
    case "unregister":
      return encode("unregister", { channelID: formatUuid(message.channelId), status: message.status });
    case "notification":
      return encode("notification", {
        channelID: formatUuid(message.channelId),
        version: message.version,
        data: message.data === null ? undefined : base64urlEncode(message.data),
        headers: message.headers === null ? undefined : headersMembers(message.headers),
      });
    case "broadcast":
      return encode("broadcast", { broadcasts: newsMembers(message.broadcasts) });
    case "ping":
      return "{}";
  }
}

/**
 * A message of a service. Members nobody knows are ignored.
 *
 * @throws {GodwitError} ERR_FRAME_TOO_LONG, ERR_JSON_MALFORMED, ERR_FRAME_UNKNOWN_TYPE, ERR_FRAME_FIELD
 */
export function parseAutopushDownstream(text: string): AutopushDownstream {
  const members = new Members(text);
  switch (members.messageType) {
    case "hello":
      return {
        type: "hello",
        status: members.code("status"),
        uaid: members.text("uaid", 1, AUTOPUSH_UAID_CHARS_MAX),
        usesWebPush: members.value("use_webpush") === true,
        broadcasts: readNews(members),
      };
    case "register":
      return {
        type: "register",
        channelId: members.uuid("channelID"),
        status: members.code("status"),
        pushEndpoint: members.textOrNull("pushEndpoint", 0, ENDPOINT_CHARS_MAX) ?? "",
      };
    case "unregister":
      return { type: "unregister", channelId: members.uuid("channelID"), status: members.code("status") };
    case "notification":
      return {
        type: "notification",
        channelId: members.uuid("channelID"),
        version: readVersion(members),
        ...readContent(members),
      };
    case "broadcast":
      return { type: "broadcast", broadcasts: readNews(members) };
    case "ping":
      return { type: "ping" };
    default:
      throw unknownType();
  }
}

/** `bytes` (16) as a UUID in lower case with dashes (RFC 9562 §4), whatever version and variant they say. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = hexEncode(bytes);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** The 16 bytes of a UUID, dashed or 32 hex digits, in either case; null when it is none. */
export function parseUuid(text: string): Uint8Array | null {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return hexDecode(text.replaceAll("-", ""));
  return text.length === 32 ? hexDecode(text) : null;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** Members of one JSON object, each checked as it is read. What may be null may also be left out. */
class Members {
  readonly #object: JsonObject;

  /** @param source text of a frame, or an object inside of one */
  constructor(source: string | JsonObject) {
    this.#object = typeof source === "string" ? parseObject(source) : source;
  }

  /** An object without members is a ping. */
  get messageType(): unknown {
    return Object.keys(this.#object).length === 0 ? "ping" : this.value("messageType");
  }

  value(name: string): unknown {
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }

  isNull(name: string): boolean {
    return (this.value(name) ?? null) === null;
  }

  text(name: string, charsMin: number, charsMax: number): string {
    return boundedText(name, this.value(name), charsMin, charsMax);
  }

  textOrNull(name: string, charsMin: number, charsMax: number): string | null {
    return this.isNull(name) ? null : this.text(name, charsMin, charsMax);
  }

  /** A status or a reason: a whole number of 16 bits. */
  code(name: string): number {
    const value = this.value(name);
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff) return value;
    throw fieldError(name, "a whole number of 16 bits");
  }

  codeOrNull(name: string): number | null {
    return this.isNull(name) ? null : this.code(name);
  }

  uuid(name: string): Uint8Array {
    return uuidOf(name, this.value(name));
  }

  list(name: string): readonly unknown[] {
    const value = this.value(name);
    if (Array.isArray(value)) return value;
    throw fieldError(name, "an array");
  }
}

function readHello(members: Members): AutopushUpstream {
  if (!members.isNull("channelIDs")) for (const id of members.list("channelIDs")) uuidOf("channelIDs", id);
  return {
    type: "hello",
    // Bounded by the frame alone: a uaid that is none is answered with a new one.
    uaid: members.textOrNull("uaid", 0, AUTOPUSH_FRAME_BYTES_MAX),
    broadcasts: members.isNull("broadcasts") ? new Map() : readBroadcasts(members.value("broadcasts")),
  };
}

/** Of one spelling only, since other parts of a service may take the text for the id. */
function readNewChannelId(members: Members): Uint8Array {
  const text = members.value("channelID");
  if (typeof text !== "string") throw fieldError("channelID", "a text");
  const bytes = parseUuid(text);
  if (bytes !== null && formatUuid(bytes) === text) return bytes;
  throw new GodwitError("ERR_CHANNEL_ID", "channelID must be a UUID in lower case with dashes");
}

/** Bounded by the frame alone, like a uaid: a key that is none is refused with a status. */
function readKey(members: Members): string | null {
  return members.textOrNull("key", 0, AUTOPUSH_FRAME_BYTES_MAX);
}

function readVersion(members: Members): string {
  return members.text("version", 0, AUTOPUSH_VERSION_CHARS_MAX);
}

function readUpdate(value: unknown): AutopushUpdate {
  const members = new Members(objectOf("updates", value));
  return {
    channelId: members.uuid("channelID"),
    version: readVersion(members),
    code: members.codeOrNull("code"),
  };
}

/** What makes no sense is a body without a byte, which nobody can decrypt: the rest of its batch waits for its acknowledgement. */
function readContent(members: Members): Pick<AutopushNotification, "data" | "headers"> {
  try {
    return { data: readData(members), headers: readHeaders(members) };
  } catch {
    return { data: new Uint8Array(0), headers: null };
  }
}

/** Padding and either alphabet are taken. */
function readData(members: Members): Uint8Array | null {
  const text = members.textOrNull("data", 0, AUTOPUSH_FRAME_BYTES_MAX) ?? "";
  return text === "" ? null : base64urlDecodeLenient(text);
}

function readHeaders(members: Members): AutopushHeaders | null {
  if (members.isNull("headers")) return null;
  const headers = new Members(objectOf("headers", members.value("headers")));
  return {
    encoding: headers.text("encoding", 0, ENCRYPTION_HEADER_CHARS_MAX),
    encryption: headers.textOrNull("encryption", 0, ENCRYPTION_HEADER_CHARS_MAX),
    cryptoKey: headers.textOrNull("crypto_key", 0, ENCRYPTION_HEADER_CHARS_MAX),
  };
}

function readBroadcasts(value: unknown): Broadcasts {
  const entries = Object.entries(objectOf("broadcasts", value));
  if (entries.length > AUTOPUSH_BROADCASTS_MAX) {
    throw fieldError("broadcasts", `at most ${AUTOPUSH_BROADCASTS_MAX} entries`);
  }
  return new Map(entries.map(([id, version]) => [broadcastText(id), broadcastText(version)]));
}

/** Errors stand among the versions, under a name that is no id. */
function readNews(members: Members): BroadcastNews {
  if (members.isNull("broadcasts")) return { versions: new Map(), errors: new Map() };
  const { errors = {}, ...versions } = objectOf("broadcasts", members.value("broadcasts"));
  return { versions: readBroadcasts(versions), errors: readBroadcasts(errors) };
}

function broadcastText(value: unknown): string {
  return boundedText("broadcasts", value, 0, AUTOPUSH_BROADCAST_CHARS_MAX);
}

function updateMembers({ channelId, version, code }: AutopushUpdate): JsonObject {
  return { channelID: formatUuid(channelId), version, code: code ?? undefined };
}

function headersMembers({ encoding, encryption, cryptoKey }: AutopushHeaders): JsonObject {
  return { encoding, encryption: encryption ?? undefined, crypto_key: cryptoKey ?? undefined };
}

function newsMembers({ versions, errors }: BroadcastNews): JsonObject {
  const members = Object.fromEntries(versions);
  return errors.size === 0 ? members : { ...members, errors: Object.fromEntries(errors) };
}

/** Members that are undefined are left out. */
function encode(messageType: string, members: JsonObject): string {
  return JSON.stringify({ messageType, ...members });
}

/** Bounded in length and depth before the engine's parser, which may recurse, sees it. */
function parseObject(text: string): JsonObject {
  if (text.length > AUTOPUSH_FRAME_BYTES_MAX) {
    throw new GodwitError(
      "ERR_FRAME_TOO_LONG",
      `frame of ${text.length} characters, limit ${AUTOPUSH_FRAME_BYTES_MAX}`,
    );
  }
  if (jsonNesting(text) > AUTOPUSH_JSON_DEPTH_MAX) {
    throw new GodwitError("ERR_JSON_MALFORMED", "the frame is nested too deeply");
  }
  try {
    return objectOf("frame", JSON.parse(text));
  } catch (error) {
    if (error instanceof GodwitError) throw error;
    throw new GodwitError("ERR_JSON_MALFORMED", "the frame is not JSON");
  }
}

function objectOf(name: string, value: unknown): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw fieldError(name, "an object");
}

function uuidOf(name: string, value: unknown): Uint8Array {
  const bytes = typeof value === "string" ? parseUuid(value) : null;
  if (bytes === null) throw fieldError(name, "a UUID");
  return bytes;
}

function boundedText(name: string, value: unknown, charsMin: number, charsMax: number): string {
  if (typeof value === "string" && value.length >= charsMin && value.length <= charsMax) return value;
  throw fieldError(name, `a text of ${charsMin} to ${charsMax} characters`);
}

/** What the frame said is not quoted: it is the other side's. */
function unknownType(): GodwitError {
  return new GodwitError("ERR_FRAME_UNKNOWN_TYPE", "messageType is not known here");
}
