// SPDX-License-Identifier: MIT
// Goal: the agent's main paths keep its rules. Method: the real agent and driver on a host with
// virtual time; the test plays the push service frame by frame.

import { describe, expect, test } from "vitest";
import { SUBSCRIPTION_REFILL_MS, SUBSCRIPTIONS_BURST_MAX } from "../../src/limits.ts";
import { Device, STORE_EPOCH, UAID } from "./world.ts";

const NEWS = "https://news.example";
const declared = (title: string, extra = "") =>
  `{"web_push":8030,"notification":{"title":"${title}","navigate":"/read"}${extra}}`;

describe("connection", () => {
  test("an agent nobody uses opens nothing and sets no alarm", () => {
    const device = new Device();
    expect(device.count("openLink")).toBe(0);
    expect(device.count("httpRequest")).toBe(0);
    expect(device.alarm).toBeNull();
    expect(device.status.link).toBe("idle");
  });

  test("the first subscription fetches a token, then opens the link with token and conditions in the upgrade", () => {
    const device = new Device();
    device.subscribe(NEWS);
    expect(device.last("httpRequest").url).toBe("https://push.example/v1/token");
    device.answerToken();
    const open = device.last("openLink");
    expect(open.url).toBe("wss://push.example/v1/ws");
    expect(open.subprotocol).toBe("godwit.v1");
    expect(open.bearer).toBe("token-1");
    expect(open.headers["Godwit-Conditions"]).toBe("heartbeat=240, window=0, urgency=very-low");
  });

  test("a token is shown to no other service, and lost by going there only once that one gave its own", () => {
    const device = new Device();
    device.subscribe(NEWS);
    device.answerToken();
    device.openLink();
    device.registered();
    device.grantRegistration(3);
    const segments = [device.segment];
    const there = new Device({ segments, serviceUrl: "https://other.example" });
    expect(there.count("openLink")).toBe(0);
    expect(there.last("httpRequest")).toMatchObject({ url: "https://other.example/v1/token", bearer: null });
    const back = new Device({ segments: [there.segment] });
    expect(back.last("openLink").bearer).toBe("token-1");
    // Even by the same name: it is not the same device there.
    there.answerToken("token-2");
    expect(there.last("openLink").bearer).toBe("token-2");
    expect(there.reports).toContainEqual(expect.objectContaining({ type: "subscriptionLost", owner: NEWS }));
  });

  test.each(["https://push.example:8443", "http://push.example:1"])(
    "at %s the service is the same",
    (serviceUrl) => {
      const device = new Device();
      device.subscribe(NEWS);
      device.answerToken();
      device.openLink();
      device.registered();
      device.grantRegistration(3);
      const moved = new Device({ segments: [device.segment], serviceUrl });
      expect(moved.last("openLink")).toMatchObject({ bearer: "token-1" });
      expect(moved.last("openLink").url).toContain(serviceUrl.replace("http", "ws"));
    },
  );

  test("the token is used only after it is durable", () => {
    const device = new Device();
    device.subscribe(NEWS);
    device.holdJournal = true;
    device.answerToken();
    expect(device.count("openLink")).toBe(0);
    device.holdJournal = false;
    for (const confirm of device.heldWrites.splice(0)) confirm();
    expect(device.count("openLink")).toBe(1);
  });

  test("a refused token is renewed by presenting the old one", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.closeLink();
    device.pass(10_000);
    device.closeLink(401);
    expect(device.last("httpRequest").bearer).toBe("token-1");
    device.answerToken("token-2");
    expect(device.last("openLink").bearer).toBe("token-2");
  });

  test("pings after an interval without traffic, and gives the link up when the pong stays out", () => {
    const device = new Device({ heartbeatMs: 100_000 });
    device.withSubscription(NEWS, 1);
    device.pass(99_000);
    expect(device.count("ping")).toBe(0);
    device.pass(2_000);
    expect(device.count("ping")).toBe(1);
    device.dispatch({ type: "linkPong", linkId: device.linkId });
    device.pass(101_000);
    expect(device.count("ping")).toBe(2);
    const { linkId } = device;
    device.pass(10_000);
    expect(device.last("closeLink").linkId).toBe(linkId);
    expect(device.reports.findLast((report) => report.type === "linkClosed")).toMatchObject({
      cause: "reset",
    });
  });

  test("stays within the idle limit the service tells", () => {
    const device = new Device({ heartbeatMs: 300_000 });
    device.subscribe(NEWS);
    device.answerToken();
    device.openLink();
    device.registered({ idleLimitS: 60 });
    device.grantRegistration(1);
    device.pass(56_000);
    expect(device.count("ping")).toBe(1);
  });

  test("declares its freshness, not what an idle limit leaves of it, so that the next link is told the limit too", () => {
    const device = new Device({ heartbeatMs: null });
    device.subscribe(NEWS);
    device.answerToken();
    device.openLink();
    device.registered({ idleLimitS: 600 });
    device.grantRegistration(1);
    device.pass(61_000);
    device.closeLink();
    device.pass(0);
    expect(device.upstream.filter(({ type }) => type === "conditions")).toEqual([]);
    expect(device.count("openLink")).toBe(2);
    expect(device.effects.findLast((effect) => effect.type === "openLink")?.headers).toMatchObject({
      "Godwit-Conditions": "heartbeat=1740, window=0, urgency=very-low",
    });
  });

  test("a stable link lost is dialed again at once; failures then back off", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.pass(61_000);
    device.closeLink();
    device.pass(0);
    expect(device.count("openLink")).toBe(2);
    device.closeLink();
    device.closeLink();
    expect(device.status.link).toBe("waiting");
    expect(device.status.retryInMs).toBeLessThanOrEqual(2000);
  });

  test.each([
    [0, "ERR_SERVICE_UNREACHABLE"],
    [403, "ERR_TOKEN_REFUSED"],
  ])("a token request that ends with %i is reported and tried again later", (status, code) => {
    const device = new Device({ keepConnected: true });
    const { requestId } = device.last("httpRequest");
    device.dispatch({ type: "httpResponse", requestId, status, cause: "tls", retryAfterS: null, body: "" });
    expect(device.reports).toContainEqual(expect.objectContaining({ type: "fault", code }));
    device.passUntil(2 * 600_000, () => device.count("httpRequest") === 2);
  });

  test.each([
    "",
    "<html>welcome</html>",
    "{}",
    '{"uaToken":"a b","uaid":"00"}',
    '{"uaToken":"t","uaid":"zz"}',
  ])("a captive portal's answer is no token: %s", (body) => {
    const device = new Device({ keepConnected: true });
    const { requestId } = device.last("httpRequest");
    device.dispatch({ type: "httpResponse", requestId, status: 200, cause: null, retryAfterS: null, body });
    expect(device.count("openLink")).toBe(0);
  });

  test("an Error frame that belongs to no request is reported", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.send({ type: "error", ref: null, status: 501, text: "unknown type" });
    expect(device.reports).toContainEqual(
      expect.objectContaining({ type: "fault", code: "ERR_SERVICE_REPORT" }),
    );
    expect(device.status.link).toBe("online");
  });

  test("retry-after is obeyed", () => {
    const device = new Device({ keepConnected: true });
    device.answerToken();
    device.closeLink(503, 120);
    device.pass(119_000);
    expect(device.count("openLink")).toBe(1);
    device.passUntil(122_000, () => device.count("openLink") === 2);
  });

  test("without a network nothing wakes the device", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.dispatch({ type: "networkChanged", network: null });
    expect(device.status.link).toBe("offline");
    expect(device.alarm).toBeNull();
    device.pass(24 * 3600_000);
    expect(device.count("openLink")).toBe(1);
    device.dispatch({ type: "networkChanged", network: { label: "home", kind: "wifi", metered: false } });
    expect(device.count("openLink")).toBe(2);
  });

  test("a bad frame is reported and costs nothing once registered", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.dispatch({ type: "linkMessage", linkId: device.linkId, frame: new Uint8Array([0xff, 0x00]) });
    device.dispatch({
      type: "linkMessage",
      linkId: device.linkId,
      frame: new Uint8Array([0x81, 0x18, 0x63]),
    });
    expect(device.reports.filter((report) => report.type === "fault").map((report) => report.code)).toEqual([
      "ERR_CBOR_MALFORMED",
      "ERR_FRAME_UNKNOWN_TYPE",
    ]);
    expect(device.status.link).toBe("online");
  });

  test("the connection ends with the last subscription", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.ask(NEWS, { type: "unsubscribe", subscriptionId: reply.subscription?.subscriptionId ?? 0 });
    const { ref, channel } = device.lastUpstream("unregisterWa");
    expect(channel).toBe(1);
    expect(device.status.link).toBe("online");
    device.send({ type: "waUnregistered", ref, status: 200, channel });
    expect(device.status.link).toBe("idle");
    device.pass(61_000);
    expect(device.alarm).toBeNull();
  });
});

