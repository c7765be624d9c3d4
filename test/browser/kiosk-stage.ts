// SPDX-License-Identifier: MIT
/** A kiosk, its agent, a push service and `web-push` with the key pair the kiosk made, all real. No tests here. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Locator } from "playwright-core";
import { RunningAgent } from "../end-to-end/running-agent.ts";
import { Sender, type ServiceProcess, Stage } from "../end-to-end/stage.ts";
import { RunningKiosk } from "./running-kiosk.ts";

export interface NotificationInit {
  readonly title: string;
  readonly body?: string;
  readonly navigate: string;
  readonly actions?: readonly {
    readonly action: string;
    readonly title: string;
    readonly navigate: string;
  }[];
}

export class KioskStage {
  readonly stage: Stage;
  readonly kiosk: RunningKiosk;
  readonly agent: RunningAgent;
  /** Where the page's server keeps its subscription, as JSON. */
  readonly subscriptionFile: string;
  readonly #vapidFile: string;
  readonly #service: ServiceProcess;

  private constructor(
    stage: Stage,
    service: ServiceProcess,
    data: string,
    kiosk: RunningKiosk,
    agent: RunningAgent,
  ) {
    this.stage = stage;
    this.kiosk = kiosk;
    this.agent = agent;
    this.subscriptionFile = join(data, "subscription.json");
    this.#vapidFile = join(data, "vapid.json");
    this.#service = service;
  }

  /** A person is asked before the page may show notifications. @param flags more of them for Chromium */
  static async start(flags: readonly string[] = []): Promise<KioskStage> {
    const stage = new Stage();
    try {
      const service = await stage.service();
      const [state, data] = [stage.newDirectory(), stage.newDirectory()];
      // The kiosk waits for its agent, which has to know the page's port.
      const kiosk = await RunningKiosk.start(stage, { state, data, port: 0, flags });
      const policy = { permission: "ask", pageOrigins: [kiosk.origin], httpAllowed: true };
      const agent = await RunningAgent.start(stage, { service, policy, hasPort: true, state });
      return new KioskStage(stage, service, data, kiosk, agent);
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  /** Resolves to how the kiosk ended. */
  async close() {
    // In order: killed, its Chromium would still write to its profile for a while.
    const exit = await this.kiosk.program.end("SIGTERM");
    await this.stage.close();
    return exit;
  }

  /** As the administrator. */
  async ask(type: string, members: object = {}) {
    const admin = await this.agent.enterAdmin();
    const result = await admin.ask(type, { ...members });
    await admin.close();
    return result;
  }

  /** What an application server sends to; the subscription stays good for it until it hears otherwise. */
  subscription() {
    return JSON.parse(readFileSync(this.subscriptionFile, "utf8"));
  }

  /** Resolves to the push service's status. */
  async send(notification: NotificationInit, badge?: number, to = this.subscription()): Promise<number> {
    const sender = new Sender(this.#service, { keys: JSON.parse(readFileSync(this.#vapidFile, "utf8")) });
    const message = { web_push: 8030, notification, ...(badge === undefined ? {} : { app_badge: badge }) };
    return sender
      .send(to, JSON.stringify(message))
      .catch((error: { readonly statusCode: number }) => error.statusCode);
  }

  // --- what is on the screen -----------------------------------------------------------------------------------------

  card(title: string): Locator {
    return this.kiosk.page.locator("#notifications > li", { hasText: title });
  }

  get badge(): Locator {
    return this.kiosk.page.locator("#badge b");
  }

  get question(): Locator {
    return this.kiosk.page.locator("#questions > li");
  }

  /** Of what is in the frame. */
  heading(text: string): Locator {
    return this.kiosk.page.frameLocator("#frame").locator("h1:visible", { hasText: text });
  }

  /** Of what is in the frame. */
  get urls(): string[] {
    const [, ...frames] = this.kiosk.page.frames();
    return frames.map((frame) => frame.url());
  }
}
