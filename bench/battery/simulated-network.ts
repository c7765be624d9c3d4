// SPDX-License-Identifier: MIT
/**
 * The network between a simulated device and its push service: flows through a middlebox that forgets them, portals, gaps,
 * an uplink that dies, a service that restarts; and what each packet costs.
 */

import type { AgentEvent, LinkCause } from "../../src/agent/events.ts";
import { RADIOS, WIRE_BYTES } from "../../src/energy.ts";
import type { EffectOf } from "../../src/host/host.ts";
import type { EnergyMeter } from "./model.ts";
import type { Restart, Stretch } from "./scenario.ts";
import { SimulatedService } from "./simulated-service.ts";
import { WakeTally } from "./tally.ts";
import type { Timeline } from "./timeline.ts";

/** TCP sends again what was lost after these times from the first. */
const RETRANSMISSIONS_S = [1, 3, 7, 15, 31, 63];
const DIAL_PACKET_BYTES = 60;
/** So often for the first packet of a connection, which the agent gives up after 20 s. */
const DIAL_RETRANSMISSIONS = 4;
export const PORTAL_PROBE_URL = "http://portal.example/204";

interface Flow {
  readonly linkId: number;
  readonly network: string | null;
  readonly isCanary: boolean;
  /** The middlebox forgets it then. */
  expiresS: number;
  isOpen: boolean;
  /** What the server does with its packets once it has lost the connection. */
  servedBy: "service" | "reset" | "nobody";
  lostSinceS: number;
}

export interface NetworkOptions {
  readonly time: Timeline;
  readonly meter: EnergyMeter;
  readonly random: () => number;
  readonly spreadS: number;
  readonly dispatch: (event: AgentEvent) => void;
  /** The agent keeps its link on the present network, and does not merely look in now and then. */
  readonly isHeld: () => boolean;
}

