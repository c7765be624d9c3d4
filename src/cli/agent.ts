// SPDX-License-Identifier: MIT
/** `godwit agent`: the user agent as a daemon. */

import { AGENT_OPTIONS, readAgentSettings } from "../configuration/agent-options.ts";
import { applyPolicy, logIdle, readyLine, startOptionsOf } from "../configuration/agent-program.ts";
import { AppSocketServer } from "../node/app-socket-server.ts";
import { dashboardFile } from "../node/dashboard-files.ts";
import { createDesktopDisplay } from "../node/desktop.ts";
import { createUserAgent, type UserAgent } from "../node/user-agent.ts";
import type { DesktopDisplay } from "../user-agent/desktop-display.ts";
import type { Command } from "./command.ts";
import { untilStopped } from "./signals.ts";
import { nodeSurroundings } from "./surroundings.ts";

export const agentCommand: Command = {
  summary: "run the user agent",
  positionals: "",
  options: AGENT_OPTIONS,
  async run(options, output) {
    const settings = readAgentSettings(options, nodeSurroundings());
    const { stateDirectory, ca, deviceKey, policy } = settings;
    const userAgent = await createUserAgent({
      ...startOptionsOf(settings, output),
      stateDirectory,
      ca,
      deviceKey,
    });
    let desktop: DesktopDisplay | null = null;
    try {
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
      await userAgent.close();
      desktop?.disconnect();
    }
  },
};

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
