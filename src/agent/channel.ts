// SPDX-License-Identifier: MIT
/** The present link as a way for messages: frames out and in, and the ping its transport has. Decides nothing. Pure. */

import { GodwitError } from "../errors.ts";
import type { DeviceEnd, Downstream, Upstream } from "../wire/dialect.ts";
import type { Emit } from "./events.ts";
import type { Meter } from "./meter.ts";
import { reported } from "./report.ts";

export interface ChannelOptions {
  readonly dialect: DeviceEnd;
  readonly meter: Meter;
  readonly emit: Emit;
}

export class Channel {
  readonly #options: ChannelOptions;
  /** Another with each dial, so that late events of an earlier link are recognised. */
  #linkId = 0;
  #isMqtt = false;
  #nonce = 0;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  get linkId(): number {
    return this.#linkId;
  }

  get isMqtt(): boolean {
    return this.#isMqtt;
  }

  /** From now on this link is the present one. */
  use(linkId: number, isMqtt: boolean): void {
    this.#linkId = linkId;
    this.#isMqtt = isMqtt;
  }

  /** False when the dialect has no word for it. */
  send(message: Upstream): boolean {
    const { dialect, meter, emit } = this.#options;
    const frames = [dialect.encodeUpstream(message)].flat();
    for (const frame of frames) {
      meter.countSent(frame.length);
      emit({ type: "send", linkId: this.#linkId, frame, qos: message.type === "probe" ? 0 : 1 });
    }
    return frames.length > 0;
  }

  /** A WebSocket Ping, or over MQTT, where a ping would only prove the broker, a Probe. */
  ping(): void {
    this.#options.meter.countWakeUp("ping");
    if (this.#isMqtt) this.send({ type: "probe", nonce: ++this.#nonce });
    else this.#options.emit({ type: "ping", linkId: this.#linkId });
  }

  /** True for the answer to the last Probe. */
  isPong(nonce: number): boolean {
    return nonce === this.#nonce;
  }

  /** The message in a frame; undefined when it has none for us; null, and a report, when it is no frame. */
  read(frame: Uint8Array): Downstream | null | undefined {
    const { dialect, emit } = this.#options;
    try {
      return dialect.parseDownstream(frame);
    } catch (error) {
      if (!(error instanceof GodwitError)) throw error;
      emit(reported({ type: "fault", code: error.code, text: error.message }));
      return null;
    }
  }

  close(): void {
    this.#options.emit({ type: "closeLink", linkId: this.#linkId });
  }
}
