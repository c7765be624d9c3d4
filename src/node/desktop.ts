// SPDX-License-Identifier: MIT
/** The desktop of the session that this process belongs to: its bus, and its browser. */

import { DesktopDisplay, type DesktopOptions } from "../user-agent/desktop-display.ts";
import { startProgram } from "./processes.ts";
import { SessionBus } from "./session-bus.ts";

/** @param environment names the session bus, and finds `xdg-open` */
export function createDesktopDisplay(
  handlers: Pick<DesktopOptions, "onActivate" | "onDismiss">,
  environment: NodeJS.ProcessEnv = process.env,
): DesktopDisplay {
  return new DesktopDisplay({
    ...handlers,
    connect: (busHandlers) => SessionBus.connect(environment, busHandlers),
    // A browser that it starts may outlive the agent, and has nothing to say on the agent's stderr.
    start: (argv, ended) => startProgram(argv, { env: environment, stdio: "ignore" }, ended)?.unref(),
  });
}
