// SPDX-License-Identifier: MIT
// Goal: whatever an autopush service does with its frames, the agent delivers what it was given, once but for crashes, acknowledges nothing else, and
// is as good as new when the service behaves again. Method: random runs at a service whose frames are lost with links, repeated, put out of
// order, mixed with junk and with messages for nobody; links break and devices crash in between. A failure prints the run.

import { expect, test } from "vitest";
import { utf8Decode, utf8Encode } from "../../src/bytes.ts";
import { encodeAutopushDownstream } from "../../src/wire/autopush.ts";
import { fc, numRuns } from "../properties.ts";
import { AutopushWorld, notificationOf } from "./autopush-world.ts";

const OWNERS = ["https://news.example", "https://mail.example", "tide"] as const;
const MINUTE_MS = 60_000;

const JUNK = [
  "[]",
  "null",
  '{"messageType":"hello"}',
  '{"messageType":"register","channelID":"00000000-0000-4000-8000-000000000000","status":200,"pushEndpoint":"https://x.example/"}',
  '{"messageType":"unregister","channelID":"00000000-0000-8000-8000-000000000000","status":200}',
  '{"messageType":"notification","channelID":"no","version":"1"}',
  '{"messageType":"broadcast","broadcasts":{"a":"1","errors":{"b":"Broadcast not found"}}}',
  "{}",
  "{",
  `{"messageType":"ack","updates":${"[".repeat(40)}${"]".repeat(40)}}`,
];

type Step =
  | { readonly type: "post"; readonly app: number }
  | { readonly type: "repeat"; readonly nth: number }
  | { readonly type: "shuffle"; readonly by: number }
  | { readonly type: "junk"; readonly nth: number }
  | { readonly type: "stranger"; readonly nth: number }
  | { readonly type: "flush" | "lose" | "crash" | "busy" | "detach" | "attach" }
  | { readonly type: "pass"; readonly ms: number };

const nth = fc.nat({ max: 40 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ type: fc.constant("post" as const), app: fc.nat({ max: OWNERS.length - 1 }) }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("repeat" as const), nth }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("shuffle" as const), by: nth }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("junk" as const), nth }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("stranger" as const), nth }) },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constantFrom("flush", "flush", "flush", "lose", "crash", "busy", "detach", "attach"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 120_000 }) }),
  },
) as fc.Arbitrary<Step>;

test("every message once, whatever the service does", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      run(steps);
    }),
    { numRuns: numRuns(40) },
  );
});

function run(steps: readonly Step[]): void {
  const world = new AutopushWorld();
  const { service } = world;
  const apps = OWNERS.map((owner) => ({ owner, ...world.subscribe(owner) }));
  const versions = new Set<string>();
  let crashes = 0;
  let posted = 0;

  const connect = (): void => {
    world.device.passUntil(60 * MINUTE_MS, () => ["dialing", "online"].includes(world.device.status.link));
    world.connect();
  };
  const attach = (): void => {
    for (const owner of OWNERS) world.device.dispatch({ type: "appAttached", owner, handlesPush: true });
  };
  const perform = (it: Step): void => {
    const { device, frames } = world;
    const isOnline = device.status.link === "online";
    switch (it.type) {
      case "post": {
        const app = apps[it.app];
        if (app === undefined) return;
        const version = service.post(
          app.endpoint,
          device.seal(app.reply, `${app.owner} ${posted++}`),
          isOnline,
        );
        if (version !== null) versions.add(version);
        return;
      }
      case "repeat": {
        const sent = [...service.sent.values()];
        const message = sent[it.nth % Math.max(1, sent.length)];
        if (message !== undefined) frames.push(utf8Encode(encodeAutopushDownstream(notificationOf(message))));
        return;
      }
      case "shuffle":
        // Replies and messages come in another order, but for the hello in front of all.
        if (isOnline) frames.push(...frames.splice(0, it.by % Math.max(1, frames.length)));
        return;
      case "junk":
        if (isOnline) frames.push(utf8Encode(JUNK[it.nth % JUNK.length] ?? ""));
        return;
      case "stranger": {
        const channelId = `${String(it.nth).padStart(8, "0")}-1111-4222-8333-444444444444`;
        const stranger = {
          channelId,
          version: `stranger ${it.nth}`,
          body: new Uint8Array(30),
          headers: null,
        };
        if (isOnline) frames.push(utf8Encode(encodeAutopushDownstream(notificationOf(stranger))));
        return;
      }
      case "flush":
        return connect();
      case "lose":
        return world.lose();
      case "crash":
        crashes++;
        return world.restart();
      case "busy":
        device.onDeliver = device.onDeliver === null ? () => "handled" : null;
        return;
      case "detach":
        for (const owner of OWNERS) device.dispatch({ type: "appDetached", owner });
        return;
      case "attach":
        return attach();
      case "pass":
        return device.pass(it.ms);
    }
  };
  for (const it of steps) perform(it);

  // The service behaves again, the apps are there, and what was held in their hands is given up.
  world.device.onDeliver = () => "handled";
  attach();
  if (world.device.status.link === "online") world.lose();
  connect();
  for (let i = 0; i < 8; i++) {
    world.device.pass(MINUTE_MS);
    connect();
  }
  expect(service.account?.stored ?? []).toEqual([]);
  const strangers = (version: string) => version.startsWith("stranger");
  for (const [version, code] of service.acknowledged) {
    expect(versions.has(version) || strangers(version)).toBe(true);
    expect(code).toBe(strangers(version) ? 102 : 100);
  }
  const { delivered } = world.device;
  const texts = delivered.map(({ data }) => utf8Decode(data ?? new Uint8Array(0)));
  expect(new Set(texts).size).toBe(posted);
  expect(delivered.every(({ owner }, i) => texts[i]?.startsWith(owner))).toBe(true);
  // One text, one id; a second delivery says that it is one, and needs a reason.
  const ids = new Map<string, string>();
  for (const [i, { messageId, redelivered }] of delivered.entries()) {
    const text = texts[i] ?? "";
    const known = ids.get(text);
    if (known !== undefined) {
      expect(known).toBe(messageId);
      expect(redelivered).toBe(true);
    }
    ids.set(text, messageId);
  }
  const isTroubled = crashes > 0 || steps.some(({ type }) => ["busy", "detach", "pass"].includes(type));
  if (!isTroubled) expect(texts).toHaveLength(posted);
}
