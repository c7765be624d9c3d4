// SPDX-License-Identifier: MIT
// Goal: the agent in dialect autopush loses nothing, repeats nothing to an app, and never keeps a service waiting. Method: the real
// agent on a device with virtual time, at a service that sends in batches of ten; the test plays both networks and faults.

import { describe, expect, test } from "vitest";
import { hexDecode, utf8Decode, utf8Encode } from "../../src/bytes.ts";
import {
  REQUEST_TIMEOUT_MS,
  UNHELD_MESSAGES_PER_OWNER_MAX,
  UNREGISTER_IN_FLIGHT_MAX,
} from "../../src/limits.ts";
import { encodeAutopushDownstream, formatUuid } from "../../src/wire/autopush.ts";
import { autopushChannel, autopushChannelId, autopushMessageId } from "../../src/wire/autopush-device.ts";
import { AutopushWorld, BATCH_MESSAGES_MAX, notificationOf } from "./autopush-world.ts";
import { Device } from "./world.ts";

const NEWS = "https://news.example";
const MAIL = "https://mail.example";
const MINUTE_MS = 60_000;
const text = (data: Uint8Array | null): string => utf8Decode(data ?? new Uint8Array(0));

function declared(title: string, mutable = false): string {
  return JSON.stringify({
    web_push: 8030,
    notification: { title, navigate: "https://news.example/" },
    mutable,
  });
}

/** A device that is subscribed, and a way to post to it. */
function subscribed(options: ConstructorParameters<typeof AutopushWorld>[0] = {}) {
  const world = new AutopushWorld(options);
  const { endpoint, reply, id } = world.subscribe(NEWS);
  const post = (words: string, isConnected = true) => {
    const version = world.service.post(endpoint, world.device.seal(reply, words), isConnected);
    if (isConnected) world.flush();
    return version;
  };
  return { world, service: world.service, endpoint, reply, id, post };
}

describe("who the device is", () => {
  test("needs no token, says hello without a name, and keeps the name it is given with its first subscription", () => {
    const { world, service } = subscribed();
    expect(world.device.count("httpRequest")).toBe(0);
    const link = world.device.last("openLink");
    expect(link).toMatchObject({
      url: "wss://push.example/",
      subprotocol: "push-notification",
      bearer: null,
      headers: {},
      isText: true,
    });
    expect(service.said[0]).toMatchObject({ type: "hello", uaid: null });
    world.reconnect();
    expect(service.said.at(-1)).toMatchObject({ type: "hello", uaid: service.uaid });
    world.restart();
    world.connect();
    expect(service.said.at(-1)).toMatchObject({ type: "hello", uaid: service.uaid });
    expect(service.accounts.size).toBe(1);
  });

  test("another service in the same dialect, and one of the other dialect at the same address, are not shown the name", () => {
    const { world, service } = subscribed();
    const segments = [world.device.segment];
    const elsewhere = new AutopushWorld({ segments, serviceUrl: "https://other.example" });
    elsewhere.device.openLink();
    expect(elsewhere.service.said[0]).toMatchObject({ type: "hello", uaid: null });
    elsewhere.device.passUntil(5 * MINUTE_MS, () => {
      elsewhere.flush();
      return elsewhere.service.accounts.size > 0;
    });
    expect(elsewhere.device.count("subscriptionChange")).toBe(1);

    const godwit = new Device({ segments });
    expect(godwit.count("openLink")).toBe(0);
    expect(godwit.last("httpRequest").bearer).toBe(null);
    godwit.answerToken();
    expect(godwit.last("openLink").bearer).toBe("token-1");
    expect(service.accounts.size).toBe(1);
  });

  test("another name: apps are told, and registered again with new keys", () => {
    const { world, service, endpoint, reply } = subscribed();
    service.forget();
    world.reconnect();
    world.device.passUntil(5 * MINUTE_MS, () => {
      world.flush();
      return world.device.count("subscriptionChange") > 0;
    });
    const { oldSubscription, newSubscription } = world.device.last("subscriptionChange");
    expect(oldSubscription?.endpoint).toBe(endpoint);
    expect(newSubscription?.endpoint).toContain(service.uaid);
    expect(newSubscription?.p256dh).not.toEqual(reply.subscription?.p256dh);
    service.post(newSubscription?.endpoint ?? "", null, true);
    world.flush();
    expect(world.device.delivered).toHaveLength(1);
  });

  test("a service that sends no data, or says no to hello, is left", () => {
    for (const members of [{ usesWebPush: false }, { status: 500 }]) {
      const world = new AutopushWorld({ keepConnected: true });
      world.device.openLink();
      const broadcasts = { versions: new Map(), errors: new Map() };
      const hello = {
        type: "hello",
        status: 200,
        uaid: "a".repeat(32),
        usesWebPush: true,
        broadcasts,
      } as const;
      world.hand(utf8Encode(encodeAutopushDownstream({ ...hello, ...members })));
      expect(world.device.status.link).toBe("waiting");
      expect(world.device.reports).toContainEqual(expect.objectContaining({ code: "ERR_FRAME_FIELD" }));
    }
  });

  test("a second hello in one link names nobody, and costs no subscription", () => {
    const { world, service, endpoint } = subscribed();
    const broadcasts = { versions: new Map(), errors: new Map() };
    service.say({ type: "hello", status: 200, uaid: "b".repeat(32), usesWebPush: true, broadcasts });
    world.flush();
    expect(world.device.reports).toContainEqual(expect.objectContaining({ code: "ERR_FRAME_FIELD" }));
    expect(world.device.status.link).toBe("online");
    world.reconnect();
    expect(service.said.at(-1)).toMatchObject({ type: "hello", uaid: "1".padStart(32, "0") });
    expect(world.device.count("subscriptionChange")).toBe(0);
    expect(service.post(endpoint, null, true)).not.toBe(null);
  });

  test("401 at the upgrade is no reason to ask for a token", () => {
    const world = new AutopushWorld({ keepConnected: true });
    world.device.closeLink(401);
    world.device.pass(10 * MINUTE_MS);
    expect(world.device.count("httpRequest")).toBe(0);
    expect(world.device.count("openLink")).toBeGreaterThan(1);
  });
});

