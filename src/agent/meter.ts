// SPDX-License-Identifier: MIT
/** Counts what the connection costs: wake-ups by cause, bytes, losses, and the last signs of life. Pure. */

import type { LinkCause } from "./events.ts";

export type WakeCause = "ping" | "connect" | "probe" | "message" | "request";

export interface MeterReading {
  readonly wakeUps: Readonly<Record<WakeCause, number>>;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly framesSent: number;
  readonly framesReceived: number;
  readonly linksLost: Readonly<Partial<Record<LinkCause, number>>>;
  readonly messages: Readonly<Record<"received" | "delivered" | "shown" | "dropped", number>>;
  /** Time since the last frame that came in, or null before the first. */
  readonly receivedAgoMs: number | null;
  readonly sentAgoMs: number | null;
}

export class Meter {
  readonly #wakeUps: Record<WakeCause, number> = { ping: 0, connect: 0, probe: 0, message: 0, request: 0 };
  readonly #linksLost: Partial<Record<LinkCause, number>> = {};
  readonly #messages = { received: 0, delivered: 0, shown: 0, dropped: 0 };
  #bytesSent = 0;
  #bytesReceived = 0;
  #framesSent = 0;
  #framesReceived = 0;
  #lastReceivedMs: number | null = null;
  #lastSentMs: number | null = null;

  countWakeUp(cause: WakeCause, _monotonicMs: number): void {
    this.#wakeUps[cause]++;
  }

  countSent(bytes: number, monotonicMs: number): void {
    this.#bytesSent += bytes;
    this.#framesSent++;
    this.#lastSentMs = monotonicMs;
  }

  countReceived(bytes: number, monotonicMs: number): void {
    this.#bytesReceived += bytes;
    this.#framesReceived++;
    this.#lastReceivedMs = monotonicMs;
  }

  countLost(cause: LinkCause): void {
    this.#linksLost[cause] = (this.#linksLost[cause] ?? 0) + 1;
  }

  countMessage(what: keyof MeterReading["messages"]): void {
    this.#messages[what]++;
  }

  read(monotonicMs: number): MeterReading {
    return {
      wakeUps: { ...this.#wakeUps },
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      framesSent: this.#framesSent,
      framesReceived: this.#framesReceived,
      linksLost: { ...this.#linksLost },
      messages: { ...this.#messages },
      receivedAgoMs: this.#lastReceivedMs === null ? null : monotonicMs - this.#lastReceivedMs,
      sentAgoMs: this.#lastSentMs === null ? null : monotonicMs - this.#lastSentMs,
    };
  }
}
