// SPDX-License-Identifier: MIT
/**
 * Dialect `godwit.v1`: one CBOR array per frame, first element the type (SPEC.md has the table). Pure;
 * knows nothing of the transport that carries the frames.
 */

import { GodwitError } from "../errors.ts";
import {
  ACK_RANGES_MAX,
  CBOR_DEPTH_MAX,
  CBOR_ITEMS_MAX,
  CHANNEL_MAX,
  ENDPOINT_CHARS_MAX,
  FRAME_BYTES_MAX,
  ID_MAX,
  MESSAGE_BODY_BYTES_MAX,
  SUBSCRIPTIONS_MAX,
  UA_TOKEN_CHARS_MAX,
} from "../limits.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import {
  ACK_CODES,
  BYE_REASONS,
  type Conditions,
  type DeviceEnd,
  type Dialect,
  type Downstream,
  type IdRange,
  REVOKE_REASONS,
  STATUS,
  type Status,
  type Upstream,
  URGENCIES,
} from "./dialect.ts";
import { CHANNELS_DIGEST_BYTES } from "./digest.ts";
import { boundedInt, Fields, fieldError } from "./fields.ts";

/** WebSocket subprotocol (RFC 6455 §1.9) of this dialect. */
export const GODWIT_SUBPROTOCOL = "godwit.v1";

/** First element of each frame. Below 24, so it takes one byte. */
const TYPE = {
  registerUa: 1,
  registerWa: 2,
  unregisterWa: 3,
  unregisterUa: 4,
  getAllMessages: 5,
  ack: 6,
  hold: 7,
  resume: 8,
  conditions: 9,
  probe: 10,
  registered: 11,
  waRegistered: 12,
  waUnregistered: 13,
  notification: 14,
  drained: 15,
  revoked: 16,
  bye: 17,
  probeReply: 18,
  error: 19,
} as const;

/** Bit of Notification's flags: the sender said `Content-Type: application/notification+json`. */
const FLAG_SAYS_NOTIFICATION = 1;
const REF_MAX = 0xffff_ffff;
const SECONDS_MAX = 0xffff_ffff;
const ATTEMPT_MAX = 0xffff;
const TOPIC_CHARS_MAX = 32;
const ERROR_TEXT_CHARS_MAX = 256;
const PATH_CHARS_MAX = 256;
const STATUSES = Object.values(STATUS) as readonly Status[];

export const godwitDialect: Dialect = {
  name: GODWIT_SUBPROTOCOL,
  encodeUpstream,
  parseUpstream,
  encodeDownstream: (message) => encodeCbor(downstreamFields(message)),
  parseDownstream,
};

/** Its device's end alone, which is all that a bundle for devices has. */
export const godwitDevice: DeviceEnd = { name: GODWIT_SUBPROTOCOL, encodeUpstream, parseDownstream };

function encodeUpstream(message: Upstream): Uint8Array {
  return encodeCbor(upstreamFields(message));
}

function upstreamFields(message: Upstream): unknown[] {
  const type = TYPE[message.type];
  switch (message.type) {
    case "registerUa":
      return [type, message.uaToken, ...conditionFields(message.conditions), message.channelsDigest];
    case "registerWa":
      return [type, message.ref, message.registrationId, message.applicationServerKey];
    case "unregisterWa":
      return [type, message.ref, message.channel];
    case "unregisterUa":
    case "getAllMessages":
      return [type, message.ref];
    case "ack":
      return [type, ACK_CODES.indexOf(message.code), message.ranges.map(rangeField)];
    case "hold":
    case "resume":
      return [type, message.channel];
    case "conditions":
      return [type, ...conditionFields(message.conditions)];
    case "probe":
      return [type, message.nonce];
  }
}

