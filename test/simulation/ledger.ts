// SPDX-License-Identifier: MIT
/**
 * What became of every message and subscription, written down from outside of the product, and the rules held against it: nothing
 * lost, nothing twice, no acknowledgement before a message is safe, nothing for whom it was taken from.
 */

import { hexEncode } from "../../src/bytes.ts";
import {
  DELIVERY_ATTEMPTS_MAX,
  UNHELD_BODY_BYTES_MAX,
  UNHELD_MESSAGES_PER_OWNER_MAX,
} from "../../src/limits.ts";
import type { AckCode } from "../../src/wire/dialect.ts";

/** One run of an agent: a process of a device. */
export interface Run {
  readonly device: string;
  /** From 1, by device. */
  readonly number: number;
  /** Runs that ended without a proper stop before this one. */
  readonly crashesBefore: number;
}

/** A subscription as an app's server got it. */
export interface Registration {
  readonly device: string;
  readonly owner: string;
  readonly endpoint: string;
  /** 65 and 16 bytes. */
  readonly publicKey: Uint8Array;
  readonly authSecret: Uint8Array;
  readonly isKeyed: boolean;
  /** Ended by a person, its app, its server or the service: what is under way for it may be dropped. */
  isEnded: boolean;
  /** In this run, and the ones behind it once that was written down, nothing more may reach the app. */
  endedRun: Run | null;
  isEndDurable: boolean;
}

export type MessageKind = "opaque" | "declared" | "mutable" | "empty" | "corrupt";

/** What was handed to an app or shown, once. */
interface Outing {
  readonly run: Run;
  readonly messageId: string;
}

export interface Message {
  /** Unique in the run; stands in the payload of all kinds but "empty" and "corrupt". */
  readonly number: number;
  readonly kind: MessageKind;
  readonly registration: Registration;
  readonly ttlS: number;
  readonly bodyBytes: number;
  /** The last bytes of the ciphertext, or null. */
  readonly tail: Uint8Array | null;
  /** Null until the service said 201; of a lost answer nobody knows. */
  acceptedMs: number | null;
  /** Where it can be withdrawn; null until it was accepted. */
  location: string | null;
  /** As the agent calls it; null until it was stored. */
  messageId: string | null;
  readonly handings: (Outing & { isOpen: boolean })[];
  readonly shows: (Outing & { readonly notificationId: number })[];
  /** The run in which its app was done with it. */
  handledRun: Run | null;
  /** Deliveries that failed. */
  failures: number;
  /** Why it need not arrive, or null. */
  excuse: string | null;
  isAcknowledged: boolean;
}

/** What a message says for itself; found in logs it is a leak. */
export const PAYLOAD_MARK = "payload-of-message-";

export function payloadOf(number: number): string {
  return `${PAYLOAD_MARK}${number}.`;
}

/** Reasons for which an agent drops a message that was for somebody. */
const ENDED_REASONS = ["unsubscribed", "not wanted", "permission denied", "no such subscription"];

/** TTLs below this are chosen so that messages expire. */
export const SHORT_TTL_S_MAX = 7_200;

/** Counts of what happened to messages, of nothing yet. */
export function noEvents() {
  return {
    accepted: 0,
    sent: 0,
    handed: 0,
    shown: 0,
    handled: 0,
    journaled: 0,
    acknowledged: 0,
    dropped: 0,
  };
}

