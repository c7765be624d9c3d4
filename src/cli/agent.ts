// SPDX-License-Identifier: MIT
/** `godwit agent`: the user agent as a daemon. */

import { AdminSocket } from "../node/admin-socket.ts";
import { TerminalDisplay } from "../node/display.ts";
import { createUserAgent } from "../node/user-agent.ts";
import { base64urlDecode } from "../webpush/base64url.ts";
import { URGENCIES, type Urgency } from "../wire/dialect.ts";
import type { Command } from "./command.ts";
import { CommandError, EXIT } from "./exit.ts";
import { defaultStateDirectory, readCertificates, readSecretFile } from "./options.ts";
import { describeReport } from "./output.ts";
import { untilStopped } from "./signals.ts";

export const agentCommand: Command = {
  summary: "run the user agent",
  positionals: "",
  options: {
    service: { kind: "text", value: "URL", help: "push service, for example https://push.example (needed)" },
    state: {
      kind: "text",
      value: "DIR",
      help: "where the journal lives (default ~/.local/state/godwit/agent)",
    },
    ca: { kind: "text", value: "FILE", help: "PEM certificates to trust besides the system's" },
    deviceKeyFile: {
      kind: "text",
      value: "FILE",
      help: "32 bytes, base64url, that seal the journal's secrets (mode 0600)",
    },
    mqtt: {
      kind: "text",
      value: "URLS",
      help: 'where MQTT is, for networks without WebSocket: mqtts://push.example:8883, comma between several; "none" (default for a service on port 443: its ports 8883 and 443)',
    },
    heartbeat: {
      kind: "number",
      value: "S",
      min: 15,
      max: 86_400,
      help: "seconds between signs of life when idle, instead of learning them",
    },
    window: {
      kind: "number",
      value: "S",
      max: 86_400,
      help: "seconds low-urgency messages may wait for others",
    },
    leastUrgency: {
      kind: "text",
      value: "WORD",
      oneOf: URGENCIES,
      help: "messages below this stay at the service (default very-low: all come)",
    },
    portalProbe: {
      kind: "text",
      value: "URL",
      help: "plain http URL that answers 204 unless a captive portal is in between (default: a dial finds out)",
    },
    permission: {
      kind: "text",
      value: "WORD",
      oneOf: ["granted", "denied"],
      help: "who may subscribe: all or none (default denied); asked once: what was granted before stays, revoking is not here yet",
    },
    keepConnected: { kind: "flag", help: "hold a connection even without a subscription" },
    ignoreNetwork: { kind: "flag", help: "do not follow the system's networks (ip monitor)" },
    quiet: { kind: "flag", help: "no log on stderr" },
  },
  async run(options, output) {
    const stateDirectory = options.text("state") ?? defaultStateDirectory(process.env, "agent");
    const caFile = options.text("ca");
    const keyFile = options.text("deviceKeyFile");
    const isQuiet = options.flag("quiet");
    const heartbeatS = options.number("heartbeat");
    const mqtt = options.text("mqtt");
    const portalProbeUrl = options.text("portalProbe");
    const userAgent = await createUserAgent({
      serviceUrl: options.required("service"),
      stateDirectory,
      ca: caFile === null ? null : readCertificates(caFile),
      deviceKey: keyFile === null ? null : readDeviceKey(keyFile),
      permission: () => (options.text("permission") === "granted" ? "granted" : "denied"),
      windowS: options.number("window") ?? 0,
      leastUrgency: (options.text("leastUrgency") ?? "very-low") as Urgency,
      ...(portalProbeUrl === null ? {} : { portalProbeUrl }),
      keepConnected: options.flag("keepConnected"),
      watchNetwork: !options.flag("ignoreNetwork"),
      ...(mqtt === null ? {} : { mqttUrls: mqtt === "none" ? [] : mqtt.split(",").map((url) => url.trim()) }),
      ...(heartbeatS === null ? {} : { heartbeatMs: heartbeatS * 1000 }),
      // With --json stdout holds nothing but objects.
      ...(output.isJson
        ? { display: new TerminalDisplay((text) => output.json({ type: "display", text })) }
        : {}),
      onReport: (report) => {
        if (output.isJson) output.json(report);
        else if (!isQuiet) output.log(describeReport(report));
      },
    });
    try {
      const admin = await AdminSocket.open(userAgent, stateDirectory);
      output.log(`agent ready, state in ${stateDirectory}`);
      await untilStopped();
      await admin.close();
    } finally {
      await userAgent.close();
    }
  },
};

function readDeviceKey(path: string): Uint8Array {
  const text = readSecretFile(path).trim();
  try {
    return base64urlDecode(text);
  } catch {
    throw new CommandError(EXIT.config, `${path} does not hold 32 bytes as base64url`);
  }
}
