// SPDX-License-Identifier: MIT
/**
 * `godwit demo`: the whole system on this machine for real: push service over TLS with LMDB, user agent, two apps, and
 * `web-push` as the application server. Prints what happens as a timeline.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import webPush from "web-push";
import type { Report } from "../agent/events.ts";
import type { PushSubscription, PushSubscriptionOptionsInit } from "../apps/push-manager.ts";
import { CommandError, EXIT } from "../configuration/exit.ts";
import type { AppHandle } from "../node/app-handle.ts";
import { AppSocketServer } from "../node/app-socket-server.ts";
import { dashboardFile } from "../node/dashboard-files.ts";
import { trustedCertificates } from "../node/tls.ts";
import { createUserAgent, type UserAgent } from "../node/user-agent.ts";
import {
  createPushService,
  loadDevCertificate,
  loadKeyring,
  openLmdbStore,
  type PushService,
  type Store,
} from "../push-service/index.ts";
import { TerminalDisplay } from "../user-agent/display.ts";
import { hasDesktop, openPrivately } from "./browser.ts";
import type { Command } from "./command.ts";
import { dashboardLink } from "./dashboard.ts";
import type { Output } from "./output.ts";
import { listen } from "./push-service.ts";
import { untilStopped } from "./signals.ts";
import { readVapidKeys } from "./vapid-keys.ts";

/** Longest wait for one step; the whole takes about a second. */
const STEP_TIMEOUT_MS = 20_000;
const NEWS = "https://news.example";
const CHAT = "https://chat.example";

export const demoCommand: Command = {
  summary: "run everything on this machine and send three real push messages",
  positionals: "",
  options: {
    once: { kind: "flag", help: "end when the messages have arrived" },
    state: {
      kind: "text",
      value: "DIR",
      help: "keep the state here (default: a temporary directory, removed at the end)",
    },
    port: { kind: "number", value: "N", max: 65_535, help: "port of the push service (default: a free one)" },
    dashboardPort: {
      kind: "number",
      value: "N",
      max: 65_535,
      help: "port of the dashboard on loopback (default: a free one)",
    },
    noOpen: { kind: "flag", help: "do not open the dashboard in this desktop's browser" },
  },
  async run(options, output) {
    // Listens before there is anything to remove. SIGHUP: a closed terminal must not leave private keys behind either.
    const stopped = untilStopped("SIGHUP");
    const kept = options.text("state");
    const directory = kept ?? mkdtempSync(join(tmpdir(), "godwit-demo-"));
    const remove = (): void => {
      if (kept === null) rmSync(directory, { recursive: true, force: true });
    };
    process.once("exit", remove);
    const timeline = new Timeline(output);
    try {
      const ports = { service: options.number("port") ?? 0, dashboard: options.number("dashboardPort") ?? 0 };
      const world = await startWorld(directory, ports, timeline);
      try {
        const news = await Promise.race([playMessages(directory, world, timeline), stopped]);
        if (news === undefined) throw new CommandError(EXIT.failure, "stopped before everything had arrived");
        if (!options.flag("once")) {
          const dashboard = await dashboardLink(stateOf(directory));
          const shown = world.userAgent.notifications().findLast(({ owner }) => owner === NEWS);
          await explainNext(directory, news, dashboard, shown?.notificationId ?? 1, output);
          if (!options.flag("noOpen")) await openOnDesktop(dashboard, directory, output);
          await stopped;
        }
      } finally {
        await world.close();
      }
    } finally {
      process.off("exit", remove);
      remove();
    }
  },
};

/** What happened when; also what the steps wait on. */
class Timeline {
  readonly #output: Output;
  readonly #startMs = performance.now();
  readonly #seen = new Set<string>();
  readonly #waiting = new Map<string, () => void>();

  constructor(output: Output) {
    this.#output = output;
  }

