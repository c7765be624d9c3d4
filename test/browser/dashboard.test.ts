// SPDX-License-Identifier: MIT
// Goal: a person at the dashboard sees what the agent knows, live, and every switch does at the agent and at the push service what
// it says; also after the agent was killed. Method: the real page in Chromium, served by the real agent beside the real push
// service, all as processes; `web-push` sends.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { BROWSER_TEST_MS_MAX, CHROMIUM } from "./chromium.ts";
import { CHAT, DashboardStage, declared, dismiss, NEWS } from "./dashboard-stage.ts";
import { type Frames, framesOf } from "./page-checks.ts";

describe.skipIf(CHROMIUM === null)("dashboard", { timeout: BROWSER_TEST_MS_MAX }, () => {
  let world: DashboardStage;
  beforeAll(async () => {
    world = await DashboardStage.start();
  }, BROWSER_TEST_MS_MAX);
  afterEach(() => world.closePages());
  afterAll(() => world?.close());

  test("the link's code works once and leaves the address; the tab's session outlives a reload", async () => {
    const url = await world.link();
    const page = await world.emptyPage();
    await page.goto(url);
    await page.getByRole("heading", { name: "Connection" }).waitFor();
    expect(page.url()).toBe(`http://127.0.0.1:${world.port}/`);
    await page.reload();
    await page.getByRole("heading", { name: "Connection" }).waitFor();

    const stranger = await world.emptyPage();
    await stranger.goto(url);
    await stranger.getByRole("heading", { name: "This page needs a link" }).waitFor();
    expect(await stranger.getByRole("button").count()).toBe(0);
    // Nothing goes on behind its back.
    expect(await stranger.evaluate("sessionStorage.length")).toBe(0);
  });

  test("only its own files are served, and the page may neither run nor frame nor reach anything else", async () => {
    const origin = `http://127.0.0.1:${world.port}`;
    const { headers } = await fetch(`${origin}/`);
    const policy = headers.get("content-security-policy") ?? "";
    for (const part of [
      "default-src 'none'",
      "script-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ])
      expect(policy).toContain(part);
    expect(policy).not.toMatch(/unsafe|\*/);
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    const paths = ["/index.html", "/../package.json", "/%2e%2e/package.json", "/dashboard.js.map", "//"];
    const statuses = await Promise.all(paths.map(async (path) => (await fetch(`${origin}${path}`)).status));
    expect(statuses).toEqual(paths.map(() => 404));
    const page = await world.openDashboard();
    await expect(page.evaluate(`document.body.innerHTML = "<i>markup</i>"`)).rejects.toThrow(/TrustedHTML/);
  });

  test("a question comes up by itself; Allow subscribes, and a message with two actions leads where they say", async () => {
    const page = await world.openDashboard();
    const subscribing = world.ask(NEWS);
    const question = page.getByRole("region", { name: "Your decision, please" });
    await question.getByText(`${NEWS} wants to send notifications.`).waitFor();
    expect(await page.title()).toBe("(1) Godwit");
    await question.getByRole("button", { name: `Allow: ${NEWS}` }).click();
    const subscription = await subscribing;
    await question.waitFor({ state: "hidden" });

    const actions = [
      { action: "track", title: "See the track", navigate: `${NEWS}/track` },
      { action: "map", title: "Open the map", navigate: "https://maps.example/wadden" },
    ];
    await world.sender.send(
      subscription,
      declared("The godwit has landed", { body: "After eleven days", actions }),
    );
    const notifications = page.getByRole("region", { name: "Notifications" });
    await notifications.getByRole("heading", { name: "The godwit has landed" }).waitFor();
    await notifications.getByRole("button", { name: "Open the map: The godwit has landed" }).click();
    // Another origin: nothing opens before a person said so.
    await question.getByText(`A notification of ${NEWS} leads elsewhere: open maps.example?`).waitFor();
    expect(world.agent.stdout.all.join("\n")).not.toContain("maps.example/wadden");
    await question.getByRole("button", { name: "Open: maps.example", exact: true }).click();
    await world.opened("https://maps.example/wadden");
    await notifications.getByText("None on the screen.").waitFor();

    await world.sender.send(subscription, declared("And taken off again", { actions }));
    await notifications.getByRole("button", { name: "See the track: And taken off again" }).click();
    await world.opened(`${NEWS}/track`);
    await notifications.getByText("None on the screen.").waitFor();

    await world.sender.send(subscription, declared("Not today"));
    await dismiss(page, "Not today");
    await notifications.getByText("None on the screen.").waitFor();
    expect((await world.status()).notifications).toBe(0);
  });

  test("what a sender chose is text, cannot reorder its surroundings, and is nothing but text", async () => {
    const page = await world.openDashboard();
    const subscription = await world.subscribe(NEWS);
    const title = `\u202e<img src=x onerror="document.title='x'">\u0007&amp;`;
    await world.sender.send(
      subscription,
      declared(title, { body: "<b>one</b>\nשתיים \u2066", lang: `"><i>` }),
    );
    const card = page.getByRole("listitem").filter({ hasText: "onerror" });
    const heading = card.getByRole("heading");
    expect(await heading.textContent()).toBe(`<img src=x onerror="document.title='x'">&amp;`);
    expect(await card.locator(".body").textContent()).toBe("\u2068<b>one</b>\nשתיים \u2069");
    expect(await page.locator("#page img, #page b:not(#questions b), #page i").count()).toBe(0);
    expect(await page.title()).toBe("Godwit");
    await card.getByRole("button", { name: /^Dismiss/ }).click();
    await card.waitFor({ state: "detached" });
  });

  test("the plots and their table are what the agent counted", async () => {
    const page = await world.openDashboard();
    const energy = page.getByRole("region", { name: "Wake-ups and energy" });
    const { meter } = await world.status();
    const wakeUps = meter.wakeUpsByHour.at(-1) ?? 0;
    expect(wakeUps).toBeGreaterThan(0);
    const plot = energy.getByRole("img", { name: /^Wake-ups per hour: the last hour [1-9]/ });
    await plot.waitFor();
    expect(await plot.locator("rect").count()).toBe(meter.wakeUpsByHour.length);
    expect(Number(await plot.locator("rect").last().getAttribute("height"))).toBeGreaterThan(0);
    await energy.getByText("The figures as a table").click();
    const cells = await energy.getByRole("row").nth(1).getByRole("cell").allTextContents();
    expect(Number(cells[0])).toBeGreaterThanOrEqual(wakeUps);

    const joules = energy.getByRole("img", { name: /^Joules per hour/ });
    const before = await joules.getAttribute("aria-label");
    await energy.getByLabel("Estimate for").selectOption("nbiot");
    await page.waitForFunction(
      `document.querySelectorAll("svg.plot")[1].getAttribute("aria-label") !== ${JSON.stringify(before)}`,
    );
    // What was folded open stays open, and what was chosen stays chosen, also behind the next status.
    await world.admin.ask("setPaused", { owner: null, paused: true });
    await page.getByRole("switch", { name: "Pause all apps", checked: true }).waitFor();
    await world.admin.ask("setPaused", { owner: null, paused: false });
    expect(await energy.getByLabel("Estimate for").inputValue()).toBe("nbiot");
    expect(await energy.getByRole("table").isVisible()).toBe(true);
  });

  test("pause holds an app's messages back at the service while others get theirs", async () => {
    const page = await world.openDashboard();
    const [news, chat] = [await world.subscribe(NEWS), await world.subscribe(CHAT)];
    const pause = page.getByRole("switch", { name: `Pause ${NEWS}`, exact: true });
    await pause.click();
    await page.getByRole("switch", { name: `Pause ${NEWS}`, exact: true, checked: true }).waitFor();
    expect(await world.ownerStatus(NEWS)).toMatchObject({ paused: true });
    expect(await world.sender.send(news, declared("Held back"))).toBe(201);
    // What was sent later came, so the one before would have.
    await world.sender.send(chat, declared("Not held back"));
    await dismiss(page, "Not held back");
    expect((await world.status()).notifications).toBe(0);
    await pause.click();
    await dismiss(page, "Held back");
    expect(await world.ownerStatus(NEWS)).toMatchObject({ paused: false });
  });

  test("pause for all apps ends the connection until it is over", async () => {
    const page = await world.openDashboard();
    const subscription = await world.subscribe(NEWS);
    const pause = page.getByRole("switch", { name: "Pause all apps" });
    await pause.click();
    await page.getByRole("switch", { name: "Pause all apps", checked: true }).waitFor();
    await page.getByText(/^Resting/).waitFor();
    expect(await world.status()).toMatchObject({ paused: true, link: "idle" });
    expect(await world.sender.send(subscription, declared("Later"))).toBe(201);
    await pause.click();
    await page.getByText(/^Online over WebSocket/).waitFor();
    await dismiss(page, "Later");
  });

  test("block, push off, remove and clear each end the subscription at the service too", async () => {
    const page = await world.openDashboard();
    const card = page.getByRole("region", { name: "Apps" }).locator(`[data-key="${CHAT}"]`);
    const choose = page.getByRole("group", { name: `Permission of ${CHAT}` });
    const confirm = (name: string) => page.getByRole("dialog").getByRole("button", { name }).click();
    const isUnsubscribed = () => card.getByText("not subscribed").waitFor();

    const blocked = await world.subscribe(CHAT);
    await choose.getByRole("button", { name: "Blocked", pressed: false }).click();
    await choose.getByRole("button", { name: "Blocked", pressed: true }).waitFor();
    await isUnsubscribed();
    expect(await world.ownerStatus(CHAT)).toMatchObject({ permission: "denied", subscriptions: 0 });
    expect(await world.refusal(blocked)).toBe(410);
    await expect(world.ask(CHAT)).rejects.toMatchObject({ code: "ERR_SUBSCRIBE_PERMISSION" });
    await choose.getByRole("button", { name: "Allowed" }).click();
    await choose.getByRole("button", { name: "Allowed", pressed: true }).waitFor();

    const off = await world.ask(CHAT);
    await card.getByText("1 subscription").waitFor();
    await page.getByRole("switch", { name: `Push off ${CHAT}` }).click();
    await isUnsubscribed();
    expect(await world.refusal(off)).toBe(410);
    await expect(world.ask(CHAT)).rejects.toMatchObject({ code: "ERR_SUBSCRIBE_PERMISSION" });
    await page.getByRole("switch", { name: `Push off ${CHAT}` }).click();
    await page.getByRole("switch", { name: `Push off ${CHAT}`, checked: false }).waitFor();

    const removed = await world.ask(CHAT);
    await page.getByRole("button", { name: /^Remove subscription \d+ of chat\.example$/ }).click();
    await confirm("Remove");
    await isUnsubscribed();
    expect(await world.refusal(removed)).toBe(410);

    const cleared = await world.ask(CHAT);
    await card.getByText("1 subscription").waitFor();
    await page.getByRole("button", { name: `Clear data ${CHAT}` }).click();
    await confirm("Cancel");
    expect((await world.ownerStatus(CHAT))?.subscriptions).toBe(1);
    await page.getByRole("button", { name: `Clear data ${CHAT}` }).click();
    await confirm("Clear");
    await isUnsubscribed();
    expect(await world.refusal(cleared)).toBe(410);
    expect(await world.ownerStatus(CHAT)).toMatchObject({ permission: "granted" });

    await page.getByRole("button", { name: `Forget ${CHAT}` }).click();
    await page.getByRole("textbox").fill(CHAT);
    await confirm("Forget");
    await card.waitFor({ state: "detached" });
    expect(await world.ownerStatus(CHAT)).toBeUndefined();
    await page.reload();
    const events = page.getByRole("region", { name: "Recent events" });
    await events.getByText("Online", { exact: true }).first().waitFor();
    expect(await events.getByText(CHAT).count()).toBe(0);
  });

  test("push off for all asks first, then ends everything until it is on again", async () => {
    const page = await world.openDashboard();
    const subscription = await world.subscribe(NEWS);
    const off = page.getByRole("switch", { name: "Push off all apps" });
    await off.click();
    await page.getByRole("dialog", { name: "Turn push off for all apps?" }).waitFor();
    expect((await world.status()).optedOut).toBe(false);
    await page.getByRole("button", { name: "Turn off" }).click();
    await page.getByRole("switch", { name: "Push off all apps", checked: true }).waitFor();
    expect(await world.status()).toMatchObject({ optedOut: true, subscriptions: [] });
    expect(await world.refusal(subscription)).toBe(410);
    await off.click();
    await page.getByRole("switch", { name: "Push off all apps", checked: false }).waitFor();
  });

  test("a test push says how long it took there and back", async () => {
    const page = await world.openDashboard();
    await page.getByRole("button", { name: "Send a test push" }).click();
    const said = page.getByText(/^Subscribed, sent and back in .+; the push service had it after .+\.$/);
    await said.waitFor();
    const card = page
      .getByRole("listitem")
      .filter({ has: page.getByRole("heading", { name: "Test push" }) })
      .filter({ hasText: "godwit.test" });
    await card.waitFor();
    await dismiss(page, "Test push");
    // Its subscription was for this message.
    await page.locator(`[data-key="godwit.test"]`).getByText("not subscribed").waitFor();
  });

  test("a day without news is a day without a request, a message or a timer", async () => {
    const page = await world.emptyPage();
    const requests: string[] = [];
    page.on("request", (request) => requests.push(new URL(request.url()).pathname));
    const frames: Frames = framesOf(page);
    await page.clock.install();
    await page.goto(await world.link());
    await page.getByText(/^Online over WebSocket|^Resting/).waitFor();
    await page.getByRole("heading", { name: "All apps" }).waitFor();
    // What follows the first status has been asked and answered.
    await frames.until((sent) => sent.includes("installed"));
    const [requestsBefore, sentBefore] = [requests.length, frames.sent.length];
    expect([...new Set(requests)].sort()).toEqual(["/", "/dashboard.js", "/icon.svg", "/style.css"]);
    await page.clock.runFor(24 * 3_600_000);
    expect(frames.sent.length).toBe(sentBefore);
    expect(requests.length).toBe(requestsBefore);
    expect(frames.sockets).toBe(1);

    // And yet it is live.
    await world.admin.ask("setPaused", { owner: null, paused: true });
    await page.getByRole("switch", { name: "Pause all apps", checked: true }).waitFor();
    await world.admin.ask("setPaused", { owner: null, paused: false });
    await page.getByRole("switch", { name: "Pause all apps", checked: false }).waitFor();
    expect(requests.length).toBe(requestsBefore);
  });

  test("an agent that is killed and started again is live again, with the focus where it was", async () => {
    const page = await world.openDashboard();
    await page
      .getByText(/shown|subscribed|Introduced/)
      .first()
      .waitFor();
    await page.getByRole("switch", { name: "Pause all apps" }).focus();
    await world.agent.end("SIGKILL");
    await page.getByText("The agent is not there.").waitFor();
    expect(await page.locator("#page").getAttribute("inert")).toBe("");
    await world.startAgent(world.port);
    await page.getByText("The agent is not there.").waitFor({ state: "detached" });
    expect(await page.evaluate("document.activeElement.id")).toBe("all-paused");
    await page.keyboard.press("Space");
    await page.getByRole("switch", { name: "Pause all apps", checked: true }).waitFor();
    expect((await world.status()).paused).toBe(true);
    await page.keyboard.press("Space");
    await page.getByRole("switch", { name: "Pause all apps", checked: false }).waitFor();
  });

  test("a program that takes the port while the agent is away is told nothing that lets it in", async () => {
    const page = await world.openDashboard();
    const session = String(await page.evaluate(`sessionStorage.getItem("godwit.session")`));
    const [claims = "", key = ""] = session.split(/\.(?=[^.]*$)/);
    expect(key).toMatch(/^[\w-]{43}$/);
    const { port } = world;
    await world.agent.end("SIGKILL");
    const heard: string[] = [];
    const impostor = new WebSocketServer({ host: "127.0.0.1", port });
    world.stage.defer(() => impostor.close());
    const greeted = new Promise<void>((resolve) => {
      impostor.on("connection", (socket) => {
        socket.on("message", (data) => {
          heard.push(String(data));
          const { id, type } = JSON.parse(String(data)) as { readonly id: number; readonly type: string };
          if (type === "challenge") socket.send(JSON.stringify({ id, result: { challenge: "of another" } }));
          else resolve();
        });
      });
    });
    await greeted;
    expect(heard.map((text) => (JSON.parse(text) as { readonly type: string }).type)).toEqual([
      "challenge",
      "hello",
    ]);
    expect(heard.join("\n")).toContain(claims);
    expect(heard.join("\n")).not.toContain(key);
    for (const socket of impostor.clients) socket.terminate();
    await new Promise((resolve) => impostor.close(resolve));
    await world.startAgent(port);
    await page.locator("#page:not([inert])").waitFor();
  });

  // Last: nothing is left behind it.
  test("factory reset takes a word to be typed, and then everything, here and at the service", async () => {
    const subscription = await world.subscribe(NEWS);
    const page = await world.openDashboard();
    await page.getByRole("button", { name: "Factory reset…" }).click();
    const reset = page.getByRole("dialog").getByRole("button", { name: "Reset" });
    await page.getByRole("textbox").fill("rese");
    expect(await reset.isDisabled()).toBe(true);
    await page.getByRole("textbox").fill("reset");
    await reset.click();
    await page.getByText("No app has asked for push yet.").waitFor();
    expect(await world.status()).toMatchObject({ owners: [], subscriptions: [], notifications: 0 });
    expect(await page.getByRole("region", { name: "Recent events" }).getByText(NEWS).count()).toBe(0);
    await world.service.stderr.match(/^device-forgotten /);
    expect([404, 410]).toContain(await world.refusal(subscription));
  });
});
