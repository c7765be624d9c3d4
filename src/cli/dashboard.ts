// SPDX-License-Identifier: MIT
/** `godwit dashboard`: a link to the dashboard of a running agent that works once, and opening it. */

import { CommandError, EXIT } from "../configuration/exit.ts";
import { GodwitError } from "../errors.ts";
import { withAgent } from "./agent-client.ts";
import { STATE, stateOf } from "./at-agent.ts";
import { openPrivately } from "./browser.ts";
import type { Command } from "./command.ts";

export const dashboardCommand: Command = {
  summary: "print a link to its dashboard; it works once, within 5 minutes",
  positionals: "",
  options: {
    state: STATE,
    open: { kind: "flag", help: "open it in this desktop's browser", isFlagOnly: true },
  },
  async run(options, output) {
    const state = stateOf(options);
    const url = await dashboardLink(state);
    if (output.isJson) output.json({ url });
    else output.line(url);
    if (options.flag("open")) await openPrivately(url, state);
  },
};

/**
 * A fresh link.
 *
 * @throws {CommandError} 78 where the agent listens on no port, and what the connection throws
 */
export async function dashboardLink(stateDirectory: string): Promise<string> {
  try {
    return (await withAgent(stateDirectory, (agent) => agent.ask("dashboardLink", {}))).url;
  } catch (error) {
    if (!(error instanceof GodwitError) || error.code !== "ERR_OPTION") throw error;
    throw new CommandError(EXIT.config, `${error.message}: start it with --app-port`);
  }
}