describe("registering", () => {
  test("the channelID comes of the registration id, so that asking again finds the same", () => {
    const world = new AutopushWorld();
    world.device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    world.device.subscribe(NEWS, "mine");
    world.device.openLink();
    // Hello is answered, the registration is not.
    world.hand(world.frames.shift() ?? new Uint8Array(0));
    expect(world.frames).toHaveLength(1);
    world.reconnect();
    const ids = world.service.said.flatMap((said) =>
      said.type === "register" ? [formatUuid(said.channelId)] : [],
    );
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
    expect(world.device.status.subscriptions).toHaveLength(1);
  });

  test("a service without an answer for 10 s is left, and asked again", () => {
    const world = new AutopushWorld();
    world.device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    const requestId = world.device.subscribe(NEWS);
    world.device.openLink();
    world.hand(world.frames.shift() ?? new Uint8Array(0));
    world.frames.length = 0;
    world.device.pass(REQUEST_TIMEOUT_MS + 1000);
    expect(world.device.count("closeLink")).toBe(1);
    world.device.passUntil(MINUTE_MS, () => world.device.status.link === "dialing");
    world.connect();
    expect(world.device.replies.get(requestId)).toMatchObject({ type: "subscription" });
  });

  test("400 refuses the app, 500 is asked again", () => {
    const { world, service } = subscribed();
    service.status = 400;
    expect(() => world.subscribe(MAIL)).toThrow("ERR_SUBSCRIBE_ABORTED");
    service.status = 500;
    const requestId = world.device.subscribe(MAIL, "again");
    world.flush();
    expect(world.device.replies.get(requestId)).toBe(undefined);
    service.status = 200;
    world.device.pass(10_000);
    world.flush();
    expect(world.device.replies.get(requestId)).toMatchObject({ type: "subscription" });
  });

  test("a subscription that ended while there was no link is ended at the service after a restart", () => {
    const { world, service, endpoint, id } = subscribed();
    world.lose();
    world.device.ask(NEWS, { type: "unsubscribe", subscriptionId: id });
    world.restart();
    world.device.passUntil(MINUTE_MS, () => world.device.status.link === "dialing");
    world.connect();
    expect(service.said.at(-1)).toMatchObject({ type: "unregister", code: 200 });
    expect(service.post(endpoint, null, false)).toBe(null);
    world.device.pass(MINUTE_MS);
    expect(world.device.status.link).toBe("idle");
  });

  test("a factory reset ends every channel, over a restart too", () => {
    const { world, service, endpoint } = subscribed();
    const other = world.subscribe(MAIL);
    world.lose();
    world.device.choose({ type: "factoryReset" });
    world.restart();
    world.device.passUntil(MINUTE_MS, () => world.device.status.link === "dialing");
    world.connect();
    expect(service.post(endpoint, null, false)).toBe(null);
    expect(service.post(other.endpoint, null, false)).toBe(null);
    world.device.pass(MINUTE_MS);
    expect(world.device.status.link).toBe("idle");
    world.subscribe(NEWS);
    expect(service.said.findLast(({ type }) => type === "hello")).toMatchObject({ uaid: null });
  });
});

