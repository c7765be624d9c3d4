// SPDX-License-Identifier: MIT
/**
 * The way of one device to the push service: its network, what stands in between, and the connections over it. TCP as seen from
 * above: in order, and whole or not at all; what breaks it is a reset, an address that is gone, or a middlebox that forgot.
 */

import type { LinkCause, Network } from "../../src/agent/events.ts";
import type { Chance } from "./chance.ts";
import type { Clockwork } from "./clockwork.ts";
import type { Packet, WebSocket, Wire } from "./web-socket.ts";

/** What one direction takes, ms. */
export interface Weather {
  readonly latencyMs: number;
  readonly jitterMs: number;
  /** A flow idle for this long is forgotten; its next packet is answered with a reset, or with nothing. */
  readonly natMs: number;
  readonly natResets: boolean;
}

export const GOOD_WEATHER: Weather = {
  latencyMs: 40,
  jitterMs: 10,
  natMs: Number.POSITIVE_INFINITY,
  natResets: false,
};

export class Access {
  weather: Weather = GOOD_WEATHER;
  /** Every link is reset this long after it opened; null: none is. */
  flapMs: number | null = null;
  readonly connections = new Set<Connection>();
  readonly clockwork: Clockwork;
  readonly #chance: Chance;
  #label: string | null = "wifi";
  #address = 0;
  /** No packet passes before this, and none is lost. */
  #tunnelEndMs = 0;

  constructor(clockwork: Clockwork, chance: Chance) {
    this.clockwork = clockwork;
    this.#chance = chance;
  }

  get network(): Network | null {
    return this.#label === null ? null : { label: this.#label, kind: "wifi", metered: false };
  }

  get address(): number {
    return this.#address;
  }

  /** Another network, the same one with another address, or none. Links of the address before are dead, and nobody is told. */
  move(label: string | null): void {
    this.#label = label;
    this.#address++;
  }

  /** Packets wait for so long. */
  enterTunnel(ms: number): void {
    this.#tunnelEndMs = Math.max(this.#tunnelEndMs, this.clockwork.nowMs + ms);
  }

  leaveTunnel(): void {
    this.#tunnelEndMs = 0;
  }

  /** When what is sent now is there, ms from now. */
  transitMs(): number {
    const { latencyMs, jitterMs } = this.weather;
    const waitMs = Math.max(0, this.#tunnelEndMs - this.clockwork.nowMs);
    return waitMs + latencyMs + Math.floor(this.#chance.next() * jitterMs);
  }
}

/** How the device hears of its end of a connection. */
export interface DeviceEar {
  opened(): void;
  received(packet: Packet): void;
  closed(cause: LinkCause, code: number | null): void;
  /** At the other end: a frame leaves it, or arrives there. */
  serviceSent(frame: Uint8Array): void;
  serviceHeard(frame: Uint8Array): void;
}

/** One TCP connection with a WebSocket in it. */
export class Connection implements Wire {
  readonly #access: Access;
  readonly #address: number;
  readonly #ear: DeviceEar;
  #socket: WebSocket | null = null;
  /** The device, or the service, has no such connection any more. */
  #isDeviceGone = false;
  #isServiceGone = false;
  /** Packets vanish both ways. */
  #isDead = false;
  #usedMs: number;
  #upAtMs = 0;
  #downAtMs = 0;

  constructor(access: Access, ear: DeviceEar) {
    this.#access = access;
    this.#address = access.address;
    this.#ear = ear;
    this.#usedMs = access.clockwork.nowMs;
    access.connections.add(this);
  }

  /** Calls `act` when what the device sends now arrives; never when it does not. */
  reach(act: () => void): void {
    this.#travel("up", act);
  }

  up(packet: Packet): void {
    if (this.#isDeviceGone) return;
    this.#travel("up", () => {
      if (this.#isServiceGone) return;
      if (packet.type === "frame") this.#ear.serviceHeard(packet.bytes);
      this.#socket?.receive(packet);
    });
    if (packet.type === "close") this.forget();
  }

  down(packet: Packet, taken: () => void): void {
    if (this.#isServiceGone) return;
    if (packet.type === "frame") this.#ear.serviceSent(packet.bytes);
    this.#travel("down", () => {
      taken();
      if (this.#isDeviceGone) return;
      if (packet.type !== "close") return this.#ear.received(packet);
      // A WebSocket answers a close frame with one.
      this.up(packet);
      this.#ear.closed("closed", packet.code);
    });
  }

  accepted(socket: WebSocket): void {
    this.#socket = socket;
    this.#travel("down", () => {
      if (this.#isDeviceGone) return;
      this.#ear.opened();
      const { flapMs } = this.#access;
      if (flapMs !== null) this.after(flapMs, () => this.reset());
    });
  }

  /** The upgrade was answered with HTTP, or not at all. */
  refuse(cause: LinkCause, act: () => void): void {
    this.#isServiceGone = true;
    const waitMs = cause === "unreachable" ? 3_000 : this.#access.transitMs();
    this.after(waitMs, () => {
      if (this.#isDeviceGone) return;
      this.forget();
      act();
    });
  }

  /** From the service's side. */
  cut(): void {
    if (this.#isServiceGone) return;
    this.#isServiceGone = true;
    this.#travel("down", () => this.#endDevice("reset"));
  }

  after(delayMs: number, action: () => void): void {
    this.#access.clockwork.after(delayMs, action);
  }

  /** Something on the way resets it: what is under way in either direction is lost. */
  reset(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    // Later: neither end is told from within its own call.
    this.after(0, () => {
      this.#endDevice("reset");
      this.#endService();
    });
  }

  /** Something on the way swallows all that comes from now on. */
  die(): void {
    this.#isDead = true;
  }

  /** The device has no such connection any more and expects nothing of it. */
  forget(): void {
    this.#isDeviceGone = true;
    this.#access.connections.delete(this);
  }

  /** The system of the device resets what its process left open. */
  abort(): void {
    if (this.#isDeviceGone) return;
    this.forget();
    this.#travel("up", () => this.#endService());
  }

  #endDevice(cause: LinkCause): void {
    if (this.#isDeviceGone) return;
    this.forget();
    this.#ear.closed(cause, null);
  }

  #endService(): void {
    if (this.#isServiceGone) return;
    this.#isServiceGone = true;
    this.#socket?.lost();
  }

  #travel(direction: "up" | "down", arrive: () => void): void {
    const access = this.#access;
    const { nowMs } = access.clockwork;
    if (this.#isDead || access.network === null || access.address !== this.#address) return this.die();
    const { natMs, natResets } = access.weather;
    if (nowMs - this.#usedMs >= natMs) return natResets ? this.reset() : this.die();
    this.#usedMs = nowMs;
    const isUp = direction === "up";
    const atMs = Math.max(nowMs + access.transitMs(), isUp ? this.#upAtMs : this.#downAtMs);
    if (isUp) this.#upAtMs = atMs;
    else this.#downAtMs = atMs;
    access.clockwork.after(atMs - nowMs, () => {
      // It was under way when the connection broke.
      if (!this.#isDead) arrive();
    });
  }
}
