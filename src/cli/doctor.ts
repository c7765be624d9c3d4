// SPDX-License-Identifier: MIT
/** `godwit doctor`: looks at everything an agent needs, says what is wrong and what to do. Changes nothing. */

import { styleText } from "node:util";
import type { AgentStatus } from "../agent/status.ts";
import { EXIT } from "../configuration/exit.ts";
import { defaultStateDirectory, type Options } from "../configuration/options.ts";
import { checkConfiguredFiles } from "../doctor/configured-files.ts";
import { describeFinding, type Finding, fail, jsonOf, verdictOf } from "../doctor/finding.ts";
import { checkStateDirectory } from "../doctor/state-directory.ts";
import { GodwitError } from "../errors.ts";
import { checkProxy, isProxyUsable } from "../node/proxy.ts";
import { defaultMqttUrls, dialectOf, readMqttUrl, readServiceUrl } from "../user-agent/service-urls.ts";
import type { DeviceDialect } from "../wire/dialect.ts";
import { agentCommand } from "./agent.ts";
import { withAgent } from "./agent-client.ts";
import type { Command } from "./command.ts";
import { checkBroker } from "./doctor/brokers.ts";
import { nodeState } from "./doctor/node-files.ts";
import { checkService } from "./doctor/service.ts";
import { checkAgent, checkDisplay, checkNetworkMonitor } from "./doctor/surroundings.ts";
import { wantsColour } from "./output.ts";
import { nodeSurroundings } from "./surroundings.ts";

const { service, dialect, state, ca, deviceKeyFile, mqtt, policy } = agentCommand.options;

export const doctorCommand: Command = {
  summary: "check everything an agent needs, and say what to do",
  positionals: "",
  options: { service, dialect, state, ca, deviceKeyFile, mqtt, policy } as Command["options"],
  async run(options, output) {
    const all: Finding[] = [];
    for await (const finding of findings(options)) {
      all.push(finding);
      if (output.isJson) output.json(jsonOf(finding));
      else for (const line of describeFinding(finding, resultWord(finding.result))) output.line(line);
    }
    const verdict = verdictOf(all);
    if (verdict !== null) throw verdict;
  },
};

async function* findings(options: Options): AsyncGenerator<Finding> {
  const directory = options.text("state") ?? defaultStateDirectory(nodeSurroundings(), "agent");
  const files = checkConfiguredFiles(options, nodeSurroundings());
  yield* files.findings;
  yield* checkStateDirectory(directory, files.deviceKey, nodeState());
  const status = await statusOf(directory);
  yield* checkAgent(directory, status);
  const serviceUrl = options.text("service") ?? status?.serviceUrl ?? null;
  const target = serviceUrl === null ? null : readTarget(serviceUrl, options);
  if (target === null) {
    const advice = "name it with --service, as for the agent";
    yield fail("service", EXIT.config, "no push service is named", advice);
  } else if ("check" in target) yield target;
  else {
    yield* checkService({ ...target, ca: files.ca });
    for (const url of target.mqttUrls)
      yield await checkBroker({ url, ca: files.ca, isConfigured: options.text("mqtt") !== null });
    yield checkNetworkMonitor(target.serviceUrl);
  }
  yield checkDisplay(process.env);
}

function resultWord(result: Finding["result"]): string {
  const colour = { ok: "green", warn: "yellow", fail: "red" } as const;
  const word = result.padEnd(4);
  return wantsColour(process.stdout) ? styleText(colour[result], word) : word;
}

function readTarget(serviceUrl: string, options: Options) {
  try {
    const origin = readServiceUrl(serviceUrl);
    checkProxy(origin);
    const said = options.text("dialect") as DeviceDialect | null;
    const dialect = dialectOf({ serviceUrl, ...(said === null ? {} : { dialect: said }) });
    const given = options.text("mqtt");
    const mqttUrls =
      dialect === "autopush" || given === "none"
        ? []
        : given === null
          ? defaultMqttUrls(origin)
          : given.split(",").map((url) => readMqttUrl(url.trim()));
    return { serviceUrl: origin, dialect, mqttUrls };
  } catch (error) {
    if (!(error instanceof GodwitError)) throw error;
    const check = isProxyUsable("https://push.example") ? "service" : "proxy";
    return fail(check, EXIT.config, error.message, "correct the option, or the environment");
  }
}

async function statusOf(directory: string): Promise<AgentStatus | null> {
  try {
    return await withAgent(directory, (agent) => agent.ask("status", {}));
  } catch {
    return null;
  }
}
