// SPDX-License-Identifier: MIT
/** `godwit agent`: the user agent as a daemon. */

import type { AgentOptions } from "../agent/agent-options.ts";
import { AGENT_OPTIONS, readAgentSettings } from "../configuration/agent-options.ts";
import { applyPolicy, logIdle, readyLine, startOptionsOf } from "../configuration/agent-program.ts";
import type { OptionSpecs } from "../configuration/options.ts";
import { AppSocketServer } from "../node/app-socket-server.ts";
import { dashboardFile } from "../node/dashboard-files.ts";
import { createDesktopDisplay } from "../node/desktop.ts";
import { RecordedAgent } from "../node/trace/recorder.ts";
import { TraceFile } from "../node/trace/trace-file.ts";
import { createUserAgent, type UserAgent } from "../node/user-agent.ts";
import type { DesktopDisplay } from "../user-agent/desktop-display.ts";
import type { Command } from "./command.ts";
import type { Output } from "./output.ts";
import { untilStopped } from "./signals.ts";
import { nodeSurroundings } from "./surroundings.ts";

declare const __GODWIT_VERSION__: string;

const OPTIONS = {
  ...AGENT_OPTIONS,
  record: {
    kind: "text",
    value: "FILE",
    help: "write down all that happens to the agent, without secrets, for npm run sim -- --replay FILE",
    isFlagOnly: true,
  },
} satisfies OptionSpecs;

export const agentCommand: Command = {
  summary: "run the user agent",
  positionals: "",
  options: OPTIONS,
  async run(options, output) {
    const settings = readAgentSettings(options, nodeSurroundings());
    const { stateDirectory, ca, deviceKey, policy } = settings;
    const path = options.text("record");
    const recording = path === null ? null : new Recording(path, output);
    let userAgent: UserAgent | null = null;
    let desktop: DesktopDisplay | null = null;
    try {
      userAgent = await createUserAgent({
        ...startOptionsOf(settings, output),
        stateDirectory,
        ca,
        deviceKey,
        ...(recording === null ? {} : { makeAgent: (made) => recording.makeAgent(made) }),
      });
      await applyPolicy(userAgent, policy, output);
      if (settings.isOnDesktop) desktop = await showOnDesktop(userAgent);
      const socket = await AppSocketServer.open({
        userAgent,
        stateDirectory,
        served: dashboardFile,
        port: settings.appPort,
        pageOrigins: policy.pageOrigins,
        shellOrigins: policy.shellOrigins,
      });
      output.log(readyLine(stateDirectory, socket.port));
      logIdle(settings, userAgent, output);
      await untilStopped();
      await socket.close();
    } finally {
      await userAgent?.close();
      desktop?.disconnect();
      await recording?.close();
    }
  },
};

/** The trace is opened with the state directory already ours: an agent that runs there may be writing this very file. */
class Recording {
  readonly #path: string;
  readonly #output: Output;
  #file: TraceFile | null = null;

  constructor(path: string, output: Output) {
    this.#path = path;
    this.#output = output;
  }

  /** @throws {GodwitError} ERR_CONFIG for a file that holds something else or cannot be written */
  makeAgent(options: AgentOptions): RecordedAgent {
    this.#file = new TraceFile(this.#path, (why) =>
      this.#output.log(`the recording to ${this.#path} ended: ${why}`),
    );
    return new RecordedAgent(options, this.#file, __GODWIT_VERSION__);
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }
}

/** @throws {GodwitError} ERR_DISPLAY without a session bus: said now, and not only when somebody should have seen a message */
async function showOnDesktop(userAgent: UserAgent): Promise<DesktopDisplay> {
  const desktop = createDesktopDisplay({
    onActivate: (notificationId, action) => userAgent.activateNotification(notificationId, action),
    onDismiss: (notificationId) => userAgent.closeNotification(notificationId),
  });
  await desktop.check();
  userAgent.addDisplay(desktop);
  return desktop;
}
