// SPDX-License-Identifier: MIT
/** `godwit subscriptions`, `subscribe` and `unsubscribe`, at a running agent. */

import { answeringCommand } from "../configuration/agent-program.ts";
import type { Freshness } from "../journal/index.ts";
import { FRESHNESS_MS } from "../limits.ts";
import { AgentClient, type ClientEvent, withAgent } from "./agent-client.ts";
import { idOf, ownerOf, STATE, stateOf } from "./at-agent.ts";
import type { Command } from "./command.ts";
import { askYesNo, isSomebodyThere } from "./confirm.ts";
import type { Output } from "./output.ts";
import { readVapidKeys } from "./vapid-keys.ts";

const deleteCommand: Command = {
  summary: "end one subscription, here and at the push service; its WAToken is good no more",
  positionals: "ID",
  options: { state: STATE },
  async run(options, output) {
    const subscriptionId = idOf(options, "a subscription");
    const existed = await withAgent(stateOf(options), async (agent) => {
      const { subscriptions } = await agent.ask("status", {});
      await agent.ask("removeSubscription", { subscriptionId });
      return subscriptions.some((each) => each.subscriptionId === subscriptionId);
    });
    if (output.isJson) return output.json({ existed });
    output.line(existed ? "deleted" : `there is no subscription ${subscriptionId}`);
  },
};

export const subscriptionsCommand: Command = {
  summary: "list the subscriptions of a running agent, one for each WAToken; delete one",
  positionals: "",
  options: { state: STATE },
  verbs: { delete: deleteCommand },
  async run(options, output) {
    const { subscriptions: list } = await withAgent(stateOf(options), (agent) => agent.ask("status", {}));
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
    const freshness = options.text("freshness") as Freshness | null;
    const members = { owner: ownerOf(options), applicationServerKey, freshness };
    const asked = new PermissionAsked(
      members.owner,
      answeringCommand(options.text("state"), members.owner),
      output,
    );
    const agent = await AgentClient.open(stateOf(options), "admin", (event) => asked.handleEvent(event));
    try {
      asked.agent = agent;
      await agent.ask("watch", {});
      output.json(await agent.ask("subscribe", members));
    } finally {
      asked.agent = null;
      agent.close();
    }
  },
};

export const unsubscribeCommand: Command = {
  summary: "end an app's default subscription",
  positionals: "OWNER",
  options: { state: STATE },
  async run(options, output) {
    const owner = ownerOf(options);
    const result = await withAgent(stateOf(options), (agent) => agent.ask("unsubscribe", { owner }));
    if (output.isJson) return output.json(result);
    output.line(result.existed ? "unsubscribed" : "there was no subscription");
  },
};

/** Subscribing waits until a person has decided: the one at this terminal, or somebody else who has to be told how. */
class PermissionAsked {
  agent: AgentClient | null = null;
  readonly #owner: string;
  readonly #advice: string;
  readonly #output: Output;
  #isTold = false;

  constructor(owner: string, advice: string, output: Output) {
    this.#owner = owner;
    this.#advice = advice;
    this.#output = output;
  }

  handleEvent(event: ClientEvent): void {
    if (event.event !== "changed" || !event.status.permissionsAsked.includes(this.#owner)) return;
    if (this.#isTold) return;
    this.#isTold = true;
    if (isSomebodyThere()) void this.#ask();
    else this.#output.log(`waiting for permission: ${this.#advice}`);
  }

  async #ask(): Promise<void> {
    const isGranted = await askYesNo(`May ${this.#owner} send you push messages?`);
    const answer = { owner: this.#owner, permission: isGranted ? "granted" : "denied" } as const;
    // Where it was decided elsewhere meanwhile, the answer changes nothing.
    await this.agent?.ask("answerPermission", answer).catch(() => {});
  }
}
