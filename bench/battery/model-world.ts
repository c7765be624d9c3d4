// SPDX-License-Identifier: MIT
/** Runs a published algorithm, as a {@link Policy}, through a scenario: no protocol, only what its packets cost. */

import { RADIOS, WIRE_BYTES } from "../../src/energy.ts";
import type { Policy } from "./algorithm.ts";
import { EnergyMeter } from "./model.ts";
import type { RunResult } from "./result.ts";
import type { PushMessage, Restart, Scenario, Stretch } from "./scenario.ts";
import { NetworkTally } from "./tally.ts";
import { alarmS, Timeline } from "./timeline.ts";

/** From the network's return to the system's word about it. */
const NETWORK_EVENT_S = 0.2;

/** So long a dial keeps the radio up that nobody answers. */
const UNANSWERED_DIAL_S = 15;

interface Connection {
  readonly network: string | null;
  /** When the middlebox forgets it. */
  expiresS: number;
  /** The server still has it. */
  isServed: boolean;
  /** Since when it is dead without anybody knowing; infinite while it is not. */
  deadSinceS: number;
  /** The server answers its packets with a reset. */
  isReset: boolean;
  /** A reset came while the system slept over a gap. */
  hasFin: boolean;
  idleSinceS: number;
  lastPingS: number;
  plannedS: number;
}

export class ModelWorld {
  readonly #scenario: Scenario;
  readonly #policy: Policy;
  readonly #meter = new EnergyMeter(false);
  readonly #time: Timeline;
  readonly #networks = new NetworkTally();
  #stretch: Stretch | null = null;
  #connection: Connection | null = null;
  #attempt = 0;
  #hasSession = false;
  #queue: PushMessage[] = [];
  #cancelTimer: () => void = () => {};
  #bytes = 0;
  #pings = 0;
  #connects = 0;
  #deafS = 0;
  #lost = 0;
  #late = 0;

  constructor(scenario: Scenario, policy: Policy) {
    this.#scenario = scenario;
    this.#policy = policy;
    this.#time = new Timeline(0, (nextS) => this.#countDeaf(nextS));
    for (const stretch of scenario.stretches) this.#time.at(stretch.fromS, () => this.#enter(stretch));
    for (const restart of scenario.restarts) this.#time.at(restart.atS, () => this.#restart(restart.mode));
    for (const message of scenario.messages) this.#time.at(message.atS, () => this.#receive(message));
  }

  run(): RunResult {
    const { durationS, measureFromS } = this.#scenario;
    if (measureFromS > 0) this.#time.at(measureFromS, () => this.#beginMeasure());
    this.#time.runUntil(durationS);
    for (const { atS, ttlS } of this.#queue) if (durationS - atS > ttlS) this.#lost++;
    this.#leave();
    const hours = (durationS - measureFromS) / 3600;
    return {
      wakeH: this.#meter.radioWakes / hours,
      pingH: this.#pings / hours,
      bytesH: this.#bytes / hours,
      joulesDay: this.#meter.joules / (hours / 24),
      connsDay: this.#connects / (hours / 24),
      deafMinDay: this.#deafS / 60 / (hours / 24),
      lost: this.#lost,
      late60: this.#late,
      networks: this.#networks.shares(hours),
    };
  }

  #beginMeasure(): void {
    this.#meter.reset();
    this.#networks.reset();
    this.#bytes = this.#pings = this.#connects = this.#deafS = 0;
  }

