// SPDX-License-Identifier: MIT
// Goal: godwitd receives what any sender sends, opaque, declarative and mutable, over TLS: over WebSocket, and where a proxy refuses that, over
// MQTT, with the broker inside the push service or a Mosquitto; nothing of it is in its log. Method: the real daemon, push service and broker;
// `web-push` sends; an app and a shell at the app socket say what came.

import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { base64urlDecode } from "../../src/webpush/base64url.ts";
import { RunningAgent } from "../end-to-end/running-agent.ts";
import { SocketClient } from "../end-to-end/socket-client.ts";
import { AGENT, GODWITD, Sender, Stage } from "../end-to-end/stage.ts";
import { isMosquittoInstalled, Mosquitto } from "../push-service/mosquitto.ts";
import { TlsFront } from "./tls-front.ts";

const OWNER = "tide";

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

/** Where the agent's push service is, and by which transport it is to be reached. */
interface World {
  readonly service: { readonly origin: string; readonly caFile: string; readonly ca: string };
  readonly args: readonly string[];
  readonly transport: "websocket" | "mqtt";
}

async function overWebSocket(): Promise<World> {
  return { service: await stage.service(), args: [], transport: "websocket" };
}

/** @param brokerArgs of the push service; `mqttUrl` null: the broker inside of it */
async function overMqtt(brokerArgs: readonly string[], mqttUrl: string | null): Promise<World> {
  const front = await TlsFront.listen(stage.newDirectory());
  stage.defer(() => front.close());
  const state = stage.newDirectory();
  const place = ["--json", "--no-tls", "--port", "0", "--origin", front.origin, "--state", state];
  const service = stage.godwit(["push-service", ...place, ...brokerArgs]);
  const ready = await service.stdout.until("the push service is ready", (lines) => lines[0] ?? null);
  const { port, mqttPort = 0 } = JSON.parse(ready) as { readonly port: number; readonly mqttPort?: number };
  front.servicePort = port;
  const { ca } = front.certificate;
  return {
    service: { origin: front.origin, caFile: stage.file("ca.pem", ca), ca },
    args: ["--mqtt", mqttUrl ?? `mqtt://127.0.0.1:${mqttPort}`],
    transport: "mqtt",
  };
}

async function atMosquitto(): Promise<World> {
  const mosquitto = await Mosquitto.start();
  stage.defer(() => mosquitto.stop());
  const { username, password } = mosquitto.options.broker;
  const secret = stage.file("password", password);
  const args = ["--mqtt-broker", mosquitto.url, "--mqtt-user", username, "--mqtt-password-file", secret];
  return overMqtt(args, mosquitto.url);
}

/** An app that is attached, and its subscription. */
async function enterApp(agent: RunningAgent, admin: SocketClient, sender: Sender) {
  const { token } = await admin.ask("installApp", { owner: OWNER, start: null, tokenFile: null });
  const app = await SocketClient.enter({ at: agent.socketPath }, { role: "app", owner: OWNER, token });
  stage.defer(() => app.webSocket.terminate());
  await app.ask("attach", { handlesPush: true });
  const { subscription } = (await app.ask("subscribe", {
    applicationServerKey: sender.keys.publicKey,
    userVisibleOnly: false,
    waToken: null,
    declarative: "auto",
    allowAesgcm: false,
  })) as {
    readonly subscription: { readonly endpoint: string; readonly p256dh: string; readonly auth: string };
  };
  const { endpoint, p256dh, auth } = subscription;
  return {
    app,
    token: String(token),
    subscription: { endpoint, expirationTime: null, keys: { p256dh, auth } } as PushSubscriptionJSON,
  };
}

async function receivesEverything(world: World): Promise<void> {
  const { service, args, transport } = world;
  const sender = new Sender(service);
  const agent = await RunningAgent.start(stage, {
    service: service as Awaited<ReturnType<Stage["service"]>>,
    policy: { permission: "granted" },
    args,
  });
  const [admin, shell] = [await agent.enterAdmin(), await agent.enterShell()];
  const { app, token, subscription } = await enterApp(agent, admin, sender);

  await sender.send(subscription, "high water at six");
  const opaque = await app.event("push", ({ data }) => data !== null);
  expect(new TextDecoder().decode(base64urlDecode(String(opaque.data)))).toBe("high water at six");
  await app.ask("handled", { deliveryId: opaque.deliveryId });

  const declared = (title: string, mutable: boolean) =>
    JSON.stringify({ web_push: 8030, notification: { title, navigate: "https://tide.example/" }, mutable });
  await sender.send(subscription, declared("Ebb", false));
  const ebb = await shell.event("show", ({ title }) => title === "Ebb");
  await shell.ask("displayed", { notificationId: ebb.notificationId });

  await sender.send(subscription, declared("Flood", true));
  const mutable = await app.event("push", ({ notification }) => notification !== null);
  expect(mutable).toMatchObject({ notification: { title: "Flood" }, data: null });
  const { deliveryId } = mutable;
  const shown = app.ask("showNotification", { deliveryId, title: "Flood, 2.1 m", options: {} });
  const flood = await shell.event("show", ({ title }) => title === "Flood, 2.1 m");
  await shell.ask("displayed", { notificationId: flood.notificationId });
  await shown;
  await app.ask("handled", { deliveryId });

  const status = (await admin.ask("status")) as unknown as {
    readonly transport: string;
    readonly link: string;
  };
  expect(status).toMatchObject({ transport, link: "online" });
  expect((await agent.program.end("SIGTERM")).code).toBe(0);

  const { endpoint, keys } = subscription;
  const said = agent.program.stderr.all.join("\n");
  expect(said).toMatch(/^agent ready/m);
  const secrets = [
    endpoint.slice(endpoint.lastIndexOf("/")),
    keys.p256dh,
    keys.auth,
    token,
    "high water",
    "Ebb",
    "Flood",
  ];
  expect(secrets.filter((secret) => said.includes(secret))).toEqual([]);
}

describe.skipIf(AGENT !== "godwitd" || !existsSync(GODWITD))(
  "godwitd receives (needs npm run firmware)",
  () => {
    test("over WebSocket", async () => receivesEverything(await overWebSocket()));

    test("over MQTT, at the broker inside the push service", async () =>
      receivesEverything(await overMqtt(["--mqtt-port", "0"], null)));

    test.skipIf(!isMosquittoInstalled)(
      "over MQTT, at a Mosquitto (needs apt-get install mosquitto)",
      async () => receivesEverything(await atMosquitto()),
    );
  },
);
