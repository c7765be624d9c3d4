// SPDX-License-Identifier: MIT
/**
 * `godwit shell`: a shell in a terminal. Shows notifications, badges and questions of a running agent as lines, and takes
 * what the person does with them as lines.
 */

import { createInterface } from "node:readline";
import type { ShellEvent } from "../apps/protocol.ts";
import { plain } from "../configuration/plain.ts";
import { GodwitError } from "../errors.ts";
import { AgentClient, type ClientEvent } from "./agent-client.ts";
import { STATE, stateOf } from "./at-agent.ts";
import type { Command } from "./command.ts";
import type { Output } from "./output.ts";
import { untilStopped } from "./signals.ts";

const HELP = "1: click notification 1; 1 2: its second action; x 1: close it; y, n: answer; q: leave";

export const shellCommand: Command = {
  summary: "show notifications and questions in this terminal, and take clicks and answers",
  positionals: "",
  options: { state: STATE },
  async run(options, output) {
    const shell = new TerminalShell(output);
    const agent = await AgentClient.open(stateOf(options), "shell", (event) => shell.handleEvent(event));
    shell.start(agent);
    if (!output.isJson) output.log(HELP);
    const reader = createInterface({ input: process.stdin });
    try {
      const left = new Promise<true>((resolve) => {
        reader.on("line", (line) => {
          if (line.trim() === "q") resolve(true);
          else shell.handleLine(line);
        });
      });
      const isLeft = await Promise.race([
        left,
        untilStopped().then(() => true),
        output.closed.then(() => true),
        agent.closed.then(() => false),
      ]);
      if (!isLeft) throw agent.wentAway();
    } finally {
      reader.close();
      agent.close();
    }
  },
};

type EventOf<Name extends ShellEvent["event"]> = Extract<ShellEvent, { event: Name }>;
type Question = EventOf<"permission"> | EventOf<"navigation">;

class TerminalShell {
  readonly #output: Output;
  /** By notification, the names of its actions. */
  readonly #actions = new Map<number, readonly string[]>();
  /** The oldest is the one that is answered. */
  #questions: readonly Question[] = [];
  #agent: AgentClient | null = null;
  #typed: Promise<void> = Promise.resolve();
  /** Came before the answer to our `hello` was dealt with. */
  #early: ClientEvent[] = [];

  constructor(output: Output) {
    this.#output = output;
  }

  start(agent: AgentClient): void {
    this.#agent = agent;
    for (const event of this.#early) this.handleEvent(event);
    this.#early = [];
  }

  handleEvent(event: ClientEvent): void {
    if (this.#agent === null) {
      this.#early.push(event);
      return;
    }
    if (this.#output.isJson) this.#output.json(event);
    switch (event.event) {
      case "show":
        return this.#show(event);
      case "close":
        this.#actions.delete(event.notificationId);
        this.#drop((asked) => asked.event === "navigation" && asked.notificationId === event.notificationId);
        return this.#line(`(${event.notificationId}) closed`);
      case "badge":
        return this.#line(`${event.owner}: badge ${event.text || "cleared"}`);
      case "openUrl":
        return this.#line(`${event.owner}: open ${plain(event.url)}`);
      case "permission":
      case "navigation":
        this.#questions = [...this.#questions, event];
        return this.#line(describeQuestion(event));
      case "permissionSettled":
        return this.#drop((asked) => asked.event === "permission" && asked.owner === event.owner);
      case "navigationSettled":
        return this.#drop(
          (asked) =>
            asked.event === "navigation" &&
            asked.notificationId === event.notificationId &&
            asked.action === event.action,
        );
    }
  }

  /** What the person typed; one line after the other. */
  handleLine(line: string): void {
    this.#typed = this.#typed.then(() => this.#handle(line));
  }

  async #handle(line: string): Promise<void> {
    try {
      if (!(await this.#act(line.trim()))) this.#output.log(HELP);
    } catch (error) {
      if (error instanceof GodwitError) this.#output.log(error.message);
      // Else the agent is gone, which ends the command.
    }
  }

  #show({ notificationId, owner, title, body, actions }: EventOf<"show">): void {
    this.#actions.set(
      notificationId,
      actions.map(({ action }) => action),
    );
    const text = body === "" ? title : `${title} | ${body.replaceAll("\n", " / ")}`;
    const buttons = actions.map((action, index) => ` [${index + 1}: ${action.title}]`).join("");
    this.#line(`(${notificationId}) ${owner}: ${text}${buttons}`);
    this.#agent?.ask("displayed", { notificationId }).catch(() => {});
  }

  async #act(line: string): Promise<boolean> {
    const agent = this.#agent;
    if (agent === null) return false;
    const [, close, number, actionNumber] = /^(?:(x) )?(\d{1,15})(?: (\d{1,3}))?$/.exec(line) ?? [];
    if (number !== undefined) {
      const notificationId = Number(number);
      const actions = this.#actions.get(notificationId);
      const action = actionNumber === undefined ? "" : actions?.[Number(actionNumber) - 1];
      if (actions === undefined || action === undefined)
        this.#output.log("there is no such notification or action");
      else if (close !== undefined) await agent.ask("dismiss", { notificationId });
      else await agent.ask("activate", { notificationId, action });
      return true;
    }
    if (!/^(y|yes|n|no)$/i.test(line)) return false;
    const [question, ...others] = this.#questions;
    this.#questions = others;
    if (question === undefined) this.#output.log("nothing was asked");
    else await answer(agent, question, /^y/i.test(line));
    return true;
  }

  #drop(isIt: (question: Question) => boolean): void {
    this.#questions = this.#questions.filter((question) => !isIt(question));
  }

  #line(text: string): void {
    if (!this.#output.isJson) this.#output.line(text);
  }
}

function describeQuestion(question: Question): string {
  if (question.event === "permission") return `? May ${question.owner} send you push messages? y or n`;
  return `? Open ${plain(question.host)} for ${question.owner}? y or n`;
}

async function answer(agent: AgentClient, question: Question, allowed: boolean): Promise<void> {
  if (question.event === "permission") {
    const { owner } = question;
    await agent.ask("answerPermission", { owner, permission: allowed ? "granted" : "denied" });
  } else {
    const { notificationId, action } = question;
    await agent.ask("answerNavigation", { notificationId, action, allowed });
  }
}