  #leave(): void {
    this.#networks.leave(this.#stretch?.network ?? null, this.#meter.joules, this.#deafS, true);
  }

  get #nowS(): number {
    return this.#time.nowS;
  }

  get #isUp(): boolean {
    return this.#stretch !== null && this.#stretch.radio !== null;
  }

  get #isBehindPortal(): boolean {
    return this.#stretch?.portalUntilS != null && this.#nowS < this.#stretch.portalUntilS;
  }

  get #isServerUp(): boolean {
    return this.#outage === undefined;
  }

  get #isUnreachable(): boolean {
    return this.#outage?.mode === "unreachable";
  }

  get #outage(): Restart | undefined {
    const nowS = this.#nowS;
    return this.#scenario.restarts.find(({ atS, downS }) => nowS >= atS && nowS < atS + downS);
  }

  get #isPathGood(): boolean {
    return this.#isDownlinkGood && this.#stretch?.isUplinkDead === false;
  }

  get #isDownlinkGood(): boolean {
    const connection = this.#connection;
    return (
      connection !== null &&
      this.#isUp &&
      connection.network === this.#stretch?.network &&
      this.#nowS < connection.expiresS &&
      connection.isServed
    );
  }

  #rttS(): number {
    const radio = this.#stretch?.radio;
    return radio ? RADIOS[radio].rttS : 0;
  }

  #touch(durationS = 0): void {
    const radio = this.#stretch?.radio;
    if (radio) this.#meter.touch(radio, this.#nowS, durationS);
  }

  /** Traffic both ways: the middlebox remembers again. */
  #exchange(durationS: number): void {
    this.#touch(durationS);
    const connection = this.#connection;
    if (connection === null || connection.network !== this.#stretch?.network) return;
    if (this.#nowS < connection.expiresS)
      connection.expiresS = this.#nowS + durationS + (this.#stretch?.idleTimeoutS ?? 0);
    connection.idleSinceS = this.#nowS;
  }

  /**
   * Counted from event to event. A stretch of time that began behind a portal does not count, wherever the portal ended in
   * it: the clients compared look at the portal now and then, and it is not the time in between that tells them apart.
   */
  #countDeaf(nextS: number): void {
    if (!this.#isUp || this.#isBehindPortal) return;
    const connection = this.#connection;
    if (connection === null) this.#deafS += nextS - this.#nowS;
    else {
      const deadS = Math.min(connection.expiresS, connection.deadSinceS);
      if (deadS < nextS) this.#deafS += nextS - Math.max(deadS, this.#nowS);
    }
  }

  #after(delayS: number, run: () => void): void {
    this.#cancelTimer();
    const atS = this.#nowS + Math.max(0.01, delayS);
    this.#cancelTimer = this.#time.at(alarmS(atS, this.#nowS, this.#stretch?.alarmFloorS ?? 0), run);
  }

  #planPing(): void {
    const connection = this.#connection;
    if (connection === null || this.#stretch === null) return;
    connection.plannedS = this.#policy.intervalS(this.#stretch);
    const sinceS = this.#policy.ignoresTraffic ? this.#nowS - connection.lastPingS : 0;
    if (Number.isFinite(connection.plannedS)) this.#after(connection.plannedS - sinceS, () => this.#ping());
  }

  #ping(): void {
    const connection = this.#connection;
    const stretch = this.#stretch;
    if (connection === null || stretch === null) return;
    this.#meter.wakeCpu(this.#nowS);
    if (!this.#isUp) return this.#after(30, () => this.#ping());
    this.#pings++;
    this.#bytes += WIRE_BYTES.ping;
    const idleS = this.#nowS - connection.idleSinceS;
    const { plannedS } = connection;
    const rttS = this.#rttS();
    const isAnswered = this.#isPathGood && this.#isServerUp;
    this.#touch(rttS);
    connection.lastPingS = this.#nowS;
    if (isAnswered) {
      connection.expiresS = this.#nowS + rttS + stretch.idleTimeoutS;
      connection.idleSinceS = this.#nowS;
      this.#policy.answered?.(stretch, idleS);
      this.#planPing();
      return;
    }
    const isReset =
      !stretch.isUplinkDead &&
      ((stretch.resets && this.#nowS >= connection.expiresS) || (!connection.isServed && connection.isReset));
    this.#cancelTimer();
    this.#time.at(this.#nowS + (isReset ? rttS : this.#policy.verdictS), () => {
      if (connection !== this.#connection) return;
      this.#policy.unanswered?.(stretch, plannedS);
      this.#touch();
      this.#drop();
      this.#retry(true);
    });
  }

  #drop(): void {
    this.#connection = null;
    this.#cancelTimer();
  }

  #retry(isFirst: boolean): void {
    if (this.#connection !== null) return;
    const delayS = this.#policy.backoffS(isFirst ? 0 : this.#attempt);
    this.#attempt = isFirst ? 1 : this.#attempt + 1;
    this.#after(delayS, () => this.#connect());
  }

  #connect(): void {
    const stretch = this.#stretch;
    if (this.#connection !== null || stretch === null || !this.#isUp) return;
    this.#meter.wakeCpu(this.#nowS);
    const { portalS, resumes, roundTrips = 5 } = this.#policy;
    const isBehindPortal = this.#isBehindPortal;
    if (isBehindPortal || !this.#isServerUp || stretch.isUplinkDead) {
      this.#bytes += isBehindPortal && portalS !== undefined ? WIRE_BYTES.probe : WIRE_BYTES.refused;
      const isUnanswered = stretch.isUplinkDead || this.#isUnreachable;
      this.#touch(isBehindPortal ? 3 * this.#rttS() : isUnanswered ? UNANSWERED_DIAL_S : 1);
      if (isBehindPortal && portalS !== undefined)
        this.#after(portalS(this.#attempt++), () => this.#connect());
      else this.#retry(false);
      return;
    }
    const durationS = roundTrips * this.#rttS();
    this.#bytes += this.#hasSession && resumes ? WIRE_BYTES.resume : WIRE_BYTES.connect;
    this.#hasSession = true;
    this.#connects++;
    this.#touch(durationS);
    this.#time.at(this.#nowS + durationS, () => this.#connected(stretch));
  }

  #connected(stretch: Stretch): void {
    if (this.#stretch !== stretch || this.#connection !== null) return;
    this.#connection = {
      network: stretch.network,
      expiresS: this.#nowS + stretch.idleTimeoutS,
      isServed: true,
      deadSinceS: Number.POSITIVE_INFINITY,
      isReset: false,
      hasFin: false,
      idleSinceS: this.#nowS,
      lastPingS: this.#nowS,
      plannedS: 0,
    };
    this.#attempt = 0;
    this.#policy.connected?.(stretch);
    for (const message of this.#queue.splice(0)) {
      if (this.#nowS - message.atS <= message.ttlS) this.#deliver(message, this.#rttS());
      else this.#lost++;
    }
    this.#planPing();
    if (this.#policy.serverPingS !== undefined)
      this.#planServerPing(this.#connection, this.#policy.serverPingS);
  }

  #planServerPing(connection: Connection, intervalS: number): void {
    this.#time.at(this.#nowS + intervalS, () => {
      if (connection !== this.#connection) return;
      if (this.#isPathGood && this.#isServerUp) {
        this.#bytes += WIRE_BYTES.ping;
        this.#meter.wakeCpu(this.#nowS);
        this.#exchange(this.#rttS());
        if (!this.#policy.ignoresTraffic) this.#planPing();
        this.#planServerPing(connection, intervalS);
      } else if (this.#policy.serverForgets) {
        connection.isServed = false;
        connection.deadSinceS = Math.min(connection.deadSinceS, this.#nowS);
        connection.isReset = connection.hasFin = true;
      }
    });
  }

  #deliver(message: PushMessage, latencyS: number): void {
    this.#bytes += WIRE_BYTES.message;
    if (this.#nowS + latencyS - message.atS > 60) this.#late++;
  }

  #receive(message: PushMessage): void {
    const radio = this.#stretch?.radio;
    if (radio && this.#isDownlinkGood && this.#isServerUp) {
      const pageS = this.#meter.isOn(radio, this.#nowS) ? 0 : RADIOS[radio].pageS;
      this.#meter.wakeCpu(this.#nowS);
      this.#exchange(this.#rttS());
      this.#deliver(message, pageS + this.#rttS() / 2);
      if (!this.#policy.ignoresTraffic) this.#planPing();
    } else if (message.ttlS > 0) this.#queue.push(message);
    else this.#lost++;
  }

  #enter(stretch: Stretch): void {
    const before = this.#stretch;
    const connection = this.#connection;
    this.#leave();
    this.#stretch = stretch;
    if (stretch.radio === null) {
      if (!stretch.isSilent && connection !== null)
        connection.deadSinceS = Math.min(connection.deadSinceS, this.#nowS);
      return;
    }
    const isSame =
      before !== null &&
      (before.radio === null
        ? before.isSilent && connection !== null && connection.network === stretch.network
        : before.network === stretch.network);
    if (!isSame) {
      this.#drop();
      this.#attempt = 0;
      return this.#after(NETWORK_EVENT_S, () => this.#connect());
    }
    if (connection?.hasFin && this.#nowS < connection.expiresS) {
      this.#meter.wakeCpu(this.#nowS);
      this.#touch();
      this.#drop();
      this.#attempt = 0;
      this.#retry(true);
    }
  }

  #restart(mode: Restart["mode"]): void {
    const connection = this.#connection;
    if (connection === null) return;
    const isNoticed =
      mode === "close" &&
      this.#isUp &&
      connection.network === this.#stretch?.network &&
      this.#nowS < connection.expiresS;
    if (isNoticed) {
      this.#meter.wakeCpu(this.#nowS);
      this.#exchange(0);
      this.#drop();
      this.#attempt = 0;
      this.#retry(true);
    } else {
      connection.isServed = false;
      connection.deadSinceS = Math.min(connection.deadSinceS, this.#nowS);
      connection.isReset = mode === "close" || mode === "crash";
    }
  }
}
