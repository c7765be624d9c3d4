// SPDX-License-Identifier: MIT
/** The journal in a recorded trace: what it held at the start, and what is written to it. */

import { concatBytes } from "../../bytes.ts";
import {
  checkpointRecords,
  type JournalRecord,
  type JournalRecovery,
  type MessageRecord,
  type Sealer,
} from "../../journal/index.ts";
import { decodeRecord } from "../../journal/record-codec.ts";
import { FrameReader, parseHeader, SEGMENT_HEADER_BYTES } from "../../journal/segment.ts";
import { autopushChannel } from "../../wire/autopush-device.ts";
import type { DeviceDialect } from "../../wire/dialect.ts";
import { deviceEpoch } from "../../wire/digest.ts";
import { bindEpoch, bodyOf, parameters } from "./frames.ts";
import type { Names, Values } from "./names.ts";
import { notificationJson } from "./payload.ts";
import {
  body,
  bytes,
  count,
  countOf,
  type Json,
  list,
  malformed,
  maybe,
  number,
  numeral,
  object,
  objectOf,
  owner,
  type Shape,
  text,
  token,
  union,
  unsaid,
  url,
  word,
} from "./shapes.ts";

const nothing = object({});

const messageMembers: Shape<Omit<MessageRecord, "type">> = object({
  storeEpoch: numeral,
  id: number(),
  channel: numeral,
  subscriptionId: number(),
  saysNotification: number(),
  urgency: word(),
  topic: maybe(text),
  body: maybe(body),
  receivedEpochMs: number(),
  expiresEpochMs: number(),
  attempt: number(),
  handed: number(),
  isDeclared: number(),
  encryption: maybe(parameters),
  cryptoKey: maybe(parameters),
});

const message: Shape<Omit<MessageRecord, "type">> = {
  strip: (value, names) => ({
    ...(messageMembers.strip(value, names) as object),
    body: bodyOf(value.encryption !== null).strip(value.body, names),
  }),
  restore: (value, values) => messageMembers.restore(value, values),
};

const records: Shape<JournalRecord> = union({
  device: object({ deviceSecret: bytes }),
  userAgent: object({ uaid: bytes, storeEpoch: number(), uaToken: token, service: serviceShape() }),
  userAgentRemoved: nothing,
  pendingForget: nothing,
  subscription: object({
    id: number(),
    owner,
    registrationId: bytes,
    applicationServerKey: maybe(bytes),
    mode: word(),
    userVisibleOnly: number(),
    allowAesgcm: number(),
    generatedToken: number(),
    publicKey: bytes,
    channel: maybe(numeral),
    expirationTime: number(),
    createdEpochMs: number(),
    waToken: maybe(text),
    // The other half of the pair, which a replay makes of its own.
    privateKey: unsaid(new Uint8Array(32)),
    authSecret: bytes,
    endpoint: maybe(url),
    freshness: word(),
    usedEpochMs: number(),
  }),
  subscriptionRemoved: object({ id: number() }),
  pendingUnregister: object({ channel: numeral }),
  pendingUnregisterDone: object({ channel: numeral }),
  owner: object({
    owner,
    permission: word(),
    hasHandler: number(),
    paused: number(),
    optedOut: number(),
    badge: maybe(count as Shape<number | true>),
    owesChange: number(),
  }),
  ownerRemoved: object({ owner }),
  choices: object({ paused: number(), optedOut: number() }),
  message,
  messageAttempt: object({ storeEpoch: numeral, id: number(), attempt: number(), handed: number() }),
  messageDone: object({ storeEpoch: numeral, id: number() }),
  notification: object({
    notificationId: number(),
    owner,
    subscriptionId: number(),
    shownEpochMs: number(),
    notificationJson,
  }),
  notificationClosed: object({ notificationId: number() }),
  handled: object({ storeEpoch: numeral, ids: list(number()) }),
  counters: object({ subscriptionIdMax: number(), notificationIdMax: number() }),
  run: object({ runId: number() }),
  suspect: object({ storeEpoch: maybe(numeral), idMax: number() }),
  network: object({
    label: text,
    loMs: number(),
    hiMs: number(),
    isHiSure: number(),
    confidence: number(),
    losses: number(),
    confirmedEpochMs: number(),
    transport: url,
  }),
  clean: nothing,
  endOfCheckpoint: nothing,
});

/** Dialect and host name. */
function serviceShape(): Shape<string> {
  return {
    strip(value, names) {
      const [dialect = "", host = ""] = value.split(" ");
      return value === "" ? "" : [word().strip(dialect, names), url.strip(`https://${host}`, names)];
    },
    restore(value, values) {
      if (value === "" || !Array.isArray(value)) return "";
      const [dialect = null, host = null] = value;
      return `${word<string>().restore(dialect, values)} ${url.restore(host, values).replace("https://", "")}`;
    },
  };
}

/** One record of the journal at the start; what is known by what is put right for a replay. */
export const journalRecord = {
  strip: (record: JournalRecord, names: Names): Json => {
    const stripped = records.strip(record, names) as object;
    if (record.type !== "userAgent") return { ...stripped };
    return { ...stripped, epoch: numeral.strip(deviceEpoch(record.uaid, record.storeEpoch), names) };
  },
  restore(value: Json, dialect: DeviceDialect, values: Values): JournalRecord {
    const source = objectOf(value);
    if (source.type === "subscription" && dialect === "autopush" && Array.isArray(source.channel)) {
      // A channel is named by its registration there.
      const [, at] = source.channel;
      const channel = autopushChannel(bytes.restore(source.registrationId ?? null, values));
      if (!values.isBound(countOf(at))) values.bind(countOf(at), "number", channel);
    }
    const record = records.restore(value, values);
    if (record.type === "userAgent")
      bindEpoch(source.epoch, deviceEpoch(record.uaid, record.storeEpoch), values);
    if (record.type !== "subscription") return record;
    const privateKey = values.privateKeyOf(record.publicKey);
    if (privateKey === undefined) throw malformed("a key pair");
    return { ...record, privateKey };
  },
};

/** What is written to the journal, read along as it is: of an append each record, of a checkpoint how many of each. */
export class JournalWatch {
  readonly #sealer: Sealer;
  #salt: Uint8Array | null;

  constructor({ active }: Pick<JournalRecovery, "active">, sealer: Sealer) {
    this.#sealer = sealer;
    this.#salt = active?.header.salt ?? null;
  }

  stripAppend(written: Uint8Array, names: Names): Json {
    if (this.#salt === null) throw new TypeError("no segment");
    const image = concatBytes(new Uint8Array(SEGMENT_HEADER_BYTES), written);
    return this.#read(image, this.#salt).map((record) => records.strip(record, names));
  }

  stripCheckpoint(written: Uint8Array): Json {
    const header = parseHeader(written);
    if (typeof header === "string") throw new TypeError("no segment");
    this.#salt = header.salt;
    const counts: Record<string, number> = {};
    for (const { type } of this.#read(written, header.salt)) counts[type] = (counts[type] ?? 0) + 1;
    return counts;
  }

  #read(image: Uint8Array, salt: Uint8Array): JournalRecord[] {
    const frames = new FrameReader(image, salt);
    const found: JournalRecord[] = [];
    for (let frame = frames.next(); frame !== null; frame = frames.next()) {
      const record = decodeRecord(frame.record, this.#sealer);
      if (record !== null) found.push(record);
    }
    return found;
  }
}

/** The journal at the start, record by record. */
export function stripJournal({ state }: JournalRecovery, names: Names): Json[] {
  return checkpointRecords(state).map((record) => journalRecord.strip(record, names));
}