  /** Prints one step. `step` is stable and for programs, `text` for people; neither holds a secret. */
  add(step: string, text: string): void {
    const ms = Math.round(performance.now() - this.#startMs);
    if (this.#output.isJson) this.#output.json({ ms, step, text });
    else this.#output.line(`${String(ms).padStart(6)} ms  ${text}`);
    this.#seen.add(step);
    this.#waiting.get(step)?.();
  }

  /** Resolves once `step` was added. */
  async until(step: string): Promise<void> {
    if (this.#seen.has(step)) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(
            new CommandError(EXIT.failure, `"${step}" did not happen within ${STEP_TIMEOUT_MS / 1000} s`),
          ),
        STEP_TIMEOUT_MS,
      );
      // Nobody waits any more once the demo was stopped.
      timer.unref();
      this.#waiting.set(step, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

interface World {
  readonly service: PushService;
  readonly store: Store;
  readonly userAgent: UserAgent;
  readonly ca: string;
  close(): Promise<void>;
}

/** 0 for a free one. */
interface Ports {
  readonly service: number;
  readonly dashboard: number;
}

async function startWorld(directory: string, ports: Ports, timeline: Timeline): Promise<World> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.reverse()) await closer();
  };
  try {
    return { ...(await startParts(directory, ports, timeline, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Everything that runs; what was started is told to `closers` at once. */
async function startParts(
  directory: string,
  ports: Ports,
  timeline: Timeline,
  closers: (() => Promise<void>)[],
): Promise<Omit<World, "close">> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const tls = await loadDevCertificate({ directory: join(directory, "tls"), nowMs: Date.now() });
  const store = await openLmdbStore({ directory: join(directory, "store") });
  let acknowledged = 0;
  const service = createPushService({
    tls,
    store,
    keyring: loadKeyring(join(directory, "keys.json")),
    port: ports.service,
    log: (event) => {
      if (event.event !== "acknowledged") return;
      acknowledged += event.messages;
      timeline.add(`acknowledged-${acknowledged}`, `push service: ${acknowledged} acknowledged and removed`);
    },
  });
  // First, since the store is open whether or not anything listens.
  closers.push(() => service.close());
  await listen(service, ports.service);
  timeline.add("service", `push service: listening at ${service.origin} (TLS, LMDB)`);
  const stateDirectory = stateOf(directory);
  const userAgent = await createUserAgent({
    serviceUrl: service.origin,
    stateDirectory,
    ca: tls.ca,
    permission: () => "granted",
    display: new Screen(timeline),
    onReport: (report) => addReport(report, timeline),
  });
  closers.push(() => userAgent.close());
  const socket = await AppSocketServer.open({
    userAgent,
    stateDirectory,
    port: ports.dashboard,
    served: dashboardFile,
  });
  closers.push(() => socket.close());
  return { service, store, userAgent, ca: tls.ca };
}

/** Notifications as lines of the timeline; and a link, which would open in a browser, as the end of the story. */
class Screen extends TerminalDisplay {
  readonly #timeline: Timeline;

  constructor(timeline: Timeline) {
    super((line) => timeline.add("display", `screen: ${line}`));
    this.#timeline = timeline;
  }

  override openUrl(owner: string, url: string): void {
    this.#timeline.add("clicked", `screen: a notification of ${owner} was clicked: its link ${url} opens`);
  }
}

/** Picks from the agent's reports what tells the story. */
function addReport(report: Report, timeline: Timeline): void {
  switch (report.type) {
    case "token":
      return timeline.add("token", "user agent: UA token fetched over HTTPS");
    case "registered":
      return timeline.add(
        "registered",
        `user agent: registered, one connection for all apps (device ${report.device}…)`,
      );
    case "subscribed": {
      const token = report.ownToken ? "with its own WAToken" : "with a generated WAToken";
      return timeline.add(
        `subscribed ${report.owner}`,
        `user agent: ${report.owner} subscribed ${token}, channel ${report.channel}`,
      );
    }
    case "shown":
      return timeline.add(
        `shown-${report.by}`,
        `user agent: notification shown, ${report.by === "app" ? "by its app" : "no app code ran"}`,
      );
    case "fault":
      return timeline.add("fault", `user agent: ${report.code}: ${report.text}`);
  }
}

async function playMessages(
  directory: string,
  { userAgent, store, ca }: World,
  timeline: Timeline,
): Promise<PushSubscription> {
  const keys = readVapidKeys(join(directory, "vapid.json"));
  const chat = userAgent.app(CHAT);
  const news = userAgent.app(NEWS);
  const applicationServerKey = keys.publicKey;
  const newsSubscription = await subscribeAnew(news, {
    applicationServerKey,
    waToken: "news-on-this-device",
  });
  const chatSubscription = await subscribeAnew(chat, { applicationServerKey });
  chat.onpush = async (event) => {
    if (event.notification === null) {
      return timeline.add("app-opaque", `app ${CHAT}: got "${event.data?.text()}"`);
    }
    timeline.add("app-mutable", `app ${CHAT}: may replace "${event.notification.title}"`);
    await event.showNotification("Ada: lunch at noon?", { body: "replaced by the app" });
  };

  const send = async (name: string, subscription: PushSubscription, payload: string): Promise<void> => {
    const { statusCode } = await webPush.sendNotification(subscription.toJSON(), payload, {
      vapidDetails: { subject: "mailto:demo@news.example", ...keys },
      TTL: 60,
      agent: new Agent({ ca: trustedCertificates(ca) }),
    });
    timeline.add(`sent-${name}`, `web-push: ${name} message answered ${statusCode}`);
  };
  await send("opaque", chatSubscription, "hello from web-push");
  await timeline.until("app-opaque");
  await send(
    "declarative",
    newsSubscription,
    declarative("Godwits reach New Zealand", "/stories/godwits", false),
  );
  await timeline.until("shown-declared");
  await send("mutable", chatSubscription, declarative("1 new message", "/inbox", true));
  await timeline.until("shown-app");
  await timeline.until("acknowledged-3");
  const left = await store.countMessages();
  if (left !== 0) throw new CommandError(EXIT.failure, `${left} messages are left in the store`);
  timeline.add("store-empty", "push service: store empty, nothing lost");
  return newsSubscription;
}

/** What an earlier demo left in the same directory has the key of another sender and the port of another service. */
async function subscribeAnew(
  app: AppHandle,
  options: PushSubscriptionOptionsInit,
): Promise<PushSubscription> {
  const old = await app.pushManager.getSubscription(options.waToken ?? null);
  await old?.unsubscribe();
  return app.pushManager.subscribe(options);
}

function declarative(title: string, navigate: string, mutable: boolean): string {
  return JSON.stringify({ web_push: 8030, notification: { title, navigate }, mutable });
}

/** Leaves what another sender needs in files, and says how to go on: in a browser, and in a terminal alone. */
async function explainNext(
  directory: string,
  news: PushSubscription,
  dashboard: string,
  notificationId: number,
  output: Output,
): Promise<void> {
  const subscription = join(directory, "news.subscription.json");
  const vapid = join(directory, "vapid.json");
  writeFileSync(subscription, `${JSON.stringify(news)}\n`, { mode: 0o600 });
  const ca = join(directory, "tls", "ca.pem");
  const state = stateOf(directory);
  output.log(
    [
      "",
      "Still running. In a browser on this machine: the dashboard, where you can click the notifications",
      "(the link works once, within 5 minutes):",
      "",
      `  ${dashboard}`,
      "",
      "In a terminal alone: the same from a second one, in this directory",
      "(a click shows above, as a line that says which link opens):",
      "",
      `  npx godwit notifications --state ${state}`,
      `  npx godwit notifications click ${notificationId} --state ${state}`,
      "",
      "Send another push, and follow what happens:",
      "",
      `  npx godwit send --subscription ${subscription} --vapid-keys ${vapid} --ca ${ca} --title "Hello"`,
      `  npx godwit tail --state ${state}`,
      "",
      `Another link: npx godwit dashboard --state ${state}`,
      `What is wrong: npx godwit doctor --state ${state} --ca ${ca}`,
      "Ctrl-C ends it.",
    ].join("\n"),
  );
}

/** For the person who sits before it; programs, and people from afar, have the link. */
async function openOnDesktop(url: string, directory: string, output: Output): Promise<void> {
  if (output.isJson || !process.stdout.isTTY || !hasDesktop(process.env)) return;
  try {
    await openPrivately(url, stateOf(directory));
    output.log("It opens in the browser. If nothing shows there, open the link yourself.");
  } catch (error) {
    output.log((error as Error).message);
  }
}

function stateOf(directory: string): string {
  return join(directory, "agent");
}
