// SPDX-License-Identifier: MIT
/** `godwit tail`: what happens at a running agent, as it happens. */

import type { AgentStatus } from "../agent/status.ts";
import { describeReport } from "../configuration/agent-program.ts";
import { AgentClient, type ClientEvent } from "./agent-client.ts";
import { STATE, stateOf } from "./at-agent.ts";
import type { Command } from "./command.ts";
import type { Output } from "./output.ts";
import { untilStopped } from "./signals.ts";

export const tailCommand: Command = {
  summary:
    "the last that happened, and what happens from now on: connection, messages, notifications, faults, questions",
  positionals: "",
  options: { state: STATE },
  async run(options, output) {
    const questions = new Questions(output);
    const agent = await AgentClient.open(stateOf(options), "admin", (event) =>
      print(event, questions, output),
    );
    try {
      await agent.ask("watch", {});
      const isStopped = await Promise.race([
        agent.closed.then(() => false),
        untilStopped().then(() => true),
        // Whoever read our output has seen enough (`| head`).
        output.closed.then(() => true),
      ]);
      if (!isStopped) throw agent.wentAway();
    } finally {
      agent.close();
    }
  },
};

function print(event: ClientEvent, questions: Questions, output: Output): void {
  if (event.event === "changed") return questions.handleStatus(event.status);
  if (event.event !== "report") return;
  const { atEpochMs, report } = event;
  if (output.isJson) output.json({ atEpochMs, report });
  else output.line(`${new Date(atEpochMs).toISOString()} ${describeReport(report)}`);
}

/** Tells of each question that waits for a person, once. */
class Questions {
  readonly #output: Output;
  #told: ReadonlySet<string> = new Set();

  constructor(output: Output) {
    this.#output = output;
  }

  handleStatus({ permissionsAsked, navigationsAsked }: AgentStatus): void {
    const open = new Map<string, object>();
    for (const owner of permissionsAsked)
      open.set(`permission owner=${owner}; answer with godwit permission answer`, { permission: { owner } });
    for (const { notificationId, owner, action, host } of navigationsAsked)
      open.set(
        `link owner=${owner} host=${host}; answer with godwit notifications click ${notificationId} --allow`,
        { navigation: { notificationId, owner, action, host } },
      );
    for (const [text, question] of open) {
      if (this.#told.has(text)) continue;
      const atEpochMs = Date.now();
      if (this.#output.isJson) this.#output.json({ atEpochMs, question });
      else this.#output.line(`${new Date(atEpochMs).toISOString()} question ${text}`);
    }
    this.#told = new Set(open.keys());
  }
}