function downstreamFields(message: Downstream): unknown[] {
  const type = TYPE[message.type];
  switch (message.type) {
    case "registered":
      return [
        type,
        message.status,
        message.uaid,
        message.freshUaToken,
        message.idleLimitS,
        message.reconnectSpreadS,
        message.canary,
        message.epochMs,
        message.storeEpoch,
        message.channels,
        message.lastId,
      ];
    case "waRegistered":
      return [type, message.ref, message.status, message.channel, message.endpoint, message.expirationTime];
    case "waUnregistered":
      return [type, message.ref, message.status, message.channel];
    case "notification":
      return [
        type,
        message.id,
        message.attempt,
        message.channel,
        message.ttlLeftS,
        URGENCIES.indexOf(message.urgency),
        message.saysNotification ? FLAG_SAYS_NOTIFICATION : 0,
        message.topic,
        message.body,
      ];
    case "drained":
      return [type, message.ref];
    case "revoked":
      return [type, message.channel, REVOKE_REASONS.indexOf(message.reason)];
    case "bye":
      return [type, BYE_REASONS.indexOf(message.reason), message.retryAfterS];
    case "probeReply":
      return [type, message.nonce];
    case "error":
      return [type, message.ref, message.status, message.text];
  }
}

function conditionFields(conditions: Conditions): number[] {
  return [conditions.heartbeatS, conditions.windowS, URGENCIES.indexOf(conditions.leastUrgency)];
}

/** A single id is sent as a number, a range as a pair: acks of single messages are the common case. */
function rangeField([first, last]: IdRange): number | IdRange {
  return first === last ? first : [first, last];
}

function parseUpstream(frame: Uint8Array): Upstream {
  const { type, fields } = openFrame(frame);
  switch (type) {
    case TYPE.registerUa:
      return {
        type: "registerUa",
        uaToken: fields.text("uaToken", UA_TOKEN_CHARS_MAX),
        conditions: readConditions(fields),
        channelsDigest: fields.bytes("channelsDigest", CHANNELS_DIGEST_BYTES),
      };
    case TYPE.registerWa:
      return {
        type: "registerWa",
        ref: readRef(fields),
        registrationId: fields.bytes("registrationId", 16),
        applicationServerKey: fields.bytesOrNull("applicationServerKey", 65),
      };
    case TYPE.unregisterWa:
      return { type: "unregisterWa", ref: readRef(fields), channel: readChannel(fields) };
    case TYPE.unregisterUa:
      return { type: "unregisterUa", ref: readRef(fields) };
    case TYPE.getAllMessages:
      return { type: "getAllMessages", ref: readRef(fields) };
    case TYPE.ack:
      return {
        type: "ack",
        code: fields.oneOf("code", ACK_CODES),
        ranges: fields.list("ranges", ACK_RANGES_MAX, readRange),
      };
    case TYPE.hold:
      return { type: "hold", channel: readChannel(fields) };
    case TYPE.resume:
      return { type: "resume", channel: readChannel(fields) };
    case TYPE.conditions:
      return { type: "conditions", conditions: readConditions(fields) };
    case TYPE.probe:
      return { type: "probe", nonce: readRef(fields) };
    default:
      throw unknownType(type);
  }
}

function parseDownstream(frame: Uint8Array): Downstream {
  const { type, fields } = openFrame(frame);
  switch (type) {
    case TYPE.registered:
      return readRegistered(fields);
    case TYPE.waRegistered:
      return {
        type: "waRegistered",
        ref: readRef(fields),
        status: readStatus(fields),
        channel: readChannel(fields),
        endpoint: fields.text("endpoint", ENDPOINT_CHARS_MAX),
        expirationTime: fields.intOrNull("expirationTime", 0, ID_MAX),
      };
    case TYPE.waUnregistered:
      return {
        type: "waUnregistered",
        ref: readRef(fields),
        status: readStatus(fields),
        channel: readChannel(fields),
      };
    case TYPE.notification:
      return readNotification(fields);
    case TYPE.drained:
      return { type: "drained", ref: readRef(fields) };
    case TYPE.revoked:
      return {
        type: "revoked",
        channel: readChannel(fields),
        reason: fields.oneOf("reason", REVOKE_REASONS),
      };
    case TYPE.bye:
      return {
        type: "bye",
        reason: fields.oneOf("reason", BYE_REASONS),
        retryAfterS: fields.int("retryAfterS", 0, SECONDS_MAX),
      };
    case TYPE.probeReply:
      return { type: "probeReply", nonce: readRef(fields) };
    case TYPE.error:
      return {
        type: "error",
        ref: fields.intOrNull("ref", 0, REF_MAX),
        status: readStatus(fields),
        text: fields.text("text", ERROR_TEXT_CHARS_MAX),
      };
    default:
      throw unknownType(type);
  }
}

