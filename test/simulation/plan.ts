// SPDX-License-Identifier: MIT
/**
 * What happens to a world, drawn from its seed before it begins: devices, messages, and troubles at their times. Each seed has some
 * kinds of trouble and not others, since some are only seen where others are absent. A shorter plan is the same with actions left out.
 */

import type { Choice } from "../../src/agent/events.ts";
import type { Weather } from "./access.ts";
import { CONDUCTS, type Conduct } from "./app.ts";
import { Chance } from "./chance.ts";
import type { Death, DeviceSetting } from "./device.ts";
import type { MessageKind } from "./ledger.ts";
import { SCENES, type Scene } from "./scenes.ts";

/** `device` and `app` count from 0. Durations in ms. */
export type Action =
  | {
      readonly type: "post";
      readonly device: number;
      readonly app: number;
      readonly kind: MessageKind;
      readonly ttlS: number;
      readonly urgency: string;
      readonly topic: string | null;
      readonly paddingBytes: number;
      readonly count: number;
    }
  | { readonly type: "withdraw" | "revoke"; readonly device: number; readonly app: number }
  | {
      readonly type: "reset" | "half-open" | "new-address" | "screen-off" | "screen-on";
      readonly device: number;
    }
  | { readonly type: "tunnel" | "sleep" | "stop" | "rot"; readonly device: number; readonly ms: number }
  | { readonly type: "flap"; readonly device: number; readonly ms: number; readonly linkMs: number }
  | { readonly type: "network"; readonly device: number; readonly label: string | null }
  | { readonly type: "weather"; readonly device: number; readonly weather: Weather }
  | { readonly type: "clock"; readonly device: number; readonly offMs: number; readonly isTrusted: boolean }
  | {
      readonly type: "crash";
      readonly device: number;
      readonly death: Death;
      readonly effects: number;
      readonly downMs: number;
    }
  | {
      readonly type: "flash";
      readonly device: number;
      readonly state: "good" | "full" | "broken" | "slow";
    }
  | {
      readonly type: "app-stop" | "app-start" | "app-unsubscribe";
      readonly device: number;
      readonly app: number;
    }
  | { readonly type: "conduct"; readonly device: number; readonly app: number; readonly conduct: Conduct }
  | { readonly type: "choice"; readonly device: number; readonly choice: Choice }
  | {
      readonly type: "service-crash" | "service-drain" | "service-forget" | "store-broken";
      readonly ms: number;
    };

export interface PlannedAction {
  /** From the beginning. */
  readonly atMs: number;
  readonly action: Action;
}

