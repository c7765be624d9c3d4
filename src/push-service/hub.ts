// SPDX-License-Identifier: MIT
/**
 * Which device is connected by which link, and how often each message was sent: what outlives a single session. Performs no
 * input or output.
 */

import { hexEncode } from "../bytes.ts";
import type { Attempt } from "./outbox.ts";
import type { SessionEvent } from "./session-events.ts";

/** A connected device as the hub sees it. */
export interface DeviceLink {
  handle(event: SessionEvent): void;
}

export class Hub {
  readonly #links = new Map<string, DeviceLink>();
  /** By uaid, of messages sent and not acknowledged. Kept while the device is away, dropped with the messages. */
  readonly #attempts = new Map<string, Map<number, Attempt>>();

  /** Makes `link` the device's link; an older one is told that it was replaced. */
  attach(uaid: Uint8Array, link: DeviceLink): void {
    const name = hexEncode(uaid);
    const older = this.#links.get(name);
    this.#links.set(name, link);
    older?.handle({ type: "goodbye", reason: "replaced", retryAfterS: 0 });
  }

  /** Forgets `link` unless another one took its place. */
  detach(uaid: Uint8Array, link: DeviceLink): void {
    const name = hexEncode(uaid);
    if (this.#links.get(name) !== link) return;
    this.#links.delete(name);
    if (this.#attempts.get(name)?.size === 0) this.#attempts.delete(name);
  }

  isConnected(uaid: Uint8Array): boolean {
    return this.#links.has(hexEncode(uaid));
  }

  /** Tells the device's session, if there is one. */
  notify(uaid: Uint8Array, event: SessionEvent): void {
    const name = hexEncode(uaid);
    this.#links.get(name)?.handle(event);
    if (event.type === "revoked") {
      const attempts = this.#attempts.get(name);
      for (const [id, { channel }] of attempts ?? []) if (channel === event.channel) attempts?.delete(id);
    }
    if (event.type === "withdrawn") this.#attempts.get(name)?.delete(event.id);
    if (event.type === "stored" && event.replacedId !== null) {
      this.#attempts.get(name)?.delete(event.replacedId);
    }
  }

  /** The counts of one device, shared by its sessions. */
  attempts(uaid: Uint8Array): Map<number, Attempt> {
    const name = hexEncode(uaid);
    const attempts = this.#attempts.get(name) ?? new Map<number, Attempt>();
    this.#attempts.set(name, attempts);
    return attempts;
  }

  /** Drops the counts of expired messages. */
  expire(nowMs: number): void {
    for (const [name, attempts] of this.#attempts) {
      for (const [id, { expiresMs }] of attempts) if (expiresMs <= nowMs) attempts.delete(id);
      if (attempts.size === 0 && !this.#links.has(name)) this.#attempts.delete(name);
    }
  }

  /** Devices connected. */
  get size(): number {
    return this.#links.size;
  }

  links(): DeviceLink[] {
    return [...this.#links.values()];
  }
}
