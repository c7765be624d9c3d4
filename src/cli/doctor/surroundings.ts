// SPDX-License-Identifier: MIT
/** Checks of `godwit doctor` on what the agent finds around it: whether it runs and how it is, `ip`, where notifications go. */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AgentStatus } from "../../agent/status.ts";
import { EXIT } from "../../configuration/exit.ts";
import { type Finding, fail, ok, warn } from "../../doctor/finding.ts";
import { toolEnvironment } from "../../node/network-reader.ts";
import { lockHolder } from "../../node/system-processes.ts";
import { isLoopbackOrigin } from "../../user-agent/service-urls.ts";
import { faultText, overMqtt } from "../status.ts";

/** @param status of the running agent, or null when none answers */
export function* checkAgent(directory: string, status: AgentStatus | null): Generator<Finding> {
  if (status === null) {
    const holder = lockHolder(directory);
    yield holder?.isRunning === true
      ? warn(
          "agent",
          `process ${holder.pid} uses ${directory} and does not answer`,
          "nothing, where it is a program with the agent inside; else look at it, and end it if it hangs",
        )
      : warn("agent", "none is running", "start it: godwit agent --service URL");
    return;
  }
  if (status.journalFailing)
    yield fail(
      "agent",
      EXIT.failure,
      "the running agent cannot write its journal",
      "see the checks of state and disk; then it goes on by itself",
    );
  const { lastFault, link, retryInMs } = status;
  const retry = retryInMs === null ? "" : `, next try in ${Math.ceil(retryInMs / 1000)} s`;
  if (lastFault !== null)
    yield warn(
      "agent",
      `${link}${retry}; last fault ${faultText(lastFault)}`,
      "SPEC.md says what the code means",
    );
  else yield ok("agent", `running, ${link}${overMqtt(status)}${retry}`);
  yield checkChoices(status);
}

/** What people decided is no fault, but often why nothing comes. */
function checkChoices({ owners, paused, optedOut, permissionsAsked }: AgentStatus): Finding {
  if (optedOut)
    return warn("choices", "all apps are opted out", "to take it back: godwit optout --all --undo");
  if (paused) return warn("choices", "all apps are paused", "to take it back: godwit pause --all --undo");
  const [asking] = permissionsAsked;
  if (asking !== undefined)
    return warn("choices", `${asking} waits for permission`, `godwit permission answer ${asking} granted`);
  const away = owners.filter((owner) => owner.paused || owner.optedOut || owner.permission === "denied");
  return ok("choices", `${away.length} of ${owners.length} apps are denied, paused or opted out`);
}

export function checkNetworkMonitor(serviceUrl: string): Finding {
  if (isLoopbackOrigin(serviceUrl))
    return ok("network", "the service is on this machine: no network is followed");
  if (process.platform !== "linux")
    return ok("network", "not followed on this system: the agent finds out by trying");
  const { status } = spawnSync("ip", ["-V"], { env: toolEnvironment(), stdio: "ignore" });
  if (status === 0) return ok("network", "followed with ip monitor");
  return warn(
    "network",
    "ip is missing: a change of network is noticed only when something fails",
    "install iproute2 (apt-get install iproute2)",
  );
}

export function checkDisplay(environment: NodeJS.ProcessEnv): Finding {
  const runtime = environment.XDG_RUNTIME_DIR;
  const hasBus =
    environment.DBUS_SESSION_BUS_ADDRESS !== undefined ||
    (runtime !== undefined && existsSync(join(runtime, "bus")));
  if (hasBus)
    return ok("display", "a desktop session is there: godwit agent --desktop shows notifications on it");
  return ok(
    "display",
    "no desktop session: notifications go to shells on the app socket, or to the agent's stdout",
  );
}
