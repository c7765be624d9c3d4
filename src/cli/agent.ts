// SPDX-License-Identifier: MIT
/** `godwit agent`: the user agent as a daemon. */

import { DEVICE_KEY_BYTES } from "../journal/index.ts";
import { AppSocket } from "../node/app-socket.ts";
import { dashboardFile } from "../node/dashboard-files.ts";
import { DesktopDisplay } from "../node/desktop-display.ts";
import { createUserAgent, type UserAgent } from "../node/user-agent.ts";
import { TerminalDisplay } from "../user-agent/display.ts";
import { base64urlDecode } from "../webpush/base64url.ts";
import { URGENCIES, type Urgency } from "../wire/dialect.ts";
import { answering } from "./at-agent.ts";
import type { Command } from "./command.ts";
import { CommandError, EXIT } from "./exit.ts";
import { defaultStateDirectory, type Options, readCertificates, readSecretFile } from "./options.ts";
import { describeReport, type Output } from "./output.ts";
import {
  answerOf,
  type Policy,
  PRESETS,
  type Preset,
  policyOf,
  readPolicy,
  silentPushMaxOf,
} from "./policy.ts";
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
      fallback: 0,
      help: "seconds low-urgency messages may wait for others",
    },
    leastUrgency: {
      kind: "text",
      value: "WORD",
      oneOf: URGENCIES,
      fallback: "very-low",
      help: "messages below this stay at the service",
    },
    portalProbe: {
      kind: "text",
      value: "URL",
      help: "plain http URL that answers 204 unless a captive portal is in between (default: a dial finds out)",
    },
    permission: {
      kind: "text",
      value: "WORD",
      oneOf: PRESETS,
      help: "who may subscribe of those nobody has decided about (default ask: a person says, with a shell, the dashboard or godwit permission)",
    },
    policy: {
      kind: "text",
      value: "FILE",
      help: "JSON file of a kiosk: permissions, budgets and trusted origins, set at every start (SPEC.md)",
    },
    appPort: {
      kind: "number",
      value: "N",
      max: 65_535,
      help: "port of loopback where pages and the dashboard reach the agent, 0 for a free one (default: none)",
    },
    desktop: { kind: "flag", help: "notifications on this session's desktop too (Linux, D-Bus)" },
    keepConnected: { kind: "flag", help: "hold a connection even without a subscription" },
    ignoreNetwork: { kind: "flag", help: "do not follow the system's networks (ip monitor)" },
    quiet: { kind: "flag", help: "no log on stderr" },
  },
  async run(options, output) {
    const stateDirectory = options.text("state") ?? defaultStateDirectory(process.env, "agent");
    const caFile = options.text("ca");
    const ca = caFile === null ? null : readCertificates(caFile);
    const keyFile = options.text("deviceKeyFile");
    const isQuiet = options.flag("quiet");
    const heartbeatS = options.number("heartbeat");
    const mqtt = options.text("mqtt");
    const portalProbeUrl = options.text("portalProbe");
    const policy = readPermissions(options);
    const userAgent = await createUserAgent({
      serviceUrl: options.required("service"),
      stateDirectory,
      ca,
      deviceKey: keyFile === null ? null : readDeviceKey(keyFile),
      permission: (owner) => {
        const answer = answerOf(policy, owner);
        if (answer === "ask" && !isQuiet)
          output.log(`${owner} asks for permission: ${answering(options, owner)}`);
        return answer;
      },
      silentPushMax: (owner) => silentPushMaxOf(policy, owner),
      originsAllowed: policy.linkOrigins,
      httpAllowed: policy.httpAllowed,
      windowS: options.requiredNumber("window"),
      leastUrgency: options.required("leastUrgency") as Urgency,
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
    let desktop: DesktopDisplay | null = null;
    try {
      await preset(userAgent, policy, output);
      if (options.flag("desktop")) desktop = showOnDesktop(userAgent);
      const socket = await AppSocket.open({
        userAgent,
        stateDirectory,
        ca,
        files: dashboardFile,
        port: options.number("appPort"),
        pageOrigins: policy.pageOrigins,
        shellOrigins: policy.shellOrigins,
      });
      const port = socket.port === null ? "" : `, apps at 127.0.0.1:${socket.port}`;
      output.log(`agent ready, state in ${stateDirectory}${port}`);
      await untilStopped();
      await socket.close();
    } finally {
      await userAgent.close();
      desktop?.disconnect();
    }
  },
};

/** What the policy says of named owners holds from the start, whatever was decided since. */
async function preset(userAgent: UserAgent, policy: Policy, output: Output): Promise<void> {
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

function showOnDesktop(userAgent: UserAgent): DesktopDisplay {
  const desktop = new DesktopDisplay({
    onActivate: (notificationId, action) => userAgent.activateNotification(notificationId, action),
    onDismiss: (notificationId) => userAgent.closeNotification(notificationId),
  });
  userAgent.addDisplay(desktop);
  return desktop;
}

function readPermissions(options: Options): Policy {
  const path = options.text("policy");
  const permission = options.text("permission") as Preset | null;
  if (path === null) return policyOf(permission ?? "ask");
  if (permission !== null)
    throw new CommandError(EXIT.config, "--permission and --policy exclude each other: the file says both");
  return readPolicy(path);
}

/** The device key in a file of mode 0600; 78 when it holds none. */
export function readDeviceKey(path: string): Uint8Array {
  const text = readSecretFile(path).trim();
  try {
    const key = base64urlDecode(text);
    if (key.length === DEVICE_KEY_BYTES) return key;
  } catch {
    // Said below, without quoting it.
  }
  throw new CommandError(EXIT.config, `${path} does not hold ${DEVICE_KEY_BYTES} bytes as base64url`);
}