export class SimulatedNetwork {
  readonly service: SimulatedService;
  readonly natLosses: Record<string, { idleTimeoutS: number; count: number }> = {};
  readonly clientWakes = new WakeTally();
  readonly probes = new WakeTally();
  /** Where the device is now. */
  stretch: Stretch | null = null;
  /** The system knows that there is no network. */
  hasHeardOfGap = false;
  /** What comes now comes right behind the 101. */
  isUpgrading = false;
  /** Losses and wake-ups without a network count. */
  isMeasured = false;
  /** There is a TLS session to resume. */
  hasSession = false;
  bytes = 0;
  pings = 0;
  connects = 0;
  deafS = 0;
  wakesWithoutNetwork = 0;
  readonly #options: NetworkOptions;
  readonly #flows = new Map<number, Flow>();
  #unreachableUntilS = Number.NEGATIVE_INFINITY;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.service = new SimulatedService(options.time, options.spreadS, options.random, {
      send: (linkId, frame) => this.#sendDown(linkId, frame),
      close: (linkId) => this.#closeFromService(linkId),
    });
  }

  /** Counting begins. */
  beginMeasure(): void {
    this.isMeasured = true;
    this.bytes = this.pings = this.connects = this.deafS = 0;
  }

  restart({ mode, downS }: Restart): void {
    if (mode === "unreachable") this.#unreachableUntilS = this.#nowS + downS;
    this.service.stop(this.#nowS + downS, mode === "close" ? (linkId) => this.#isReachable(linkId) : null);
    for (const flow of this.#flows.values()) {
      if (mode === "close" && flow.isCanary && flow.isOpen && this.#isReachable(flow.linkId)) {
        this.#closed(flow.linkId, "closed");
      } else if (flow.servedBy === "service") {
        flow.servedBy = mode === "close" || mode === "crash" ? "reset" : "nobody";
        flow.lostSinceS = this.#nowS;
      }
    }
  }

  get #nowS(): number {
    return this.#options.time.nowS;
  }

  get #isBehindPortal(): boolean {
    return this.stretch?.portalUntilS != null && this.#nowS < this.stretch.portalUntilS;
  }

  #rttS(): number {
    const radio = this.stretch?.radio;
    return radio ? RADIOS[radio].rttS : 0;
  }

  #touch(durationS: number): void {
    const radio = this.stretch?.radio;
    if (radio) this.#options.meter.touch(radio, this.#nowS, durationS);
  }

  /** The flow's packets pass: there is a network, the same one, and the middlebox remembers. */
  #passes(flow: Flow): boolean {
    return (
      this.stretch !== null &&
      this.stretch.radio !== null &&
      flow.network === this.stretch.network &&
      this.#nowS < flow.expiresS
    );
  }

  #isReachable(linkId: number): boolean {
    const flow = this.#flows.get(linkId);
    return flow !== undefined && flow.servedBy === "service" && this.#passes(flow);
  }

  #refresh(flow: Flow, durationS: number): void {
    flow.expiresS = this.#nowS + durationS + (this.stretch?.idleTimeoutS ?? 0);
  }

  /** A packet on its way up. True when it reaches the service. */
  #sendUp(flow: Flow, durationS: number): boolean {
    this.#touch(durationS);
    const stretch = this.stretch;
    if (stretch === null || stretch.radio === null || flow.network !== stretch.network) return false;
    if (stretch.isUplinkDead) return false;
    const isForgotten = this.#nowS >= flow.expiresS;
    if (isForgotten ? stretch.resets : flow.servedBy === "reset") {
      this.#options.time.at(this.#nowS + this.#rttS(), () => this.#closed(flow.linkId, "reset", isForgotten));
      return false;
    }
    if (isForgotten || flow.servedBy === "nobody") return false;
    this.#refresh(flow, durationS);
    return true;
  }

  #sendDown(linkId: number, frame: Uint8Array, attempt = 0, firstS = this.#nowS): void {
    const flow = this.#flows.get(linkId);
    if (flow === undefined) return;
    const radio = this.stretch?.radio;
    if (!radio || !this.#passes(flow) || flow.servedBy !== "service") {
      const againS = RETRANSMISSIONS_S[attempt];
      if (againS !== undefined)
        this.#options.time.at(firstS + againS, () => this.#sendDown(linkId, frame, attempt + 1, firstS));
      return;
    }
    if (this.isUpgrading) {
      // Right behind the 101, in the same flight.
      this.bytes += frame.length + WIRE_BYTES.frameDown;
      this.#options.dispatch({ type: "linkMessage", linkId, frame });
      return;
    }
    const pageS = this.#options.meter.isOn(radio, this.#nowS) ? 0 : RADIOS[radio].pageS;
    this.#options.time.at(this.#nowS + pageS, () => {
      if (!this.#passes(flow)) return this.#sendDown(linkId, frame, attempt, firstS);
      const halfS = this.#rttS() / 2;
      this.#touch(halfS);
      this.#refresh(flow, halfS);
      this.bytes += frame.length + WIRE_BYTES.frameDown;
      this.#options.time.at(this.#nowS + halfS, () => {
        if (this.#flows.get(linkId)?.isOpen) this.#options.dispatch({ type: "linkMessage", linkId, frame });
      });
    });
  }

  /** The service closes in order, behind what it sent. */
  #closeFromService(linkId: number): void {
    const flow = this.#flows.get(linkId);
    if (flow === undefined || !this.#isReachable(linkId)) return;
    this.#options.time.at(this.#nowS + this.#rttS(), () => this.#closed(linkId, "closed"));
  }

  #closed(linkId: number, cause: LinkCause, isForgotten = false): void {
    const flow = this.#flows.get(linkId);
    if (flow === undefined) return;
    if (isForgotten) this.#countLoss(flow);
    this.#flows.delete(linkId);
    this.service.linkClosed(linkId);
    this.#options.dispatch({ type: "linkClosed", linkId, cause, httpStatus: null, retryAfterS: null });
  }

  /** A main link that the middlebox forgot, where it was meant to be held. */
  #countLoss(flow: Flow): void {
    if (flow.isCanary || !flow.isOpen || !this.isMeasured) return;
    if (!this.#options.isHeld()) return;
    const name = flow.network ?? "";
    const before = this.natLosses[name];
    const idleTimeoutS = Math.max(before?.idleTimeoutS ?? 0, this.stretch?.idleTimeoutS ?? 0);
    this.natLosses[name] = { idleTimeoutS, count: (before?.count ?? 0) + 1 };
  }

  /** As in model-world.ts: from event to event, and not while a portal stands where the time began. */
  countDeaf(nextS: number): void {
    if (!this.isMeasured || this.stretch === null || this.stretch.radio === null || this.#isBehindPortal)
      return;
    let aliveS = Number.NEGATIVE_INFINITY;
    for (const flow of this.#flows.values()) {
      if (flow.isCanary || !flow.isOpen || flow.network !== this.stretch.network) continue;
      aliveS = Math.max(aliveS, Math.min(flow.expiresS, flow.lostSinceS));
    }
    if (aliveS < nextS) this.deafS += nextS - Math.max(aliveS, this.#nowS);
  }

  /** Pings, dials and probes at one time are one wake-up. */
  #countClientWake(): void {
    this.clientWakes.count(this.#nowS);
    if (this.#isBehindPortal) this.probes.count(this.#nowS);
  }

  /** The agent wants the radio. It is not on the air where there is no network it knows to be gone. */
  #wantRadio(): void {
    if (this.hasHeardOfGap && this.isMeasured) this.wakesWithoutNetwork++;
  }

  open({ linkId, url }: EffectOf<"openLink">, headers: Readonly<Record<string, string>>): void {
    this.#wantRadio();
    const stretch = this.stretch;
    const isCanary = url.endsWith("/v1/canary");
    const rttS = this.#rttS();
    const flow: Flow = {
      linkId,
      network: stretch?.network ?? null,
      isCanary,
      expiresS: Number.POSITIVE_INFINITY,
      isOpen: false,
      servedBy: "service",
      lostSinceS: Number.POSITIVE_INFINITY,
    };
    this.#flows.set(linkId, flow);
    if (!isCanary) this.#countClientWake();
    if (stretch === null || stretch.radio === null) {
      this.#touch(0);
      this.#options.time.at(this.#nowS + 20, () => this.#closed(linkId, "unreachable"));
      return;
    }
    if (stretch.isUplinkDead || this.#nowS < this.#unreachableUntilS) {
      // Nothing answers; the agent gives up.
      for (const afterS of [0, ...RETRANSMISSIONS_S.slice(0, DIAL_RETRANSMISSIONS)])
        this.#options.time.at(this.#nowS + afterS, () => {
          if (this.#flows.get(linkId) !== flow) return;
          this.bytes += DIAL_PACKET_BYTES;
          this.#touch(0);
        });
      return;
    }
    if (this.#isBehindPortal || !this.service.isUp) {
      this.bytes += WIRE_BYTES.refused;
      this.#touch(this.#isBehindPortal ? 3 * rttS : 1);
      const cause = this.#isBehindPortal ? "tls" : "refused";
      this.#options.time.at(this.#nowS + (this.#isBehindPortal ? 3 : 1) * rttS, () =>
        this.#closed(linkId, cause),
      );
      return;
    }
    this.bytes += this.hasSession ? WIRE_BYTES.resume : WIRE_BYTES.connect;
    this.hasSession = true;
    if (!isCanary) this.connects++;
    const durationS = 2 * rttS;
    this.#touch(durationS);
    this.#options.time.at(this.#nowS + durationS, () => {
      if (this.#flows.get(linkId) !== flow) return;
      if (this.stretch?.network !== flow.network || !this.service.isUp)
        return this.#closed(linkId, this.service.isUp ? "unreachable" : "refused");
      flow.isOpen = true;
      this.#refresh(flow, 0);
      this.#options.dispatch({ type: "linkOpened", linkId });
      if (isCanary || this.#flows.get(linkId) !== flow) return;
      this.isUpgrading = true;
      this.service.open(linkId, headers);
      this.isUpgrading = false;
    });
  }

  ping(linkId: number): void {
    const flow = this.#flows.get(linkId);
    if (flow === undefined) return;
    this.#wantRadio();
    const rttS = this.#rttS();
    this.bytes += WIRE_BYTES.ping;
    if (!flow.isCanary) {
      this.pings++;
      this.#countClientWake();
    }
    if (!this.#sendUp(flow, rttS)) {
      if (this.#nowS >= flow.expiresS && !this.stretch?.resets) this.#countLoss(flow);
      return;
    }
    if (!flow.isCanary) this.service.activity(linkId);
    this.#options.time.at(this.#nowS + rttS, () => {
      if (this.#flows.get(linkId) === flow) this.#options.dispatch({ type: "linkPong", linkId });
    });
  }

  send({ linkId, frame }: EffectOf<"send">): void {
    const flow = this.#flows.get(linkId);
    if (flow === undefined) return;
    this.bytes += frame.length + WIRE_BYTES.frameUp;
    if (this.#sendUp(flow, this.#rttS() / 2)) this.service.receive(linkId, frame);
  }

  close(linkId: number): void {
    const flow = this.#flows.get(linkId);
    if (flow === undefined) return;
    // The host sends its FIN when it can; it is a packet like any other.
    if (flow.isOpen && this.#sendUp(flow, 0)) this.bytes += 104;
    this.#flows.delete(linkId);
    this.service.linkClosed(linkId);
  }

  answer({ requestId, url, timeoutMs }: EffectOf<"httpRequest">): void {
    this.#wantRadio();
    const isProbe = url === PORTAL_PROBE_URL;
    const rttS = this.#rttS();
    this.#countClientWake();
    this.bytes += isProbe ? WIRE_BYTES.probe : WIRE_BYTES.connect;
    this.#touch(3 * rttS);
    const body = isProbe ? null : JSON.stringify({ uaToken: "token", uaid: "07".repeat(16) });
    const isLost = this.stretch?.isUplinkDead === true;
    const status = isLost ? 0 : isProbe ? (this.#isBehindPortal ? 302 : 204) : 200;
    this.#options.time.at(this.#nowS + (isLost ? timeoutMs / 1000 : 3 * rttS), () =>
      this.#options.dispatch({
        type: "httpResponse",
        requestId,
        status,
        cause: null,
        retryAfterS: null,
        body,
      }),
    );
  }
}
