// SPDX-License-Identifier: MIT
/**
 * A device with any number of subscriptions: the real agent and driver on a host of nothing but memory. Each subscription is of an app
 * of its own, which is there and handles a message at once. The clock is real.
 */

import { Agent } from "../../src/agent/agent.ts";
import { Driver } from "../../src/host/driver.ts";
import type { Host } from "../../src/host/host.ts";
import { JournalState, JournalWriter, plainSealer, recoverJournal } from "../../src/journal/index.ts";
import { nodeProvider } from "../../src/node/crypto.ts";
import { encrypt } from "../../src/webpush/encrypt.ts";
import { generateKeys } from "../../src/webpush/keys.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { subscription } from "../wire-cases.ts";

export const UAID = new Uint8Array(16).fill(7);
/** Plaintext of a message. */
const PAYLOAD_BYTES = 200;

/** Of every subscription here: what is measured is not who can read what. */
const KEYS = generateKeys(randomFill, nodeProvider);

/** Bodies of messages for any subscription here, each another ciphertext: the agent knows one that it had before. */
export function sealedBodies(count: number): Uint8Array[] {
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x61);
  return Array.from({ length: count }, () => encrypt(payload, KEYS, { provider: nodeProvider, randomFill }));
}

/** Number of the channel that {@link GrownDevice} has its `nth` subscription on, from 0. */
export function channelOf(nth: number): number {
  return subscription(nth + 1).channel ?? 0;
}

/** Processor time of this process so far, us: what else the machine does counts little. */
export function spentUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

export interface GrownDeviceOptions {
  readonly subscriptions: number;
  /** A frame of the agent; also before the constructor returns. */
  readonly send: (frame: Uint8Array) => void;
  /** An app has a message. */
  readonly delivered?: () => void;
}

export class GrownDevice {
  readonly #driver: Driver;
  #linkId = 0;
  #alarm: NodeJS.Timeout | undefined;

  /** It has dialed when this returns; the first frame to {@link receive} is Registered. */
  constructor(options: GrownDeviceOptions) {
    const deviceBinding = new Uint8Array(16);
    const sealer = plainSealer();
    const recovery = recoverJournal([journalOf(options.subscriptions)], { deviceBinding, sealer });
    const agent = new Agent({
      ...{
        serviceUrl: "https://push.example",
        mqttUrls: [],
        dialect: godwitDialect,
        recovery,
        sealer,
        deviceBinding,
      },
      ...{ provider: nodeProvider, randomFill, jitter: Math.random, heartbeatMs: null, portalProbeUrl: null },
      ...{ windowS: 0, leastUrgency: "very-low", keepConnected: false, navigation: { httpAllowed: false } },
      silentPushMax: () => null,
    });
    this.#driver = new Driver(agent, this.#host(options));
    this.#driver.dispatch({ type: "start" });
    const owners = Array.from({ length: options.subscriptions }, (_, nth) => ownerOf(nth));
    for (const owner of owners) this.#driver.dispatch({ type: "appAttached", owner, handlesPush: true });
    const network = { label: "bench", kind: "ethernet", metered: false } as const;
    this.#driver.dispatch({ type: "networkChanged", network });
    if (this.#linkId === 0) throw new Error("the device did not dial");
    this.#driver.dispatch({ type: "linkOpened", linkId: this.#linkId });
  }

  receive(frame: Uint8Array): void {
    this.#driver.dispatch({ type: "linkMessage", linkId: this.#linkId, frame });
  }

  /** No alarm comes any more. */
  close(): void {
    clearTimeout(this.#alarm);
  }

  #host({ send, delivered = () => {} }: GrownDeviceOptions): Host {
    const ignore = (): void => {};
    const written = ({ appendId }: { readonly appendId: number }): void =>
      this.#driver.dispatch({ type: "journalAppended", appendId });
    return {
      now: () => ({ monotonicMs: performance.now(), epochMs: Date.now(), epochTrusted: true }),
      openLink: ({ linkId }) => {
        this.#linkId = linkId;
      },
      send: ({ frame }) => send(frame),
      deliver: ({ delivery: { deliveryId } }) => {
        delivered();
        this.#driver.dispatch({ type: "appHandled", deliveryId });
      },
      setAlarm: ({ alarm }) => {
        clearTimeout(this.#alarm);
        if (alarm === null) return;
        const inMs = alarm.atMs + alarm.windowMs - performance.now();
        this.#alarm = setTimeout(() => this.#driver.dispatch({ type: "alarm" }), Math.ceil(inMs));
      },
      append: written,
      checkpoint: written,
      ...{ ping: ignore, closeLink: ignore, stayAwake: ignore, httpRequest: ignore, startApp: ignore },
      ...{ cancelDelivery: ignore, appReply: ignore, subscriptionChange: ignore, show: ignore },
      ...{ closeNotification: ignore, notificationClick: ignore, setBadge: ignore, openUrl: ignore },
      ...{
        askPermission: ignore,
        permissionSettled: ignore,
        askNavigation: ignore,
        warnApp: ignore,
        report: ignore,
      },
    };
  }
}

function ownerOf(nth: number): string {
  return `https://app-${nth}.example`;
}

/** The segment a device with so many subscriptions left behind when it stopped in order. */
function journalOf(subscriptions: number): Uint8Array {
  const options = { deviceBinding: new Uint8Array(16), sealer: plainSealer() };
  const state = new JournalState();
  state.apply({ type: "device", deviceSecret: new Uint8Array(32).fill(5) });
  const service = `${godwitDialect.name} push.example`;
  state.apply({ type: "userAgent", uaid: UAID, storeEpoch: 0, uaToken: "token", service });
  for (let nth = 0; nth < subscriptions; nth++) {
    const owner = ownerOf(nth);
    const decided = { permission: "granted", hasHandler: true, paused: false, optedOut: false } as const;
    state.apply({ type: "owner", owner, ...decided, badge: null, owesChange: false });
    state.apply({ ...subscription(nth + 1), ...KEYS, owner, usedEpochMs: Date.now() });
  }
  state.apply({ type: "clean" });
  return new JournalWriter(recoverJournal([], options), { ...options, randomFill }).checkpointBytes(state);
}

function randomFill(target: Uint8Array): void {
  crypto.getRandomValues(target);
}
