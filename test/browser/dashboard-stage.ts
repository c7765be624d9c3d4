// SPDX-License-Identifier: MIT
/** An agent with its dashboard, a push service, a sender and Chromium, all real. No tests here. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import type { AgentStatus, OwnerStatus } from "../../src/agent/status.ts";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { SocketClient } from "../end-to-end/socket-client.ts";
import { type Program, Sender, type ServiceProcess, Stage } from "../end-to-end/stage.ts";
import { launchChromium, newPage, type TestBrowser } from "./chromium.ts";

export const NEWS = "https://news.example";
export const CHAT = "chat.example";

type PageOptions = Parameters<typeof newPage>[1];

export class DashboardStage {
  readonly stage: Stage;
  readonly service: ServiceProcess;
  readonly sender: Sender;
  readonly #browser: TestBrowser;
  readonly #state: string;
  readonly #pages: Page[] = [];
  #running: { readonly agent: Program; readonly port: number; readonly admin: SocketClient } | null = null;

  private constructor(stage: Stage, service: ServiceProcess, browser: TestBrowser) {
    this.stage = stage;
    this.service = service;
    this.sender = new Sender(service);
    this.#browser = browser;
    this.#state = stage.newDirectory();
  }

  static async start(): Promise<DashboardStage> {
    const stage = new Stage();
    try {
      const service = await stage.service();
      const browser = await launchChromium();
      stage.defer(() => browser.close());
      const world = new DashboardStage(stage, service, browser);
      await world.startAgent(0);
      return world;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  get agent(): Program {
    return this.#present.agent;
  }

  /** Of the app socket. */
  get port(): number {
    return this.#present.port;
  }

  /** The administrator, past the dashboard. */
  get admin(): SocketClient {
    return this.#present.admin;
  }

  /** @param appPort 0: a free one */
  async startAgent(appPort: number): Promise<void> {
    const { service, stage } = this;
    const args = ["--service", service.origin, "--ca", service.caFile, "--state", this.#state, "--json"];
    const agent = stage.godwit(
      ["agent", ...args, "--app-port", String(appPort), "--ignore-network"],
      {},
      0.1,
    );
    const ready = await agent.stderr.match(/^agent ready/);
    const port = Number(/127\.0\.0\.1:(\d+)$/.exec(ready)?.[1]);
    const token = readFileSync(join(this.#state, "admin.token"), "utf8").trim();
    const admin = await SocketClient.enter({ at: join(this.#state, "app.sock") }, { role: "admin", token });
    stage.defer(() => admin.webSocket.terminate());
    this.#running = { agent, port, admin };
  }

  async close(): Promise<void> {
    await this.closePages();
    await this.stage.close();
  }

  async closePages(): Promise<void> {
    for (const page of this.#pages.splice(0)) await page.context().close();
  }

  async link(): Promise<string> {
    const { url } = await this.admin.ask("dashboardLink");
    return String(url);
  }

  async emptyPage(options: PageOptions = {}): Promise<Page> {
    const page = await newPage(this.#browser.browser, options);
    this.#pages.push(page);
    return page;
  }

  async openDashboard(options: PageOptions = {}): Promise<Page> {
    const page = await this.emptyPage(options);
    await page.goto(await this.link());
    await page.getByText(/^Online over WebSocket|^Resting/).waitFor();
    return page;
  }

  async status(): Promise<AgentStatus> {
    return (await this.admin.ask("status")) as unknown as AgentStatus;
  }

  async ownerStatus(owner: string): Promise<OwnerStatus | undefined> {
    return (await this.status()).owners.find((known) => known.owner === owner);
  }

  /** As if the app had been allowed before. */
  async subscribe(owner: string): Promise<PushSubscriptionJSON> {
    await this.admin.ask("setPermission", { owner, permission: "granted" });
    return this.ask(owner);
  }

  /** Asks a person first, if nothing is decided. */
  async ask(owner: string): Promise<PushSubscriptionJSON> {
    const members = { owner, applicationServerKey: this.sender.keys.publicKey, freshness: null };
    return (await this.admin.ask("subscribe", members)) as unknown as PushSubscriptionJSON;
  }

  /** Resolves once the agent's screen has said that it opened `url`. */
  async opened(url: string): Promise<void> {
    await this.agent.stdout.until(
      `${url} is open`,
      (lines) => lines.find((line) => line.includes(url)) ?? null,
    );
  }

  /** The status with which the push service refuses a message. */
  async refusal(subscription: PushSubscriptionJSON): Promise<unknown> {
    const refused = await this.sender
      .send(subscription, "x")
      .catch((error: { statusCode?: unknown }) => error);
    return (refused as { statusCode?: unknown }).statusCode;
  }

  get #present() {
    if (this.#running === null) throw new Error("no agent was started");
    return this.#running;
  }
}

/** A declarative message of {@link NEWS}. */
export function declared(title: string, more: object = {}): string {
  return JSON.stringify({ web_push: 8030, notification: { title, navigate: `${NEWS}/`, ...more } });
}

/** Dismisses a notification once it is there. */
export async function dismiss(page: Page, title: string): Promise<void> {
  const button = page.getByRole("button", { name: `Dismiss: ${title}`, exact: true });
  await button.click();
  await button.waitFor({ state: "detached" });
}