describe("a factory reset of many channels", () => {
  /** A device with `count` subscriptions that is reset while its link is open. */
  function reset(count: number) {
    const world = new AutopushWorld();
    const endpoints = Array.from(
      { length: count },
      (_, n) => world.subscribe(`https://app${n}.example`).endpoint,
    );
    world.service.said.length = 0;
    world.device.choose({ type: "factoryReset" });
    const ended = () => world.service.said.filter(({ type }) => type === "unregister").length;
    return { world, endpoints, ended };
  }

  test("a window of them is asked to end at a time, the next with each answer, and the link is closed behind the last", () => {
    const { world, endpoints, ended } = reset(100);
    expect(ended()).toBe(UNREGISTER_IN_FLIGHT_MAX);
    world.hand(world.frames.shift() ?? new Uint8Array(0));
    expect(ended()).toBe(UNREGISTER_IN_FLIGHT_MAX + 1);
    world.flush();
    expect(ended()).toBe(100);
    expect(endpoints.filter((endpoint) => world.service.post(endpoint, null, false) !== null)).toEqual([]);
    world.device.pass(MINUTE_MS);
    expect(world.device.status.link).toBe("idle");
    expect(world.device.count("closeLink")).toBe(1);
  });

  test("what a lost link or a power cut left over is ended over the next; nothing is registered before", () => {
    const { world, endpoints } = reset(100);
    for (let n = 0; n < 40; n++) world.hand(world.frames.shift() ?? new Uint8Array(0));
    world.restart();
    const requestId = world.device.subscribe(NEWS);
    world.device.passUntil(MINUTE_MS, () => world.device.status.link === "dialing");
    world.connect();
    expect(endpoints.filter((endpoint) => world.service.post(endpoint, null, false) !== null)).toEqual([]);
    expect(world.service.said.some(({ type }) => type === "register")).toBe(false);
    world.device.passUntil(5 * MINUTE_MS, () => world.device.status.link === "dialing");
    world.connect();
    expect(world.device.replies.get(requestId)).toMatchObject({ type: "subscription" });
    expect(world.service.accounts.size).toBe(2);
  });

  test("what the service cannot end now is asked again later, without a turn of the loop in between", () => {
    const { world, service } = subscribed();
    service.unregisterStatus = 500;
    world.device.choose({ type: "factoryReset" });
    world.device.subscribe(MAIL);
    world.flush();
    const asked = () => service.said.filter(({ type }) => type === "unregister").length;
    expect(asked()).toBe(1);
    expect(world.device.alarm?.atMs).toBeGreaterThan(world.device.nowMs);
    world.device.pass(MINUTE_MS);
    expect(asked()).toBe(1);
    service.unregisterStatus = 200;
    world.device.passUntil(30 * MINUTE_MS, () => {
      world.connect();
      return world.device.status.link === "idle" || asked() > 1;
    });
    expect(asked()).toBe(2);
    expect(world.device.status.device).toBe(null);
  });
});