export class Ledger {
  readonly messages: Message[] = [];
  readonly registrations: Registration[] = [];
  readonly violations: string[] = [];
  /** What happened to messages, by kind: the figures of a run. */
  readonly events = noEvents();
  markedRepeats = 0;
  readonly #byId = new Map<string, Message>();
  readonly #byBody = new Map<string, Message>();
  readonly #secrets = new Set<string>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  violate(rule: string, text: string): void {
    this.violations.push(`${rule}: ${text} (at ${this.#now()} ms)`);
  }

  get eventCount(): number {
    return Object.values(this.events).reduce((sum, count) => sum + count, 0);
  }

  // --- subscriptions ---

  /** An app's server got an endpoint; one it had before is good again. */
  register(registration: Omit<Registration, "isEnded" | "endedRun" | "isEndDurable">): Registration {
    this.addSecret(registration.endpoint.slice(registration.endpoint.lastIndexOf("/") + 1));
    const known = this.registrations.find(
      (one) =>
        one.endpoint === registration.endpoint &&
        hexEncode(one.publicKey) === hexEncode(registration.publicKey),
    );
    if (known !== undefined) {
      Object.assign(known, { isEnded: false, endedRun: null, isEndDurable: false });
      return known;
    }
    const added = { ...registration, isEnded: false, endedRun: null, isEndDurable: false };
    this.registrations.push(added);
    return added;
  }

  liveRegistrations(device: string, owner: string | null): Registration[] {
    return this.registrations.filter(
      (one) => one.device === device && (owner === null || one.owner === owner) && !one.isEnded,
    );
  }

  /** From now on messages of it may be dropped; with `run`, they must not reach the app any more. */
  end(registration: Registration, run: Run | null): void {
    registration.isEnded = true;
    registration.endedRun ??= run;
    for (const message of this.messages)
      if (message.registration === registration) message.excuse ??= "ended";
  }

  // --- messages ---

  add(message: Pick<Message, "number" | "kind" | "registration" | "ttlS">, body: Uint8Array): Message {
    const tail = body.length < 32 ? null : body.slice(-16);
    const added: Message = {
      ...message,
      bodyBytes: body.length,
      tail,
      acceptedMs: null,
      location: null,
      messageId: null,
      handings: [],
      shows: [],
      handledRun: null,
      failures: 0,
      excuse: null,
      isAcknowledged: false,
    };
    this.messages.push(added);
    if (tail !== null) this.#byBody.set(hexEncode(tail), added);
    return added;
  }

  byBody(body: Uint8Array): Message | undefined {
    return this.#byBody.get(hexEncode(body.subarray(-16)));
  }

  byId(messageId: string): Message | undefined {
    return this.#byId.get(messageId);
  }

  stored(message: Message, messageId: string): void {
    message.messageId = messageId;
    this.#byId.set(messageId, message);
  }

  accepted(message: Message, location: string): void {
    message.acceptedMs = this.#now();
    message.location = location;
    this.events.accepted++;
    if (message.registration.isEnded) message.excuse ??= "ended";
  }

  /** An app gets a message: `number` as its payload says, or null. */
  handed(
    run: Run,
    owner: string,
    number: number | null,
    messageId: string,
    redelivered: boolean,
  ): Message | null {
    this.events.handed++;
    const message = number === null ? this.#byId.get(messageId) : this.messages[number];
    if (message === undefined) {
      this.violate("for nobody", `${owner} got ${messageId}, which nobody sent`);
      return null;
    }
    this.#checkAddressee(message, run, owner);
    for (const earlier of message.handings) {
      if (earlier.messageId !== messageId)
        this.violate("one id", `message ${message.number} was ${earlier.messageId} and is ${messageId}`);
      if (earlier.run === run && earlier.isOpen)
        this.violate("one at a time", `message ${message.number} is in the app's hands already`);
    }
    const { handledRun } = message;
    const isRepeatOfHandled = handledRun !== null && handledRun.crashesBefore === run.crashesBefore;
    if (isRepeatOfHandled)
      this.violate("exactly once", `message ${message.number} was handled, and comes again`);
    if (message.handings.length > 0) {
      if (redelivered) this.markedRepeats++;
      else this.violate("repeats are marked", `message ${message.number} comes again as if it were new`);
    }
    message.handings.push({ run, messageId, isOpen: true });
    return message;
  }

  /** The app is done with it, or failed, or its time is over. */
  ended(message: Message, run: Run, isHandled: boolean): void {
    for (const handing of message.handings) handing.isOpen = false;
    if (!isHandled) {
      message.failures++;
      return;
    }
    this.events.handled++;
    message.handledRun = run;
  }

  /** @param wasKept it came before, when there was no screen: what was decided since does not concern it */
  shown(run: Run, owner: string, number: number, notificationId: number, wasKept: boolean): void {
    const message = this.messages[number];
    if (message === undefined) return this.violate("for nobody", `a notification of ${owner} nobody sent`);
    const isRestored = message.shows.some((earlier) => earlier.notificationId === notificationId);
    if (isRestored) return;
    this.events.shown++;
    if (!wasKept) this.#checkAddressee(message, run, owner);
    for (const earlier of message.shows) {
      if (earlier.run.crashesBefore === run.crashesBefore)
        this.violate("exactly once", `message ${message.number} is shown twice`);
      else this.markedRepeats++;
    }
    message.shows.push({ run, messageId: message.messageId ?? "", notificationId });
  }

  /** The agent says that it dropped a message. */
  dropped(messageId: string, reason: string): void {
    this.events.dropped++;
    const message = this.#byId.get(messageId);
    if (message === undefined || message.excuse !== null) return;
    const { registration, kind, ttlS, failures } = message;
    const isAllowed =
      (ENDED_REASONS.includes(reason) && registration.isEnded) ||
      (reason.startsWith("ERR_ECE_") && kind === "corrupt") ||
      (reason === "expired" && ttlS < SHORT_TTL_S_MAX) ||
      (reason === "the app failed to handle it" && failures >= DELIVERY_ATTEMPTS_MAX) ||
      (reason === "too many" && this.#areTooMany(registration));
    if (isAllowed) message.excuse = reason;
    else this.violate("nothing lost", `message ${message.number} was dropped: ${reason}`);
  }

  /**
   * The agent acknowledges a message.
   *
   * @param isKept whether it survives a power cut at this moment
   */
  acknowledging(message: Message, code: AckCode, isKept: () => boolean): void {
    this.events.acknowledged++;
    const { number, kind, shows, handledRun, excuse } = message;
    if (message.isAcknowledged || excuse !== null) return;
    message.isAcknowledged = true;
    if (code !== "ok") {
      const isTold = kind === "corrupt" ? code === "undecryptable" : false;
      if (!isTold) this.violate("ack means safe", `message ${number} is acknowledged as ${code}`);
      return;
    }
    const isSafe = shows.length > 0 || handledRun !== null || isKept();
    // One without a body cannot be found again; whether it arrives is asked at the end.
    if (!isSafe && kind !== "empty")
      this.violate("ack means safe", `message ${number} is acknowledged, and nowhere`);
  }

  /** What is still owed at the end of all troubles. */
  owed(): Message[] {
    return this.messages.filter(
      ({ acceptedMs, excuse, kind, ttlS, shows, handledRun }) =>
        acceptedMs !== null &&
        excuse === null &&
        kind !== "corrupt" &&
        shows.length === 0 &&
        handledRun === null &&
        ttlS >= SHORT_TTL_S_MAX,
    );
  }

  // --- secrets ---

  addSecret(secret: string): void {
    if (secret.length >= 16) this.#secrets.add(secret);
  }

  addSecretBytes(bytes: Uint8Array): void {
    this.addSecret(hexEncode(bytes));
    this.addSecret(Buffer.from(bytes).toString("base64url"));
    this.addSecret(Buffer.from(bytes).toString("base64").replace(/=+$/, ""));
  }

  /** A line of somebody's log. */
  logged(who: string, line: string): void {
    if (line.includes(PAYLOAD_MARK)) this.violate("no secret in a log", `${who} logs a payload`);
    for (const [word] of line.matchAll(/[\w+/-]{16,}/g))
      for (const part of [word, ...word.split("/")])
        if (this.#secrets.has(part)) this.violate("no secret in a log", `${who} logs a secret`);
  }

  #checkAddressee({ number, registration }: Message, run: Run, owner: string): void {
    const { device, endedRun, isEndDurable } = registration;
    if (device !== run.device || registration.owner !== owner)
      this.violate("for nobody", `message ${number} of ${registration.owner} went to ${owner}`);
    if (!registration.isEnded) return;
    if (isEndDurable || endedRun === run)
      this.violate("ended is ended", `message ${number} reached ${owner}, which nobody wants any more`);
  }

  /** Over dialect autopush nothing can be held at the service. */
  #areTooMany({ device, owner }: Registration): boolean {
    const ofDevice = this.messages.filter(({ registration }) => registration.device === device);
    const bytes = ofDevice.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
    const ofOwner = ofDevice.filter(({ registration }) => registration.owner === owner);
    return bytes >= UNHELD_BODY_BYTES_MAX || ofOwner.length >= UNHELD_MESSAGES_PER_OWNER_MAX;
  }
}
