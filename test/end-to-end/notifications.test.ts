// SPDX-License-Identifier: MIT
// Goal: what a person and an app may count on while a notification is up: how many there are, who may close it and when,
// what a badge is, what text looks like. Method: real push service and user agent
// in this process, whose timers can be skipped to; web-push sends, the screen is a list.

import "./children/skippable-time.mjs";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { displayedText } from "../../src/declarative/index.ts";
import {
  BODY_CODE_POINTS_MAX,
  NOTIFICATION_DAYS_MAX,
  NOTIFICATIONS_PER_OWNER_MAX,
  SCRIPT_CLOSE_MS_MIN,
  SCRIPT_CLOSE_WINDOW_MS,
  TITLE_CODE_POINTS_MAX,
} from "../../src/limits.ts";
import { TerminalDisplay } from "../../src/user-agent/display.ts";
import { declared, effectsOf, ofType, Receiver } from "./receiver.ts";
import { Stage } from "./stage.ts";

let stage: Stage;
let receiver: Receiver;
beforeAll(async () => {
  stage = new Stage();
  receiver = await Receiver.open(stage);
});
afterAll(() => stage.close());

async function skip(ms: number): Promise<void> {
  await globalThis.moreRequests?.skip({ ms });
}

describe("how many", () => {
  test("one more than an owner may have closes its oldest, and nobody else's", async () => {
    const { app, subscription } = await receiver.newApp();
    const other = await receiver.newApp();
    const foreign = await receiver.show(other.subscription, { title: "another's" });
    const first = await receiver.show(subscription, { title: "0" });
    const from = receiver.seen.length;
    for (let number = 1; number <= NOTIFICATIONS_PER_OWNER_MAX; number++)
      await receiver.show(subscription, { title: String(number) });
    const closed = ofType(receiver.seen.slice(from), "close").map(({ notificationId }) => notificationId);
    expect(closed).toEqual([first.notificationId]);
    const left = (await app.getNotifications()).map(({ title }) => title);
    expect(left).toHaveLength(NOTIFICATIONS_PER_OWNER_MAX);
    expect([left.at(0), left.at(-1)]).toEqual(["1", String(NOTIFICATIONS_PER_OWNER_MAX)]);
    expect((await other.app.getNotifications()).map(({ title }) => title)).toEqual(["another's"]);
    expect(closed).not.toContain(foreign.notificationId);
  });
});

describe("closing", () => {
  test("an app's own close waits until a person could have seen it", async () => {
    const { app, subscription } = await receiver.newApp();
    const { notificationId } = await receiver.show(subscription, {});
    const from = receiver.seen.length;
    const [own] = await app.getNotifications();
    own?.close();
    await app.getNotifications();
    await skip(SCRIPT_CLOSE_MS_MIN - 2_000);
    expect(ofType(receiver.seen.slice(from), "close")).toEqual([]);
    await skip(2_000 + SCRIPT_CLOSE_WINDOW_MS);
    expect(await receiver.next("close", from)).toMatchObject({ notificationId });
    expect(await app.getNotifications()).toEqual([]);
  });

  test("one that was up long enough goes at once", async () => {
    const { app, subscription } = await receiver.newApp();
    const { notificationId } = await receiver.show(subscription, {});
    await skip(SCRIPT_CLOSE_MS_MIN);
    const from = receiver.seen.length;
    const [own] = await app.getNotifications();
    own?.close();
    expect(await receiver.next("close", from)).toMatchObject({ notificationId });
  });

  test("a replacement by tag does not outrun that", async () => {
    const { app, subscription } = await receiver.newApp();
    await receiver.show(subscription, { tag: "t", title: "first" });
    await skip(SCRIPT_CLOSE_MS_MIN);
    await receiver.show(subscription, { tag: "t", title: "second" });
    const from = receiver.seen.length;
    for (const own of await app.getNotifications({ tag: "t" })) own.close();
    await app.getNotifications();
    expect(ofType(receiver.seen.slice(from), "close")).toEqual([]);
  });

  test("a person's close is at once, and over a restart", async () => {
    const { app, owner, subscription } = await receiver.newApp();
    const kept = await receiver.show(subscription, { title: "kept" });
    const gone = await receiver.show(subscription, { title: "gone" });
    receiver.userAgent.closeNotification(gone.notificationId);
    expect((await app.getNotifications()).map(({ title }) => title)).toEqual(["kept"]);
    const from = receiver.seen.length;
    await receiver.restart();
    const again = ofType(receiver.seen.slice(from), "show").filter((shown) => shown.owner === owner);
    expect(again.map(({ notificationId, alert }) => ({ notificationId, alert }))).toEqual([
      { notificationId: kept.notificationId, alert: false },
    ]);
    expect(again[0]?.notification).toEqual(kept.notification);
  });
});

