// SPDX-License-Identifier: MIT
/** Channels whose messages the service is to keep for now. A dialect without a word for that has none. Pure. */

import { HOLDS_AT_ONCE_MAX } from "../limits.ts";
import type { DeviceEnd } from "../wire/dialect.ts";
import type { Instant } from "./events.ts";
import type { Lane } from "./lane.ts";
import type { Link } from "./link.ts";
import type { Registry } from "./registry.ts";

export interface HoldsOptions {
  readonly registry: Registry;
  readonly link: Link;
  readonly dialect: DeviceEnd;
}

export class Holds {
  readonly #options: HoldsOptions;

  constructor(options: HoldsOptions) {
    this.#options = options;
  }

  /** The service can hold; else all that comes has to be kept here, or refused. */
  get areKnown(): boolean {
    return this.#options.dialect.isPlain !== true;
  }

  /** Called again for a held lane: its owner may have a new channel by now. */
  hold(lane: Lane, now: Instant): void {
    if (!this.areKnown) return;
    for (const { channel } of this.#options.registry.ofOwner(lane.owner)) {
      if (channel === null || lane.held.has(channel)) continue;
      lane.held.add(channel);
      this.#options.link.send({ type: "hold", channel }, now);
    }
  }

  /** Not all at once: with very many the service would take it for a flood. The rest is held when a message comes for it. */
  holdPaused(laneOf: (owner: string) => Lane, now: Instant): void {
    if (!this.areKnown) return;
    const { registry } = this.#options;
    let left = HOLDS_AT_ONCE_MAX;
    for (const owner of registry.owners()) {
      if (!registry.isPaused(owner)) continue;
      left -= registry.ofOwner(owner).length;
      if (left < 0) return;
      this.hold(laneOf(owner), now);
    }
  }

  resume(lane: Lane, now: Instant): void {
    for (const channel of lane.held) this.#options.link.send({ type: "resume", channel }, now);
    lane.held.clear();
  }
}
