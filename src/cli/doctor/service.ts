// SPDX-License-Identifier: MIT
/**
 * Checks of `godwit doctor` on the way to the push service: proxy, name, port, TLS, the answer of the token endpoint without
 * taking a token, clock, WebSocket. Each step is tried only where the one before did not make it pointless.
 */

import { lookup } from "node:dns/promises";
import { connect, isIP } from "node:net";
import { getProxyForUrl } from "proxy-from-env";
import { WebSocket } from "ws";
import { EXIT } from "../../configuration/exit.ts";
import { type Finding, fail, ok, warn } from "../../doctor/finding.ts";
import { checkReadyAnswer, checkRefusal, ERRNO_METHOD, ERRNO_UPGRADE } from "../../doctor/service-answers.ts";
import {
  CERTIFICATE_ENDS_WARN_MS,
  CLOCK_OFF_FAIL_MS,
  CLOCK_OFF_WARN_MS,
  DOCTOR_STEP_MS_MAX,
} from "../../limits.ts";
import { proxyAgent } from "../../node/proxy.ts";
import { tlsOptions } from "../../node/tls.ts";
import { AUTOPUSH_SUBPROTOCOL } from "../../wire/autopush.ts";
import type { DeviceDialect } from "../../wire/dialect.ts";
import { GODWIT_SUBPROTOCOL } from "../../wire/godwit.ts";
import { type Answer, type Certificate, probe, whyUnreachable } from "./probe.ts";

/** errno of a request without UA token (SPEC.md, "HTTP errors"). */
const ERRNO_TOKEN = 310;

export interface ServiceTarget {
  /** Origin of the push service. */
  readonly serviceUrl: string;
  readonly dialect: DeviceDialect;
  /** PEM certificates trusted besides the system's, or null. */
  readonly ca: string | null;
}

export async function* checkService(target: ServiceTarget): AsyncGenerator<Finding> {
  const { serviceUrl, ca, dialect } = target;
  const isAutopush = dialect === "autopush";
  const proxyUrl = getProxyForUrl(serviceUrl);
  yield checkProxy(proxyUrl);
  if (proxyUrl === "") {
    const name = await checkName(serviceUrl);
    yield name;
    if (name.result === "fail") return;
    const port = await checkPort(serviceUrl);
    yield port;
    if (port.result === "fail") return;
  }
  let answer: Answer;
  try {
    // A method the token endpoint does not have: it says so, and issues nothing. Of an autopush service any answer will do.
    answer = await probe("OPTIONS", `${serviceUrl}${isAutopush ? "/" : "/v1/token"}`, ca);
  } catch (error) {
    const advice =
      proxyUrl === ""
        ? "see whether --service has the right scheme and port, and whether something on the way breaks the connection"
        : "see whether the proxy in the environment lets this host through, or name the host in NO_PROXY";
    yield fail("http", EXIT.unreachable, `no answer from ${serviceUrl}: ${whyUnreachable(error)}`, advice);
    return;
  }
  const tls = checkCertificate(answer.certificate);
  yield tls;
  yield checkClock(answer);
  if (tls.result === "fail") return;
  if (isAutopush) return yield await checkAutopush(target);
  const http = checkRefusal(answer.status, answer.errno, ERRNO_METHOD);
  yield http;
  if (http.result === "fail") return;
  yield await checkReady(target);
  yield await checkWebSocket(target);
}

/** The proxy by host and port only: its URL may hold a password. */
function checkProxy(proxyUrl: string): Finding {
  if (proxyUrl === "") return ok("proxy", "none in the environment for this service");
  return ok("proxy", `${new URL(proxyUrl).host}, from the environment`);
}

async function checkName(serviceUrl: string): Promise<Finding> {
  const host = hostOf(serviceUrl);
  if (isIP(host) !== 0) return ok("dns", `${host} is an address`);
  try {
    const addresses = await lookup(host, { all: true });
    return ok("dns", `${host} is ${addresses.map(({ address }) => address).join(", ")}`);
  } catch (error) {
    return fail(
      "dns",
      EXIT.unreachable,
      `${host} has no address: ${whyUnreachable(error)}`,
      "see whether the name in --service is right and the device's DNS works (getent hosts NAME)",
    );
  }
}

async function checkPort(serviceUrl: string): Promise<Finding> {
  const host = hostOf(serviceUrl);
  const port = portOf(serviceUrl);
  const problem = await connectOnce(host, port);
  if (problem === null) return ok("tcp", `port ${port} of ${host} is open`);
  return fail(
    "tcp",
    EXIT.unreachable,
    `port ${port} of ${host} cannot be reached: ${problem}`,
    problem === "ECONNREFUSED"
      ? "nothing listens there: start the push service, or see whether --service has the right port"
      : "see whether a firewall is in the way and the device is on a network",
  );
}

