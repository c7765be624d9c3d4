// SPDX-License-Identifier: MIT
/** The scenarios with a name. Each is made from a seed; the same seed makes the same scenario. */

import type { RadioName } from "../../src/energy.ts";
import { PLAIN_STRETCH, type PushMessage, type Restart, type Scenario, type Stretch } from "./scenario.ts";
import { seededRandom } from "./seeded-random.ts";

const MIN = 60;
const HOUR = 3600;
const DAY = 24 * HOUR;
const PLAIN = { clockJumps: [], spreadS: 0, measureFromS: 0 } as const;

export const SCENARIOS: Readonly<Record<string, (seed: number) => Scenario>> = {
  "commuter-1d": (seed) => commuter("commuter-1d", 1, seed),
  "commuter-7d": (seed) => commuter("commuter-7d", 7, seed),
  "lte-29.5min": (seed) => steady("lte-29.5min", "lte", 29.5 * MIN, seed),
  "lte-4.6min": (seed) => steady("lte-4.6min", "lte", 276, seed),
  "wifi-60min": (seed) => steady("wifi-60min", "wifi", HOUR, seed),
  "ethernet-lb-350s": (seed) => steady("ethernet-lb-350s", "ethernet", 350, seed, { resets: true }),
  flappy,
  "nbiot-rai": (seed) => steady("nbiot-rai", "nbiot-rai", 1800, seed, { perHour: [0.5, 0.1] }),
  "random-nats": randomNats,
  // Beyond the usual: nothing is sent and nothing restarts; what the network or the service may do to a device.
  "lte-29.5min-idle": (seed) => ({
    ...steady("lte-29.5min-idle", "lte", 29.5 * MIN, seed),
    messages: [],
    restarts: [],
    measureFromS: 30 * MIN,
  }),
  "nat-changes": natChanges,
  "captive-forever": (seed) => ({
    ...steady("captive-forever", "wifi", HOUR, seed, { portalUntilS: DAY }),
    restarts: [],
  }),
  "no-service-12h": (seed) => ({
    ...steady("no-service-12h", "lte", 29.5 * MIN, seed),
    restarts: [{ atS: 6 * HOUR, mode: "unreachable", downS: 12 * HOUR }],
  }),
  "no-network-12h": (seed) => {
    const on = (fromS: number, toS: number) => stretch(fromS, toS, "lte", "no-network-12h", 29.5 * MIN);
    return {
      ...steady("no-network-12h", "lte", 29.5 * MIN, seed),
      stretches: [on(0, 6 * HOUR), gap(6 * HOUR, 18 * HOUR, false), on(18 * HOUR, DAY)],
      restarts: [],
    };
  },
  "one-way-loss": oneWayLoss,
  "clock-jump": (seed) => ({
    ...steady("clock-jump", "lte", 29.5 * MIN, seed),
    restarts: [],
    clockJumps: [
      { atS: 2 * HOUR, byS: DAY },
      { atS: 5.3 * HOUR, byS: -DAY },
      { atS: 11.7 * HOUR, byS: -DAY },
      { atS: 18 * HOUR, byS: DAY },
    ],
  }),
  suspend,
};

function stretch(
  fromS: number,
  toS: number,
  radio: RadioName,
  network: string,
  idleTimeoutS: number,
  more: Partial<Stretch> = {},
): Stretch {
  return { ...PLAIN_STRETCH, fromS, toS, radio, network, idleTimeoutS, ...more };
}

function gap(fromS: number, toS: number, isSilent: boolean): Stretch {
  return { ...PLAIN_STRETCH, fromS, toS, radio: null, network: null, idleTimeoutS: 0, isSilent };
}

/** Poisson, `day` an hour from 7 to 23 and `night` else; TTL 0, 1 min, 1 h or 4 weeks. */
function messagesOf(
  durationS: number,
  random: () => number,
  [day, night]: readonly [number, number] = [4, 0.5],
) {
  const messages: PushMessage[] = [];
  let atS = 0;
  while (atS < durationS) {
    const hour = (atS / HOUR) % 24;
    atS += (-Math.log(1 - random()) * HOUR) / (hour >= 7 && hour < 23 ? day : night);
    if (atS >= durationS) break;
    const kind = random();
    const ttlS = kind < 0.1 ? 0 : kind < 0.3 ? 60 : kind < 0.6 ? HOUR : 28 * DAY;
    const urgency = random() < 0.3 ? "high" : random() < 0.5 ? "normal" : "low";
    messages.push({ atS, ttlS, urgency });
  }
  return messages;
}

