// SPDX-License-Identifier: MIT
/**
 * User agents as the power-cut suite has them live and asks what they remember: one with an app socket, and the feature phone, a
 * program around libgodwit. No tests run here.
 */

import { expect } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { declared } from "../end-to-end/receiver.ts";
import { RunningAgent } from "../end-to-end/running-agent.ts";
import { SocketClient } from "../end-to-end/socket-client.ts";
import type { Exit, Program, Sender, ServiceProcess, Stage } from "../end-to-end/stage.ts";

/** An app that is away when its messages come. */
const NEWS = "news";
const CHAT = "https://chat.example";
export const GONE = "https://gone.example";
const LATE = "https://late.example";

/** What the program has said, or somebody has heard, and no power cut may undo. */
export interface Pledge {
  readonly what: "subscribed" | "unsubscribing" | "unsubscribed" | "messages" | "notifications";
  readonly owner: string;
  readonly count: number;
}

/** What a program knows when it has started. */
export interface Known {
  /** Who has subscriptions; how many there are, where the program does not name them. */
  readonly owners: ReadonlySet<string> | number;
  readonly messages: number;
  readonly notifications: number;
}

/** One process of a program. */
export interface Life {
  start(): Promise<void>;
  /** A short life: subscriptions made and ended, messages, something on the screen. */
  live(service: ServiceProcess, sender: Sender, pledge: (pledge: Pledge) => void): Promise<void>;
  /** @param shown whether a notification has to be on its screen */
  known(shown: boolean): Promise<Known>;
  /** Ended as a person would, if it has not ended by itself. */
  end(): Promise<Exit>;
}

export interface Place {
  readonly service: Pick<ServiceProcess, "origin" | "caFile">;
  readonly state: string;
  readonly environment: NodeJS.ProcessEnv;
}

export type MakeLife = (stage: Stage, place: Place) => Life;

export const SOCKET_PROMISES = [
  ...(["subscribed", "subscribed", "subscribed", "messages", "notifications"] as const),
  ...(["unsubscribing", "unsubscribed", "subscribed"] as const),
];

/** @param command the agent's; null: Node's */
export function socketLife(command: readonly string[] | null): MakeLife {
  return (stage, place) => new SocketLife(stage, place, command);
}

type Subscription = Parameters<Sender["send"]>[0];

/** Over the app socket, with an app that is away when its messages come. */
class SocketLife implements Life {
  readonly #agent: RunningAgent;

  constructor(stage: Stage, place: Place, command: readonly string[] | null) {
    this.#agent = new RunningAgent(stage, {
      ...{ ...place, policy: { permission: "granted" } },
      ...(command === null ? {} : { command }),
    });
  }

  start(): Promise<void> {
    return this.#agent.start();
  }

  async live(_service: ServiceProcess, sender: Sender, pledge: (pledge: Pledge) => void): Promise<void> {
    const admin = await this.#agent.enterAdmin();
    const subscribe = async (owner: string): Promise<Subscription> => {
      const applicationServerKey = sender.keys.publicKey;
      const subscription = await admin.ask("subscribe", { owner, applicationServerKey });
      pledge({ what: "subscribed", owner, count: 0 });
      return subscription as unknown as Subscription;
    };
    await admin.ask("watch");
    const news = await this.#beAppAndLeave(admin, sender);
    pledge({ what: "subscribed", owner: NEWS, count: 0 });
    await subscribe(GONE);
    const chat = await subscribe(CHAT);
    for (const text of ["one", "two", "three"]) await sender.send(news, text);
    if (await acknowledged(admin, 3)) pledge({ what: "messages", owner: NEWS, count: 3 });
    await sender.send(chat, declared({ title: "Hello" }));
    if (await acknowledged(admin, 4)) pledge({ what: "notifications", owner: CHAT, count: 1 });
    pledge({ what: "unsubscribing", owner: GONE, count: 0 });
    await admin.ask("unsubscribe", { owner: GONE });
    pledge({ what: "unsubscribed", owner: GONE, count: 0 });
    await subscribe(LATE);
  }

  async known(): Promise<Known> {
    const admin = await this.#agent.enterAdmin();
    const status = (await admin.ask("status")) as unknown as Status;
    expect(status.lastFault?.code).not.toBe("ERR_JOURNAL_RECORD");
    await admin.close();
    const owners = new Set(status.subscriptions.map(({ owner }) => owner));
    return { owners, messages: status.messagesWaiting, notifications: status.notifications };
  }

  end(): Promise<Exit> {
    return this.#agent.program.end("SIGTERM");
  }

  /** An app that subscribes, says that it handles messages, and goes. */
  async #beAppAndLeave(admin: SocketClient, sender: Sender): Promise<Subscription> {
    const { token } = await admin.ask("installApp", { owner: NEWS, start: null, tokenFile: null });
    const app = await SocketClient.enter({ at: this.#agent.socketPath }, { role: "app", owner: NEWS, token });
    await app.ask("attach", { handlesPush: true });
    const { subscription } = await app.ask("subscribe", {
      ...{ applicationServerKey: sender.keys.publicKey, userVisibleOnly: true, waToken: null },
      ...{ declarative: "auto", allowAesgcm: false, freshness: null },
    });
    await app.close();
    const { endpoint, p256dh, auth } = subscription as Readonly<
      Record<"endpoint" | "p256dh" | "auth", string>
    >;
    return { endpoint, keys: { p256dh, auth } } as Subscription;
  }
}

