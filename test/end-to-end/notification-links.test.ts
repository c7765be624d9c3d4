// SPDX-License-Identifier: MIT
// Goal: where a notification leads: to its app's own pages at once, elsewhere only with a person's yes or where the device
// allows it, and nowhere else. Method: real push service and user agent in this process; web-push sends, a person answers.

import "./children/skippable-time.mjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ofType, Receiver } from "./receiver.ts";
import { Stage } from "./stage.ts";

const PARTNER = "https://partner.example";

let stage: Stage;
let receiver: Receiver;
beforeAll(async () => {
  stage = new Stage();
  receiver = await Receiver.open(stage, { originsAllowed: [PARTNER] });
});
afterAll(() => stage.close());

describe("where it leads", () => {
  const asked: { owner: string; host: string; notificationId: number; action: string }[] = [];
  let isAllowed = false;
  beforeAll(() => {
    receiver.userAgent.questions.addAsker({
      askPermission: () => {},
      settlePermission: () => {},
      askNavigation: ({ owner, host, notificationId, action }) => {
        asked.push({ owner, host, notificationId, action });
        receiver.userAgent.questions.answerNavigation(notificationId, action, isAllowed);
      },
      settleNavigation: () => {},
    });
  });

  test.each([
    ["https://evil.example/x", "evil.example", "https://evil.example/x"],
    ["//evil.example/x", "evil.example", "https://evil.example/x"],
    ["\\\\evil.example\\x", "evil.example", "https://evil.example/x"],
    ["https://app.example@evil.example/", "evil.example", "https://app.example@evil.example/"],
    ["https://app1.example.evil.example:8443/", "app1.example.evil.example:8443", null],
  ])("%s leaves the app's origin: only with a yes", async (navigate, host, url) => {
    const { owner, app, subscription } = await receiver.newApp();
    const { notificationId } = await receiver.show(subscription, { navigate });
    for (isAllowed of [false, true]) {
      const from = receiver.seen.length;
      asked.length = 0;
      receiver.userAgent.activateNotification(notificationId);
      expect(asked).toEqual([{ owner, host, notificationId, action: "" }]);
      await app.getNotifications();
      const opened = ofType(receiver.seen.slice(from), "open").map((one) => one.url);
      expect(opened).toEqual(isAllowed ? [url ?? navigate] : []);
      expect(await app.getNotifications()).toHaveLength(isAllowed ? 0 : 1);
    }
  });

  test("an allowed origin opens at once, also for an action", async () => {
    const { app, subscription } = await receiver.newApp();
    const actions = [{ action: "a", title: "A", navigate: `${PARTNER}/a` }];
    const { notificationId } = await receiver.show(subscription, { actions });
    const from = receiver.seen.length;
    asked.length = 0;
    receiver.userAgent.activateNotification(notificationId, "a");
    expect(await receiver.next("open", from)).toMatchObject({ url: `${PARTNER}/a` });
    expect(asked).toEqual([]);
    expect(await app.getNotifications()).toEqual([]);
  });

  test.each([
    "javascript:alert(1)",
    "data:text/html,x",
    "blob:https://app.example/1",
    "file:///etc/passwd",
    "filesystem:https://app.example/x",
    "view-source:https://app.example/",
    "intent://x#Intent;scheme=https;end",
    "tel:112",
    "http://app.example/",
  ])("%s is shown and never opened, whatever a person answers", async (navigate) => {
    isAllowed = true;
    const { app, subscription } = await receiver.newApp(() => {});
    const { notificationId } = await receiver.show(subscription, { navigate });
    const from = receiver.seen.length;
    asked.length = 0;
    receiver.userAgent.activateNotification(notificationId);
    receiver.userAgent.questions.answerNavigation(notificationId, "", true);
    await receiver.next("report", from, ({ report }) => report.type === "fault");
    expect(await app.getNotifications()).toHaveLength(1);
    const seen = receiver.seen.slice(from);
    expect([...ofType(seen, "open"), ...ofType(seen, "click"), ...asked]).toEqual([]);
    const faults = ofType(seen, "report").map(({ report }) => report);
    expect(faults).toMatchObject([{ code: "ERR_NAVIGATION_REFUSED" }]);
    // A report is for a log: it does not carry what a sender wrote.
    expect(JSON.stringify(faults)).not.toContain(navigate);
  });

  test("an answer nobody asked for opens nothing", async () => {
    const { app, subscription } = await receiver.newApp();
    const { notificationId } = await receiver.show(subscription, { navigate: "https://evil.example/" });
    const from = receiver.seen.length;
    receiver.userAgent.questions.answerNavigation(notificationId, "", true);
    expect(await app.getNotifications()).toHaveLength(1);
    expect(ofType(receiver.seen.slice(from), "open")).toEqual([]);
  });
});
