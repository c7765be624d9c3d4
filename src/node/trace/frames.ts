// SPDX-License-Identifier: MIT
/** Frames of both dialects in a recorded trace: as the messages they hold; of one that holds none, why not. */

import { utf8Decode, utf8Encode } from "../../bytes.ts";
import { type ErrorCode, GodwitError } from "../../errors.ts";
import { base64urlDecode, base64urlEncode } from "../../webpush/base64url.ts";
import {
  type AutopushDownstream,
  type AutopushUpstream,
  encodeAutopushDownstream,
  parseAutopushDownstream,
  parseAutopushUpstream,
} from "../../wire/autopush.ts";
import { autopushChannel, autopushChannelId, autopushMessageId } from "../../wire/autopush-device.ts";
import type { Conditions, DeviceDialect, Downstream, Upstream } from "../../wire/dialect.ts";
import { deviceEpoch } from "../../wire/digest.ts";
import { godwitDialect } from "../../wire/godwit.ts";
import type { Names, Values } from "./names.ts";
import {
  arrayOf,
  body,
  bytes,
  countOf,
  type Json,
  list,
  maybe,
  number,
  numeral,
  object,
  objectOf,
  rest,
  type Shape,
  sizeOf,
  text,
  token,
  union,
  unsaid,
  url,
  word,
} from "./shapes.ts";

/** A frame of the service as a replay hands it over. */
export interface RestoredFrame {
  readonly frame: Uint8Array;
  /** What its parser said of it then; null when it was good. */
  readonly fault: GodwitError | null;
  /** Id of its message, where the dialect makes one of what is replaced here; else null. */
  readonly messageId: number | null;
}

const nothing = object({});
const conditions: Shape<Conditions> = object({
  heartbeatS: number(),
  windowS: number(),
  leastUrgency: word(),
});

const godwitDown: Shape<Downstream> = union({
  registered: object({
    status: number(),
    uaid: bytes,
    freshUaToken: maybe(token),
    idleLimitS: number(),
    reconnectSpreadS: number(),
    canary: maybe(rest),
    epochMs: number(),
    storeEpoch: number(),
    channels: maybe(list(numeral)),
    lastId: number(),
  }),
  waRegistered: object({
    ref: number(),
    status: number(),
    channel: numeral,
    endpoint: url,
    expirationTime: number(),
  }),
  waUnregistered: object({ ref: number(), status: number(), channel: numeral }),
  notification: object({
    id: number(),
    attempt: number(),
    channel: numeral,
    ttlLeftS: number(),
    urgency: word(),
    saysNotification: number(),
    topic: maybe(text),
    body: maybe(body),
    aesgcm: { ...unsaid({ encryption: "", cryptoKey: "" }), isOptional: true },
  }),
  drained: object({ ref: number() }),
  revoked: object({ channel: numeral, reason: word() }),
  bye: object({ reason: word(), retryAfterS: number() }),
  probeReply: object({ nonce: number() }),
  error: object({ ref: number(), status: number(), text: unsaid("") }),
});

const godwitUp: Shape<Upstream> = union({
  registerUa: object({ uaToken: token, conditions, channelsDigest: bytes }),
  registerWa: object({ ref: number(), registrationId: bytes, applicationServerKey: maybe(bytes) }),
  unregisterWa: object({ ref: number(), channel: numeral }),
  unregisterUa: object({ ref: number() }),
  getAllMessages: object({ ref: number() }),
  ack: object({ code: word(), ranges: list(list(number()) as Shape<readonly [number, number]>) }),
  hold: object({ channel: numeral }),
  resume: object({ channel: numeral }),
  conditions: object({ conditions }),
  probe: object({ nonce: number() }),
});

/** By the number of its channel, which names it at the agent; a foreign one by its bytes. */
const channelId: Shape<Uint8Array> = {
  strip(value, names) {
    const channel = autopushChannel(value);
    const isOurs = autopushChannelId(channel).every((octet, i) => octet === value[i]);
    return isOurs ? { channel: numeral.strip(channel, names) } : bytes.strip(value, names);
  },
  restore(json, values) {
    if (Array.isArray(json)) return bytes.restore(json, values);
    return autopushChannelId(numeral.restore(objectOf(json).channel ?? null, values));
  },
};