/** Waits until the service was told of `count` messages. False when the agent says that it cannot write. */
async function acknowledged(admin: SocketClient, count: number): Promise<boolean> {
  const reports = () =>
    admin.events("report").map(({ report }) => report as Readonly<Record<string, unknown>>);
  const sum = () =>
    reports().reduce((all, { type, messages }) => all + (type === "acknowledged" ? Number(messages) : 0), 0);
  await admin.first(
    `${count} acknowledged`,
    () => sum() >= count || reports().some(({ type }) => type === "fault"),
  );
  return sum() >= count;
}

interface Status {
  readonly subscriptions: readonly { readonly owner: string }[];
  readonly messagesWaiting: number;
  readonly notifications: number;
  readonly lastFault?: { readonly code: string } | null;
}

export const PHONE_PROMISES = [
  ...(["subscribed", "subscribed", "subscribed", "notifications"] as const),
  ...(["unsubscribing", "unsubscribed", "subscribed"] as const),
];

/** @param command the feature phone */
export function phoneLife(command: string): MakeLife {
  return (stage, place) => new PhoneLife(stage, place, command);
}

/** By its keypad. Its one app takes messages at once, so none waits; whoever has an app removed has its subscriptions ended. */
class PhoneLife implements Life {
  readonly #stage: Stage;
  readonly #place: Place;
  readonly #command: string;
  #program: Program | null = null;
  #seen = 0;

  constructor(stage: Stage, place: Place, command: string) {
    this.#stage = stage;
    this.#place = place;
    this.#command = command;
  }

  async start(): Promise<void> {
    const { service, state, environment } = this.#place;
    const command = [this.#command, service.origin, state, service.caFile];
    const program = this.#stage.start("feature-phone", command, {
      stdio: ["pipe", "pipe", "pipe"],
      env: this.#stage.environment(environment),
    });
    // It may be gone when something is typed.
    program.child.stdin?.on("error", () => {});
    this.#program = program;
    await this.#says(/^ready, godwit/);
  }

  async live(service: ServiceProcess, sender: Sender, pledge: (pledge: Pledge) => void): Promise<void> {
    const subscribe = async (owner: string): Promise<PushSubscriptionJSON> => {
      this.#type(`subscribe ${owner} ${sender.keys.publicKey}`);
      await this.#says(/^May .* show notifications/);
      this.#type(`allow ${owner}`);
      const line = await this.#says(/^subscription: /);
      pledge({ what: "subscribed", owner, count: 0 });
      return JSON.parse(line.slice("subscription: ".length)) as PushSubscriptionJSON;
    };
    const before = acknowledgedTo(service);
    const mail = await subscribe("mail");
    await subscribe(GONE);
    const chat = await subscribe(CHAT);
    await sender.send(mail, "one");
    await this.#says(/^mail says: one$/);
    await sender.send(chat, declared({ title: "Hello" }));
    if (await this.#isAcknowledged(service, before + 2))
      pledge({ what: "notifications", owner: CHAT, count: 1 });
    pledge({ what: "unsubscribing", owner: GONE, count: 0 });
    this.#type(`uninstall ${GONE}`);
    await this.#says(/^ok$/);
    pledge({ what: "unsubscribed", owner: GONE, count: 0 });
    await subscribe(LATE);
  }

  async known(shown: boolean): Promise<Known> {
    if (shown) await this.#says(/^-- [1-9]\d* notifications --$/);
    this.#type("status");
    const status = await this.#says(/^status: /);
    const owners = Number(/, (\d+) subscriptions/.exec(status)?.[1]);
    return { owners, messages: 0, notifications: shown ? 1 : 0 };
  }

  end(): Promise<Exit> {
    this.#type("quit");
    return this.#running.exited;
  }

  /** False when the phone ends before. */
  #isAcknowledged(service: ServiceProcess, messages: number): Promise<boolean> {
    const acknowledged = service.acknowledged(messages).then(
      () => true,
      () => false,
    );
    return Promise.race([acknowledged, this.#running.exited.then(() => false)]);
  }

  get #running(): Program {
    if (this.#program === null) throw new Error("the phone was not started");
    return this.#program;
  }

  #type(line: string): void {
    this.#running.child.stdin?.write(`${line}\n`);
  }

  /** The first line from here on that matches; what stands before it is not looked at again. */
  async #says(pattern: RegExp): Promise<string> {
    const { stdout } = this.#running;
    const at = await stdout.until(String(pattern), (lines) => {
      const index = lines.findIndex((line, place) => place >= this.#seen && pattern.test(line));
      return index < 0 ? null : index;
    });
    this.#seen = at + 1;
    return stdout.all[at] ?? "";
  }
}

/** Messages that devices have acknowledged to it so far. */
function acknowledgedTo({ stderr }: ServiceProcess): number {
  const counts = stderr.all.map((line) => Number(/^acknowledged .*messages=(\d+)$/.exec(line)?.[1] ?? 0));
  return counts.reduce((sum, count) => sum + count, 0);
}