describe("subscribing", () => {
  test("the endpoint is given out only when its record is durable", () => {
    const device = new Device();
    const requestId = device.subscribe(NEWS);
    device.connect();
    device.holdJournal = true;
    device.grantRegistration(1);
    expect(device.replies.has(requestId)).toBe(false);
    device.holdJournal = false;
    for (const confirm of device.heldWrites.splice(0)) confirm();
    expect(device.replies.get(requestId)).toMatchObject({ type: "subscription" });
  });

  test("asking again gives the same subscription; with another key it is a conflict", () => {
    const device = new Device();
    const first = device.withSubscription(NEWS, 1);
    expect(device.replies.get(device.subscribe(NEWS))).toEqual(first);
    const key = Uint8Array.from(first.subscription?.p256dh ?? []);
    expect(device.replies.get(device.subscribe(NEWS, null, key))).toMatchObject({
      code: "ERR_SUBSCRIBE_CONFLICT",
    });
  });

  test("the registration id depends on owner and WAToken and survives a restart", () => {
    const device = new Device();
    device.subscribe(NEWS, "my-token");
    device.connect();
    const id = device.lastUpstream("registerWa").registrationId;
    device.subscribe("other.app", "my-token");
    expect(device.lastUpstream("registerWa").registrationId).not.toEqual(id);
    const again = device.restart();
    again.subscribe(NEWS, "my-token");
    again.connect();
    expect(again.lastUpstream("registerWa").registrationId).toEqual(id);
  });

  test("without a connection subscribe is refused after a time, and the late answer is undone", () => {
    const device = new Device();
    const requestId = device.subscribe(NEWS);
    device.connect();
    const { ref } = device.lastUpstream("registerWa");
    device.send({ type: "error", ref, status: 503, text: "overloaded" });
    device.pass(32_000);
    expect(device.replies.get(requestId)).toMatchObject({ code: "ERR_SUBSCRIBE_ABORTED" });
  });

  test.each([
    ["Upper.Example", "ERR_OWNER"],
    ["http://far.example", "ERR_OWNER"],
    ["https://news.example/path", "ERR_OWNER"],
  ])("owner %s is refused", (owner, code) => {
    const device = new Device();
    expect(device.replies.get(device.subscribe(owner))).toMatchObject({ code });
  });

  test("a key that is no point is refused", () => {
    const device = new Device();
    expect(device.replies.get(device.subscribe(NEWS, null, new Uint8Array(65)))).toMatchObject({
      code: "ERR_SUBSCRIBE_KEY_POINT",
    });
  });

  test.each([
    [409, "ERR_SUBSCRIBE_CONFLICT"],
    [400, "ERR_SUBSCRIBE_ABORTED"],
  ] as const)("a service that answers %i refuses the app with %s", (status, code) => {
    const device = new Device();
    const requestId = device.subscribe(NEWS);
    device.connect();
    const { ref } = device.lastUpstream("registerWa");
    device.send({ type: "waRegistered", ref, status, channel: 0, endpoint: "", expirationTime: null });
    expect(device.replies.get(requestId)).toMatchObject({ code });
    expect(device.status.link).toBe("idle");
  });

  test("a service too busy for many apps at once gets them all in the end", () => {
    const device = new Device();
    const requestId = device.subscribe(NEWS);
    device.connect();
    const { ref } = device.lastUpstream("registerWa");
    device.send({ type: "waRegistered", ref, status: 429, channel: 0, endpoint: "", expirationTime: null });
    device.passUntil(10_000, () => device.countUpstream("registerWa") === 2);
    device.grantRegistration(1);
    expect(device.replies.get(requestId)).toMatchObject({ type: "subscription" });
  });

  test("an owner has so many registrations and no more", () => {
    const device = new Device();
    for (let i = 0; i < 32; i++) device.withSubscription("many.app", i + 1, false, `token-${i}`);
    expect(device.replies.get(device.subscribe("many.app", "one more"))).toMatchObject({
      code: "ERR_SUBSCRIBE_LIMIT",
    });
  });

  test("an app that subscribes and unsubscribes without end is refused, others are not: it would wear out the flash", () => {
    const device = new Device();
    device.withSubscription("other.app", 1);
    for (let made = 1; made <= SUBSCRIPTIONS_BURST_MAX; made++) {
      const { subscription } = device.withSubscription(NEWS, 1 + made);
      device.ask(NEWS, { type: "unsubscribe", subscriptionId: subscription?.subscriptionId ?? 0 });
      const { ref, channel } = device.lastUpstream("unregisterWa");
      device.send({ type: "waUnregistered", ref, status: 200, channel });
    }
    expect(device.replies.get(device.subscribe(NEWS))).toMatchObject({ code: "ERR_SUBSCRIBE_LIMIT" });
    device.withSubscription("another.app", 100);
    device.pass(SUBSCRIPTION_REFILL_MS);
    expect(device.withSubscription(NEWS, 101)).toMatchObject({ type: "subscription" });
  });

  test.each(["javascript:alert(1)", "http://far.example/p/1", "https://push.example/p/ 1", ""])(
    "an endpoint that is none is not given out: %s",
    (endpoint) => {
      const device = new Device();
      const requestId = device.subscribe(NEWS);
      device.connect();
      device.grantRegistration(1, endpoint);
      expect(device.replies.get(requestId)).toMatchObject({ code: "ERR_SUBSCRIBE_ABORTED" });
    },
  );

  test("a channel is not given to two registrations", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    const requestId = device.subscribe("other.app");
    device.grantRegistration(1);
    expect(device.replies.get(requestId)).toMatchObject({ code: "ERR_SUBSCRIBE_ABORTED" });
    expect(device.status.subscriptions).toHaveLength(1);
    expect(device.status.owners).toMatchObject([
      { owner: NEWS, permission: "granted", paused: false },
      { owner: "other.app", permission: "granted", paused: false },
    ]);
  });

  test("permission taken back while the answer is on its way leaves nothing behind", () => {
    const device = new Device();
    const requestId = device.subscribe(NEWS);
    device.connect();
    device.holdJournal = true;
    device.grantRegistration(1);
    device.choose({ type: "setPermission", owner: NEWS, permission: "denied" });
    device.holdJournal = false;
    for (let writes = 0; writes < 5; writes++) for (const confirm of device.heldWrites.splice(0)) confirm();
    expect(device.replies.get(requestId)).toMatchObject({ code: "ERR_SUBSCRIBE_PERMISSION" });
    expect(device.status.subscriptions).toEqual([]);
    expect(device.lastUpstream("unregisterWa").channel).toBe(1);
  });

  test("what a person decided is written down at once", () => {
    const device = new Device();
    device.subscribe(NEWS);
    const again = device.restart();
    expect(again.replies.get(again.ask(NEWS, { type: "permissionState" }))).toEqual({
      type: "permission",
      permission: "granted",
    });
  });

  test("without permission there is no subscription and no connection", () => {
    const device = new Device({ permission: "denied" });
    expect(device.replies.get(device.subscribe(NEWS))).toMatchObject({ code: "ERR_SUBSCRIBE_PERMISSION" });
    expect(device.count("httpRequest")).toBe(0);
  });

  test("a full journal refuses with its code; the service is told to forget the channel once nothing of it can be on the disk", () => {
    const device = new Device({ keepConnected: true });
    const requestId = device.subscribe(NEWS);
    device.connect();
    device.journalFailure = "full";
    device.grantRegistration(5);
    expect(device.replies.get(requestId)).toMatchObject({ code: "ERR_JOURNAL_FULL" });
    expect(device.status.subscriptions).toEqual([]);
    device.pass(1);
    expect(device.countUpstream("unregisterWa")).toBe(0);
    device.journalFailure = null;
    device.passUntil(60_000, () => !device.status.journalFailing);
    expect(device.lastUpstream("unregisterWa").channel).toBe(5);
  });

  test("unsubscribing works on a full flash and takes the keys off it", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const { subscriptionId } = reply.subscription ?? { subscriptionId: 0 };
    device.ask(NEWS, { type: "unsubscribe", subscriptionId });
    expect(device.last("checkpoint").urgent).toBe(true);
    const auth = reply.subscription?.auth ?? new Uint8Array(16);
    const contains = (bytes: Uint8Array) =>
      device.segment.some((_, at) => bytes.every((byte, i) => device.segment[at + i] === byte));
    expect(contains(auth)).toBe(false);
  });
});

