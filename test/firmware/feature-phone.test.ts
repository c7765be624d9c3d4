// SPDX-License-Identifier: MIT
// Goal: a C program that knows nothing but godwit.h gets every kind of push message, shows what is to be shown and does what a
// person wants. Method: the example in a process of its own, the real push service over TLS, and `web-push` as sender.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { type Program, Sender, type ServiceProcess, Stage } from "../end-to-end/stage.ts";
import { FIRMWARE_BUILD } from "./driver.ts";

const PHONE = join(FIRMWARE_BUILD, "examples", "feature-phone");
const DECLARATIVE = { headers: { "Content-Type": "application/notification+json" } };

/** The phone, its keypad and its screen. */
class Phone {
  readonly program: Program;
  #seen = 0;

  constructor(stage: Stage, service: ServiceProcess, state: string) {
    const command = [PHONE, service.origin, state, service.caFile];
    this.program = stage.start("feature-phone", command, {
      stdio: ["pipe", "pipe", "pipe"],
      env: stage.environment({ ASAN_OPTIONS: "detect_leaks=1" }),
    });
  }

  type(line: string): void {
    this.program.child.stdin?.write(`${line}\n`);
  }

  /** The first line from here on that matches; what stands before it is not looked at again. */
  async says(pattern: RegExp): Promise<string> {
    const at = await this.program.stdout.until(String(pattern), (lines) => {
      const index = lines.findIndex((line, place) => place >= this.#seen && pattern.test(line));
      return index < 0 ? null : index;
    });
    this.#seen = at + 1;
    return this.program.stdout.all[at] ?? "";
  }

  async subscribe(owner: string, key: string): Promise<PushSubscriptionJSON> {
    this.type(`subscribe ${owner} ${key}`);
    await this.says(new RegExp(`^May ${literal(owner)} show notifications`));
    this.type(`allow ${owner}`);
    const line = await this.says(/^subscription: /);
    return JSON.parse(line.slice("subscription: ".length)) as PushSubscriptionJSON;
  }

  /** Number of the notification on the line that ends so. */
  async shows(text: string): Promise<number> {
    const line = await this.says(new RegExp(`^\\(\\d+\\) .*${literal(text)}$`));
    return Number(/^\((\d+)\)/.exec(line)?.[1]);
  }

  async quit(): Promise<void> {
    this.type("quit");
    await this.says(/^bye: done$/);
    expect(await this.program.exited).toEqual({ code: 0, signal: null });
  }
}

/** `text` as a pattern of itself. */
function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** A declarative message. */
function declared(notification: object, members: object = {}): string {
  const web_push = 8030;
  return JSON.stringify({
    web_push,
    notification: { navigate: "https://news.example/", ...notification },
    ...members,
  });
}

describe.skipIf(!existsSync(PHONE))("the feature phone", () => {
  let stage: Stage;
  let service: ServiceProcess;
  let sender: Sender;
  let state: string;
  let phone: Phone;
  let mail: PushSubscriptionJSON;
  let news: PushSubscriptionJSON;

  beforeAll(async () => {
    stage = new Stage();
    service = await stage.service();
    sender = new Sender(service);
    state = stage.newDirectory();
    phone = new Phone(stage, service, state);
    await phone.says(/^ready, godwit \d/);
  });
  afterAll(() => stage.close());

  test("a person is asked, and the app gets a subscription", async () => {
    mail = await phone.subscribe("mail", sender.keys.publicKey);
    expect(mail.endpoint.startsWith(`${service.origin}/`)).toBe(true);
    expect(mail.keys.p256dh).toHaveLength(87);
    expect(mail.keys.auth).toHaveLength(22);
  });

  test("an opaque message goes to the app in the program, which sets a badge", async () => {
    expect(await sender.send(mail, "grüße, 世界")).toBe(201);
    await phone.says(/^message for mail: \d+ bytes$/);
    await phone.says(/^mail says: grüße, 世界$/);
    await phone.says(/^badge mail: 1$/);
    await service.acknowledged(1);
  });

  test("a declarative message is shown without an app, and its soft keys lead where it says", async () => {
    news = await phone.subscribe("https://news.example", sender.keys.publicKey);
    const actions = [{ action: "later", title: "Later", navigate: "https://news.example/later" }];
    await sender.send(news, declared({ title: "Storm", body: "Stay\nin", actions }), DECLARATIVE);
    await phone.says(/^\(beep\)$/);
    const id = await phone.shows("https://news.example: Storm | Stay in");
    await phone.says(/^keys: \[Open\] \[Later\] \[Dismiss\]$/);
    phone.type(`activate ${id} 0`);
    await phone.says(/^browser: https:\/\/news\.example opens https:\/\/news\.example\/later$/);
    await service.acknowledged(2);
  });

  test("a link to another site is asked about", async () => {
    await sender.send(news, declared({ title: "Prize", navigate: "https://else.example/win" }), DECLARATIVE);
    const id = await phone.shows("https://news.example: Prize");
    phone.type(`activate ${id}`);
    const question = await phone.says(/leads to else\.example\. Open it\?/);
    phone.type(`yes ${/\(yes (\d+)/.exec(question)?.[1]}`);
    await phone.says(/opens https:\/\/else\.example\/win$/);
  });

  test("a mutable message goes through its app, which shows another notification", async () => {
    await sender.send(mail, declared({ title: "Re: lunch" }, { mutable: true }), DECLARATIVE);
    await phone.says(/^message for mail: 0 bytes$/);
    const id = await phone.shows("mail: Re: lunch (read by the app)");
    phone.type(`dismiss ${id}`);
    await phone.says(/^-- \d+ notifications --$/);
    await service.acknowledged(4);
  });

  test("what is on the screen is there after a power cut, without a beep", async () => {
    await sender.send(news, declared({ title: "Still here", tag: "kept" }), DECLARATIVE);
    await phone.shows("https://news.example: Still here");
    await service.acknowledged(5);
    await phone.program.end("SIGKILL");
    phone = new Phone(stage, service, state);
    await phone.says(/^ready, godwit/);
    await phone.shows("https://news.example: Still here");
    expect(phone.program.stdout.all).not.toContain("(beep)");
  });

  test("bad commands are refused with a word, and change nothing", async () => {
    const refused = [
      ["fly", "an argument is missing, malformed or out of its range"],
      ["subscribe", "an argument is missing, malformed or out of its range"],
      ["subscribe mail nonsense", "an argument is missing, malformed or out of its range"],
      ["yes 77", "not in this state, or there is nothing like that"],
      ["allow mail", "not in this state, or there is nothing like that"],
      ["activate 0", "an argument is missing, malformed or out of its range"],
    ];
    phone.type("help");
    await phone.says(/^subscribe APP \[KEY\] \| .* \| quit$/);
    for (const [line = "", answer = ""] of refused) {
      phone.type(line);
      expect(await phone.says(/^error: /)).toBe(`error: ${answer}`);
    }
    phone.type("uninstall NoOwner");
    await phone.says(/^error: ERR_OWNER: /);
  });

  test("who opts out gets nothing more, and its endpoint is gone", async () => {
    phone.type("optout https://news.example");
    await phone.says(/^ok$/);
    await service.stderr.match(/unregistered|unsubscribed/);
    await expect(sender.send(news, declared({ title: "No" }), DECLARATIVE)).rejects.toThrow();
    phone.type("status");
    expect(await phone.says(/^status: /)).toMatch(/^status: online, 1 subscriptions, /);
  });

  test("it stops in order, and no secret was logged", async () => {
    await phone.quit();
    const logged = phone.program.stderr.all.join("\n");
    const secrets = [mail.endpoint, mail.keys.auth, news.endpoint, news.keys.auth, "Still here", "世界"];
    for (const secret of secrets) expect(logged).not.toContain(secret);
    expect(readFileSync(join(state, "reserve")).length).toBeGreaterThan(0);
  });
});
