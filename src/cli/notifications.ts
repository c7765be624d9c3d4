// SPDX-License-Identifier: MIT
/** `godwit notifications`: what is shown, and what a person does with it, at a running agent. */

import type { AdminRequests } from "../apps/protocol.ts";
import { CommandError, EXIT } from "../configuration/exit.ts";
import { plain } from "../configuration/plain.ts";
import { displayedText, type GodwitNotification } from "../declarative/index.ts";
import { GodwitError } from "../errors.ts";
import { AgentClient, withAgent } from "./agent-client.ts";
import { idOf, STATE, stateOf } from "./at-agent.ts";
import type { Command } from "./command.ts";
import { askYesNo, isSomebodyThere } from "./confirm.ts";

type Shown = AdminRequests["notifications"]["result"][number];

const clickCommand: Command = {
  summary: "click a notification, or one of its actions by name: its link opens, or its app is told",
  positionals: "ID [ACTION]",
  options: {
    state: STATE,
    allow: { kind: "flag", help: "open a link to another origin without asking", isFlagOnly: true },
  },
  async run(options, output) {
    const notificationId = idOf(options, "a notification");
    const action = options.positionals[1] ?? "";
    // What the agent refuses to open it says in a report.
    const faults: GodwitError[] = [];
    const agent = await AgentClient.open(stateOf(options), "admin", (event) => {
      if (event.event === "report" && event.report.type === "fault")
        faults.push(new GodwitError(event.report.code, event.report.text));
    });
    try {
      const { notification, owner } = await find(agent, notificationId);
      const link = linkOf(notification, action);
      // Who watches can be asked; where nobody can, a link to another origin is refused.
      await agent.ask("watch", {});
      // Watching begins with what was reported before.
      faults.length = 0;
      await agent.ask("activate", { notificationId, action });
      const refusal = faults.find(({ code }) => code === "ERR_NAVIGATION_REFUSED");
      if (refusal !== undefined) throw refusal;
      await settle(agent, notificationId, action, options.flag("allow"));
      if (output.isJson) return output.json({ notificationId, action, url: link });
      output.line(link === null ? `clicked: ${owner} is told` : `clicked: opens ${plain(link)}`);
    } finally {
      agent.close();
    }
  },
};

const closeCommand: Command = {
  summary: "close a notification",
  positionals: "ID",
  options: { state: STATE },
  async run(options, output) {
    const notificationId = idOf(options, "a notification");
    await withAgent(stateOf(options), async (agent) => {
      await find(agent, notificationId);
      await agent.ask("dismiss", { notificationId });
    });
    if (output.isJson) return output.json({ notificationId });
    output.line(`closed: ${notificationId}`);
  },
};

export const notificationsCommand: Command = {
  summary: "list the notifications that are shown, click and close them",
  positionals: "",
  options: { state: STATE },
  verbs: { click: clickCommand, close: closeCommand },
  async run(options, output) {
    const list = await withAgent(stateOf(options), (agent) => agent.ask("notifications", {}));
    if (output.isJson) return output.json(list);
    if (list.length === 0) return output.line("no notifications");
    for (const shown of list) output.line(describe(shown));
  },
};

function describe({ notificationId, owner, notification }: Shown): string {
  const { title, body, actions } = displayedText(notification);
  const text = body === "" ? title : `${title} | ${body.replaceAll("\n", " / ")}`;
  const buttons = actions.map(({ action, title: name }) => ` [${plain(action)}: ${name}]`).join("");
  return `${notificationId}\t${owner}\t${text}${buttons}`;
}

async function find(agent: AgentClient, notificationId: number): Promise<Shown> {
  const list = await agent.ask("notifications", {});
  const shown = list.find((each) => each.notificationId === notificationId);
  if (shown === undefined) throw new CommandError(EXIT.failure, `there is no notification ${notificationId}`);
  return shown;
}

/** Where clicking leads; null when its app is told instead. */
function linkOf({ navigate, actions }: GodwitNotification, action: string): string | null {
  if (action === "") return navigate;
  const found = actions.find((each) => each.action === action);
  if (found !== undefined) return found.navigate;
  const known = actions.map((each) => plain(each.action)).join(", ");
  throw new CommandError(
    EXIT.usage,
    `it has no action "${action}"; ${known === "" ? "it has none at all" : `there is ${known}`}`,
  );
}

/** Answers the question whether a link to another origin may be opened, if there is one. */
async function settle(
  agent: AgentClient,
  notificationId: number,
  action: string,
  isAllowed: boolean,
): Promise<void> {
  const { navigationsAsked } = await agent.ask("status", {});
  const asked = navigationsAsked.find(
    (each) => each.notificationId === notificationId && each.action === action,
  );
  if (asked === undefined) return;
  const host = plain(asked.host);
  if (!isAllowed && !isSomebodyThere())
    throw new CommandError(EXIT.denied, `its link leads to ${host}: give --allow to open it`);
  const allowed = isAllowed || (await askYesNo(`Its link leads to ${host}. Open it?`));
  await agent.ask("answerNavigation", { notificationId, action, allowed });
  if (!allowed) throw new CommandError(EXIT.denied, "its link was not opened");
}
