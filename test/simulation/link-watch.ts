// SPDX-License-Identifier: MIT
/**
 * Looks over the shoulder of one device's connections: what comes and is acknowledged on them, how many there are, how often they
 * are made; and holds it against the bounds.
 */

import {
  ACK_DELAY_MS_MAX,
  CANARIES_MAX,
  INBOX_MESSAGES_PER_OWNER_MAX,
  INBOX_MESSAGES_PER_OWNER_RESUME,
  LINK_STABLE_MS,
  UNHELD_MESSAGES_PER_OWNER_MAX,
} from "../../src/limits.ts";
import type { UserAgent } from "../../src/user-agent/user-agent.ts";
import type { DeviceDialect } from "../../src/wire/dialect.ts";
import type { Clockwork } from "./clockwork.ts";
import { type Acknowledged, readAcks, readDownstream } from "./frames.ts";
import type { Ledger } from "./ledger.ts";

export type LinkKind = "main" | "canary";

/** This many alarms within a second are a loop. */
const STORM_ALARMS = 50;
/** Dials within this without a link that proved stable: full jitter makes about fourteen. */
const DIALS_MS = 600_000;
const DIALS_MAX = 24;
/** Network, flash and the alarm's window take a little of the 5 s an acknowledgement may wait. */
const ACK_SLACK_MS = 700;
/** The status is looked at after every so many events. */
const STATUS_EVENTS = 64;

interface Link {
  readonly kind: LinkKind;
  openedMs: number | null;
  /** How messages are called on it, once the service has registered the device. */
  epoch: number | null;
  /** Received and not acknowledged. */
  readonly inFlight: Set<string>;
}

export class LinkWatch {
  /** What keeps the device from acknowledging in time, and until when something did. */
  readonly #hindrances = new Set<string>();
  #hinderedMs = 0;
  readonly #device: string;
  readonly #clockwork: Clockwork;
  readonly #ledger: Ledger;
  readonly #links = new Map<number, Link>();
  #dialsMs: number[] = [];
  #alarmsMs: number[] = [];
  #events = 0;

  constructor(device: string, clockwork: Clockwork, ledger: Ledger) {
    this.#device = device;
    this.#clockwork = clockwork;
    this.#ledger = ledger;
  }

  get openLinks(): number {
    return [...this.#links.values()].filter(({ kind, openedMs }) => kind === "main" && openedMs !== null)
      .length;
  }

  dialed(linkId: number, kind: LinkKind, isOnline: boolean): void {
    this.#links.set(linkId, { kind, openedMs: null, epoch: null, inFlight: new Set() });
    if (kind === "main" && !isOnline) this.#countDial();
    const kinds = [...this.#links.values()].map((link) => link.kind);
    const canaries = kinds.filter((one) => one === "canary").length;
    if (canaries > CANARIES_MAX || kinds.length - canaries > 2)
      this.#violate("bounds", `${kinds.length - canaries} links and ${canaries} canaries`);
  }

  opened(linkId: number): void {
    const link = this.#links.get(linkId);
    if (link !== undefined) link.openedMs = this.#clockwork.nowMs;
  }

  closed(linkId: number): void {
    const link = this.#links.get(linkId);
    this.#links.delete(linkId);
    const wasStable =
      link?.kind === "main" &&
      link.openedMs !== null &&
      this.#clockwork.nowMs - link.openedMs >= LINK_STABLE_MS;
    if (wasStable) this.#dialsMs = [];
  }

  /** Another network: what failed before says nothing. */
  networkChanged(): void {
    this.#dialsMs = [];
  }

  runEnded(): void {
    this.#links.clear();
    this.#dialsMs = [];
    this.#alarmsMs = [];
  }

  /** Something that may hold acknowledgements up begins or ends. */
  hinder(hindrance: string, isThere: boolean): void {
    if (isThere) this.#hindrances.add(hindrance);
    else this.#hindrances.delete(hindrance);
    this.#hinderedMs = Math.max(this.#hinderedMs, this.#clockwork.nowMs);
  }

  /** The same for so long, unless that is known already: a journal that failed is tried again when its turn comes. */
  hinderFor(ms: number): void {
    this.#hinderedMs = Math.max(this.#hinderedMs, this.#clockwork.nowMs + ms);
  }

  alarm(): void {
    const { nowMs } = this.#clockwork;
    this.#alarmsMs = [...this.#alarmsMs.filter((ms) => nowMs - ms < 1_000), nowMs];
    if (this.#alarmsMs.length > STORM_ALARMS) this.#violate("bounds", "an alarm storm");
  }

  /** A frame for the device. */
  received(linkId: number, frame: Uint8Array, dialect: DeviceDialect): void {
    const link = this.#links.get(linkId);
    if (link === undefined) return;
    const messageId = readDownstream(link, frame, dialect)?.messageId;
    if (messageId === undefined) return;
    this.#ledger.events.sent++;
    link.inFlight.add(messageId);
    const receivedMs = this.#clockwork.nowMs;
    this.#clockwork.after(ACK_DELAY_MS_MAX + ACK_SLACK_MS, () => {
      const isThere = this.#links.get(linkId) === link && link.inFlight.has(messageId);
      if (isThere && this.#hindrances.size === 0 && this.#hinderedMs < receivedMs)
        this.#violate("acks wait 5 s at most", `${messageId} has waited for longer`);
    });
  }

  /** What a frame of the device acknowledges. */
  acknowledgedBy(linkId: number, frame: Uint8Array, dialect: DeviceDialect): Acknowledged[] {
    const link = this.#links.get(linkId);
    if (link?.epoch == null) return [];
    const { epoch } = link;
    const acknowledged = readAcks(frame, epoch, dialect);
    for (const { messageId } of acknowledged) link.inFlight.delete(messageId);
    return acknowledged;
  }

  /** Called behind each event of the agent. */
  check(userAgent: UserAgent, dialect: DeviceDialect): void {
    if (++this.#events % STATUS_EVENTS !== 0) return;
    // Where so many wait, more are left to the service.
    const waiting = Math.max(0, ...userAgent.status().owners.map(({ messagesWaiting }) => messagesWaiting));
    if (waiting > INBOX_MESSAGES_PER_OWNER_RESUME || this.#hindrances.has("crowd"))
      this.hinder("crowd", waiting > INBOX_MESSAGES_PER_OWNER_RESUME);
    const max = dialect === "autopush" ? UNHELD_MESSAGES_PER_OWNER_MAX : INBOX_MESSAGES_PER_OWNER_MAX;
    if (waiting > max) this.#violate("bounds", `${waiting} messages wait for one app`);
  }

  #countDial(): void {
    const { nowMs } = this.#clockwork;
    this.#dialsMs = [...this.#dialsMs.filter((ms) => nowMs - ms < DIALS_MS), nowMs];
    if (this.#dialsMs.length > DIALS_MAX)
      this.#violate("dials back off", `${this.#dialsMs.length} within ${DIALS_MS / 60_000} min`);
  }

  #violate(rule: string, text: string): void {
    this.#ledger.violate(rule, `${this.#device}: ${text}`);
  }
}