describe("messages", () => {
  test("an opaque message goes to its app and is acknowledged when handled", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.notify(1, 1, device.seal(reply, "hello"));
    expect(device.delivered.map((delivery) => String.fromCharCode(...(delivery.data ?? [])))).toEqual([
      "hello",
    ]);
    expect(device.delivered[0]?.redelivered).toBe(false);
    device.pass(600);
    expect(device.acknowledged()).toEqual([[1, "ok"]]);
  });

  test("a declarative message is shown without the app, its link resolved", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.notify(1, 1, device.seal(reply, declared("Hi")));
    expect(device.delivered).toEqual([]);
    expect(device.shown[0]?.notification).toMatchObject({
      title: "Hi",
      navigate: "https://news.example/read",
    });
    device.pass(600);
    expect(device.acknowledged()).toEqual([[1, "ok"]]);
  });

  test("showing a message writes the notification and nothing else", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const before = device.journalWrites;
    device.notify(1, 1, device.seal(reply, declared("Hi")));
    device.pass(600);
    expect(device.journalWrites).toBe(before + 1);
    device.notify(2, 1, device.seal(reply, "for nobody"));
    device.pass(600);
    expect(device.journalWrites).toBe(before + 1);
  });

  test("a mutable message the app replaces is shown once, the app's way, with the declared link", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = (delivery) => {
      const { deliveryId } = delivery;
      device.ask(NEWS, { type: "showNotification", deliveryId, title: "Mine", options: {} });
      return "handled";
    };
    device.notify(1, 1, device.seal(reply, declared("Theirs", ',"mutable":true')));
    expect(device.shown.map((shown) => shown.notification.title)).toEqual(["Mine"]);
    expect(device.shown[0]?.notification.navigate).toBe("https://news.example/read");
  });

  test.each(["handled", "failed"] as const)(
    "a mutable message whose app shows nothing (%s) is shown as declared",
    (outcome) => {
      const device = new Device();
      const reply = device.withSubscription(NEWS, 1);
      device.onDeliver = () => outcome;
      device.notify(1, 1, device.seal(reply, declared("Theirs", ',"mutable":true')));
      expect(device.shown.map((shown) => shown.notification.title)).toEqual(["Theirs"]);
      device.pass(600);
      expect(device.acknowledged()).toEqual([[1, "ok"]]);
    },
  );

  test("a mutable message whose app does not answer is shown as declared after the budget, once", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.notify(1, 1, device.seal(reply, declared("Theirs", ',"mutable":true')));
    device.pass(9_900);
    expect(device.shown).toEqual([]);
    device.pass(200);
    expect(device.shown.map((shown) => shown.notification.title)).toEqual(["Theirs"]);
    const late = device.delivered[0]?.deliveryId ?? 0;
    const requestId = device.ask(NEWS, {
      type: "showNotification",
      deliveryId: late,
      title: "Late",
      options: {},
    });
    expect(device.replies.get(requestId)).toMatchObject({ code: "ERR_NOTIFICATION" });
    device.dispatch({ type: "appHandled", deliveryId: late });
    expect(device.shown).toHaveLength(1);
  });

  test.each([
    ["the app's wins", 7, 7],
    ["the declared one is set when the app leaves it", null, 12],
  ])("the badge of a mutable message the app replaced: %s", (_what, set, badge) => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = ({ deliveryId }) => {
      device.ask(NEWS, { type: "showNotification", deliveryId, title: "Mine", options: {} });
      if (set !== null) device.ask(NEWS, { type: "setAppBadge", deliveryId, badge: set });
      return "handled";
    };
    device.notify(1, 1, device.seal(reply, declared("Theirs", ',"mutable":true,"app_badge":12')));
    expect(device.last("setBadge").badge).toBe(badge);
    expect(device.count("setBadge")).toBe(1);
  });

  test("a mutable message with TTL 0 whose app is absent is shown as declared", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.notify(1, 1, device.seal(reply, declared("Now", ',"mutable":true')), { ttlLeftS: 0 });
    device.pass(11_000);
    expect(device.shown.map((shown) => shown.notification.title)).toEqual(["Now"]);
  });

  test("of two notifications with one tag each is acknowledged by its own showing", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const tagged = (title: string) =>
      `{"web_push":8030,"notification":{"title":"${title}","navigate":"/","tag":"t"}}`;
    device.holdDisplay = true;
    device.notify(1, 1, device.seal(reply, tagged("one")));
    device.notify(2, 1, device.seal(reply, tagged("two")));
    const notificationId = device.shown[0]?.notificationId ?? 0;
    device.dispatch({ type: "displayed", notificationId });
    device.pass(600);
    expect(device.acknowledged()).toEqual([[1, "ok"]]);
    device.dispatch({ type: "displayed", notificationId });
    device.pass(600);
    expect(device.acknowledged()).toEqual([
      [1, "ok"],
      [2, "ok"],
    ]);
  });

  test("nothing is handed out before the run is on record", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const again = device.restart({ journalFailure: "full" });
    again.lastId = 1;
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    again.connect();
    again.notify(1, 1, device.seal(reply, "early"));
    expect(again.delivered).toEqual([]);
    again.journalFailure = null;
    again.pass(61_000);
    expect(again.delivered).toHaveLength(1);
  });

  test("a message that is not handled in time is acknowledged from the journal, within 5 s", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.notify(1, 1, device.seal(reply, "slow"));
    device.pass(3_900);
    expect(device.acknowledged()).toEqual([]);
    device.pass(1_100);
    expect(device.acknowledged()).toEqual([[1, "ok"]]);
    expect(device.reports.some((report) => report.type === "journaled")).toBe(true);
  });

  test("a message on a full flash is not acknowledged before it is safe", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.journalFailure = "full";
    device.notify(1, 1, device.seal(reply, "slow"));
    device.pass(20_000);
    expect(device.acknowledged()).toEqual([]);
    device.journalFailure = null;
    device.pass(60_000);
    expect(device.acknowledged()).toEqual([[1, "ok"]]);
  });

  test("a failing app gets the message three times, marked, then it is given up", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => "failed";
    device.notify(1, 1, device.seal(reply, "bad"));
    device.pass(60_000);
    expect(device.delivered.map((delivery) => delivery.redelivered)).toEqual([false, true, true]);
    expect(new Set(device.delivered.map((delivery) => delivery.messageId)).size).toBe(1);
    expect(device.status.messagesWaiting).toBe(0);
  });

  test("a repeat of a handled message is acknowledged again and nothing more", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const body = device.seal(reply, "once");
    device.notify(1, 1, body);
    device.pass(600);
    device.notify(1, 1, body, { attempt: 2 });
    device.pass(600);
    expect(device.delivered).toHaveLength(1);
    expect(device.acknowledged()).toEqual([
      [1, "ok"],
      [1, "ok"],
    ]);
  });

  test("the ids of a new device in the same store are other ids", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    for (const id of [1, 2]) device.notify(id, 1, device.seal(reply, `old ${id}`));
    device.pass(600);
    device.closeLink();
    device.pass(10_000);
    device.closeLink(401);
    const uaid = new Uint8Array(16).fill(9);
    device.answerToken("token-2", uaid);
    device.openLink();
    device.registered({ uaid, channels: [] });
    device.passUntil(70_000, () => device.countUpstream("registerWa") === 2);
    device.grantRegistration(1, "https://push.example/p/new");
    const renewed = {
      type: "subscription",
      subscription: device.last("subscriptionChange").newSubscription,
    } as const;
    for (const id of [1, 2, 3]) device.notify(id, 1, device.seal(renewed, `new ${id}`));
    const texts = device.delivered.map((delivery) => String.fromCharCode(...(delivery.data ?? [])));
    expect(texts).toEqual(["old 1", "old 2", "new 1", "new 2", "new 3"]);
  });

  test("a renewed subscription still opens what waited in the journal", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.notify(1, 1, device.seal(reply, "kept"));
    device.pass(5_000);
    device.closeLink();
    device.pass(10_000);
    device.openLink();
    device.registered({ channels: [] });
    device.passUntil(70_000, () => device.countUpstream("registerWa") === 2);
    device.grantRegistration(2);
    device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(device.delivered.map((delivery) => String.fromCharCode(...(delivery.data ?? [])))).toEqual([
      "kept",
    ]);
  });

  test("after the end nothing is handed out, and what was in hand comes back marked", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    for (const [id, text] of [
      [1, "one"],
      [2, "two"],
    ] as const)
      device.notify(id, 1, device.seal(reply, text));
    device.holdJournal = true;
    device.dispatch({ type: "shutdown" });
    device.dispatch({ type: "appHandled", deliveryId: device.delivered[0]?.deliveryId ?? 0 });
    expect(device.delivered).toHaveLength(1);
    device.holdJournal = false;
    for (const confirm of device.heldWrites.splice(0)) confirm();
    expect(device.agent.isStopped).toBe(true);
    const again = device.restart();
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(again.delivered.map(({ redelivered }) => redelivered)).toEqual([true, false]);
  });

  test("a notification is written at once, and the number of one that a crash took is not used again", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.holdJournal = true;
    device.notify(1, 1, device.seal(reply, declared("One")));
    const unwritten = device.restart();
    device.holdJournal = false;
    for (const confirm of device.heldWrites.splice(0)) confirm();
    expect(device.restart().shown).toMatchObject([{ notification: { title: "One" } }]);
    unwritten.connect();
    unwritten.notify(2, 1, unwritten.seal(reply, declared("Two")));
    expect(unwritten.shown[0]?.notificationId).toBeGreaterThan(device.shown[0]?.notificationId ?? 0);
  });

  test("the same id in a new store epoch is another message", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.notify(1, 1, device.seal(reply, "a"));
    device.pass(61_000);
    device.closeLink();
    device.pass(0);
    device.openLink();
    device.registered({ storeEpoch: STORE_EPOCH + 1 });
    device.notify(1, 1, device.seal(reply, "b"));
    expect(device.delivered).toHaveLength(2);
  });

  test("undecryptable, orphaned and unhandled messages are acknowledged with their code", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const body = device.seal(reply, "x");
    body[body.length - 1] = (body[body.length - 1] ?? 0) ^ 1;
    device.notify(1, 1, body);
    device.notify(2, 77, device.seal(reply, "x"));
    device.withSubscription("silent.app", 2, false);
    device.notify(3, 2, null);
    device.pass(600);
    expect(device.acknowledged().sort()).toEqual([
      [1, "undecryptable"],
      [2, "rejected"],
      [3, "rejected"],
    ]);
    expect(device.upstream.some((message) => message.type === "unregisterWa" && message.channel === 77)).toBe(
      true,
    );
  });

  test("unsubscribing takes the waiting messages along", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    const body = device.seal(reply, "late");
    for (let id = 1; id <= 3; id++) device.notify(id, 1, body);
    device.ask(NEWS, { type: "unsubscribe", subscriptionId: reply.subscription?.subscriptionId ?? 0 });
    device.dispatch({ type: "appHandled", deliveryId: device.delivered[0]?.deliveryId ?? 0 });
    expect(device.delivered).toHaveLength(1);
    expect(device.status.messagesWaiting).toBe(0);
  });

  test("a notification too large for the journal is refused", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    const options = { data: "x".repeat(20_000) };
    const requestId = device.ask(NEWS, { type: "showNotification", deliveryId: null, title: "t", options });
    expect(device.replies.get(requestId)).toMatchObject({ code: "ERR_NOTIFICATION" });
  });

  test("a lone acknowledgement goes at once, those of a burst behind it share a frame", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const body = device.seal(reply, "burst");
    for (let id = 1; id <= 10; id++) device.notify(id, 1, body);
    device.pass(600);
    const acks = device.upstream.filter((message) => message.type === "ack");
    expect(acks).toEqual([
      { type: "ack", code: "ok", ranges: [[1, 1]] },
      { type: "ack", code: "ok", ranges: [[2, 10]] },
    ]);
  });

  test("an app that is not there is started, and gets its messages in order when it comes", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.notify(1, 1, device.seal(reply, "a"));
    device.notify(2, 1, device.seal(reply, "b"));
    expect(device.count("startApp")).toBe(1);
    device.pass(5_000);
    expect(device.acknowledged()).toHaveLength(2);
    device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(device.delivered.map((delivery) => String.fromCharCode(...(delivery.data ?? [])))).toEqual([
      "a",
      "b",
    ]);
  });

  test("over an owner's bound its channel is held, other channels flow, and it resumes", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const other = device.withSubscription("other.app", 2);
    device.onDeliver = (delivery) => (delivery.owner === NEWS ? null : "handled");
    const body = device.seal(reply, "n");
    for (let id = 1; id <= 70; id++) {
      device.notify(id, 1, body);
      if (id % 32 === 0) device.pass(5_000);
    }
    expect(device.lastUpstream("hold").channel).toBe(1);
    device.notify(100, 2, device.seal(other, "o"));
    expect(device.delivered.some((delivery) => delivery.owner === "other.app")).toBe(true);
    device.onDeliver = () => "handled";
    const current = device.delivered.find((delivery) => delivery.owner === NEWS);
    device.dispatch({ type: "appHandled", deliveryId: current?.deliveryId ?? 0 });
    expect(device.lastUpstream("resume").channel).toBe(1);
    expect(device.delivered.filter((delivery) => delivery.owner === NEWS)).toHaveLength(64);
  });
});

