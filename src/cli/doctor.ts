// SPDX-License-Identifier: MIT
/** `godwit doctor`: looks at everything an agent needs, says what is wrong and what to do. Changes nothing. */

import { styleText } from "node:util";
import type { AgentStatus } from "../agent/status.ts";
import { readDeviceKey } from "../configuration/agent-options.ts";
import { CommandError, EXIT, type ExitCode } from "../configuration/exit.ts";
import {
  defaultStateDirectory,
  type Options,
  readCertificates,
  type Surroundings,
} from "../configuration/options.ts";
import { readPolicy } from "../configuration/policy.ts";
import { GodwitError } from "../errors.ts";
import { checkProxy, isProxyUsable } from "../node/proxy.ts";
import { defaultMqttUrls, readMqttUrl, readServiceUrl } from "../user-agent/service-urls.ts";
import { agentCommand } from "./agent.ts";
import { withAgent } from "./agent-client.ts";
import type { Command } from "./command.ts";
import { checkBroker } from "./doctor/brokers.ts";
import { type Finding, fail, ok } from "./doctor/finding.ts";
import { checkService } from "./doctor/service.ts";
import { checkStateDirectory } from "./doctor/state-directory.ts";
import { checkAgent, checkDisplay, checkNetworkMonitor } from "./doctor/surroundings.ts";
import { wantsColour } from "./output.ts";
import { nodeSurroundings } from "./surroundings.ts";

const { service, state, ca, deviceKeyFile, mqtt, policy } = agentCommand.options;

export const doctorCommand: Command = {
  summary: "check everything an agent needs, and say what to do",
  positionals: "",
  options: { service, state, ca, deviceKeyFile, mqtt, policy } as Command["options"],
  async run(options, output) {
    const failures: ExitCode[] = [];
    let checks = 0;
    for await (const finding of findings(options)) {
      checks++;
      const { check, result, found, advice, exitCode } = finding;
      if (result === "fail") failures.push(exitCode);
      if (output.isJson) output.json({ check, result, found, advice });
      else for (const line of describeFinding(finding)) output.line(line);
    }
    if (failures.length === 0) return;
    // What is configured wrongly comes first: the rest may be its consequence.
    const [worst] = [EXIT.config, EXIT.unreachable, EXIT.failure].filter((code) => failures.includes(code));
    throw new CommandError(worst ?? EXIT.failure, `${failures.length} of ${checks} checks failed`);
  },
};

async function* findings(options: Options): AsyncGenerator<Finding> {
  const directory = options.text("state") ?? defaultStateDirectory(nodeSurroundings(), "agent");
  const files = readFiles(options);
  yield* files.findings;
  yield* checkStateDirectory(directory, files.deviceKey);
  const status = await statusOf(directory);
  yield* checkAgent(directory, status);
  const serviceUrl = options.text("service") ?? status?.serviceUrl ?? null;
  const target = serviceUrl === null ? null : readTarget(serviceUrl, options);
  if (target === null) {
    const advice = "name it with --service, as for the agent";
    yield fail("service", EXIT.config, "no push service is named", advice);
  } else if ("check" in target) yield target;
  else {
    yield* checkService({ serviceUrl: target.serviceUrl, ca: files.ca });
    for (const url of target.mqttUrls)
      yield await checkBroker({ url, ca: files.ca, isConfigured: options.text("mqtt") !== null });
    yield checkNetworkMonitor(target.serviceUrl);
  }
  yield checkDisplay(process.env);
}

/** Two lines at most: what was found, and what to do about it. */
function describeFinding({ check, result, found, advice }: Finding): string[] {
  const colour = { ok: "green", warn: "yellow", fail: "red" } as const;
  const word = result.padEnd(4);
  const shown = wantsColour(process.stdout) ? styleText(colour[result], word) : word;
  return [`${shown}  ${check.padEnd(10)} ${found}`, ...(advice === null ? [] : [`        → ${advice}`])];
}

interface Files {
  readonly ca: string | null;
  readonly deviceKey: Uint8Array | null;
  readonly findings: readonly Finding[];
}

/** The files that the options name; one that is wrong is told, and done without. */
function readFiles(options: Options): Files {
  const findings: Finding[] = [];
  const read = <T>(
    name: string,
    check: string,
    reader: (path: string, from: Surroundings) => T,
  ): T | null => {
    const path = options.text(name);
    if (path === null) return null;
    try {
      const content = reader(path, nodeSurroundings());
      findings.push(ok(check, path));
      return content;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      findings.push(fail(check, EXIT.config, error.message, "see SPEC.md for what belongs into it"));
      return null;
    }
  };
  const deviceKey = read("deviceKeyFile", "device key", readDeviceKey);
  const ca = read("ca", "ca", readCertificates);
  read("policy", "policy", readPolicy);
  return { ca, deviceKey, findings };
}

function readTarget(serviceUrl: string, options: Options) {
  try {
    const origin = readServiceUrl(serviceUrl);
    checkProxy(origin);
    const given = options.text("mqtt");
    const mqttUrls =
      given === null
        ? defaultMqttUrls(origin)
        : given === "none"
          ? []
          : given.split(",").map((url) => readMqttUrl(url.trim()));
    return { serviceUrl: origin, mqttUrls };
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
