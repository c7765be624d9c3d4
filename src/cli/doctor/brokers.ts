// SPDX-License-Identifier: MIT
/** Checks of `godwit doctor` on the ports where MQTT should be: port, TLS, and a broker that asks who is there. */

import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { EXIT } from "../../configuration/exit.ts";
import { type Finding, fail, ok, warn } from "../../doctor/finding.ts";
import { DOCTOR_STEP_MS_MAX, MQTT_PACKET_BYTES_MAX } from "../../limits.ts";
import { BoundedMqttStream } from "../../node/bounded-mqtt-stream.ts";
import { trustedCertificates } from "../../node/tls.ts";
import { certificateProblem } from "./service.ts";

const ALPN_PORT = 443;

export interface BrokerTarget {
  /** With host and port. */
  readonly url: string;
  /** PEM certificates trusted besides the system's, or null. */
  readonly ca: string | null;
  /** False for the ports of a service on 443, where MQTT may be and need not. */
  readonly isConfigured: boolean;
}

/** Knocks without credentials: a broker of ours refuses that, and so shows that it is one. */
export async function checkBroker({ url, ca, isConfigured }: BrokerTarget): Promise<Finding> {
  const check = `mqtt ${new URL(url).host}`;
  const outcome = await knock(url, ca);
  if (outcome.type === "refused") return ok(check, "a broker answers and wants to know who is there");
  if (outcome.type === "admitted")
    return warn(check, "the broker lets in whoever comes", "forbid anonymous clients there");
  const finding =
    outcome.type === "certificate"
      ? certificateProblem(outcome.problem, outcome, check)
      : fail(
          check,
          EXIT.unreachable,
          `no broker answers: ${outcome.why}`,
          "start the push service with --mqtt-port, or see whether --mqtt names the right port and a firewall is in the way",
        );
  if (isConfigured) return finding;
  return warn(
    check,
    finding.found,
    "nothing, unless this network has no WebSocket: MQTT is only looked for there",
  );
}

type Outcome =
  | { readonly type: "refused" }
  | { readonly type: "admitted" }
  | {
      readonly type: "certificate";
      readonly problem: string;
      readonly issuer: string;
      readonly validFromMs: number;
      readonly validToMs: number;
    }
  | { readonly type: "silent"; readonly why: string };

async function knock(address: string, ca: string | null): Promise<Outcome> {
  const { MqttClient } = await import("mqtt");
  const url = new URL(address);
  const socket = open(url, ca);
  return new Promise((resolve) => {
    const client = new MqttClient(() => new BoundedMqttStream(socket, MQTT_PACKET_BYTES_MAX), {
      protocolVersion: 4,
      clientId: "godwit-doctor",
      clean: true,
      keepalive: 0,
      reconnectPeriod: 0,
      connectTimeout: DOCTOR_STEP_MS_MAX,
      manualConnect: true,
    });
    let isKnocking = false;
    const finish = (outcome: Outcome): void => {
      clearTimeout(timer);
      resolve(outcome);
      // Before its connect() the library has no stream, and trips over that.
      if (isKnocking) client.end(true);
      isKnocking = false;
      socket.destroy();
    };
    const silent = (why: string): void => finish({ type: "silent", why });
    const timer = setTimeout(
      () => silent(`no answer within ${DOCTOR_STEP_MS_MAX / 1000} s`),
      DOCTOR_STEP_MS_MAX,
    );
    socket.on("error", (error: NodeJS.ErrnoException) => silent(error.code ?? error.message));
    socket.on("close", () => silent("the connection was closed"));
    socket.on(url.protocol === "mqtts:" ? "secureConnect" : "connect", () => {
      const problem = certificateOutcome(socket);
      if (problem !== null) return finish(problem);
      isKnocking = true;
      client.connect();
    });
    client.on("connect", () => finish({ type: "admitted" }));
    client.on("error", (error) => {
      if ("code" in error && typeof error.code === "number") finish({ type: "refused" });
      else silent(error.message);
    });
  });
}

/** The certificate is looked at before anything is said. */
function open(url: URL, ca: string | null): Socket {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port);
  if (url.protocol === "mqtt:") return connectTcp({ host, port });
  return connectTls({
    host,
    port,
    rejectUnauthorized: false,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === null ? {} : { ca: trustedCertificates(ca) }),
    ...(port === ALPN_PORT ? { ALPNProtocols: ["mqtt"] } : {}),
  });
}

function certificateOutcome(socket: Socket | TLSSocket): Outcome | null {
  if (!("authorized" in socket) || socket.authorized) return null;
  const { issuer, valid_from, valid_to } = socket.getPeerCertificate();
  const problem = socket.authorizationError as NodeJS.ErrnoException | string | null;
  return {
    type: "certificate",
    problem: String(typeof problem === "string" ? problem : (problem?.code ?? problem)),
    issuer: String(issuer?.CN ?? issuer?.O ?? "nobody"),
    validFromMs: Date.parse(valid_from),
    validToMs: Date.parse(valid_to),
  };
}