/** A working day: home, train, café with a portal, office behind a firewall, train, a roaming carrier, home. */
function commuter(name: string, days: number, seed: number): Scenario {
  const random = seededRandom(seed);
  const stretches: Stretch[] = [];
  const restarts: Restart[] = [];
  for (let day = 0; day < days; day++) {
    const midnight = day * DAY;
    const add = (
      from: number,
      to: number,
      radio: RadioName,
      network: string,
      idleTimeoutS: number,
      more = {},
    ) => stretches.push(stretch(midnight + from, midnight + to, radio, network, idleTimeoutS, more));
    const train = (from: number, to: number): void => {
      let atS = from;
      while (atS < to) {
        const rideS = (3 + random() * 6) * MIN;
        add(atS, Math.min(to, atS + rideS), random() < 0.25 ? "3g" : "lte", "carrier-a", 29 * MIN);
        atS = Math.min(to, atS + rideS);
        if (atS >= to) break;
        const tunnelS = 20 + random() * random() * 220;
        stretches.push(gap(midnight + atS, midnight + Math.min(to, atS + tunnelS), tunnelS < 60));
        atS = Math.min(to, atS + tunnelS);
      }
    };
    add(0, 7 * HOUR, "wifi", "home", HOUR);
    add(7 * HOUR, 7 * HOUR + 12 * MIN, "lte", "carrier-a", 29 * MIN);
    train(7 * HOUR + 12 * MIN, 7 * HOUR + 50 * MIN);
    add(7 * HOUR + 50 * MIN, 8 * HOUR, "lte", "carrier-a", 29 * MIN);
    add(8 * HOUR, 8 * HOUR + 25 * MIN, "wifi", "cafe", 5 * MIN, {
      portalUntilS: midnight + 8 * HOUR + 4 * MIN,
    });
    add(8 * HOUR + 25 * MIN, 8 * HOUR + 35 * MIN, "lte", "carrier-a", 29 * MIN);
    add(8 * HOUR + 35 * MIN, 12 * HOUR, "wifi", "office", 10 * MIN, { resets: true });
    add(12 * HOUR, 13 * HOUR, "lte", "carrier-a", 29 * MIN);
    add(13 * HOUR, 17 * HOUR + 30 * MIN, "wifi", "office", 10 * MIN, { resets: true });
    train(17 * HOUR + 30 * MIN, 18 * HOUR + 20 * MIN);
    add(18 * HOUR + 20 * MIN, 19 * HOUR + 30 * MIN, "lte", "carrier-b", 276);
    add(19 * HOUR + 30 * MIN, DAY, "wifi", "home", HOUR);
    restarts.push(
      { atS: midnight + 3 * HOUR, mode: "close", downS: 20 },
      { atS: midnight + 15 * HOUR, mode: "crash", downS: 40 },
      { atS: midnight + 21 * HOUR, mode: "silent", downS: 0 },
    );
  }
  const durationS = days * DAY;
  const messages = messagesOf(durationS, seededRandom(seed + 1));
  return { name, durationS, stretches, restarts, messages, ...PLAIN };
}

interface SteadyOptions extends Partial<Stretch> {
  readonly durationS?: number;
  readonly perHour?: readonly [number, number];
}

function steady(
  name: string,
  radio: RadioName,
  idleTimeoutS: number,
  seed: number,
  options: SteadyOptions = {},
) {
  const { durationS = DAY, perHour, ...more } = options;
  const messages = messagesOf(durationS, seededRandom(10 + seed), perHour);
  const restarts: Restart[] = [{ atS: 3 * HOUR, mode: "close", downS: 20 }];
  const stretches = [stretch(0, durationS, radio, name, idleTimeoutS, more)];
  return { name, durationS, stretches, restarts, messages, ...PLAIN };
}

