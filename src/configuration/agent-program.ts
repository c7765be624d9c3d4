// SPDX-License-Identifier: MIT
/** What `godwit agent` and godwitd do alike around a user agent: what its start is told, the policy's owners, lines of the log. */

import type { Report } from "../agent/events.ts";
import { TerminalDisplay } from "../user-agent/display.ts";
import type { StartOptions } from "../user-agent/start.ts";
import type { UserAgent } from "../user-agent/user-agent.ts";
import type { AgentSettings } from "./agent-options.ts";
import { answerOf, type Policy, silentPushMaxOf } from "./policy.ts";

/** Where such a program writes. */
export interface ProgramOutput {
  /** stdout holds nothing but objects, and nothing stands in the log that is in them. */
  readonly isJson: boolean;
  /** One JSON object on a line of its own, on stdout. */
  json(value: unknown): void;
  /** One line on stdout. */
  line(text: string): void;
  /** One line for whoever watches. */
  log(text: string): void;
}

/** Options of the start but those of the device. */
export function startOptionsOf(
  settings: AgentSettings,
  output: ProgramOutput,
): Omit<StartOptions, "deviceId" | "deviceKey"> {
  const { dialect, policy, mqttUrls, heartbeatMs, portalProbeUrl, isQuiet, state } = settings;
  const screen = (text: string): void =>
    output.isJson ? output.json({ type: "display", text }) : output.line(text);
  return {
    serviceUrl: settings.serviceUrl,
    ...(dialect === null ? {} : { dialect }),
    permission: (owner) => {
      const answer = answerOf(policy, owner);
      if (answer === "ask" && !isQuiet)
        output.log(`${owner} asks for permission: ${answeringCommand(state, owner)}`);
      return answer;
    },
    silentPushMax: (owner) => silentPushMaxOf(policy, owner),
    originsAllowed: policy.linkOrigins,
    httpAllowed: policy.httpAllowed,
    windowS: settings.windowS,
    leastUrgency: settings.leastUrgency,
    ...(portalProbeUrl === null ? {} : { portalProbeUrl }),
    keepConnected: settings.keepConnected,
    watchNetwork: settings.watchNetwork,
    ...(mqttUrls === null ? {} : { mqttUrls }),
    ...(heartbeatMs === null ? {} : { heartbeatMs }),
    display: new TerminalDisplay(screen),
    onReport: (report) => {
      if (output.isJson) output.json(report);
      else if (!isQuiet) output.log(describeReport(report));
    },
  };
}

/** What the policy says of named owners holds from the start, whatever was decided since. */
export async function applyPolicy(
  userAgent: UserAgent,
  policy: Policy,
  output: ProgramOutput,
): Promise<void> {
  const { owners } = userAgent.status();
  for (const [owner, { permission }] of policy.owners) {
    const known = owners.find((each) => each.owner === owner)?.permission ?? "prompt";
    if (permission === "ask" || permission === known) continue;
    try {
      await userAgent.choose({ type: "setPermission", owner, permission });
    } catch (error) {
      // On a full disk it holds for this run; a kiosk that does not start helps nobody.
      output.log(`${owner} is ${permission}: ${(error as Error).message}`);
    }
  }
}

/** What is logged once everything runs. @param port of loopback, or null */
export function readyLine(stateDirectory: string, port: number | null): string {
  return `agent ready, state in ${stateDirectory}${port === null ? "" : `, apps at 127.0.0.1:${port}`}`;
}

/** Logs, behind that, that there is nothing to dial for, if so. */
export function logIdle(
  { keepConnected, state, isQuiet }: Pick<AgentSettings, "keepConnected" | "state" | "isQuiet">,
  userAgent: UserAgent,
  output: ProgramOutput,
): void {
  if (isQuiet || output.isJson || keepConnected || userAgent.status().subscriptions.length > 0) return;
  output.log(
    `idle: nothing is subscribed, so nothing is dialed; next: godwit subscribe OWNER${flagOf(state)}`,
  );
}

/** The command that grants what `owner` asks for. @param state of the agent as it was named, null for the default */
export function answeringCommand(state: string | null, owner: string): string {
  return `godwit permission answer ${owner} granted${flagOf(state)}`;
}

function flagOf(state: string | null): string {
  return state === null ? "" : ` --state ${state}`;
}

/** A report as one line for people. Reports hold no secret, so every member may be printed. */
export function describeReport(report: Report): string {
  const { type, ...members } = report;
  const details = Object.entries(members)
    .filter(([, value]) => value !== null)
    .map(
      ([name, value]) =>
        `${name}=${typeof value === "string" && /\s/.test(value) ? JSON.stringify(value) : value}`,
    );
  return [type, ...details].join(" ");
}
