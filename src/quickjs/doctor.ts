// SPDX-License-Identifier: MIT
/** The script of `godwitd doctor`: looks at everything an agent needs on this device, says what is wrong and what to do. Changes nothing. */

import "./globals.ts";
import { EXIT } from "../configuration/exit.ts";
import * as device from "../doctor/device.ts";
import { describeFinding, type Finding, fail, jsonOf, ok, verdictOf, warn } from "../doctor/finding.ts";
import { checkReadyAnswer, checkRefusal, ERRNO_UPGRADE, errnoOf } from "../doctor/service-answers.ts";
import { checkStateDirectory } from "../doctor/state-directory.ts";
import { GodwitError } from "../errors.ts";
import { DOCTOR_STEP_MS_MAX, JOURNAL_SEGMENT_BYTES_MAX } from "../limits.ts";
import { holderOf } from "../user-agent/directory-lock.ts";
import { systemCode } from "../user-agent/file-system.ts";
import { dialectOf, isLoopbackOrigin, readServiceUrl } from "../user-agent/service-urls.ts";
import type { BridgeEvents } from "./bridge.d.ts";
import type { AllEvents } from "./daemon-bridge.d.ts";
import type { DoctorBridge } from "./doctor-bridge.d.ts";
import type { DoctorOptions } from "./doctor-options.ts";
import { bridgeMachineId, bridgeProcesses } from "./files.ts";
import { bridge } from "./lent-bridge.ts";
import { BridgePlatform } from "./platform.ts";
import { SessionBus } from "./session-bus.ts";

/** Priority of syslog. */
const ERROR = 3;
const NOTIFICATIONS = {
  destination: "org.freedesktop.Notifications",
  path: "/org/freedesktop/Notifications",
  interface: "org.freedesktop.Notifications",
} as const;

type HttpAnswer = Parameters<BridgeEvents["httpDone"]>;
type Network = Parameters<BridgeEvents["network"]>;

class Doctor {
  readonly #daemon: DoctorBridge;
  readonly #options: DoctorOptions;
  readonly #bus: SessionBus | null;
  #answered: ((answer: HttpAnswer) => void) | null = null;
  #networkTold: ((network: Network) => void) | null = null;
  #lastRequestId = 0;

  constructor(daemon: DoctorBridge, options: DoctorOptions) {
    this.#daemon = daemon;
    this.#options = options;
    const { busOpen, busCall, busClose } = daemon;
    this.#bus =
      busOpen === undefined || busCall === undefined || busClose === undefined
        ? null
        : new SessionBus({ busOpen, busCall, busClose });
  }

  get events(): Partial<AllEvents> {
    return {
      startAsked: () => void this.#run(),
      stopAsked: () => this.#daemon.finish(EXIT.failure),
      httpDone: (...answer) => this.#answered?.(answer),
      network: (...network) => this.#networkTold?.(network),
      busReplied: (...reply) => this.#bus?.events.busReplied(...reply),
      busSignal: (...signal) => this.#bus?.events.busSignal(...signal),
      busGone: () => this.#bus?.events.busGone(),
    };
  }

