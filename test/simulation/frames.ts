// SPDX-License-Identifier: MIT
/** What frames of either dialect say of messages, by the names the agent has for these. */

import { messageName } from "../../src/agent/inbox.ts";
import { utf8Decode } from "../../src/bytes.ts";
import {
  AUTOPUSH_ACK,
  parseAutopushDownstream,
  parseAutopushUpstream,
  parseUuid,
} from "../../src/wire/autopush.ts";
import { autopushMessageId } from "../../src/wire/autopush-device.ts";
import type { AckCode, DeviceDialect } from "../../src/wire/dialect.ts";
import { deviceEpoch } from "../../src/wire/digest.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";

/** What the device's end of dialect autopush calls every store. */
const AUTOPUSH_STORE_EPOCH = 1;

/** A link as far as its frames tell. */
export interface Course {
  /** How messages are called on it, once the service has registered the device. */
  epoch: number | null;
}

/** `channel` is null where none can be held. */
export interface Received {
  readonly messageId: string;
  readonly channel: number | null;
}

export interface Acknowledged {
  readonly messageId: string;
  readonly code: AckCode;
}

/** The message in a frame for the device, or null. */
export function readDownstream(course: Course, frame: Uint8Array, dialect: DeviceDialect): Received | null {
  return dialect === "autopush" ? readAutopush(course, frame) : readNative(course, frame);
}

/** What a frame of the device acknowledges. */
export function readAcks(frame: Uint8Array, epoch: number, dialect: DeviceDialect): Acknowledged[] {
  return dialect === "autopush" ? autopushAcks(frame, epoch) : nativeAcks(frame, epoch);
}

function readNative(course: Course, frame: Uint8Array): Received | null {
  const message = godwitDialect.parseDownstream(frame);
  if (message?.type === "registered") course.epoch = deviceEpoch(message.uaid, message.storeEpoch);
  return message?.type === "notification" && course.epoch !== null
    ? { messageId: messageName(course.epoch, message.id), channel: message.channel }
    : null;
}

function readAutopush(course: Course, frame: Uint8Array): Received | null {
  const message = parseAutopushDownstream(utf8Decode(frame));
  if (message.type === "hello")
    course.epoch = deviceEpoch(parseUuid(message.uaid) ?? new Uint8Array(16), AUTOPUSH_STORE_EPOCH);
  if (message.type !== "notification" || course.epoch === null) return null;
  const id = autopushMessageId(message.channelId, message.version);
  return { messageId: messageName(course.epoch, id), channel: null };
}

/** As the agent calls a message that the service stored under `id`. */
export function nativeMessageId(uaid: Uint8Array, storeEpoch: number, id: number): string {
  return messageName(deviceEpoch(uaid, storeEpoch), id);
}

/** @param channelId 16 bytes */
export function autopushMessageIdOf(
  uaid: Uint8Array,
  storeEpoch: number,
  channelId: Uint8Array,
  id: number,
): string {
  const version = `${deviceEpoch(uaid, storeEpoch).toString(36)}.${id.toString(36)}`;
  return messageName(deviceEpoch(uaid, AUTOPUSH_STORE_EPOCH), autopushMessageId(channelId, version));
}

function nativeAcks(frame: Uint8Array, epoch: number): Acknowledged[] {
  const message = godwitDialect.parseUpstream(frame);
  if (message.type !== "ack") return [];
  const { ranges, code } = message;
  return ranges.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, at) => ({
      messageId: messageName(epoch, first + at),
      code,
    })),
  );
}

function autopushAcks(frame: Uint8Array, epoch: number): Acknowledged[] {
  const message = parseAutopushUpstream(utf8Decode(frame));
  if (message.type !== "ack") return [];
  return message.updates.map(({ channelId, version, code }) => ({
    messageId: messageName(epoch, autopushMessageId(channelId, version)),
    code:
      code === AUTOPUSH_ACK.undecryptable
        ? "undecryptable"
        : code === AUTOPUSH_ACK.undelivered
          ? "rejected"
          : "ok",
  }));
}