export interface Plan {
  readonly seed: number;
  readonly devices: readonly DeviceSetting[];
  readonly actions: readonly PlannedAction[];
  /** The last trouble begins before this. */
  readonly spanMs: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_S = 86_400;
const OWNERS = ["https://news.example", "chat.app", "https://mail.example", "tide"];

type Draw = (chance: Chance, devices: readonly DeviceSetting[]) => Action;

const onDevice = (chance: Chance, devices: readonly DeviceSetting[]) => chance.integer(0, devices.length - 1);

function onApp(chance: Chance, devices: readonly DeviceSetting[]) {
  const device = onDevice(chance, devices);
  return { device, app: chance.integer(0, (devices[device]?.owners.length ?? 1) - 1) };
}

const MESSAGE_ACTIONS = [8, 20, 40];
const TROUBLE_ACTIONS = [0, 10, 30, 60];

const post: Draw = (chance, devices) => ({
  type: "post",
  ...onApp(chance, devices),
  kind: chance.pick("opaque", "opaque", "opaque", "declared", "declared", "mutable", "empty", "corrupt"),
  ttlS: chance.pick(0, 30, 3 * DAY_S, 3 * DAY_S, 3 * DAY_S, 3 * DAY_S, 3 * DAY_S),
  urgency: chance.pick("very-low", "low", "normal", "normal", "high"),
  topic: chance.is(0.1) ? chance.pick("score", "news") : null,
  paddingBytes: chance.pick(0, 0, 0, 100, 3_000),
  count: chance.pick(1, 1, 1, 1, 1, 2, 3, 12),
});

/** Kinds of trouble, each with how often it comes. */
const TROUBLES: readonly { readonly weight: number; readonly draw: Draw }[] = [
  { weight: 3, draw: (chance, devices) => ({ type: "reset", device: onDevice(chance, devices) }) },
  { weight: 2, draw: (chance, devices) => ({ type: "half-open", device: onDevice(chance, devices) }) },
  { weight: 1, draw: (chance, devices) => ({ type: "new-address", device: onDevice(chance, devices) }) },
  {
    weight: 2,
    draw: (chance, devices) => ({
      type: "tunnel",
      device: onDevice(chance, devices),
      ms: chance.pick(2_000, 20_000, 120_000),
    }),
  },
  {
    weight: 1,
    draw: (chance, devices) => ({
      type: "flap",
      device: onDevice(chance, devices),
      ms: chance.pick(5, 20, 60) * MINUTE_MS,
      linkMs: chance.pick(500, 3_000, 20_000),
    }),
  },
  {
    weight: 2,
    draw: (chance, devices) => ({
      type: "network",
      device: onDevice(chance, devices),
      label: chance.pick("wifi", "lte", "office", null),
    }),
  },
  {
    weight: 2,
    draw: (chance, devices) => ({
      type: "weather",
      device: onDevice(chance, devices),
      weather: {
        latencyMs: chance.pick(5, 40, 300, 1_500),
        jitterMs: chance.pick(0, 20, 400),
        natMs: chance.pick(45_000, 130_000, 300_000, Number.POSITIVE_INFINITY),
        natResets: chance.is(0.5),
      },
    }),
  },
  {
    weight: 2,
    draw: (chance, devices) => ({
      type: "sleep",
      device: onDevice(chance, devices),
      ms: chance.pick(3_000, 60_000, 20 * MINUTE_MS),
    }),
  },
  {
    weight: 1,
    draw: (chance, devices) => ({
      type: "clock",
      device: onDevice(chance, devices),
      ...chance.pick(
        { offMs: 0, isTrusted: true },
        { offMs: -50 * 365 * DAY_S * 1000, isTrusted: false },
        { offMs: 10 * 365 * DAY_S * 1000, isTrusted: false },
        { offMs: HOUR_MS, isTrusted: true },
        { offMs: -HOUR_MS, isTrusted: true },
      ),
    }),
  },
  {
    weight: 4,
    draw: (chance, devices) => ({
      type: "crash",
      device: onDevice(chance, devices),
      death: chance.pick("process", "power", "power"),
      effects: chance.integer(0, 40),
      downMs: chance.pick(500, 5_000, 10 * MINUTE_MS),
    }),
  },
  {
    weight: 1,
    draw: (chance, devices) => ({
      type: "stop",
      device: onDevice(chance, devices),
      ms: chance.pick(500, 60_000),
    }),
  },
  {
    weight: 1,
    draw: (chance, devices) => ({
      type: "flash",
      device: onDevice(chance, devices),
      state: chance.pick("good", "full", "broken", "slow"),
    }),
  },
  {
    weight: 3,
    draw: (chance, devices) => ({
      type: chance.pick("app-stop", "app-start", "app-stop", "app-start", "app-unsubscribe"),
      ...onApp(chance, devices),
    }),
  },
  {
    weight: 2,
    draw: (chance, devices) => ({
      type: "conduct",
      ...onApp(chance, devices),
      conduct: chance.pick(...CONDUCTS),
    }),
  },
  { weight: 2, draw: drawChoice },
  {
    weight: 1,
    draw: (chance, devices) => ({
      type: chance.pick("screen-off", "screen-on"),
      device: onDevice(chance, devices),
    }),
  },
  {
    weight: 1,
    draw: (chance, devices) => ({
      type: chance.pick("withdraw", "withdraw", "revoke"),
      ...onApp(chance, devices),
    }),
  },
  {
    weight: 1,
    draw: (chance) => ({
      type: chance.pick("service-crash", "service-crash", "service-drain"),
      ms: chance.pick(200, 5_000, 3 * MINUTE_MS),
    }),
  },
  { weight: 1, draw: (chance) => ({ type: "store-broken", ms: chance.pick(1_000, 60_000) }) },
  { weight: 0.2, draw: () => ({ type: "service-forget", ms: 5_000 }) },
  {
    weight: 0.2,
    draw: (chance, devices) => ({ type: "rot", device: onDevice(chance, devices), ms: 2_000 }),
  },
];

function drawChoice(chance: Chance, devices: readonly DeviceSetting[]): Action {
  const { device, app } = onApp(chance, devices);
  const owner = devices[device]?.owners[app]?.owner ?? "";
  const isOn = chance.is(0.5);
  const choice = chance.pick<Choice>(
    { type: "setPaused", owner: chance.is(0.2) ? null : owner, paused: isOn },
    { type: "setOptedOut", owner: chance.is(0.2) ? null : owner, optedOut: isOn },
    { type: "setPermission", owner, permission: isOn ? "granted" : "denied" },
    { type: "clearData", owner },
    { type: "uninstall", owner },
    chance.is(0.2) ? { type: "factoryReset" } : { type: "clearData", owner },
  );
  return { type: "choice", device, choice };
}

/** Every fourth world has a theme: one device, and one kind of scene again and again. */
const THEMED_EVERY = 4;
const THEMED_SPAN_MS = 20 * MINUTE_MS;
/** What is left of it for the last scene. */
const SCENE_MS_MAX = 2 * MINUTE_MS;

/** The plan of `seed`. */
export function makePlan(seed: number): Plan {
  return seed % THEMED_EVERY === THEMED_EVERY - 1 ? makeThemedPlan(seed) : makeMixedPlan(seed);
}

function makeMixedPlan(seed: number): Plan {
  const chance = new Chance(seed, "plan");
  const devices = Array.from({ length: chance.pick(1, 1, 2, 3) }, (_, at) => drawDevice(chance, `d${at}`));
  const spanMs = chance.pick(10 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS);
  const troubles = TROUBLES.filter(() => chance.is(0.5));
  const spread = { chance, devices, spanMs };
  const messages = spreadOut(spread, chance.pick(...MESSAGE_ACTIONS), () => post);
  const left = chance.pick(...TROUBLE_ACTIONS);
  const troubled = troubles.length === 0 ? [] : spreadOut(spread, left, () => pickTrouble(chance, troubles));
  return { seed, devices, actions: inOrder([...messages, ...troubled]), spanMs };
}

function makeThemedPlan(seed: number): Plan {
  const chance = new Chance(seed, "plan");
  const scene = SCENES[Math.floor(seed / THEMED_EVERY) % SCENES.length] as Scene;
  const devices = [{ ...drawDevice(chance, "d0"), dialect: chance.pick("godwit.v1", "autopush") } as const];
  const scenes = Array.from({ length: chance.pick(1, 2, 4) }, () => {
    const beginMs = chance.integer(0, THEMED_SPAN_MS - SCENE_MS_MAX);
    const actions = scene.draw(chance, onApp(chance, devices));
    return actions.map(({ atMs, action }) => ({ atMs: beginMs + atMs, action }));
  });
  const spread = { chance, devices, spanMs: THEMED_SPAN_MS };
  const messages = spreadOut(spread, chance.pick(0, 8), () => post);
  const troubled = spreadOut(spread, chance.pick(0, 3, 8), () => pickTrouble(chance, TROUBLES));
  const actions = inOrder([...scenes.flat(), ...messages, ...troubled]);
  return { seed, devices, actions, spanMs: THEMED_SPAN_MS };
}

function drawDevice(chance: Chance, name: string): DeviceSetting {
  const owners = OWNERS.slice(0, chance.integer(1, OWNERS.length));
  return {
    name,
    dialect: chance.pick("godwit.v1", "godwit.v1", "autopush"),
    isSealed: chance.is(0.3),
    owners: owners.map((owner) => ({ owner, isKeyed: chance.is(0.3) })),
  };
}

interface Spread {
  readonly chance: Chance;
  readonly devices: readonly DeviceSetting[];
  readonly spanMs: number;
}

/** So many actions at any time. */
function spreadOut(
  { chance, devices, spanMs }: Spread,
  count: number,
  pickDraw: () => Draw,
): PlannedAction[] {
  return Array.from({ length: count }, () => {
    const draw = pickDraw();
    return { atMs: chance.integer(0, spanMs), action: draw(chance, devices) };
  });
}

/** One of them, by weight. */
function pickTrouble(chance: Chance, troubles: typeof TROUBLES): Draw {
  let at = chance.next() * troubles.reduce((sum, { weight }) => sum + weight, 0);
  const drawn = troubles.find(({ weight }) => {
    at -= weight;
    return at <= 0;
  });
  return (drawn ?? (troubles[0] as (typeof TROUBLES)[number])).draw;
}

function inOrder(actions: readonly PlannedAction[]): PlannedAction[] {
  return [...actions].sort((a, b) => a.atMs - b.atMs);
}
