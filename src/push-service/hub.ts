// SPDX-License-Identifier: MIT
/**
 * Which device is connected by which link, and how often each message was sent: what outlives a single session. Performs no
 * input or output.
 */

import { deviceKey } from "./device-key.ts";
import type { Attempt } from "./outbox.ts";
import type { SessionEvent } from "./session-events.ts";
import { SparseMap } from "./sparse-map.ts";

/** What sessions of every dialect hear, since no message of a device is in it. */
export type ServiceEvent = Exclude<SessionEvent, { type: "upstream" }>;

/** A connected device as the hub sees it. */
export interface DeviceLink {
  handle(event: ServiceEvent): void;
  /** Looks into the store for what may have come unheard. Resolves when the store has answered, or failed to. */
  reread(): Promise<void>;
}

/** What is known of one device while it has a link or a message sent and not acknowledged. */
interface Device {
  link: DeviceLink | null;
  /** Links whose upgrade is not answered yet. They hear everything from the start, so that nothing is missed. */
  readonly pending: SparseMap<DeviceLink, true>;
  /** By message id. Kept while the device is away, dropped with the messages. */
  readonly attempts: SparseMap<number, Attempt>;
}

export class Hub {
  /** By hex of the uaid. */
  readonly #devices = new Map<string, Device>();
  #connected = 0;
  #pending = 0;
  #absent: (uaid: Uint8Array, isNobodys: boolean) => void = () => {};

  /** `absent` is called when a message was stored for a device that has no link here, or, as one of many nodes knows, nowhere. */
  whenAbsent(absent: (uaid: Uint8Array, isNobodys: boolean) => void): void {
    this.#absent = absent;
  }

  /** A message was stored for a device that no node has a link of. */
  noteAbsent(uaid: Uint8Array): void {
    this.#absent(uaid, true);
  }

  /** From now on `link` hears of the device beside the link there is, until {@link attach} or {@link detach}. */
  expect(uaid: Uint8Array, link: DeviceLink): void {
    this.#device(uaid).pending.set(link, true);
    this.#pending++;
  }

  /** Makes `link` the device's link; an older one is told that it was replaced. */
  attach(uaid: Uint8Array, link: DeviceLink): void {
    const device = this.#device(uaid);
    const older = device.link;
    if (device.pending.delete(link)) this.#pending--;
    if (older === null) this.#connected++;
    device.link = link;
    older?.handle({ type: "goodbye", reason: "replaced", retryAfterS: 0 });
  }

  /** Forgets `link`; another one that took its place stays. */
  detach(uaid: Uint8Array, link: DeviceLink): void {
    const device = this.#device(uaid);
    if (device.pending.delete(link)) this.#pending--;
    if (device.link === link) {
      device.link = null;
      this.#connected--;
    }
    this.#tidy(deviceKey(uaid), device);
  }

  isConnected(uaid: Uint8Array): boolean {
    return (this.#devices.get(deviceKey(uaid))?.link ?? null) !== null;
  }

  /** Tells the device's sessions, if there are any. That it was replaced is for its link alone: one on its way has yet to claim the device. */
  notify(uaid: Uint8Array, event: ServiceEvent): void {
    const name = deviceKey(uaid);
    const device = this.#devices.get(name);
    if (event.type === "stored" && !device?.link && !device?.pending.size) this.#absent(uaid, false);
    if (device === undefined) return;
    const isReplaced = event.type === "goodbye" && event.reason === "replaced";
    device.link?.handle(event);
    if (!isReplaced) for (const link of [...device.pending.keys()]) link.handle(event);
    drop(device.attempts, event);
    this.#tidy(name, device);
  }

  /** Drops the counts of a channel that left the store, or of a whole device; its session may have ended before. */
  forget(uaid: Uint8Array, channel?: number): void {
    const name = deviceKey(uaid);
    const device = this.#devices.get(name);
    if (device === undefined) return;
    if (channel === undefined) device.attempts.clear();
    else dropChannel(device.attempts, channel);
    this.#tidy(name, device);
  }

  /** The counts of one device, shared by its sessions. */
  attempts(uaid: Uint8Array): SparseMap<number, Attempt> {
    return this.#device(uaid).attempts;
  }

  /** Drops the counts of expired messages. */
  expire(nowMs: number): void {
    for (const [name, device] of this.#devices) {
      for (const [id, { expiresMs }] of device.attempts) {
        if (expiresMs <= nowMs) device.attempts.delete(id);
      }
      this.#tidy(name, device);
    }
  }

  /** Devices connected. */
  get size(): number {
    return this.#connected;
  }

  /** Links whose upgrade is not answered yet. */
  get pendingSize(): number {
    return this.#pending;
  }

  /** Devices remembered, connected or not. */
  get rememberedSize(): number {
    return this.#devices.size;
  }

  /** All links, pending ones included. */
  links(): DeviceLink[] {
    return [...this.#devices.values()].flatMap(({ link, pending }) =>
      link === null ? [...pending.keys()] : [link, ...pending.keys()],
    );
  }

  #device(uaid: Uint8Array): Device {
    const name = deviceKey(uaid);
    const device = this.#devices.get(name) ?? {
      link: null,
      pending: new SparseMap<DeviceLink, true>(),
      attempts: new SparseMap<number, Attempt>(),
    };
    this.#devices.set(name, device);
    return device;
  }

  #tidy(name: string, { link, pending, attempts }: Device): void {
    if (link === null && pending.size === 0 && attempts.size === 0) this.#devices.delete(name);
  }
}

/** Drops the counts of messages that left the store, also when no session is there to do it. */
function drop(attempts: SparseMap<number, Attempt>, event: ServiceEvent): void {
  if (event.type === "withdrawn") attempts.delete(event.id);
  if (event.type === "stored" && event.replacedId !== null) attempts.delete(event.replacedId);
  if (event.type === "revoked") dropChannel(attempts, event.channel);
}

function dropChannel(attempts: SparseMap<number, Attempt>, channel: number): void {
  for (const [id, attempt] of attempts) if (attempt.channel === channel) attempts.delete(id);
}
