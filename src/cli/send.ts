// SPDX-License-Identifier: MIT
/** `godwit send`: an application server for trying things, on top of the npm package `web-push`. */

import { readFileSync } from "node:fs";
import { Agent } from "node:https";
import webPush from "web-push";
import { CommandError, EXIT } from "../configuration/exit.ts";
import { type Options, readCertificates, readTextFile } from "../configuration/options.ts";
import { tlsOptions } from "../node/tls.ts";
import type { Command } from "./command.ts";
import { nodeSurroundings } from "./surroundings.ts";
import { readVapidKeys } from "./vapid-keys.ts";

export const sendCommand: Command = {
  summary: "send a push message to a subscription",
  positionals: "[TEXT…]",
  options: {
    subscription: { kind: "text", value: "FILE", help: "the subscription as JSON, - for standard input" },
    title: { kind: "text", value: "TEXT", help: "send a declarative message with this title" },
    body: { kind: "text", value: "TEXT", help: "its body" },
    navigate: { kind: "text", value: "URL", help: "where it leads (default /)" },
    actions: { kind: "text", value: "TITLE=URL,…", help: "buttons, and where they lead; two are shown" },
    tag: { kind: "text", value: "TAG", help: "replaces the notification with the same tag" },
    badge: { kind: "number", value: "N", help: "badge to set" },
    mutable: { kind: "flag", help: "let the app replace it" },
    ttl: { kind: "number", value: "S", max: 2_592_000, help: "seconds the message is kept", fallback: 3600 },
    urgency: {
      kind: "text",
      value: "WORD",
      oneOf: ["very-low", "low", "normal", "high"],
      help: "how urgent",
    },
    topic: { kind: "text", value: "TOPIC", help: "replaces a waiting message with the same topic" },
    empty: { kind: "flag", help: "send a message without a body" },
    vapidKeys: { kind: "text", value: "FILE", help: "key pair as JSON, made when missing (mode 0600)" },
    ca: { kind: "text", value: "FILE", help: "PEM certificates to trust besides the system's" },
  },
  async run(options, output) {
    const subscription = readSubscription(options.required("subscription"));
    const urgency = options.text("urgency") as webPush.Urgency | null;
    const topic = options.text("topic");
    const caFile = options.text("ca");
    const keysFile = options.text("vapidKeys");
    const keys = keysFile === null ? null : readVapidKeys(keysFile);
    const result = await webPush
      .sendNotification(subscription, payloadOf(options), {
        TTL: options.requiredNumber("ttl"),
        ...(urgency === null ? {} : { urgency }),
        ...(topic === null ? {} : { topic }),
        ...(keys === null ? {} : { vapidDetails: { subject: "mailto:godwit@localhost.example", ...keys } }),
        agent: new Agent(tlsOptions(caFile === null ? null : readCertificates(caFile, nodeSurroundings()))),
      })
      .catch((error: unknown) => {
        throw sendError(error);
      });
    if (output.isJson) output.json({ statusCode: result.statusCode, ttlS: Number(result.headers.ttl) });
    else output.line(`accepted (${result.statusCode})`);
  },
};

/** Options that mean something in a declarative message only. */
const DECLARATIVE = ["body", "navigate", "actions", "tag", "badge", "mutable"];

/** A declarative message when there is a title, else the text as it is; nothing at all only when asked for. */
function payloadOf(options: Options): string | null {
  const title = options.text("title");
  const text = options.positionals.join(" ");
  const ways = [title !== null, text !== "", options.flag("empty")].filter((isGiven) => isGiven).length;
  if (ways !== 1)
    throw new CommandError(EXIT.usage, "give a TEXT, a --title, or --empty, and only one of them");
  if (title === null) {
    const lost = DECLARATIVE.find((name) => options.text(name) !== null);
    if (lost !== undefined) throw new CommandError(EXIT.usage, `--${lost} needs a --title`);
    return text || null;
  }
  const badge = options.number("badge");
  const actions = options.text("actions");
  return JSON.stringify({
    web_push: 8030,
    notification: {
      title,
      navigate: options.text("navigate") ?? "/",
      ...(options.text("body") === null ? {} : { body: options.text("body") }),
      ...(actions === null ? {} : { actions: actions.split(",").map(readAction) }),
      ...(options.text("tag") === null ? {} : { tag: options.text("tag") }),
    },
    mutable: options.flag("mutable"),
    ...(badge === null ? {} : { app_badge: badge }),
  });
}

function readAction(text: string, index: number): object {
  const [, title, navigate] = /^\s*([^=]+)=(.+)$/.exec(text) ?? [];
  if (title === undefined) throw new CommandError(EXIT.usage, "--actions are like Read=/news,Later=/later");
  return { action: String(index + 1), title, navigate };
}

function readSubscription(path: string): webPush.PushSubscription {
  try {
    const subscription = JSON.parse(
      path === "-" ? readFileSync(0, "utf8") : readTextFile(path, nodeSurroundings()),
    );
    if (typeof subscription.endpoint !== "string") throw new Error("no endpoint");
    return subscription;
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(EXIT.usage, `${path} does not hold a subscription as JSON`);
  }
}

/** The push service's own words, without the endpoint that web-push's errors carry. */
function sendError(error: unknown): CommandError {
  if (!(error instanceof webPush.WebPushError)) {
    const reason = error instanceof Error ? error.message : "failed";
    // Only what the system or TLS says has a code; all else is what web-push thinks of its arguments.
    const isNetwork = error instanceof Error && "code" in error;
    if (!isNetwork) return new CommandError(EXIT.usage, reason);
    return new CommandError(
      EXIT.unreachable,
      `the push service cannot be reached: ${reason}${/certificate/.test(reason) ? " (a development service needs --ca)" : ""}`,
    );
  }
  const exitCode = error.statusCode === 503 || error.statusCode === 429 ? EXIT.tryAgain : EXIT.failure;
  const message = /"message":"([^"]*)"/.exec(error.body)?.[1] ?? "refused";
  const hint = error.statusCode === 401 ? " (the key pair comes from --vapid-keys)" : "";
  return new CommandError(exitCode, `${error.statusCode}: ${message}${hint}`);
}
