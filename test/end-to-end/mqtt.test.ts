// SPDX-License-Identifier: MIT
// Goal: where a network has no WebSocket, messages come over MQTT, and over WebSocket again when it has; none is lost,
// none comes twice, whichever broker it is and whoever restarts meanwhile. Method: real processes; a relay refuses, intercepts
// or swallows upgrades; the broker inside the push service, and a Mosquitto; time is skipped while nothing is under way.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AgentStatus } from "../../src/agent/status.ts";
import { isMosquittoInstalled, Mosquitto } from "../push-service/mosquitto.ts";
import type { Relay } from "./relay.ts";
import { Relayed, type RelayedOptions } from "./relayed.ts";
import { Stage } from "./stage.ts";

const FORBIDDEN = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const PAGE =
  "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\nConnection: close\r\n\r\nHi!\n";
const HOUR_MS = 3_600_000;

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

/** Resolves once the agent is connected that way. */
async function online(world: Relayed, transport: "websocket" | "mqtt"): Promise<void> {
  for (;;) {
    // Counted before the question: a change may stand right behind its answer.
    const seen = world.agent.reports("state").length;
    const status = await world.status();
    if (status.link === "online" && status.transport === transport) return;
    await world.agent.stdout.until("another state", () =>
      world.agent.reports("state").length > seen ? true : null,
    );
  }
}

/** Lets time go by; waits for the answer to each Probe, which the relay does not see. */
async function passOverMqtt(world: Relayed, msMax: number, isIt: () => boolean): Promise<void> {
  const probes = ({ meter }: AgentStatus) => meter.wakeUps.ping + meter.piggybacked.ping;
  for (const endMs = world.relay.nowMs + msMax; !isIt(); ) {
    if (world.relay.nowMs >= endMs) throw new Error("it did not happen");
    const before = await world.status();
    await world.skip(endMs - world.relay.nowMs);
    for (;;) {
      const now = await world.status();
      if (now.link !== "online" || now.transport !== "mqtt" || probes(now) === probes(before)) break;
      if (now.meter.framesReceived > before.meter.framesReceived) break;
    }
  }
}

const BLOCKS: readonly (readonly [string, (relay: Relay) => void])[] = [
  [
    "refused with 403",
    (relay) => {
      relay.refusal = FORBIDDEN;
    },
  ],
  [
    "intercepted and answered with a page",
    (relay) => {
      relay.refusal = PAGE;
    },
  ],
  [
    "never answered",
    (relay) => {
      relay.newFlowsDeaf = ["up", "down"];
    },
  ],
];

/** Blocked, over MQTT, and back. */
async function thereAndBack(world: Relayed, block: (relay: Relay) => void): Promise<void> {
  await world.post("over WebSocket");
  await world.agent.pushed("over WebSocket");
  block(world.relay);
  const [main] = world.relay.mains;
  if (main === undefined) throw new Error("no link");
  world.relay.reset(main);
  await world.post("in between");
  if (world.relay.newFlowsDeaf.length > 0)
    await world.passUntil(
      "the dial is given up",
      60_000,
      () => world.relay.mains.length > 1 && world.agent.reports("linkClosed").length > 1,
    );
  // What is between two dials is skipped, not waited for.
  while ((await world.status()).link === "waiting") await world.skip();
  await online(world, "mqtt");
  await world.post("over MQTT");
  await world.agent.pushed("over MQTT");
  const tried = world.relay.refusedAtMs.length + world.relay.mains.length;
  // While it is blocked, WebSocket is tried beside Probes and the MQTT link stays.
  await passOverMqtt(world, HOUR_MS, () => world.relay.refusedAtMs.length + world.relay.mains.length > tried);
  expect((await world.status()).transport).toBe("mqtt");
  world.relay.refusal = null;
  world.relay.newFlowsDeaf = [];
  const mains = world.relay.mains.length;
  await passOverMqtt(world, 2 * HOUR_MS, () => world.relay.mains.length > mains);
  await online(world, "websocket");
  await world.post("over WebSocket again");
  await world.agent.pushed("over WebSocket again");
  expect(world.texts).toEqual(world.posted);
  expect(world.agent.pushes().some(({ redelivered }) => redelivered)).toBe(false);
  const { linksLost } = (await world.status()).meter;
  expect(linksLost).toEqual({ reset: 1 });
}

function suite(name: string, optionsOf: () => Promise<RelayedOptions>): void {
  describe(name, () => {
    test.each(BLOCKS)("upgrades are %s", async (_what, block) => {
      await thereAndBack(await Relayed.start(stage, await optionsOf()), block);
    });

    test("the push service is killed and comes back while its device is on MQTT", async () => {
      const world = await Relayed.start(stage, { ...(await optionsOf()), random: 0.01 });
      world.relay.refusal = FORBIDDEN;
      const [main] = world.relay.mains;
      if (main !== undefined) world.relay.reset(main);
      await online(world, "mqtt");
      await world.post("before");
      await world.agent.pushed("before");
      await world.restartService();
      await world.post("after");
      await world.agent.pushed("after");
      expect(world.texts).toEqual(["before", "after"]);
    });
  });
}

suite("the broker inside the push service", async () => ({
  serviceArgs: ["--mqtt-port", "0"],
  mqttUrl: (port) => `mqtt://127.0.0.1:${port}`,
}));

if (isMosquittoInstalled) {
  let mosquitto: Mosquitto;
  const atMosquitto = async (): Promise<RelayedOptions> => {
    mosquitto = await Mosquitto.start();
    stage.defer(() => mosquitto.stop());
    const { username, password } = mosquitto.options.broker;
    const secret = stage.file("password", password);
    return {
      serviceArgs: ["--mqtt-broker", mosquitto.url, "--mqtt-user", username, "--mqtt-password-file", secret],
      mqttUrl: () => mosquitto.url,
    };
  };
  suite("Mosquitto", atMosquitto);

  test("Mosquitto: the broker itself is killed and comes back", async () => {
    const world = await Relayed.start(stage, { ...(await atMosquitto()), random: 0.01 });
    world.relay.refusal = FORBIDDEN;
    const [main] = world.relay.mains;
    if (main !== undefined) world.relay.reset(main);
    await online(world, "mqtt");
    await world.post("before");
    await world.agent.pushed("before");
    await mosquitto.kill();
    await world.post("meanwhile");
    await mosquitto.run();
    await world.agent.pushed("meanwhile");
    await world.post("after");
    await world.agent.pushed("after");
    expect(world.texts).toEqual(["before", "meanwhile", "after"]);
  });
} else {
  describe.skip("Mosquitto: not installed (apt-get install mosquitto)", () => {
    test("all of it", () => {});
  });
}
