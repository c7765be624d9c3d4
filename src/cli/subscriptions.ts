// SPDX-License-Identifier: MIT
/** `godwit subscriptions`, `subscribe` and `unsubscribe`, at a running agent. */

import type { AgentStatus } from "../agent/status.ts";
import { FRESHNESS_MS } from "../limits.ts";
import { askAgent } from "./admin-client.ts";
import type { Command } from "./command.ts";
import { CommandError, EXIT } from "./exit.ts";
import { defaultStateDirectory, type Options } from "./options.ts";
import { readVapidKeys } from "./vapid-keys.ts";

const STATE = { kind: "text", value: "DIR", help: "state directory of the agent" } as const;

export const subscriptionsCommand: Command = {
  summary: "list the subscriptions of a running agent",
  positionals: "",
  options: { state: STATE },
  async run(options, output) {
    const { subscriptions: list } = (await askAgent(stateOf(options), "status")) as AgentStatus;
    if (output.isJson) return output.json(list);
    if (list.length === 0) return output.line("no subscriptions");
    for (const { subscriptionId, owner, channel, mode, permission } of list) {
      output.line(`${subscriptionId}\t${owner}\tchannel ${channel ?? "pending"}\t${mode}\t${permission}`);
    }
  },
};

export const subscribeCommand: Command = {
  summary: "subscribe an app at a running agent and print what application servers need",
  positionals: "OWNER",
  options: {
    state: STATE,
    applicationServerKey: {
      kind: "text",
      value: "KEY",
      help: "P-256 public key that may publish, base64url",
    },
    freshness: {
      kind: "text",
      value: "WORD",
      oneOf: Object.keys(FRESHNESS_MS),
      help: "how long a dead connection may go unnoticed: urgent 9 min, normal 29 (default), relaxed 58",
    },
    vapidKeys: { kind: "text", value: "FILE", help: "take that key from this key pair, made when missing" },
  },
  async run(options, output) {
    const keysFile = options.text("vapidKeys");
    const applicationServerKey =
      options.text("applicationServerKey") ?? (keysFile === null ? null : readVapidKeys(keysFile).publicKey);
    const members = { owner: ownerOf(options), applicationServerKey, freshness: options.text("freshness") };
    output.json(await askAgent(stateOf(options), "subscribe", members));
  },
};

export const unsubscribeCommand: Command = {
  summary: "end an app's default subscription",
  positionals: "OWNER",
  options: { state: STATE },
  async run(options, output) {
    const result = (await askAgent(stateOf(options), "unsubscribe", { owner: ownerOf(options) })) as {
      existed: boolean;
    };
    if (output.isJson) return output.json(result);
    output.line(result.existed ? "unsubscribed" : "there was no subscription");
  },
};

function stateOf(options: Options): string {
  return options.text("state") ?? defaultStateDirectory(process.env, "agent");
}

function ownerOf(options: Options): string {
  const [owner] = options.positionals;
  if (owner === undefined) throw new CommandError(EXIT.usage, "an owner is needed: an origin or an app id");
  return owner;
}
