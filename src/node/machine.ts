// SPDX-License-Identifier: MIT
/** The machine under the agent on Node: links, requests, the alarm, the network. Every outcome comes back as an event. */

import type { AgentEvent, Instant } from "../agent/events.ts";
import type { EffectOf } from "../host/host.ts";
import type { Machine } from "../user-agent/platform.ts";
import { AlarmClock } from "./alarm.ts";
import { performHttpRequest, performPost } from "./http.ts";
import { MqttLinks } from "./mqtt.ts";
import { NetworkMonitor } from "./network.ts";
import { WebSocketLinks } from "./websocket.ts";

export interface NodeMachineOptions {
  /** PEM certificates trusted besides the system's, or null. */
  readonly ca: string | null;
  readonly now: () => Instant;
  /** Hands an event to the driver. */
  readonly dispatch: (event: AgentEvent) => void;
  /** Changes of the network are not seen. */
  readonly fault: (text: string) => void;
}

export class NodeMachine implements Machine {
  readonly #options: NodeMachineOptions;
  readonly #dispatch: (event: AgentEvent) => void;
  readonly #webSockets: WebSocketLinks;
  readonly #mqtt: MqttLinks;
  readonly #alarm: AlarmClock;
  readonly #abortHttp = new Set<() => void>();
  readonly #closed = new AbortController();
  #network: NetworkMonitor | null = null;

  constructor(options: NodeMachineOptions) {
    const { ca, now, dispatch } = options;
    this.#options = options;
    this.#dispatch = dispatch;
    this.#webSockets = new WebSocketLinks({ ca, dispatch });
    this.#mqtt = new MqttLinks({ ca, dispatch });
    this.#alarm = new AlarmClock(now, () => dispatch({ type: "alarm" }));
  }

  watchNetwork(): Promise<void> {
    this.#network = new NetworkMonitor({
      onChange: (network) => this.#dispatch({ type: "networkChanged", network }),
      onNewAddress: (network) => this.#dispatch({ type: "networkChanged", network, hasNewAddress: true }),
      onTrigger: () => this.#alarm.look(),
      onFault: this.#options.fault,
    });
    return this.#network.start();
  }

  openLink(request: EffectOf<"openLink">): void {
    try {
      if (request.mqtt === null) this.#webSockets.open(request);
      else this.#mqtt.open(request, request.mqtt);
    } catch {
      // A header or address the library does not take. Its message may quote them, and they are secrets.
      const { linkId } = request;
      this.#dispatch({ type: "linkClosed", linkId, cause: "local", httpStatus: null, retryAfterS: null });
    }
  }

  send({ linkId, frame, qos }: EffectOf<"send">): void {
    if (this.#mqtt.has(linkId)) this.#mqtt.send(linkId, frame, qos);
    else this.#webSockets.send(linkId, frame);
  }

  ping({ linkId }: EffectOf<"ping">): void {
    this.#webSockets.ping(linkId);
  }

  closeLink({ linkId }: EffectOf<"closeLink">): void {
    this.#webSockets.close(linkId);
    this.#mqtt.close(linkId);
  }

  setAlarm({ alarm }: EffectOf<"setAlarm">): void {
    this.#alarm.set(alarm);
  }

  stayAwake(): void {
    // Node runs where something else decides about suspend; firmware-bridge holds a wake lock here.
  }

  httpRequest(request: EffectOf<"httpRequest">): void {
    try {
      const abort = performHttpRequest(request, this.#options.ca, (event) => {
        this.#abortHttp.delete(abort);
        this.#dispatch(event);
      });
      this.#abortHttp.add(abort);
    } catch {
      const { requestId } = request;
      this.#dispatch({
        type: "httpResponse",
        requestId,
        status: 0,
        cause: "local",
        retryAfterS: null,
        body: null,
      });
    }
  }

  post(url: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<number> {
    return performPost({ url, headers, body, ca: this.#options.ca, signal: this.#closed.signal });
  }

  close(): void {
    this.#network?.close();
    this.#alarm.set(null);
    this.#webSockets.closeAll();
    this.#mqtt.closeAll();
    for (const abort of this.#abortHttp) abort();
    this.#abortHttp.clear();
    this.#closed.abort();
  }
}
