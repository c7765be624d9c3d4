// SPDX-License-Identifier: MIT
/** The machine of an agent over firmware-bridge: effects become calls of its natives, what it tells becomes events. */

import type { AgentEvent, Alarm } from "../agent/events.ts";
import type { EffectOf } from "../host/host.ts";
import { ALARM_AHEAD_MS_MAX, REQUEST_TIMEOUT_MS } from "../limits.ts";
import type { Machine } from "../user-agent/platform.ts";
import type { Bridge, BridgeEvents } from "./bridge.d.ts";

export interface BridgeMachineOptions {
  readonly bridge: Bridge;
  readonly dispatch: (event: AgentEvent) => void;
  /** One sentence about what the system does not give. */
  readonly fault: (text: string) => void;
}

/** What `httpDone` tells behind the number of the request. */
type HttpAnswer = Parameters<BridgeEvents["httpDone"]> extends [number, ...infer Rest] ? Rest : never;
type HttpDone = (...answer: HttpAnswer) => void;

/** What the bridge tells is to be handed to the members named like its events. */
export class BridgeMachine implements Machine, Omit<BridgeEvents, "timer"> {
  readonly #bridge: Bridge;
  readonly #options: BridgeMachineOptions;
  readonly #links = new Set<number>();
  /** By the bridge's number: the agent's requests and our own posts share those. */
  readonly #requests = new Map<number, HttpDone>();
  #lastRequestId = 0;
  #alarm: Alarm | null = null;
  #networkTold: (() => void) | null = null;
  #isClosed = false;

  constructor(options: BridgeMachineOptions) {
    this.#bridge = options.bridge;
    this.#options = options;
  }

  openLink(request: EffectOf<"openLink">): void {
    const { linkId, url, subprotocol, bearer, headers, mqtt, isText = false } = request;
    this.#links.add(linkId);
    try {
      if (mqtt === null) this.#bridge.openWebSocket(linkId, url, subprotocol, flat(headers), bearer, isText);
      else this.#bridge.openMqtt(linkId, url, mqtt.username, mqtt.topic, bearer ?? "");
    } catch {
      // A header or address it does not take. What it says may quote them, and they are secrets.
      this.linkClosed(linkId, "local", null, null);
    }
  }

  send({ linkId, frame, qos }: EffectOf<"send">): void {
    if (this.#links.has(linkId)) this.#bridge.send(linkId, frame, qos);
  }

  ping({ linkId }: EffectOf<"ping">): void {
    if (this.#links.has(linkId)) this.#bridge.ping(linkId);
  }

  closeLink({ linkId }: EffectOf<"closeLink">): void {
    if (this.#links.delete(linkId)) this.#bridge.closeLink(linkId);
  }

  setAlarm({ alarm }: EffectOf<"setAlarm">): void {
    this.#alarm = alarm;
    if (alarm === null) return this.#bridge.setAlarm(null, 0);
    // Whole ms, and no earlier than asked for. What lies too far ahead is set again on the way.
    const latestMs = this.#bridge.monotonicMs() + ALARM_AHEAD_MS_MAX;
    const atMs = Math.max(0, Math.ceil(Math.min(alarm.atMs, latestMs)));
    this.#bridge.setAlarm(atMs, Math.floor(Math.min(alarm.windowMs, ALARM_AHEAD_MS_MAX)));
  }

  stayAwake({ untilMs }: EffectOf<"stayAwake">): void {
    this.#bridge.stayAwake(Math.ceil(untilMs));
  }

  httpRequest({ requestId, method, url, bearer, timeoutMs }: EffectOf<"httpRequest">): void {
    const headers = ["Accept", "application/json"];
    if (bearer !== null) headers.push("Authorization", `Bearer ${bearer}`);
    const body = method === "POST" ? new Uint8Array(0) : null;
    this.#request(method, url, headers, body, timeoutMs, (status, cause, retryAfterS, text) =>
      this.#dispatch({ type: "httpResponse", requestId, status, cause, retryAfterS, body: text }),
    );
  }

  post(url: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<number> {
    if (this.#isClosed) return Promise.resolve(0);
    return new Promise((resolve) =>
      this.#request("POST", url, flat(headers), body, REQUEST_TIMEOUT_MS, (status) => resolve(status)),
    );
  }

  watchNetwork(): Promise<void> {
    return new Promise((resolve) => {
      this.#networkTold = resolve;
      if (this.#bridge.watchNetwork()) return;
      this.#options.fault("the system does not tell of its networks");
      this.#tellNetwork();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.setAlarm({ type: "setAlarm", alarm: null });
    for (const linkId of this.#links) this.#bridge.closeLink(linkId);
    this.#links.clear();
    const requests = [...this.#requests];
    this.#requests.clear();
    for (const [requestId, done] of requests) {
      this.#bridge.abortHttp(requestId);
      done(0, "local", null, null);
    }
    this.#tellNetwork();
  }

  linkOpened(linkId: number): void {
    if (this.#links.has(linkId)) this.#dispatch({ type: "linkOpened", linkId });
  }

  linkMessage(linkId: number, frame: Uint8Array): void {
    if (this.#links.has(linkId)) this.#dispatch({ type: "linkMessage", linkId, frame });
  }

  linkPong(linkId: number): void {
    if (this.#links.has(linkId)) this.#dispatch({ type: "linkPong", linkId });
  }

  linkClosed(...[linkId, cause, httpStatus, retryAfterS]: Parameters<BridgeEvents["linkClosed"]>): void {
    if (this.#links.delete(linkId))
      this.#dispatch({ type: "linkClosed", linkId, cause, httpStatus, retryAfterS });
  }

  httpDone(...[requestId, ...answer]: Parameters<BridgeEvents["httpDone"]>): void {
    const done = this.#requests.get(requestId);
    this.#requests.delete(requestId);
    done?.(...answer);
  }

  alarm(): void {
    const alarm = this.#alarm;
    // One that was taken back while it fired.
    if (alarm === null) return;
    if (this.#bridge.monotonicMs() < alarm.atMs) return this.setAlarm({ type: "setAlarm", alarm });
    this.#alarm = null;
    this.#dispatch({ type: "alarm" });
  }

  /** The device is awake anyway: an alarm that is due need not wait for its window to end. */
  look(): void {
    if (this.#alarm === null || this.#bridge.monotonicMs() < this.#alarm.atMs) return;
    this.#bridge.setAlarm(null, 0);
    this.alarm();
  }

  network(...[label, kind, metered, hasNewAddress]: Parameters<BridgeEvents["network"]>): void {
    const network = label === null ? null : { label, kind, metered };
    const event: AgentEvent = { type: "networkChanged", network };
    this.#dispatch(hasNewAddress ? { ...event, hasNewAddress } : event);
    this.#tellNetwork();
  }

  #request(
    method: string,
    url: string,
    headers: readonly string[],
    body: Uint8Array | null,
    timeoutMs: number,
    done: HttpDone,
  ): void {
    const requestId = ++this.#lastRequestId;
    this.#requests.set(requestId, done);
    try {
      this.#bridge.httpRequest(requestId, method, url, headers, body, timeoutMs);
    } catch {
      this.httpDone(requestId, 0, "local", null, null);
    }
  }

  #tellNetwork(): void {
    this.#networkTold?.();
    this.#networkTold = null;
  }

  #dispatch(event: AgentEvent): void {
    if (!this.#isClosed) this.#options.dispatch(event);
  }
}

/** name, value, name, value, … */
function flat(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers).flat();
}