describe("restart", () => {
  test("after a crash a waiting message comes back with the same id, marked", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.notify(1, 1, device.seal(reply, "kept"));
    device.pass(5_000);
    const again = device.restart();
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(again.delivered.map((delivery) => delivery.messageId)).toEqual([device.delivered[0]?.messageId]);
    expect(again.delivered[0]?.redelivered).toBe(true);
  });

  test("after a crash what the service sends again is marked; after a clean stop it is not", () => {
    for (const isClean of [false, true]) {
      const device = new Device();
      const reply = device.withSubscription(NEWS, 1);
      if (isClean) device.dispatch({ type: "shutdown" });
      const again = device.restart();
      again.lastId = 1;
      again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
      again.connect();
      again.notify(1, 1, device.seal(reply, "again"), { attempt: 2 });
      again.notify(2, 1, device.seal(reply, "later"), { attempt: 2 });
      expect(again.delivered.map((delivery) => delivery.redelivered)).toEqual([!isClean, false]);
    }
  });

  test("a crash is remembered over a clean run that never met the service", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const between = device.restart();
    between.dispatch({ type: "shutdown" });
    const again = between.restart();
    again.lastId = 1;
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    again.connect();
    again.notify(1, 1, device.seal(reply, "again"), { attempt: 2 });
    expect(again.delivered[0]?.redelivered).toBe(true);
  });

  test("a message in an app's hands at a clean stop comes back marked, without the service", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.notify(1, 1, device.seal(reply, "in hand"));
    device.notify(2, 1, device.seal(reply, "behind it"));
    device.dispatch({ type: "shutdown" });
    const again = device.restart();
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(again.delivered.map((delivery) => delivery.redelivered)).toEqual([true, false]);
  });

  test("handled messages stay handled over a clean stop", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const body = device.seal(reply, "once");
    device.notify(1, 1, body);
    device.dispatch({ type: "shutdown" });
    expect(device.agent.isStopped).toBe(true);
    const again = device.restart();
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    again.connect();
    again.notify(1, 1, body, { attempt: 2 });
    expect(again.delivered).toEqual([]);
    again.pass(600);
    expect(again.acknowledged()).toEqual([[1, "ok"]]);
  });

  test("subscriptions and unclosed notifications survive; the agent connects by itself", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.notify(1, 1, device.seal(reply, declared("Stay")));
    device.dispatch({ type: "shutdown" });
    const again = device.restart();
    expect(again.count("openLink")).toBe(1);
    expect(again.shown).toMatchObject([{ notification: { title: "Stay" }, alert: false }]);
    const requestId = again.ask(NEWS, { type: "getSubscription", waToken: null });
    expect(again.replies.get(requestId)).toEqual(reply);
  });
});

