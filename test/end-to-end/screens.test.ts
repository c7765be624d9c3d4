// SPDX-License-Identifier: MIT
// Goal: one agent shows the same on a Linux desktop, in its terminal and at a shell, and what a person does on one counts on all. Method: the
// real agent on a desktop nobody sees (dunst, a session bus, Xvfb); `web-push` sends; a script stands for the browser.

import { chmodSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { Desktop, desktopProblem } from "../node/desktop.ts";
import { RunningAgent } from "./running-agent.ts";
import { type Lines, Sender, Stage } from "./stage.ts";

const OWNER = "https://tide.example";

describe.skipIf(desktopProblem !== null)("screens (needs apt-get install dbus dunst xvfb)", () => {
  let stage: Stage;
  let desktop: Desktop;
  let agent: RunningAgent;
  let sender: Sender;
  let subscription: PushSubscriptionJSON;
  /** What xdg-open was given. */
  let opened: Lines;
  let printed = 0;

  beforeAll(async () => {
    stage = new Stage();
    desktop = await Desktop.start();
    stage.defer(() => desktop.close());
    const service = await stage.service();
    sender = new Sender(service);
    const links = stage.file("links", "");
    const bin = stage.newDirectory();
    writeFileSync(join(bin, "xdg-open"), `#!/bin/sh\necho "$1" >> '${links}'\n`);
    chmodSync(join(bin, "xdg-open"), 0o755);
    opened = stage.start("links", ["tail", "-n", "+1", "-f", links], {
      stdio: ["ignore", "pipe", "pipe"],
    }).stdout;
    const { PATH = "" } = process.env;
    agent = await RunningAgent.start(stage, {
      service,
      policy: { permission: "granted", linkOrigins: ["https://maps.example"] },
      args: ["--desktop"],
      environment: { ...desktop.environment, PATH: `${bin}${delimiter}${PATH}` },
    });
    const admin = await agent.enterAdmin();
    const members = { owner: OWNER, applicationServerKey: sender.keys.publicKey, freshness: null };
    subscription = (await admin.ask("subscribe", members)) as unknown as PushSubscriptionJSON;
    await admin.close();
  });
  afterAll(() => stage?.close());

  /** Sends a notification with two actions, and resolves once the desktop has it. */
  async function send(title: string) {
    const actions = [
      { action: "table", title: "Table", navigate: "/table" },
      { action: "map", title: "Map", navigate: "https://maps.example/tide" },
    ];
    const notification = { title, body: "High water at six", navigate: "/today", actions };
    await sender.send(subscription, JSON.stringify({ web_push: 8030, notification }));
    return desktop.printed(++printed);
  }

  test("desktop and terminal show it with its actions; one chosen on the desktop opens its link there", async () => {
    expect(await send("Tide")).toMatchObject({
      appName: "https://tide.example",
      title: "Tide",
      actions: { 0: "Table", 1: "Map" },
    });
    await agent.program.stdout.match(/https:\/\/tide\.example: Tide/);
    await desktop.choose("Map");
    expect(await opened.match(/maps/)).toBe("https://maps.example/tide");
  });

  test("a click opens the notification's own link, and takes it from every screen", async () => {
    const shell = await agent.enterShell();
    await send("Storm");
    const { notificationId } = await shell.event("show", ({ title }) => title === "Storm");
    await shell.ask("displayed", { notificationId });
    await shell.ask("activate", { notificationId, action: "" });
    // At the shell, where the person is.
    expect(await shell.event("openUrl")).toMatchObject({ owner: OWNER, url: `${OWNER}/today` });
    await shell.close();
    await send("Calm");
    await desktop.click();
    expect(await opened.match(/today/)).toBe(`${OWNER}/today`);
  });

  test("what is dismissed on the desktop goes from the shell too, and does not come back with a new agent", async () => {
    const shell = await agent.enterShell();
    await send("Fog");
    const { notificationId } = await shell.event("show", ({ title }) => title === "Fog");
    await desktop.dismiss();
    await shell.event("close", (event) => event.notificationId === notificationId);
    await send("Kept");
    await shell.event("show", ({ title }) => title === "Kept");
    await agent.program.end("SIGKILL");
    await agent.start();
    expect(await desktop.printed(++printed)).toMatchObject({ title: "Kept" });
    const later = await agent.enterShell();
    await later.event("show", ({ title }) => title === "Kept");
    expect(later.events("show").map(({ title }) => title)).toEqual(["Kept"]);
  });
});
