// SPDX-License-Identifier: MIT
// Goal: whatever dialect it speaks with its push service, an agent delivers the same: what waited while it was away, each message
// once, the newest of a topic, nothing with TTL 0; what ends, ends; a service that forgot the device costs no app its messages. Method: real
// processes over TLS, `godwit agent` and godwitd (vitest.config.ts), Godwit's own push service; `web-push` sends, an app at the app socket receives.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { utf8Decode } from "../../src/bytes.ts";
import { base64urlDecode } from "../../src/webpush/base64url.ts";
import { DEVICE_DIALECTS, type DeviceDialect } from "../../src/wire/dialect.ts";
import { RunningAgent } from "./running-agent.ts";
import { SocketClient } from "./socket-client.ts";
import { AGENT, Sender, type ServiceProcess, Stage } from "./stage.ts";

const OWNER = "https://news.example";
/** More than three batches of an autopush service. */
const MANY = 35;

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
beforeEach(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
});
afterEach(() => stage.close());

/** The address that says which dialect is meant. */
function addressOf({ origin, caFile }: ServiceProcess, dialect: DeviceDialect) {
  return { origin: dialect === "autopush" ? origin.replace("https:", "wss:") : origin, caFile };
}

/** An agent and the app on it, which comes and goes. */
class World {
  readonly agent: RunningAgent;
  app: SocketClient | null = null;
  #token = "";

  constructor(agent: RunningAgent) {
    this.agent = agent;
  }

  static async start(dialect: DeviceDialect, state?: string): Promise<World> {
    const agent = await RunningAgent.start(stage, {
      service: addressOf(service, dialect),
      policy: { permission: "granted", owners: { [OWNER]: { permission: "granted", silentPushes: null } } },
      ...(state === undefined ? {} : { state }),
    });
    return new World(agent);
  }

  /** The app comes, with what it is given in `heard`. */
  async enterApp(): Promise<SocketClient> {
    if (this.#token === "") {
      const admin = await this.agent.enterAdmin();
      this.#token = String(
        (await admin.ask("installApp", { owner: OWNER, start: null, tokenFile: null })).token,
      );
    }
    const hello = { role: "app", owner: OWNER, token: this.#token };
    const app = await SocketClient.enter({ at: this.agent.socketPath }, hello);
    stage.defer(() => app.webSocket.terminate());
    this.app = app;
    await app.ask("attach", { handlesPush: true });
    return app;
  }

  async subscribe(allowAesgcm = false): Promise<PushSubscriptionJSON> {
    const app = this.app ?? (await this.enterApp());
    const { subscription } = (await app.ask("subscribe", {
      applicationServerKey: sender.keys.publicKey,
      userVisibleOnly: false,
      waToken: null,
      declarative: "auto",
      allowAesgcm,
    })) as { readonly subscription: Parameters<typeof jsonOf>[0] };
    return jsonOf(subscription);
  }
}

function jsonOf(subscription: { readonly endpoint: string; readonly p256dh: string; readonly auth: string }) {
  const { endpoint, p256dh, auth } = subscription;
  return { endpoint, expirationTime: null, keys: { p256dh, auth } } as PushSubscriptionJSON;
}

/** Takes `count` messages, handling each; their texts in order of delivery, and which of them were marked as repeats. */
async function take(app: SocketClient, count: number) {
  const taken: { text: string; messageId: unknown; redelivered: unknown }[] = [];
  for (let nth = 1; nth <= count; nth++) {
    const { data, deliveryId, messageId, redelivered } = await app.event("push", () => true, nth);
    taken.push({ text: utf8Decode(base64urlDecode(String(data))), messageId, redelivered });
    await app.ask("handled", { deliveryId });
  }
  return taken;
}

const textsOf = (taken: readonly { readonly text: string }[]) => taken.map(({ text }) => text);
const numbered = (count: number) => Array.from({ length: count }, (_, n) => `message ${n}`);