describe("staying", () => {
  test("one nobody closed comes back with each restart for so many days, and then no more", async () => {
    const { owner, subscription } = await receiver.newApp();
    await receiver.show(subscription, { title: "read me" });
    const backAfter = async (days: number): Promise<number> => {
      vi.setSystemTime(Date.now() + days * 24 * 3600 * 1000);
      const from = receiver.seen.length;
      await receiver.restart();
      return ofType(receiver.seen.slice(from), "show").filter((shown) => shown.owner === owner).length;
    };
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      expect(await backAfter(NOTIFICATION_DAYS_MAX - 1)).toBe(1);
      // Its age is sure when the push service has told the time.
      await backAfter(2);
      await vi.waitUntil(async () => (await receiver.app(owner).getNotifications()).length === 0);
      expect(await backAfter(0)).toBe(0);
    } finally {
      vi.useRealTimers();
      await receiver.restart();
    }
  });
});

describe("what is fetched", () => {
  test("nothing: neither showing nor activating a notification tells a sender that it is there", async () => {
    let connections = 0;
    const server = createServer(() => connections++);
    stage.defer(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const from = receiver.seen.length;
    const { subscription } = await receiver.newApp();
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const pictures = { icon: `${origin}/icon`, image: `${origin}/image`, badge: `${origin}/badge` };
    const actions = [{ action: "a", title: "A", navigate: "/a", icon: `${origin}/action` }];
    const { notificationId, notification } = await receiver.show(subscription, { ...pictures, actions });
    expect(notification).toMatchObject({ ...pictures, actions: [{ icon: `${origin}/action` }] });
    receiver.userAgent.activateNotification(notificationId, "a");
    await receiver.next("open", from);
    await receiver.restart();
    expect(connections).toBe(0);
  });
});

describe("what is read", () => {
  const nasty = "\u202eEVIL\u2066\u0000\u0007\u001b[31m\u009b2J\u200f\u2028\r\nsecond\ttab";
  const ARABIC = "\u0645\u0631\u062d\u0628\u0627";

  test("the terminal gets one line, without control or bidirectional characters, and no longer than bounds", async () => {
    const lines: string[] = [];
    const display = new TerminalDisplay((line) => lines.push(line));
    const terminal = await Receiver.open(stage, { display });
    const owner = "https://news.example";
    const subscription = await terminal.subscribe(owner);
    const actions = [
      { action: "\u202e\u0000", title: nasty, navigate: "/" },
      { action: "b", title: ARABIC, navigate: "/" },
    ];
    for (const notification of [
      { title: nasty, body: `${nasty}\n${ARABIC}`, actions },
      { title: "x".repeat(1_000), body: "x".repeat(2_500) },
    ])
      await terminal.receive(subscription, { plaintext: declared(notification) });
    const own = lines.filter((line) => line.includes(owner));
    expect(own).toHaveLength(2);
    const [first = "", second = ""] = own;
    // What is isolated is closed again on the same line; nothing else of the kind is there.
    const isolated = /[\u2066-\u2068]([^\u2066-\u2069]*)\u2069/g;
    expect(first.replace(isolated, "$1")).not.toMatch(/\p{Cc}|[\u202a-\u202e\u2066-\u2069\u2028]/u);
    expect(first).toContain("EVIL");
    expect(second.length).toBeLessThanOrEqual(
      TITLE_CODE_POINTS_MAX + BODY_CODE_POINTS_MAX + owner.length + 20,
    );
  });

  test("every screen gets what was sent, and shows what displayedText makes of it", async () => {
    const { app, subscription } = await receiver.newApp();
    const { notification } = await receiver.show(subscription, { title: nasty, body: nasty });
    expect(notification.title).toBe(nasty);
    expect((await app.getNotifications())[0]?.title).toBe(nasty);
    const { title, body } = displayedText(notification);
    expect(`${title}${body}`).not.toMatch(/(?!\n)\p{Cc}|[\u202a-\u202e\u2066-\u2069]/u);
  });

  test("an owner's name cannot hold any of it", () => {
    for (const owner of [`https://a${ARABIC}.example`, "https://a\u202e.example", "app\u0000", "app\nid"])
      expect(() => receiver.userAgent.app(owner)).toThrow(/owner/);
  });
});

describe("badges", () => {
  test.each([
    [3, 3],
    [true, true],
    [0, 0],
    [false, false],
  ])("a message that declares %s sets it", async (badge, set) => {
    const { subscription } = await receiver.newApp();
    const seen = await receiver.receive(subscription, { plaintext: declared({}, { app_badge: badge }) });
    expect(effectsOf(seen).badges).toEqual([set]);
  });

  test("they come back after a restart: the last one that was set, and none that was cleared", async () => {
    const [numbered, marked, cleared, never] = [
      await receiver.newApp(),
      await receiver.newApp(),
      await receiver.newApp(),
      await receiver.newApp(),
    ];
    await receiver.show(numbered.subscription, {}, { app_badge: 5 });
    await receiver.show(numbered.subscription, {}, { app_badge: 7 });
    await receiver.show(numbered.subscription, {});
    await marked.app.setAppBadge();
    await receiver.show(cleared.subscription, {}, { app_badge: 5 });
    await cleared.app.clearAppBadge();
    await receiver.show(never.subscription, {});
    const from = receiver.seen.length;
    await receiver.restart();
    const own = [numbered, marked, cleared, never].map(({ owner }) => owner);
    const back = ofType(receiver.seen.slice(from), "badge").filter(({ owner }) => own.includes(owner));
    expect(back.map(({ owner, badge }) => [owner, badge])).toEqual([
      [numbered.owner, 7],
      [marked.owner, true],
    ]);
  });
});

describe("a message that comes again under another id", () => {
  test("is shown once", async () => {
    const { subscription } = await receiver.newApp();
    let recorded: Uint8Array | null = null;
    const record = (body: Uint8Array): Uint8Array => {
      recorded = body.slice();
      return body;
    };
    await receiver.receive(subscription, { plaintext: declared({}), damage: record });
    const again = await receiver.receive(subscription, {
      plaintext: declared({}),
      damage: (body) => recorded ?? body,
    });
    expect(effectsOf(again)).toEqual({ shown: [], pushes: [], badges: [] });
    const fresh = await receiver.receive(subscription, { plaintext: declared({}) });
    expect(effectsOf(fresh).shown).toEqual(["Declared"]);
  });
});

describe("what the developer is told", () => {
  test("a handler that was added late: how many messages it missed", async () => {
    const { owner, app, subscription } = await receiver.newApp();
    const warnings: string[] = [];
    app.onwarning = (event) => {
      event.preventDefault();
      warnings.push(`${event.code}: ${event.text}`);
    };
    await receiver.receive(subscription, { plaintext: "opaque" });
    await receiver.receive(subscription, { plaintext: declared({}, { mutable: true }) });
    await receiver.receive(subscription, { plaintext: declared({}) });
    expect(warnings).toEqual([]);
    receiver.app(owner, () => {});
    expect(warnings).toEqual([expect.stringMatching(/^late-handler: 2 messages/)]);
    const seen = await receiver.receive(subscription, { plaintext: "opaque" });
    expect(effectsOf(seen).pushes).toHaveLength(1);
    expect(warnings).toHaveLength(1);
  });

  test("a message that had to be a notification and is none", async () => {
    const { owner, app } = await receiver.newApp();
    const codes: string[] = [];
    app.onwarning = (event) => {
      event.preventDefault();
      codes.push(event.code);
    };
    const subscription = await receiver.subscribe(owner, { declarative: "only", waToken: "only" });
    await receiver.receive(subscription, { plaintext: "secret payload" });
    expect(codes).toEqual(["message-invalid"]);
    expect(JSON.stringify(ofType(receiver.seen, "report"))).not.toContain("secret payload");
  });
});