/** Bounds, decodes and opens a frame. */
function openFrame(frame: Uint8Array): { type: number; fields: Fields } {
  if (frame.length > FRAME_BYTES_MAX) {
    throw new GodwitError("ERR_FRAME_TOO_LONG", `frame has ${frame.length} bytes, limit ${FRAME_BYTES_MAX}`);
  }
  const values = decodeCbor(frame, { depthMax: CBOR_DEPTH_MAX, itemsMax: CBOR_ITEMS_MAX });
  const type: unknown = Array.isArray(values) ? values[0] : undefined;
  if (!Array.isArray(values) || typeof type !== "number" || !Number.isInteger(type) || type < 0) {
    throw new GodwitError("ERR_FRAME_FIELD", "a frame must be an array that starts with its type");
  }
  return { type, fields: new Fields(values) };
}

function readRegistered(fields: Fields): Downstream {
  return {
    type: "registered",
    status: readStatus(fields),
    uaid: fields.bytes("uaid", 16),
    freshUaToken: readToken(fields),
    idleLimitS: fields.intOrNull("idleLimitS", 1, SECONDS_MAX),
    reconnectSpreadS: fields.int("reconnectSpreadS", 0, SECONDS_MAX),
    canary: fields.textOrNull("canary", PATH_CHARS_MAX),
    epochMs: fields.int("epochMs", 0, ID_MAX),
    storeEpoch: fields.int("storeEpoch", 0, ID_MAX),
    channels: fields.listOrNull("channels", SUBSCRIPTIONS_MAX, (value) =>
      boundedInt("channel", value, 0, CHANNEL_MAX),
    ),
    lastId: fields.int("lastId", 0, ID_MAX),
  };
}

/** Visible ASCII only: it goes into a header line. */
function readToken(fields: Fields): string | null {
  const token = fields.textOrNull("freshUaToken", UA_TOKEN_CHARS_MAX);
  if (token !== null && !/^[!-~]+$/.test(token)) throw fieldError("freshUaToken", "visible ASCII");
  return token;
}

function readNotification(fields: Fields): Downstream {
  return {
    type: "notification",
    id: fields.int("id", 1, ID_MAX),
    attempt: fields.int("attempt", 1, ATTEMPT_MAX),
    channel: readChannel(fields),
    ttlLeftS: fields.int("ttlLeftS", 0, SECONDS_MAX),
    urgency: fields.oneOf("urgency", URGENCIES),
    saysNotification: (fields.int("flags", 0, 0xff) & FLAG_SAYS_NOTIFICATION) !== 0,
    topic: fields.textOrNull("topic", TOPIC_CHARS_MAX),
    body: fields.bytesOrNull("body", 1, MESSAGE_BODY_BYTES_MAX),
  };
}

function readConditions(fields: Fields): Conditions {
  return {
    heartbeatS: fields.int("heartbeatS", 0, SECONDS_MAX),
    windowS: fields.int("windowS", 0, SECONDS_MAX),
    leastUrgency: fields.oneOf("leastUrgency", URGENCIES),
  };
}

function readRange(value: unknown): IdRange {
  if (Array.isArray(value) && value.length === 2) {
    const first = boundedInt("range", value[0], 0, ID_MAX);
    const last = boundedInt("range", value[1], 0, ID_MAX);
    if (first > last) throw fieldError("range", "ascending");
    return [first, last];
  }
  const id = boundedInt("range", value, 0, ID_MAX);
  return [id, id];
}

function readRef(fields: Fields): number {
  return fields.int("ref", 0, REF_MAX);
}

function readChannel(fields: Fields): number {
  return fields.int("channel", 0, CHANNEL_MAX);
}

/** A status outside the table reads as the nearest meaning a receiver can act on: unavailable. */
function readStatus(fields: Fields): Status {
  const status = fields.int("status", 100, 599);
  return STATUSES.find((known) => known === status) ?? STATUS.unavailable;
}

function unknownType(type: number): GodwitError {
  return new GodwitError("ERR_FRAME_UNKNOWN_TYPE", `frame type ${type} is not known here`);
}