describe("a damaged journal", () => {
  test("is reported, keeps what is intact, and the service is asked for everything again, once", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.withSubscription("other.app", 2);
    device.dispatch({ type: "shutdown" });
    const image = device.segment;
    const at = Math.floor(image.length * 0.7);
    image[at] = (image[at] ?? 0) ^ 0xff;
    const again = device.restart();
    expect(again.reports).toContainEqual(
      expect.objectContaining({ type: "fault", code: "ERR_JOURNAL_RECORD" }),
    );
    again.connect();
    const { ref } = again.lastUpstream("getAllMessages");
    again.send({ type: "drained", ref });
    again.closeLink();
    again.pass(10_000);
    again.openLink();
    again.registered();
    expect(again.countUpstream("getAllMessages")).toBe(1);
    const requestId = again.ask(NEWS, { type: "getSubscription", waToken: null });
    expect(again.replies.get(requestId)).toEqual(reply);
  });
});

describe("a service that forgets or revokes", () => {
  test("a new uaid gives every owner a new subscription with new keys", () => {
    const device = new Device();
    const before = device.withSubscription(NEWS, 1);
    device.closeLink();
    device.pass(10_000);
    device.closeLink(401);
    device.answerToken("token-2", new Uint8Array(16).fill(9));
    device.openLink();
    device.registered({ uaid: new Uint8Array(16).fill(9), channels: [] });
    // Until then it is broken: nobody is given its old endpoint, whatever else is asked for.
    const asked = [
      device.ask(NEWS, { type: "getSubscription", waToken: null }),
      device.subscribe(NEWS),
      device.subscribe(NEWS, null, Uint8Array.from(before.subscription?.p256dh ?? [])),
    ];
    for (const requestId of asked)
      expect(device.replies.get(requestId)).toMatchObject({ code: "ERR_SUBSCRIBE_ABORTED" });
    device.passUntil(70_000, () => device.countUpstream("registerWa") === 2);
    device.grantRegistration(1, "https://push.example/p/new");
    const change = device.last("subscriptionChange");
    expect(change.oldSubscription).toEqual(before.subscription);
    expect(change.newSubscription?.endpoint).toBe("https://push.example/p/new");
    expect(change.newSubscription?.p256dh).not.toEqual(before.subscription?.p256dh);
  });

  test("channels the service lost are registered again, channels it alone knows are ended", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.closeLink();
    device.pass(10_000);
    device.openLink();
    device.registered({ channels: [8] });
    device.passUntil(70_000, () => device.countUpstream("registerWa") === 2);
    device.grantRegistration(2);
    expect(device.last("subscriptionChange").newSubscription).not.toBeNull();
    expect(device.upstream.some((message) => message.type === "unregisterWa" && message.channel === 8)).toBe(
      true,
    );
  });

  test("a revoked channel ends its subscription, and the app is told", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.send({ type: "revoked", channel: 1, reason: "application-server" });
    expect(device.last("subscriptionChange")).toMatchObject({ owner: NEWS, newSubscription: null });
    expect(device.lastUpstream("unregisterWa").channel).toBe(1);
    expect(device.status.subscriptions).toEqual([]);
  });

  test("a service that refuses every token it issues is not asked in a loop", () => {
    const device = new Device({ keepConnected: true });
    for (let ms = 0; ms < 3600_000; ms += 1000) {
      const { link } = device.status;
      if (link === "token") device.answerToken(`token-${ms}`);
      else if (link === "dialing") device.closeLink(401);
      device.pass(1000);
    }
    expect(device.count("openLink")).toBeLessThan(25);
    expect(device.count("httpRequest")).toBeLessThan(25);
    while (device.status.link !== "dialing") {
      device.pass(1000);
      if (device.status.link === "token") device.answerToken("good");
    }
    device.openLink();
    device.registered();
    expect(device.status.link).toBe("online");
  });

  test("a renewed subscription the app ended meanwhile does not come back", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.closeLink();
    device.pass(10_000);
    device.openLink();
    device.registered({ channels: [] });
    device.passUntil(70_000, () => device.countUpstream("registerWa") === 2);
    device.holdJournal = true;
    device.grantRegistration(2);
    device.ask(NEWS, { type: "unsubscribe", subscriptionId: reply.subscription?.subscriptionId ?? 0 });
    device.holdJournal = false;
    for (const confirm of device.heldWrites.splice(0)) confirm();
    expect(device.status.subscriptions).toEqual([]);
    device.openLink();
    device.registered({ channels: [2] });
    expect(device.lastUpstream("unregisterWa").channel).toBe(2);
    expect(device.restart().status.subscriptions).toEqual([]);
  });

  test("a renewal the service is too busy for is asked again", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.closeLink();
    device.pass(10_000);
    device.openLink();
    device.registered({ channels: [] });
    device.passUntil(70_000, () => device.countUpstream("registerWa") === 2);
    const { ref } = device.lastUpstream("registerWa");
    device.send({ type: "waRegistered", ref, status: 503, channel: 0, endpoint: "", expirationTime: null });
    device.passUntil(140_000, () => device.countUpstream("registerWa") === 3);
    device.grantRegistration(2);
    expect(device.last("subscriptionChange").newSubscription).not.toBeNull();
  });

  test("a fresh token is kept for the next connection", () => {
    const device = new Device();
    device.subscribe(NEWS);
    device.answerToken();
    device.openLink();
    device.registered({ freshUaToken: "token-fresh", uaid: UAID });
    device.grantRegistration(1);
    device.closeLink();
    device.pass(10_000);
    expect(device.last("openLink").bearer).toBe("token-fresh");
  });
});