/** Null when the port is open, else why not. */
export function connectOnce(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (problem: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(problem);
    };
    const timer = setTimeout(
      () => finish(`no answer within ${DOCTOR_STEP_MS_MAX / 1000} s`),
      DOCTOR_STEP_MS_MAX,
    );
    socket.on("connect", () => finish(null));
    // The last of several addresses' errors says enough.
    socket.on("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  });
}

function checkCertificate(certificate: Certificate | null): Finding {
  if (certificate === null) return ok("tls", "plain http, on this machine only");
  const { problem, issuer, validToMs, protocol } = certificate;
  if (problem !== null) return certificateProblem(problem, certificate);
  const until = day(validToMs);
  if (validToMs - Date.now() > CERTIFICATE_ENDS_WARN_MS)
    return ok("tls", `${protocol}, certificate by ${issuer} until ${until}`);
  return warn("tls", `the certificate by ${issuer} ends ${until}`, "have the push service renew it");
}

export function certificateProblem(
  problem: string,
  { issuer, validFromMs, validToMs }: Pick<Certificate, "issuer" | "validFromMs" | "validToMs">,
  check = "tls",
): Finding {
  const [found, advice] =
    problem === "CERT_HAS_EXPIRED"
      ? [`ended ${day(validToMs)}`, "have the push service renew it; if this device's clock is wrong, set it"]
      : problem === "CERT_NOT_YET_VALID"
        ? [`begins ${day(validFromMs)}`, "set this device's clock"]
        : problem === "ERR_TLS_CERT_ALTNAME_INVALID"
          ? [
              "is for another name",
              "name the push service as its certificate does, or give it one for this name",
            ]
          : [
              `is by ${issuer}, which is not trusted (${problem})`,
              "give --ca the authority's certificate, as to the agent (a development service has it in tls/ca.pem of its --state); if there is none, somebody is in between",
            ];
  return fail(check, EXIT.unreachable, `the certificate ${found}`, advice);
}

function checkClock({ headers, halfwayEpochMs }: Answer): Finding {
  const serviceEpochMs = Date.parse(headers.date ?? "");
  if (Number.isNaN(serviceEpochMs))
    return warn("clock", "the push service tells no time", "compare this device's clock yourself (date -u)");
  const offMs = halfwayEpochMs - serviceEpochMs;
  const off = `${Math.round(Math.abs(offMs) / 1000)} s ${offMs > 0 ? "ahead of" : "behind"} the push service's`;
  // Date has whole seconds.
  if (Math.abs(offMs) <= CLOCK_OFF_WARN_MS) return ok("clock", "as the push service's");
  const advice = "set this device's clock (timedatectl set-ntp true), or the push service's";
  return Math.abs(offMs) <= CLOCK_OFF_FAIL_MS
    ? warn("clock", `this clock is ${off}`, advice)
    : fail("clock", EXIT.failure, `this clock is ${off}`, `${advice}: messages expire by it`);
}

async function checkReady({ serviceUrl, ca }: ServiceTarget): Promise<Finding> {
  try {
    const { status } = await probe("GET", `${serviceUrl}/readyz`, ca);
    return checkReadyAnswer(status);
  } catch (error) {
    return warn("ready", `no answer: ${whyUnreachable(error)}`, "try again, and see the push service's log");
  }
}

/** An upgrade without UA token: the service's refusal shows that the upgrade came through. */
async function checkWebSocket(target: ServiceTarget): Promise<Finding> {
  const { status, errno, problem } = await upgrade(target, "/v1/ws", GODWIT_SUBPROTOCOL);
  if (status === 401 && errno === ERRNO_TOKEN) return ok("websocket", "the upgrade reaches the push service");
  const found =
    problem !== null
      ? `the upgrade fails: ${problem}`
      : errno === ERRNO_UPGRADE
        ? "the push service is asked for no WebSocket: something on the way takes the upgrade out"
        : `the upgrade is answered with ${status}${errno === null ? "" : `/${errno}`}`;
  return fail(
    "websocket",
    EXIT.unreachable,
    found,
    "have what is in front of the push service pass WebSockets on, or use MQTT (--mqtt)",
  );
}

/** One that is taken, and left without a word: nothing but the WebSocket says what such a service speaks. */
async function checkAutopush(target: ServiceTarget): Promise<Finding> {
  const { status, problem } = await upgrade(target, "/", AUTOPUSH_SUBPROTOCOL);
  if (status === 101) return ok("websocket", "the push service takes the upgrade");
  const found = problem === null ? `the upgrade is answered with ${status}` : `the upgrade fails: ${problem}`;
  const advice =
    "see whether --service names a push service that speaks autopush, and what is in front of it";
  return fail("websocket", EXIT.unreachable, found, advice);
}

interface Upgrade {
  readonly status: number;
  readonly errno: number | null;
  readonly problem: string | null;
}

function upgrade({ serviceUrl, ca }: ServiceTarget, path: string, subprotocol: string): Promise<Upgrade> {
  return new Promise((resolve) => {
    const tls = tlsOptions(ca);
    const agent = proxyAgent(serviceUrl, tls, () => finish({ status: 0, errno: null, problem: "proxy" }));
    const url = `${serviceUrl.replace(/^http/, "ws")}${path}`;
    const socket = new WebSocket(url, subprotocol, {
      handshakeTimeout: DOCTOR_STEP_MS_MAX,
      followRedirects: false,
      ...tls,
      ...(agent === null ? {} : { agent }),
    });
    const finish = (outcome: Upgrade): void => {
      resolve(outcome);
      socket.terminate();
    };
    // Before `ws` misses a subprotocol, which may be left out.
    socket.on("upgrade", () => finish({ status: 101, errno: null, problem: null }));
    socket.on("error", (error) => finish({ status: 0, errno: null, problem: whyUnreachable(error) }));
    socket.on("unexpected-response", (_request, response) => {
      let text = "";
      response.on("data", (chunk) => {
        text = (text + String(chunk)).slice(0, 4_096);
      });
      response.on("end", () => {
        const errno = /"errno":(\d+)/.exec(text)?.[1];
        const status = response.statusCode ?? 0;
        finish({ status, errno: errno === undefined ? null : Number(errno), problem: null });
      });
      response.on("error", (error) => finish({ status: 0, errno: null, problem: whyUnreachable(error) }));
    });
  });
}

function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, "");
}

function portOf(url: string): number {
  const { protocol, port } = new URL(url);
  return Number(port || (protocol === "https:" ? 443 : 80));
}

function day(epochMs: number): string {
  return Number.isNaN(epochMs) ? "at an unknown time" : new Date(epochMs).toISOString().slice(0, 16);
}