describe("receiving", () => {
  test("an opaque message is written down, acknowledged and handed over, in this order", () => {
    const { world, service, post } = subscribed();
    world.device.holdJournal = true;
    const version = post("hello");
    expect(service.acknowledged).toEqual([]);
    expect(world.device.delivered).toEqual([]);
    world.device.holdJournal = false;
    for (const write of world.device.heldWrites.splice(0)) write();
    expect(service.acknowledged).toEqual([[version, 100]]);
    expect(world.device.delivered.map(({ data }) => text(data))).toEqual(["hello"]);
  });

  test("batches flow though no app comes, and all is handed over in order when one does", () => {
    const { world, service, post } = subscribed();
    world.device.dispatch({ type: "appDetached", owner: NEWS });
    world.lose();
    for (let n = 0; n < 47; n++) post(`${n}`, false);
    world.device.passUntil(MINUTE_MS, () => world.device.status.link === "dialing");
    world.connect();
    expect(service.account?.stored).toEqual([]);
    expect(service.acknowledged).toHaveLength(47);
    world.restart();
    world.device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(world.device.delivered.map(({ data }) => text(data))).toEqual(
      Array.from({ length: 47 }, (_, n) => `${n}`),
    );
  });

  test("what was acknowledged and is sent again, as a batch is of which one was not, is handed over once", () => {
    const { world, service, post } = subscribed();
    world.lose();
    for (let n = 0; n < BATCH_MESSAGES_MAX; n++) post(`${n}`, false);
    const stored = [...(service.account?.stored ?? [])];
    world.device.passUntil(MINUTE_MS, () => world.device.status.link === "dialing");
    world.connect();
    for (const isRestarted of [false, true]) {
      if (isRestarted) world.restart();
      service.account?.stored.push(...stored);
      if (isRestarted) {
        world.device.passUntil(MINUTE_MS, () => world.device.status.link === "dialing");
        world.connect();
      } else world.reconnect();
      expect(service.account?.stored).toEqual([]);
    }
    world.device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    const redelivered = world.device.delivered.slice(BATCH_MESSAGES_MAX);
    // What the journal did not know to be handled when the power went may come again, and says so.
    expect(redelivered.every((delivery) => delivery.redelivered)).toBe(true);
    expect(new Set(world.device.delivered.map(({ messageId }) => messageId)).size).toBe(BATCH_MESSAGES_MAX);
  });

  test("after a crash a repeat has the id it had, and is marked", () => {
    const { world, post } = subscribed();
    world.device.onDeliver = () => null;
    post("hello");
    const [first] = world.device.delivered;
    world.restart();
    world.device.onDeliver = () => "handled";
    world.device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    world.device.passUntil(MINUTE_MS, () => world.device.status.link === "dialing");
    world.connect();
    expect(world.device.delivered).toHaveLength(2);
    expect(world.device.delivered[1]).toMatchObject({ messageId: first?.messageId, redelivered: true });
  });

  test("a message for a channel nobody has is acknowledged with 102, one that cannot be read with 101", () => {
    const { world, service, endpoint } = subscribed();
    const foreign = {
      channelId: "0a0a0a0a-0000-4000-8000-000000000000",
      version: "x",
      body: null,
      headers: null,
    };
    world.hand(utf8Encode(encodeAutopushDownstream(notificationOf(foreign))));
    const unreadable = service.post(endpoint, new Uint8Array(200), true);
    world.flush();
    expect(service.acknowledged).toEqual([
      ["x", 102],
      [unreadable, 101],
    ]);
  });

  test.each([
    ["data that is not base64url", { data: "$$$$" }],
    ["data that is no text", { data: 7 }],
    ["headers that are no object", { data: "AAAA", headers: "aesgcm" }],
    ["headers without an encoding", { data: "AAAA", headers: {} }],
  ])(
    "a message with %s is acknowledged with 101 and reported, and the rest of its batch comes",
    (_what, members) => {
      const { world, service, post } = subscribed();
      world.lose();
      const versions = Array.from({ length: BATCH_MESSAGES_MAX + 1 }, (_, n) => post(`${n}`, false));
      world.device.passUntil(MINUTE_MS, () => world.device.status.link === "dialing");
      world.device.openLink();
      // The first of them; in front of it is hello.
      const sent = JSON.parse(utf8Decode(world.frames[1] ?? new Uint8Array(0))) as object;
      world.frames[1] = utf8Encode(JSON.stringify({ ...sent, ...members }));
      world.flush();
      expect(service.acknowledged[0]).toEqual([versions[0], 101]);
      expect(service.acknowledged).toHaveLength(versions.length);
      expect(world.device.delivered).toHaveLength(BATCH_MESSAGES_MAX);
      expect(world.device.reports).toContainEqual({
        type: "dropped",
        messageId: expect.anything(),
        code: "ERR_ECE_NO_PAYLOAD",
      });
    },
  );

  test("declared messages are shown without the app", () => {
    const { world, service, post } = subscribed();
    const version = post(declared("Ebb"));
    expect(world.device.shown.map(({ notification }) => notification.title)).toEqual(["Ebb"]);
    expect(service.acknowledged).toEqual([[version, 100]]);
  });

  test("pings and broadcasts of the service are signs of life and nothing else", () => {
    const { world } = subscribed();
    const reports = world.device.reports.length;
    world.hand(new Uint8Array(0));
    world.hand(utf8Encode("{}"));
    world.hand(utf8Encode('{"messageType":"broadcast","broadcasts":{"a":"1"}}'));
    expect(world.device.reports).toHaveLength(reports);
    expect(world.device.status.link).toBe("online");
  });

  test("what is no message is reported, and costs no link", () => {
    const { world, post } = subscribed();
    for (const junk of ["", "nonsense", "[]", '{"messageType":"surprise"}', '{"messageType":"notification"}'])
      world.hand(utf8Encode(junk === "" ? " " : junk));
    expect(world.device.status.link).toBe("online");
    post("still there");
    expect(world.device.delivered).toHaveLength(1);
  });
});