  async #run(): Promise<void> {
    const { isJson } = this.#options;
    const findings: Finding[] = [];
    for await (const finding of this.#findings()) {
      findings.push(finding);
      const lines = isJson
        ? [JSON.stringify(jsonOf(finding))]
        : describeFinding(finding, finding.result.padEnd(4));
      for (const line of lines) this.#daemon.print(line);
    }
    const verdict = verdictOf(findings);
    if (verdict === null) return this.#daemon.finish(EXIT.ok);
    const { message, exitCode } = verdict;
    bridge.log(ERROR, isJson ? JSON.stringify({ error: { code: null, message } }) : `godwitd: ${message}`);
    this.#daemon.finish(exitCode);
  }

  async *#findings(): AsyncGenerator<Finding> {
    const { findings, stateDirectory, caBundle, helper, isOnDesktop } = this.#options;
    yield* findings;
    yield* this.#checkState(stateDirectory);
    yield this.#checkHolder(stateDirectory);
    yield device.machineFinding(this.#codeOf(() => bridge.fs.stat("/etc/machine-id")) === null);
    yield device.alarmFinding(this.#codeOf(() => this.#daemon.tryAlarm()));
    yield device.wakeLockFinding(this.#codeOf(() => this.#daemon.tryWakeLock()));
    yield device.wallClockFinding(bridge.isEpochTrusted());
    yield device.cryptographyFinding(bridge.crypto?.name ?? null);
    const { path, count } = this.#daemon.trusted(caBundle);
    yield device.trustFinding(
      path,
      count,
      findings.some(({ check, result }) => check === "ca" && result === "ok"),
    );
    if (helper !== null)
      yield device.helperFinding(
        helper,
        this.#codeOf(() => this.#daemon.tryProgram(helper)),
      );
    if (isOnDesktop) yield await this.#checkDesktop();
    yield await this.#checkNetwork();
    yield* this.#checkService();
  }

  *#checkState(directory: string): Generator<Finding> {
    const { quotaBytes } = this.#options;
    const platform = new BridgePlatform(bridge);
    const daemon = this.#daemon;
    const files = {
      uid: bridge.fs.uid(),
      look: (path: string) => daemon.look(path),
      list: (path: string) => daemon.list(path),
      read: (path: string) => bridge.fs.readFile(path, JOURNAL_SEGMENT_BYTES_MAX),
      freeBytes: (path: string) => daemon.freeBytes(path),
    };
    const { provider, randomFill } = platform;
    const surroundings = { files, deviceId: bridgeMachineId(bridge), provider, randomFill };
    yield* checkStateDirectory(directory, bridge.deviceKey, surroundings);
    if (quotaBytes === null || this.#codeOf(() => daemon.list(directory)) !== null) return;
    yield device.quotaFinding(daemon.usedBytes(directory), quotaBytes);
  }

  #checkHolder(directory: string): Finding {
    let target = "";
    try {
      target = bridge.fs.readlink(`${directory}/lock`);
    } catch {
      // Nobody has it.
    }
    const holder = holderOf(target, bridgeProcesses(bridge));
    if (holder?.isRunning === true)
      return ok("agent", `process ${holder.pid} uses ${directory}; how it is: godwit status`);
    return warn("agent", "none is running", "start it: systemctl start godwitd, or godwitd --service URL");
  }

  async #checkDesktop(): Promise<Finding> {
    const advice = "leave --desktop out, or set DBUS_SESSION_BUS_ADDRESS to the session's bus";
    if (this.#bus === null)
      return fail("display", EXIT.config, "this godwitd was built without D-Bus: no desktop", advice);
    try {
      const bus = await this.#bus.connect({ onSignal: () => {}, onGone: () => {} });
      const { body } = await bus.call({ ...NOTIFICATIONS, member: "GetServerInformation", body: [] });
      bus.close();
      return ok("display", `${String(body[0])} shows notifications`);
    } catch (error) {
      return warn("display", error instanceof GodwitError ? error.message : "no desktop", advice);
    }
  }

  async #checkNetwork(): Promise<Finding> {
    const { watchNetwork, serviceUrl } = this.#options;
    if (!watchNetwork) return ok("network", "not followed: --ignore-network");
    if (serviceUrl !== null && isLoopbackOrigin(serviceUrl))
      return ok("network", "the service is on this machine: no network is followed");
    const told = new Promise<Network>((resolve) => {
      this.#networkTold = resolve;
    });
    if (!bridge.watchNetwork()) return device.networkFinding(false, null);
    const [label] = await told;
    return device.networkFinding(true, label);
  }

  async *#checkService(): AsyncGenerator<Finding> {
    const { serviceUrl, dialect: said, findings } = this.#options;
    if (serviceUrl === null) {
      // What is wrong with the configuration is said already.
      if (findings.some(({ check, result }) => check === "config" && result === "fail")) return;
      yield fail(
        "service",
        EXIT.config,
        "no push service is named",
        "name it with --service, as for the agent",
      );
      return;
    }
    let origin: string;
    try {
      origin = readServiceUrl(serviceUrl);
    } catch (error) {
      if (!(error instanceof GodwitError)) throw error;
      yield fail("service", EXIT.config, error.message, "correct the option");
      return;
    }
    const dialect = dialectOf({ serviceUrl, ...(said === null ? {} : { dialect: said }) });
    // Not the token endpoint: every method there is takes a token.
    const path = dialect === "autopush" ? "/" : "/v1/ws";
    const [, status, cause, , body] = await this.#get(origin + path);
    if (cause !== null) {
      yield unreachableFinding(origin, cause);
      return;
    }
    yield ok(
      "tls",
      isLoopbackOrigin(origin) && origin.startsWith("http:")
        ? "plain http, on this machine only"
        : "the certificate is trusted, and for this host",
    );
    if (dialect === "autopush") {
      // What such services say to a request that is no upgrade is their own affair.
      yield ok("http", `something answers (status ${status}); what it speaks only the agent finds out`);
      return;
    }
    const answer = checkRefusal(status, errnoOf(body ?? ""), ERRNO_UPGRADE);
    yield answer;
    if (answer.result === "fail") return;
    const [, readyStatus, readyCause] = await this.#get(`${origin}/readyz`);
    yield readyCause === null
      ? checkReadyAnswer(readyStatus)
      : warn("ready", `no answer: ${readyCause}`, "try again, and see the push service's log");
  }

  /** A request that carries no secret. */
  #get(url: string): Promise<HttpAnswer> {
    const requestId = ++this.#lastRequestId;
    return new Promise((resolve) => {
      this.#answered = resolve;
      try {
        bridge.httpRequest(requestId, "GET", url, ["Accept", "application/json"], null, DOCTOR_STEP_MS_MAX);
      } catch {
        resolve([requestId, 0, "local", null, null]);
      }
    });
  }

  /** What the system says to it: a code, or null when it does it. */
  #codeOf(attempt: () => unknown): string | null {
    try {
      attempt();
      return null;
    } catch (error) {
      return systemCode(error) ?? "failed";
    }
  }
}

