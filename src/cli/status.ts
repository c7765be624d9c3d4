// SPDX-License-Identifier: MIT
/** `godwit status`: how a running agent is doing. */

import type { AgentStatus } from "../agent/status.ts";
import { askAgent } from "./admin-client.ts";
import type { Command } from "./command.ts";
import { defaultStateDirectory } from "./options.ts";

export const statusCommand: Command = {
  summary: "how a running agent is doing",
  positionals: "",
  options: { state: { kind: "text", value: "DIR", help: "state directory of the agent" } },
  async run(options, output) {
    const stateDirectory = options.text("state") ?? defaultStateDirectory(process.env, "agent");
    const status = (await askAgent(stateDirectory, "status")) as AgentStatus;
    if (output.isJson) return output.json(status);
    const since =
      status.linkSinceEpochMs === null ? "" : ` since ${new Date(status.linkSinceEpochMs).toISOString()}`;
    const retry = status.retryInMs === null ? "" : `, next try in ${Math.ceil(status.retryInMs / 1000)} s`;
    const { messages, wakeUps, piggybacked, bytesReceived, bytesSent } = status.meter;
    output.line(`connection    ${status.link}${since}${retry}`);
    output.line(`push service  ${status.serviceUrl}`);
    output.line(`device        ${status.device ?? "none yet"}`);
    output.line(`subscriptions ${status.subscriptions.length}`);
    output.line(
      `messages      ${messages.received} received, ${messages.shown} shown, ${messages.delivered} to apps, ${messages.dropped} dropped, ${status.messagesWaiting} waiting`,
    );
    output.line(
      `traffic       ${bytesReceived} bytes in, ${bytesSent} out, ${wakeUps.ping + piggybacked.ping} pings, ${wakeUps.connect + piggybacked.connect} connects`,
    );
    if (status.lastFault !== null)
      output.line(`last fault    ${status.lastFault.code}: ${status.lastFault.text}`);
    if (status.journalFailing) output.line("journal       cannot be written");
  },
};