describe("without holds", () => {
  test("of an app that does not come the bound is kept, the rest refused; others are not kept waiting", () => {
    const { world, service, endpoint } = subscribed();
    world.device.dispatch({ type: "appDetached", owner: NEWS });
    // Without a body, which would be decrypted.
    for (let n = 0; n < UNHELD_MESSAGES_PER_OWNER_MAX + 3; n++) {
      service.post(endpoint, null, true);
      world.flush();
    }
    const codes = service.acknowledged.map(([, code]) => code);
    expect(codes.filter((code) => code === 100)).toHaveLength(UNHELD_MESSAGES_PER_OWNER_MAX);
    expect(codes.slice(-3)).toEqual([102, 102, 102]);
    const mail = world.subscribe(MAIL);
    service.post(mail.endpoint, world.device.seal(mail.reply, "mail"), true);
    world.flush();
    expect(world.device.delivered.map(({ owner }) => owner)).toEqual([MAIL]);
  });

  test("apps that do not come take a bounded part of the disk; who is there gets everything", () => {
    const { world, service, post } = subscribed();
    world.device.dispatch({ type: "appDetached", owner: NEWS });
    for (let n = 0; n < 16; n++) post("x".repeat(3900));
    const codes = service.acknowledged.map(([, code]) => code);
    expect(codes.slice(0, 12)).toEqual(Array(12).fill(100));
    expect(codes.slice(-3)).toEqual([102, 102, 102]);
    const mail = world.subscribe(MAIL);
    service.post(mail.endpoint, world.device.seal(mail.reply, "mail"), true);
    world.flush();
    expect(world.device.delivered.map(({ owner }) => owner)).toEqual([MAIL]);
    expect(service.acknowledged.at(-1)?.[1]).toBe(100);
    world.device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    post("there again");
    expect(text(world.device.delivered.at(-1)?.data ?? null)).toBe("there again");
  });

  test("a paused owner's messages wait here: nothing is shown or handed out before it ends, over a restart too", () => {
    const { world, service, post } = subscribed();
    world.device.choose({ type: "setPaused", owner: NEWS, paused: true });
    world.subscribe(MAIL);
    post("opaque");
    post(declared("Shown"));
    post(declared("Mutable", true));
    expect(service.acknowledged).toHaveLength(3);
    expect([world.device.delivered, world.device.shown]).toEqual([[], []]);
    world.restart();
    world.device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    world.device.pass(MINUTE_MS);
    expect([world.device.delivered, world.device.shown]).toEqual([[], []]);
    world.device.choose({ type: "setPaused", owner: NEWS, paused: false });
    world.device.pass(MINUTE_MS);
    expect(world.device.delivered.map(({ data, notification }) => notification?.title ?? text(data))).toEqual(
      ["opaque", "Mutable"],
    );
    expect(world.device.shown.map(({ notification }) => notification.title).sort()).toEqual([
      "Mutable",
      "Shown",
    ]);
  });

  test("a paused owner without a handler: shown when the pause ends, and no app is started for it", () => {
    const world = new AutopushWorld();
    const { endpoint, reply } = world.subscribe(NEWS);
    world.device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: false });
    world.device.dispatch({ type: "appDetached", owner: NEWS });
    world.subscribe(MAIL);
    world.device.choose({ type: "setPaused", owner: NEWS, paused: true });
    world.service.post(endpoint, world.device.seal(reply, declared("Shown")), true);
    world.flush();
    expect(world.device.shown).toEqual([]);
    world.device.choose({ type: "setPaused", owner: NEWS, paused: false });
    world.device.pass(MINUTE_MS);
    expect(world.device.shown.map(({ notification }) => notification.title)).toEqual(["Shown"]);
    expect(world.device.count("startApp")).toBe(0);
  });

  test("on a full disk messages stay with the service, and come when there is room", () => {
    const { world, service, post } = subscribed();
    world.device.dispatch({ type: "appDetached", owner: NEWS });
    world.device.journalFailure = "full";
    post("hello");
    expect(service.acknowledged).toEqual([]);
    world.device.journalFailure = null;
    world.device.pass(10 * MINUTE_MS);
    expect(service.acknowledged).toHaveLength(1);
  });

  describe("an app gets nothing that is not written down, so that no crash makes it come again as new", () => {
    function restarted(world: AutopushWorld): void {
      world.restart();
      world.device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
      world.device.passUntil(MINUTE_MS, () => world.device.status.link === "dialing");
      world.connect();
    }
    const again = ({ delivered }: Device) => delivered.map(({ redelivered }) => redelivered);

    test("on a broken flash it waits at the service, for the next run too", () => {
      const { world, service, post } = subscribed();
      world.device.journalFailure = "io";
      post("hello");
      world.device.pass(MINUTE_MS);
      expect([world.device.delivered, service.acknowledged]).toEqual([[], []]);
      restarted(world);
      expect(again(world.device)).toEqual([false]);
      expect(service.acknowledged).toHaveLength(1);
    });

    test("on a broken flash that can be written again it comes then, once", () => {
      const { world, service, post } = subscribed();
      world.device.journalFailure = "io";
      for (const words of ["one", "two"]) post(words);
      world.device.journalFailure = null;
      world.device.passUntil(MINUTE_MS, () => world.device.delivered.length > 0);
      expect(world.device.delivered.map(({ data }) => text(data))).toEqual(["one", "two"]);
      expect(service.acknowledged).toHaveLength(2);
      world.device.pass(2 * MINUTE_MS);
      restarted(world);
      expect(again(world.device)).toEqual([false, false]);
    });

    test("on a full disk it takes the reserve, when its app is there", () => {
      const { world, service, post } = subscribed();
      Object.assign(world.device, { journalFailure: "full", hasReserve: true, onDeliver: () => null });
      world.device.dispatch({ type: "appDetached", owner: NEWS });
      post("hello");
      expect(service.acknowledged).toEqual([]);
      world.device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
      world.flush();
      expect(again(world.device)).toEqual([false]);
      expect(service.acknowledged).toHaveLength(1);
      restarted(world);
      expect(again(world.device)).toEqual([false, true]);
    });

    test("ended while it could not be written, it comes no more", () => {
      const { world, id, post } = subscribed();
      world.device.journalFailure = "io";
      post("hello");
      world.device.ask(NEWS, { type: "unsubscribe", subscriptionId: id });
      world.device.journalFailure = null;
      world.device.passUntil(MINUTE_MS, () => !world.device.status.journalFailing);
      restarted(world);
      expect(world.device.delivered).toEqual([]);
      expect(world.device.status.messagesWaiting).toBe(0);
    });
  });

  test("the least urgency and the heartbeat are nobody's business here", () => {
    const { world, service } = subscribed();
    const said = service.said.length;
    world.device.dispatch({ type: "urgency", leastUrgency: "high" });
    expect(service.said).toHaveLength(said);
    world.device.pass(4 * MINUTE_MS);
    expect(world.device.count("ping")).toBe(1);
  });
});

describe("names on the wire", () => {
  test("a channel is told from its channelID and back", () => {
    const registrationId = hexDecode("a1b2c3d4e5f60718293a4b5c6d7e8f90") ?? new Uint8Array(16);
    const channel = autopushChannel(registrationId);
    expect(channel).toBe(0xa1b2c3d4e5f6);
    expect(formatUuid(autopushChannelId(channel))).toBe("a1b2c3d4-e5f6-8000-8000-000000000000");
    expect(formatUuid(autopushChannelId(0xffff_ffff_ffff))).toBe("ffffffff-ffff-8000-8000-000000000000");
  });

  test("an id is of channel and version, and exact in a double", () => {
    const ids = ["", "a", "b", "v".repeat(1024)].flatMap((version) =>
      [1, 2].map((channel) => autopushMessageId(autopushChannelId(channel), version)),
    );
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => Number.isSafeInteger(id) && id >= 0)).toBe(true);
    expect(autopushMessageId(autopushChannelId(1), "a")).toBe(ids[2]);
  });
});