/** A carrier that changes its mind every 10 to 90 minutes, with gaps in between. */
function flappy(seed: number): Scenario {
  const random = seededRandom(seed);
  const timeouts = [240, 270, 300, 600, 900, 1800, 1800, 3600];
  const stretches: Stretch[] = [];
  let atS = 0;
  while (atS < DAY) {
    const lastsS = 10 * MIN + random() * 80 * MIN;
    const idleTimeoutS = timeouts[Math.floor(random() * timeouts.length)] ?? 240;
    const radio = random() < 0.15 ? "3g" : "lte";
    const resets = random() < 0.2;
    stretches.push(
      stretch(atS, Math.min(DAY, atS + lastsS), radio, `cell-${idleTimeoutS}`, idleTimeoutS, { resets }),
    );
    atS += lastsS;
    if (random() >= 0.5 || atS >= DAY) continue;
    const goneS = 10 + random() * random() * 600;
    stretches.push(gap(atS, Math.min(DAY, atS + goneS), goneS < 60));
    atS += goneS;
  }
  const restarts: Restart[] = [
    { atS: 9 * HOUR, mode: "silent", downS: 0 },
    { atS: 20 * HOUR, mode: "close", downS: 60 },
  ];
  const messages = messagesOf(DAY, seededRandom(9 + seed));
  return { name: "flappy", durationS: DAY, stretches, restarts, messages, ...PLAIN };
}

/** 200 networks nobody has seen before, 6 h on each: nothing can be fitted to them. */
function randomNats(seed: number): Scenario {
  const random = seededRandom(seed);
  const stretches = Array.from({ length: 200 }, (_, i) => {
    const idleTimeoutS = MIN * ((2 * HOUR) / MIN) ** random();
    const resets = random() < 0.5;
    return stretch(i * 6 * HOUR, (i + 1) * 6 * HOUR, "lte", `network-${i}`, idleTimeoutS, { resets });
  });
  const durationS = 200 * 6 * HOUR;
  const messages = messagesOf(durationS, seededRandom(1000 + seed));
  return { name: "random-nats", durationS, stretches, restarts: [], messages, ...PLAIN };
}

/** One label whose timeout is 29.5 min by night and 4 min by day. */
function natChanges(seed: number): Scenario {
  const base = steady("nat-changes", "lte", 29.5 * MIN, seed);
  const night = (fromH: number, toH: number) =>
    stretch(fromH * HOUR, toH * HOUR, "lte", "nat-changes", 29.5 * MIN);
  const day = stretch(7 * HOUR, 20 * HOUR, "lte", "nat-changes", 4 * MIN);
  return { ...base, stretches: [night(0, 7), day, night(20, 24)], restarts: [] };
}

/** Four times a day, for ten minutes to three hours, nothing the device sends arrives. */
function oneWayLoss(seed: number): Scenario {
  const base = steady("one-way-loss", "lte", 29.5 * MIN, seed);
  const part = (fromH: number, toH: number, isUplinkDead: boolean) =>
    stretch(fromH * HOUR, toH * HOUR, "lte", "one-way-loss", 29.5 * MIN, { isUplinkDead });
  const lossesH = [2, 2.5, 9, 11, 14, 14 + 1 / 6, 18, 21];
  const edgesH = [0, ...lossesH, 24];
  const stretches = edgesH.slice(1).map((toH, i) => part(edgesH[i] ?? 0, toH, i % 2 === 1));
  return { ...base, stretches, restarts: [] };
}

/** Alarms of a suspended device come every 1, 5, 9 and 15 minutes only, six hours each. */
function suspend(seed: number): Scenario {
  const base = steady("suspend", "lte", 29.5 * MIN, seed);
  const stretches = [1, 5, 9, 15].map((floorMin, i) =>
    stretch(i * 6 * HOUR, (i + 1) * 6 * HOUR, "lte", `floor-${floorMin}min`, 29.5 * MIN, {
      alarmFloorS: floorMin * MIN,
    }),
  );
  return { ...base, stretches, restarts: [] };
}
