// SPDX-License-Identifier: MIT
/** `godwit status`: how a running agent is doing. */

import type { AgentStatus } from "../agent/status.ts";
import { withAgent } from "./agent-client.ts";
import { STATE, stateOf } from "./at-agent.ts";
import type { Command } from "./command.ts";

export const statusCommand: Command = {
  summary: "how a running agent is doing",
  positionals: "",
  options: { state: STATE },
  async run(options, output) {
    const status = await withAgent(stateOf(options), (agent) => agent.ask("status", {}));
    if (output.isJson) return output.json(status);
    for (const line of describeStatus(status)) output.line(line);
  },
};

/** A few lines for people. */
export function describeStatus(status: AgentStatus): string[] {
  const since =
    status.linkSinceEpochMs === null ? "" : ` since ${new Date(status.linkSinceEpochMs).toISOString()}`;
  const retry = status.retryInMs === null ? "" : `, next try in ${Math.ceil(status.retryInMs / 1000)} s`;
  const { messages, wakeUps, piggybacked, bytesReceived, bytesSent } = status.meter;
  return [
    `connection    ${status.link}${overMqtt(status)}${since}${retry}`,
    ...(status.lastFault === null ? [] : [`last fault    ${faultText(status.lastFault)}`]),
    `push service  ${status.serviceUrl}`,
    `device        ${status.device ?? "none yet"}`,
    `subscriptions ${status.subscriptions.length}`,
    `notifications ${status.notifications}`,
    ...describeChoices(status),
    `messages      ${messages.received} received, ${messages.shown} shown, ${messages.delivered} to apps, ${messages.dropped} dropped, ${status.messagesWaiting} waiting`,
    `traffic       ${bytesReceived} bytes in, ${bytesSent} out, ${wakeUps.ping + piggybacked.ping} pings, ${wakeUps.connect + piggybacked.connect} connects`,
    ...(status.journalFailing ? ["journal       cannot be written"] : []),
  ];
}

/** What people decided that keeps messages away, and what waits for their word. */
function describeChoices(status: AgentStatus): string[] {
  const named = (which: "paused" | "optedOut") =>
    status[which]
      ? "all apps"
      : status.owners
          .filter((owner) => owner[which])
          .map(({ owner }) => owner)
          .join(", ");
  const links = status.navigationsAsked.map(({ owner, host }) => `${owner} to ${host}`);
  const lines: readonly (readonly [string, string])[] = [
    ["asking", status.permissionsAsked.join(", ")],
    ["links asked", links.join(", ")],
    ["paused", named("paused")],
    ["opted out", named("optedOut")],
  ];
  return lines.flatMap(([what, text]) => (text === "" ? [] : [`${what.padEnd(14)}${text}`]));
}

/** What stands behind the state of the connection when it is not the usual one. */
export function overMqtt({ transport }: Pick<AgentStatus, "transport">): string {
  return transport === "mqtt" ? " over MQTT" : "";
}

export function faultText({ code, text }: NonNullable<AgentStatus["lastFault"]>): string {
  return `${code}: ${text}`;
}