describe.each(DEVICE_DIALECTS)("%s", (dialect) => {
  /** A fleet comes back over a minute, as its service tells it; on Node the test says where in it a device is. */
  const isSpread = AGENT === "godwitd" && dialect === "godwit.v1";

  test("what was sent while the device was away comes once: many, of a topic the newest, of TTL 0 nothing", async () => {
    const world = await World.start(dialect);
    const subscription = await world.subscribe();
    await world.agent.program.end("SIGTERM");
    for (const text of numbered(MANY)) await sender.send(subscription, text);
    for (const text of ["old", "new"]) await sender.send(subscription, text, { topic: "tide" });
    await sender.send(subscription, "now or never", { TTL: 0 });
    await world.agent.start();
    const taken = await take(await world.enterApp(), MANY + 1);
    expect(textsOf(taken).sort()).toEqual([...numbered(MANY), "new"].sort());
    expect(textsOf(taken).filter((text) => text !== "new")).toEqual(numbered(MANY));
    expect(taken.filter(({ redelivered }) => redelivered)).toEqual([]);
    await service.acknowledged(MANY + 1);
    await sender.send(subscription, "last");
    await world.app?.event("push", ({ data }) => utf8Decode(base64urlDecode(String(data))) === "last");
    expect(world.app?.events("push")).toHaveLength(MANY + 2);
  });

  test("a connected device gets TTL 0, and a message without data", async () => {
    const world = await World.start(dialect);
    const subscription = await world.subscribe();
    await sender.send(subscription, "at once", { TTL: 0 });
    const [first] = await take(world.app as SocketClient, 1);
    expect(first?.text).toBe("at once");
    await sender.send(subscription, null);
    expect(await world.app?.event("push", ({ data }) => data === null)).toMatchObject({ redelivered: false });
  });

  test("messages of an app that is away are safe on the device; it gets them in order after a crash of all", async () => {
    const world = await World.start(dialect);
    const subscription = await world.subscribe();
    await world.app?.close();
    for (const text of numbered(MANY)) await sender.send(subscription, text);
    await service.acknowledged(MANY);
    await service.end("SIGKILL");
    await world.agent.program.end("SIGKILL");
    await world.agent.start();
    const taken = await take(await world.enterApp(), MANY);
    expect(textsOf(taken)).toEqual(numbered(MANY));
    expect(new Set(taken.map(({ messageId }) => messageId)).size).toBe(MANY);
  });

  test("an agent that is killed while its app has a message gives it again, with its id and marked", async () => {
    const world = await World.start(dialect);
    const subscription = await world.subscribe();
    await sender.send(subscription, "hello");
    const before = await world.app?.event("push");
    await world.agent.program.end("SIGKILL");
    await world.agent.start();
    const [again] = await take(await world.enterApp(), 1);
    expect(again).toEqual({ text: "hello", messageId: before?.messageId, redelivered: true });
    await service.acknowledged(1);
  });

  test.skipIf(isSpread)("a service that is killed and comes back goes on where it was", async () => {
    const world = await World.start(dialect);
    const subscription = await world.subscribe();
    await service.end("SIGKILL");
    service = await service.again();
    await sender.send(subscription, "hello again");
    expect(textsOf(await take(world.app as SocketClient, 1))).toEqual(["hello again"]);
  });

  test("what is unsubscribed is gone: 410", async () => {
    const world = await World.start(dialect);
    const subscription = await world.subscribe();
    const { subscription: mine } = await (world.app as SocketClient).ask("getSubscription", {
      waToken: null,
    });
    const { subscriptionId } = mine as { readonly subscriptionId: number };
    await world.app?.ask("unsubscribe", { subscriptionId });
    await world.agent.program.stderr.match(/^unsubscribed /);
    await service.stderr.match(/^unregistered .*|^channel.*removed.*/);
    await expect(sender.send(subscription, "too late")).rejects.toMatchObject({ statusCode: 410 });
  });

  test.skipIf(isSpread)(
    "a service that forgot the device: it registers anew, and its app is told",
    async () => {
      const world = await World.start(dialect);
      const subscription = await world.subscribe();
      await service.end("SIGKILL");
      // Its certificate stays, or nobody could tell that it is the same service.
      for (const name of ["keys.json", "store"]) rmSync(join(service.directory, name), { recursive: true });
      service = await service.again();
      await world.agent.program.stderr.match(/^subscriptionLost /);
      // Registrations are spread over a minute in either dialect.
      if (AGENT === "godwitd") return;
      const change = await (world.app as SocketClient).event("pushsubscriptionchange");
      const { oldSubscription, newSubscription } = change as unknown as Record<
        string,
        Parameters<typeof jsonOf>[0]
      >;
      expect(oldSubscription?.endpoint).toBe(subscription.endpoint);
      if (newSubscription === undefined) throw new Error("there is no new subscription");
      await sender.send(jsonOf(newSubscription), "found again");
      expect(textsOf(await take(world.app as SocketClient, 1))).toEqual(["found again"]);
    },
  );
});

describe("what autopush adds", () => {
  test("the aesgcm coding is opened where the app allows it, and refused where it does not", async () => {
    const world = await World.start("autopush");
    const subscription = await world.subscribe(true);
    await sender.send(subscription, "in the old coding", { contentEncoding: "aesgcm" });
    expect(textsOf(await take(world.app as SocketClient, 1))).toEqual(["in the old coding"]);
    // In the journal it keeps its headers.
    await world.app?.close();
    await sender.send(subscription, "and later", { contentEncoding: "aesgcm" });
    await service.acknowledged(2);
    await world.agent.program.end("SIGKILL");
    await world.agent.start();
    expect(textsOf(await take(await world.enterApp(), 1))).toEqual(["and later"]);
  });

  test("a message that its app may not read in that coding is dropped", async () => {
    const world = await World.start("autopush");
    const subscription = await world.subscribe(false);
    await sender.send(subscription, "unwanted", { contentEncoding: "aesgcm" });
    await world.agent.program.stderr.match(/^dropped .*ERR_ECE_UNSUPPORTED_ENCODING/);
    await service.acknowledged(1);
  });

  test.each([
    ["godwit.v1", "autopush"],
    ["autopush", "godwit.v1"],
  ] as const)(
    "a device that goes over from %s to %s loses its subscriptions, and says so",
    async (from, to) => {
      const world = await World.start(from);
      await world.subscribe();
      await world.agent.program.end("SIGTERM");
      const next = await World.start(to, world.agent.state);
      await next.agent.program.stderr.match(/^registered /);
      await next.agent.program.stderr.match(/^subscriptionLost /);
    },
  );
});