/** As the agent would meet it. */
function unreachableFinding(origin: string, cause: NonNullable<HttpAnswer[2]>): Finding {
  if (cause === "tls")
    return fail(
      "tls",
      EXIT.unreachable,
      `${origin} has no certificate that is trusted here, for its name and now`,
      "give --ca or --ca-bundle the authority's certificate, and see whether this device's clock is right; else somebody is in between",
    );
  const advice =
    cause === "refused"
      ? "nothing listens there: start the push service, or see whether --service has the right port"
      : "see whether the device is on a network, its DNS knows the name, and no firewall or log-in page is in the way";
  return fail("http", EXIT.unreachable, `no answer from ${origin} (${cause})`, advice);
}

const { daemon } = globalThis as unknown as { readonly daemon: DoctorBridge };
const noop = (): void => {};
const silent: AllEvents = {
  ...{ linkOpened: noop, linkMessage: noop, linkPong: noop, linkClosed: noop, httpDone: noop },
  ...{ alarm: noop, timer: noop, network: noop, look: noop },
  ...{ startAsked: noop, stopAsked: noop, peerCame: noop, upgradeAsked: noop, fileAsked: noop },
  ...{
    peerOpened: noop,
    peerMessage: noop,
    peerClosed: noop,
    allPeersGone: noop,
    processEnded: noop,
    processLine: noop,
  },
  ...{ busReplied: noop, busSignal: noop, busGone: noop },
};
bridge.listen({ ...silent, ...new Doctor(daemon, JSON.parse(bridge.options) as DoctorOptions).events });
