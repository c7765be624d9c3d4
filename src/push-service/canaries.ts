// SPDX-License-Identifier: MIT
/**
 * Canary links: idle WebSockets a device opens beside its main link to learn how long its network keeps
 * one. The service answers pings, which `ws` does, and does nothing else that could keep them alive.
 */

import type { WebSocket } from "ws";
import { CANARIES_PER_DEVICE_MAX, CANARY_LIFETIME_MS, CANARY_PINGS_BURST_MAX } from "../limits.ts";
import { deviceKey } from "./device-key.ts";
import { TokenBucket } from "./rate-limit.ts";

export class Canaries {
  /** Those of each device, the longest silent first. */
  readonly #links = new Map<string, Set<WebSocket>>();

  /**
   * Keeps `webSocket` until either side closes it, it sends a message, or its lifetime ends. One too many takes the place
   * of the longest silent: most likely a network has forgotten that one, and no close of the device's ever came through.
   */
  add(uaid: Uint8Array, webSocket: WebSocket): void {
    const name = deviceKey(uaid);
    const links = this.#links.get(name) ?? new Set<WebSocket>();
    const [longestSilent] = links;
    if (links.size >= CANARIES_PER_DEVICE_MAX && longestSilent !== undefined) {
      links.delete(longestSilent);
      longestSilent.terminate();
    }
    this.#links.set(name, links.add(webSocket));
    const lifetime = setTimeout(() => webSocket.close(1000, "lifetime"), CANARY_LIFETIME_MS);
    const pings = new TokenBucket({ burstMax: CANARY_PINGS_BURST_MAX, perMinute: 60 });
    webSocket.on("ping", () => {
      if (links.delete(webSocket)) links.add(webSocket);
      if (pings.take(performance.now()) > 0) webSocket.terminate();
    });
    webSocket.on("message", () => webSocket.close(1008, "canary"));
    webSocket.on("close", () => {
      clearTimeout(lifetime);
      links.delete(webSocket);
      if (links.size === 0 && this.#links.get(name) === links) this.#links.delete(name);
    });
  }

  /** Closes the canaries of one device, or of all. */
  closeAll(uaid?: Uint8Array): void {
    const all = uaid === undefined ? [...this.#links.values()] : [this.#links.get(deviceKey(uaid)) ?? []];
    for (const links of all) for (const webSocket of links) webSocket.close(1001, "going away");
  }

  get size(): number {
    let size = 0;
    for (const links of this.#links.values()) size += links.size;
    return size;
  }
}