describe("activation", () => {
  test("opens a same-origin link and closes the notification", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.notify(1, 1, device.seal(reply, declared("Go")));
    const { notificationId } = device.shown[0] ?? { notificationId: 0 };
    device.dispatch({ type: "notificationActivated", notificationId, action: "" });
    expect(device.last("openUrl").url).toBe("https://news.example/read");
    expect(device.last("closeNotification").notificationId).toBe(notificationId);
    expect(device.status.notifications).toBe(0);
  });

  test("a link to another origin is not opened without consent, and the notification stays", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const away = '{"web_push":8030,"notification":{"title":"x","navigate":"https://other.example/"}}';
    device.notify(1, 1, device.seal(reply, away));
    const { notificationId } = device.shown[0] ?? { notificationId: 0 };
    device.dispatch({ type: "notificationActivated", notificationId, action: "" });
    expect(device.count("openUrl")).toBe(0);
    expect(device.last("askNavigation")).toMatchObject({
      notificationId,
      owner: NEWS,
      host: "other.example",
    });
    expect(device.status.notifications).toBe(1);
  });

  test("a notification with the same tag replaces the first, quietly", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const tagged = (title: string) =>
      `{"web_push":8030,"notification":{"title":"${title}","navigate":"/","tag":"t"}}`;
    device.notify(1, 1, device.seal(reply, tagged("one")));
    device.notify(2, 1, device.seal(reply, tagged("two")));
    expect(device.shown[1]).toMatchObject({ replaces: device.shown[0]?.notificationId, alert: false });
    expect(device.status.notifications).toBe(1);
  });
});
