// SPDX-License-Identifier: MIT
/**
 * Stands at the service's end of one device's link and counts what is under way: what the device was sent and the service has not
 * heard of since. At the device's end holds and acknowledgements on their way could not be told.
 */

import { AUTOPUSH_IN_FLIGHT_MAX, MESSAGES_IN_FLIGHT_MAX } from "../../src/limits.ts";
import type { DeviceDialect } from "../../src/wire/dialect.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { type Course, readAcks, readDownstream } from "./frames.ts";
import { type Ledger, SHORT_TTL_S_MAX } from "./ledger.ts";

export class WindowWatch {
  readonly #device: string;
  readonly #dialect: DeviceDialect;
  readonly #ledger: Ledger;
  readonly #course: Course = { epoch: null };
  /** Channels by message. */
  readonly #inFlight = new Map<string, number | null>();

  constructor(device: string, dialect: DeviceDialect, ledger: Ledger) {
    this.#device = device;
    this.#dialect = dialect;
    this.#ledger = ledger;
  }

  /** The service sends a frame. */
  sent(frame: Uint8Array): void {
    const received = readDownstream(this.#course, frame, this.#dialect);
    if (received === null) return;
    this.#inFlight.set(received.messageId, received.channel);
    const max = this.#dialect === "autopush" ? AUTOPUSH_IN_FLIGHT_MAX : MESSAGES_IN_FLIGHT_MAX;
    if (this.#inFlight.size <= max) return;
    const lasting = [...this.#inFlight.keys()].filter((id) => this.#isLasting(id));
    if (lasting.length > max)
      this.#ledger.violate("bounds", `${this.#device}: ${lasting.length} messages in flight`);
  }

  /** The service gets one. */
  heard(frame: Uint8Array): void {
    const { epoch } = this.#course;
    if (epoch === null) return;
    for (const { messageId } of readAcks(frame, epoch, this.#dialect)) this.#inFlight.delete(messageId);
    if (this.#dialect === "autopush") return;
    const message = godwitDialect.parseUpstream(frame);
    if (message.type === "getAllMessages") this.#inFlight.clear();
    if (message.type !== "hold" && message.type !== "unregisterWa") return;
    for (const [id, channel] of this.#inFlight) if (channel === message.channel) this.#inFlight.delete(id);
  }

  /** The service lets those go whose time is over, and those that were taken back. */
  #isLasting(messageId: string): boolean {
    const message = this.#ledger.byId(messageId);
    return message !== undefined && message.excuse === null && message.ttlS >= SHORT_TTL_S_MAX;
  }
}