/** `Encryption` and `Crypto-Key`: what is base64url becomes other base64url; names, numbers and punctuation stay. */
export const parameters: Shape<string> = {
  strip: (value, names) =>
    value
      .split(/([;,= "])/)
      .map((part) =>
        /^([;,= "]?|salt|rs|dh|keyid|p256ecdsa|p256dh|\d{1,10})$/.test(part)
          ? part
          : stripParameter(part, names),
      ),
  restore: (json, values) =>
    arrayOf(json)
      .map((part) => (typeof part === "string" ? part.slice(0, 10) : restoreParameter(part, values)))
      .join(""),
};

function stripParameter(part: string, names: Names): Json {
  try {
    return ["base64url", bytes.strip(base64urlDecode(part), names)];
  } catch {
    return text.strip(part, names);
  }
}

function restoreParameter(part: Json, values: Values): string {
  const [tag, inner = null] = arrayOf(part);
  return tag === "base64url" ? base64urlEncode(bytes.restore(inner, values)) : text.restore(part, values);
}

/** Of the two that the agent knows, which; of any other, which the service may call as it likes, that it is another. */
const encoding: Shape<string> = {
  strip: (value, names) => (CODINGS.includes(value) ? value : text.strip(value, names)),
  restore: (json, values) =>
    typeof json === "string" && CODINGS.includes(json) ? json : text.restore(json, values),
};
const CODINGS = ["aes128gcm", "aesgcm"];

const noNews = unsaid({ versions: new Map<string, string>(), errors: new Map<string, string>() });

const autopushDown: Shape<AutopushDownstream> = union({
  hello: object({ status: number(), uaid: token, usesWebPush: number(), broadcasts: noNews }),
  register: object({ channelId, status: number(), pushEndpoint: url }),
  unregister: object({ channelId, status: number() }),
  notification: object({
    channelId,
    version: text,
    data: maybe(body),
    headers: maybe(object({ encoding, encryption: maybe(parameters), cryptoKey: maybe(parameters) })),
  }),
  broadcast: object({ broadcasts: noNews }),
  ping: nothing,
});

const autopushUp: Shape<AutopushUpstream> = union({
  hello: object({ uaid: maybe(token), broadcasts: unsaid(new Map<string, string>()) }),
  register: object({ channelId, key: maybe(text) }),
  unregister: object({ channelId, code: number() }),
  broadcast_subscribe: object({ broadcasts: unsaid(new Map<string, string>()) }),
  ack: object({ updates: list(object({ channelId, version: text, code: number() })) }),
  nack: object({ version: text, code: number() }),
  ping: nothing,
});

/** A body in the older coding has no header in front. */
export function bodyOf(isAesgcm: boolean): Shape<Uint8Array | null> {
  return maybe(isAesgcm ? bytes : body);
}

/** The messages of one dialect. */
export interface Frames {
  /** Of the agent, in an effect. */
  stripUp(frame: Uint8Array, names: Names): Json;
  /** Of the service, in an event. */
  stripDown(frame: Uint8Array, names: Names): Json;
  restoreDown(json: Json, values: Values): RestoredFrame;
}

export function framesOf(dialect: DeviceDialect): Frames {
  return dialect === "godwit.v1" ? godwitFrames : autopushFrames;
}

const godwitFrames: Frames = {
  stripUp: (frame, names) => orFault(frame, () => godwitUp.strip(godwitDialect.parseUpstream(frame), names)),
  stripDown: (frame, names) =>
    orFault(frame, () => {
      const message = godwitDialect.parseDownstream(frame);
      const stripped = godwitDown.strip(message, names);
      if (message.type !== "registered") return stripped;
      // What the agent makes of the two names the message ids, also in its journal.
      const epoch = numeral.strip(deviceEpoch(message.uaid, message.storeEpoch), names);
      return { ...(stripped as object), epoch };
    }),
  restoreDown: (json, values) =>
    restoreFrame(json, () => {
      const message = godwitDown.restore(json, values);
      if (message.type === "registered")
        bindEpoch(objectOf(json).epoch, deviceEpoch(message.uaid, message.storeEpoch), values);
      return { frame: godwitDialect.encodeDownstream(message), fault: null, messageId: null };
    }),
};

const autopushFrames: Frames = {
  stripUp: (frame, names) =>
    orFault(frame, () => autopushUp.strip(parseAutopushUpstream(utf8Decode(frame)), names)),
  stripDown: (frame, names) =>
    orFault(frame, () => {
      if (frame.length === 0) return { type: "nothing" };
      const message = parseAutopushDownstream(utf8Decode(frame));
      const stripped = autopushDown.strip(message, names);
      if (message.type !== "notification") return stripped;
      const id = autopushMessageId(message.channelId, message.version);
      return {
        ...(stripped as object),
        data: bodyOf(message.headers?.encoding === "aesgcm").strip(message.data, names),
        id,
      };
    }),
  restoreDown: (json, values) =>
    restoreFrame(json, () => {
      if (objectOf(json).type === "nothing")
        return { frame: new Uint8Array(0), fault: null, messageId: null };
      const message = autopushDown.restore(json, values);
      const frame = utf8Encode(encodeAutopushDownstream(message));
      const id = objectOf(json).id;
      return { frame, fault: null, messageId: typeof id === "number" ? id : null };
    }),
};

/** The value of a number that follows from others, unless it has one. */
export function bindEpoch(json: Json | undefined, epoch: number, values: Values): void {
  const [, at] = arrayOf(json);
  if (!values.isBound(countOf(at))) values.bind(countOf(at), "number", epoch);
}

function orFault(frame: Uint8Array, strip: () => Json): Json {
  try {
    return strip();
  } catch (error) {
    const code = error instanceof GodwitError && error.code !== "ERR_TRACE" ? error.code : null;
    if (code === null) throw error;
    return { type: "fault", code, bytes: frame.length };
  }
}

function restoreFrame(json: Json, restore: () => RestoredFrame): RestoredFrame {
  const { type, code, bytes: length } = objectOf(json);
  if (type !== "fault") return restore();
  const fault = new GodwitError(word<ErrorCode>().restore(code ?? null, NO_VALUES), "as it was recorded");
  return { frame: new Uint8Array(sizeOf(length)), fault, messageId: null };
}

const NO_VALUES = undefined as never;
