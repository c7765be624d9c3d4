// SPDX-License-Identifier: MIT
/** `createUserAgent`: the agent, its journal and the Node host, put together for apps in the same process. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { Agent } from "../agent/agent.ts";
import type {
  AgentEvent,
  AppReply,
  AppRequest,
  Choice,
  NotificationView,
  Permission,
  Report,
} from "../agent/events.ts";
import { isOwner, NO_OWNER_TEXT } from "../agent/owner.ts";
import type { AgentStatus } from "../agent/status.ts";
import { TEST_ORIGIN } from "../apps/protocol.ts";
import type { AppBadge } from "../declarative/index.ts";
import { GodwitError } from "../errors.ts";
import { Driver } from "../host/driver.ts";
import { DEVICE_BINDING_BYTES, keySealer, plainSealer, recoverJournal } from "../journal/index.ts";
import { HEARTBEAT_MS_MAX, HEARTBEAT_MS_MIN, MQTT_URLS_MAX } from "../limits.ts";
import type { CryptoProvider } from "../webpush/crypto.ts";
import type { Urgency } from "../wire/dialect.ts";
import { godwitDialect } from "../wire/godwit.ts";
import { AppHandle } from "./app-handle.ts";
import { type AppPeer, AppPeers, type Seat } from "./app-peers.ts";
import { nodeProvider } from "./crypto.ts";
import { type Display, TerminalDisplay } from "./display.ts";
import { JournalFiles, type JournalStorage } from "./files.ts";
import { type HostListener, NodeHost, type ReportAt, systemRandomFill } from "./node-host.ts";
import { isProxyUsable } from "./proxy.ts";
import type { PermissionPolicy, Questions } from "./questions.ts";

export interface UserAgentOptions {
  /** https URL of the push service, without path: `https://push.example`. */
  readonly serviceUrl: string;
  /** Where the journal lives; made with mode 0700. */
  readonly stateDirectory: string;
  /** PEM certificates trusted besides the system's: a development service's CA. */
  readonly ca?: string | null;
  /** Who may subscribe: "ask" puts the question to shells and administrators. Default: nobody may. */
  readonly permission?: PermissionPolicy;
  /** Where notifications go, besides what {@link UserAgent.addDisplay} adds; null for nowhere. Default: lines on stdout. */
  readonly display?: Display | null;
  /** Default: node:crypto. */
  readonly provider?: CryptoProvider;
  /** 32 bytes that seal the journal's secrets; without it they lie in a file of mode 0600. */
  readonly deviceKey?: Uint8Array | null;
  /** Names the device, so that a copied journal is recognised. Default: the machine id. */
  readonly deviceId?: string;
  /** ms between signs of life on an idle connection. Default: learned from each network. */
  readonly heartbeatMs?: number;
  /**
   * Where MQTT is to be had when WebSocket is not, in the order to try them: `mqtts://push.example:8883`. Default for a
   * service on port 443: its ports 8883 and 443 (ALPN `mqtt`); else none.
   */
  readonly mqttUrls?: readonly string[];
  /** Plain http URL that answers 204 unless a captive portal is in between. Default: a dial finds out. */
  readonly portalProbeUrl?: string;
  /** Low-urgency messages may wait at the service this long, s. Default 0. */
  readonly windowS?: number;
  /** Messages below this stay at the service. Default: all come. */
  readonly leastUrgency?: Urgency;
  /** Keep a connection even without a subscription. Default false. */
  readonly keepConnected?: boolean;
  /** Open http links of other origins. Default false. */
  readonly httpAllowed?: boolean;
  /** Origins whose links open without asking. */
  readonly originsAllowed?: readonly string[];
  /**
   * Messages of an owner that its app may handle without showing a notification before they wait; null: any number.
   * Default: 12 for a web origin, one back every 2 h; any number for an app id.
   */
  readonly silentPushMax?: (owner: string) => number | null;
  /** Default true; false where the wall clock may be wrong. */
  readonly epochTrusted?: boolean;
  /**
   * Follow the system's networks (Linux with iproute2): learning by network, reconnecting at once, silence without one.
   * Default true; a service on loopback needs no network and is never watched for.
   */
  readonly watchNetwork?: boolean;
  /** A number in [0, 1) that spreads reconnects and renewals; default Math.random. */
  readonly jitter?: () => number;
  /** What happens, without secrets. */
  readonly onReport?: (report: Report) => void;
  /** An app that is not attached has something waiting. */
  readonly startApp?: (owner: string) => void;
  /** What an app's handler threw. Default: nothing but the report ERR_APP_HANDLER. */
  readonly onAppError?: (error: unknown, owner: string) => void;
  /** Another place for the journal than files; the agent closes it. */
  readonly journal?: JournalStorage;
}

/**
 * Starts a user agent.
 *
 * @throws {GodwitError} ERR_CONFIG for options that cannot work, ERR_JOURNAL_IN_USE when another agent has the
 *   directory, ERR_JOURNAL_IO when it cannot be used
 */
export async function createUserAgent(options: UserAgentOptions): Promise<UserAgent> {
  const serviceUrl = readServiceUrl(options.serviceUrl);
  checkOptions(options);
  const sealer = options.deviceKey ? keySealer(options.deviceKey, systemRandomFill) : plainSealer();
  const deviceBinding = bindingOf(options.deviceId ?? machineId());
  const journal = options.journal ?? (await JournalFiles.open({ directory: options.stateDirectory }));
  try {
    const recovery = recoverJournal(await journal.read(), { deviceBinding, sealer });
    // The right key could still open what is there; a checkpoint under this one would end that.
    if (recovery.report.wrongKey)
      throw new GodwitError(
        "ERR_JOURNAL_SEAL",
        "the journal was sealed under another device key, or there is none now",
      );
    const agent = new Agent({
      serviceUrl,
      mqttUrls: options.mqttUrls?.map(readMqttUrl) ?? defaultMqttUrls(serviceUrl),
      dialect: godwitDialect,
      recovery,
      sealer,
      deviceBinding,
      provider: options.provider ?? nodeProvider,
      randomFill: systemRandomFill,
      jitter: options.jitter ?? Math.random,
      heartbeatMs: options.heartbeatMs ?? null,
      portalProbeUrl: options.portalProbeUrl ?? null,
      windowS: options.windowS ?? 0,
      leastUrgency: options.leastUrgency ?? "very-low",
      keepConnected: options.keepConnected ?? false,
      navigation: {
        httpAllowed: options.httpAllowed ?? false,
        originsAllowed: [...(options.originsAllowed ?? []), TEST_ORIGIN],
      },
      ...(options.silentPushMax === undefined ? {} : { silentPushMax: options.silentPushMax }),
    });
    const userAgent = new UserAgent(agent, journal, options);
    await userAgent.start((options.watchNetwork ?? true) && !isLoopback(new URL(serviceUrl).hostname));
    return userAgent;
  } catch (error) {
    await journal.close();
    throw error;
  }
}

/** The user agent for programs, and for the app socket. */
export class UserAgent {
  readonly #agent: Agent;
  readonly #journal: JournalStorage;
  readonly #driver: Driver;
  readonly #host: NodeHost;
  readonly #peers: AppPeers;
  readonly #apps = new Map<string, AppHandle>();
  readonly #watchers = new Set<() => void>();
  #closing: Promise<void> | null = null;
  #stopped: (() => void) | null = null;

  /** Use {@link createUserAgent}. */
  constructor(agent: Agent, journal: JournalStorage, options: UserAgentOptions) {
    const { display, onReport, startApp } = options;
    this.#agent = agent;
    this.#journal = journal;
    const dispatch = (event: AgentEvent): void => this.#dispatch(event);
    this.#peers = new AppPeers(dispatch);
    this.#host = new NodeHost(
      {
        journal,
        ca: options.ca ?? null,
        permission: options.permission ?? (() => "denied"),
        epochTrusted: options.epochTrusted ?? true,
        peers: this.#peers,
        onAppError: options.onAppError ?? (() => {}),
      },
      dispatch,
    );
    this.#driver = new Driver(agent, this.#host);
    // What is shown already comes to it with the start.
    if (display !== null)
      this.#host.displays.add(display ?? new TerminalDisplay((line) => process.stdout.write(`${line}\n`)));
    this.listen({
      ...(onReport === undefined ? {} : { handleReport: onReport }),
      ...(startApp === undefined ? {} : { handleStartApp: startApp }),
    });
  }

  /** Done by {@link createUserAgent}. */
  async start(isNetworkWatched: boolean): Promise<void> {
    // First, so that the first dial is made on a network with a name, and none without one.
    if (isNetworkWatched) await this.#host.watchNetwork();
    this.#dispatch({ type: "start" });
  }

  /**
   * The app `owner`, a web origin or an app id in lower case; the same handle each time.
   *
   * @throws {GodwitError} ERR_OWNER
   */
  app(owner: string): AppHandle {
    const known = this.#apps.get(owner);
    if (known !== undefined) return known;
    if (!isOwner(owner)) throw notAnOwner();
    let seat: Seat | null = null;
    const handle: AppHandle = new AppHandle(owner, {
      request: (request) => this.request(owner, request),
      attach: (handlesPush) => seat?.attach(handlesPush),
    });
    seat = this.join(owner, handle);
    this.#apps.set(owner, handle);
    return handle;
  }

  status(): AgentStatus {
    return this.#agent.status(this.#host.now());
  }

  /** What `permissionState()` of that owner answers. */
  permissionOf(owner: string): Permission {
    const { owners, optedOut } = this.status();
    const known = owners.find((other) => other.owner === owner);
    return optedOut || known?.optedOut ? "denied" : (known?.permission ?? "prompt");
  }

  /** What is shown or waits for a screen, oldest first. */
  notifications(): NotificationView[] {
    return this.#agent.notifications();
  }

  /**
   * Does what a person decided; resolves once it is on disk.
   *
   * @throws {GodwitError} ERR_OWNER, ERR_SHUTDOWN, ERR_JOURNAL_FULL or ERR_JOURNAL_IO
   */
  async choose(choice: Choice): Promise<void> {
    if ("owner" in choice && choice.owner !== null && !isOwner(choice.owner)) throw notAnOwner();
    if (this.#closing !== null) throw stopping();
    const reply = await this.#host.choose(choice);
    if (reply.type === "error") throw new GodwitError(reply.code, reply.message);
    if (choice.type === "factoryReset") this.#host.forgetReports(null);
    if (choice.type === "clearData" || choice.type === "uninstall") this.#host.forgetReports(choice.owner);
  }

  /** Adds a screen, which gets everything that is shown. The function returned takes it away again. */
  addDisplay(display: Display): () => void {
    const remove = this.#host.displays.add(display);
    for (const view of this.notifications()) {
      const shown = new Promise<void>((resolve) =>
        resolve(display.show({ ...view, replaces: null, alert: false })),
      );
      // It is shown, or kept, elsewhere.
      shown.catch(() => {});
    }
    return remove;
  }

  /** The badges that are set, by owner. */
  get badges(): ReadonlyMap<string, AppBadge> {
    return this.#host.displays.badges;
  }

  /** What waits for a person's word. */
  get questions(): Pick<Questions, "open" | "addAsker" | "answerPermission" | "answerNavigation"> {
    return this.#host.questions;
  }

  /** For whoever stands between an app and the agent: sends the app's request, resolves with the reply. */
  async request(owner: string, request: AppRequest): Promise<AppReply> {
    if (this.#closing === null) return this.#host.request(owner, request);
    return { type: "error", code: "ERR_SHUTDOWN", message: "the user agent is stopping" };
  }

  /** Likewise: a place among those who stand for `owner`. */
  join(owner: string, peer: AppPeer): Seat {
    return this.#peers.join(owner, peer);
  }

  /** The last reports, at most {@link REPORTS_KEPT_MAX}, oldest first. */
  get reports(): readonly ReportAt[] {
    return this.#host.reports;
  }

  /** Hears of reports, and of apps that are to be started, also of those nobody was told of yet. */
  listen(listener: HostListener): () => void {
    return this.#host.listen(listener);
  }

  /** Calls `changed` after each event: the status may be another one. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Into the log, like what the agent itself has to tell. */
  report(report: Report): void {
    this.#host.report({ type: "report", report });
  }

  /** A person chose a notification: its body with "", or one of its actions. */
  activateNotification(notificationId: number, action = ""): void {
    this.#dispatch({ type: "notificationActivated", notificationId, action });
  }

  /** A person closed a notification on one screen: it goes on all of them. */
  closeNotification(notificationId: number): void {
    const isThere = this.notifications().some((view) => view.notificationId === notificationId);
    this.#dispatch({ type: "notificationClosed", notificationId });
    if (isThere) this.#host.closeNotification({ type: "closeNotification", notificationId });
  }

  /** Acknowledges, writes down, says goodbye. Messages that come meanwhile wait at the push service. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    this.#dispatch({ type: "shutdown" });
    await stopped;
    this.#host.close();
    await this.#journal.close();
  }

  #dispatch(event: AgentEvent): void {
    this.#driver.dispatch(event);
    for (const changed of this.#watchers) changed();
    if (this.#stopped !== null && this.#agent.isStopped) this.#stopped();
  }
}

function stopping(): GodwitError {
  return new GodwitError("ERR_SHUTDOWN", "the user agent is stopping");
}

function notAnOwner(): GodwitError {
  return new GodwitError("ERR_OWNER", NO_OWNER_TEXT);
}

/** What TypeScript cannot see, and JavaScript would only notice much later. */
function checkOptions(options: UserAgentOptions): void {
  const { stateDirectory, heartbeatMs, portalProbeUrl, ca, journal, mqttUrls } = options;
  const problem =
    journal === undefined && (typeof stateDirectory !== "string" || stateDirectory === "")
      ? "stateDirectory must name a directory"
      : heartbeatMs !== undefined && !(heartbeatMs >= HEARTBEAT_MS_MIN && heartbeatMs <= HEARTBEAT_MS_MAX)
        ? `heartbeatMs must be from ${HEARTBEAT_MS_MIN} to ${HEARTBEAT_MS_MAX}`
        : portalProbeUrl !== undefined && !/^http:\/\/./.test(portalProbeUrl)
          ? "portalProbeUrl must be a plain http URL"
          : ca && !ca.includes("-----BEGIN CERTIFICATE-----")
            ? "ca must hold PEM certificates"
            : (mqttUrls?.length ?? 0) > MQTT_URLS_MAX
              ? `mqttUrls must be at most ${MQTT_URLS_MAX}`
              : null;
  if (problem !== null) throw new GodwitError("ERR_CONFIG", problem);
}

/** Its origin; ERR_CONFIG when it cannot be a push service. */
export function readServiceUrl(serviceUrl: string): string {
  const url = URL.canParse(serviceUrl) ? new URL(serviceUrl) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new GodwitError("ERR_CONFIG", "serviceUrl must be an https URL");
  }
  if (!isProxyUsable(url.origin))
    throw new GodwitError("ERR_CONFIG", "the proxy in the environment is not a URL");
  // The token is a bearer secret; in clear it may go to this machine and nowhere else.
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    throw new GodwitError("ERR_CONFIG", "http is for loopback only: use an https serviceUrl");
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "" || url.username !== "") {
    throw new GodwitError("ERR_CONFIG", "serviceUrl must have no path, query or user");
  }
  return url.origin;
}

/** The port that is MQTT's, then the one that is open everywhere. */
export function defaultMqttUrls(serviceUrl: string): string[] {
  const { protocol, hostname, port } = new URL(serviceUrl);
  return protocol === "https:" && port === "" ? [8883, 443].map((n) => `mqtts://${hostname}:${n}`) : [];
}

export function readMqttUrl(mqttUrl: string): string {
  const url = URL.canParse(mqttUrl) ? new URL(mqttUrl) : null;
  if (url === null || (url.protocol !== "mqtts:" && url.protocol !== "mqtt:") || url.hostname === "")
    throw new GodwitError("ERR_CONFIG", "an MQTT URL is like mqtts://push.example:8883");
  if (url.protocol === "mqtt:" && !isLoopback(url.hostname))
    throw new GodwitError("ERR_CONFIG", "mqtt is for loopback only: use an mqtts URL");
  if (!["", "/"].includes(url.pathname) || url.search !== "" || url.hash !== "" || url.username !== "")
    throw new GodwitError("ERR_CONFIG", "an MQTT URL has no path, query or user");
  return `${url.protocol}//${url.hostname}:${url.port || (url.protocol === "mqtts:" ? 8883 : 1883)}`;
}

export function isLoopback(hostname: string): boolean {
  return ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
}

/** 16 bytes that bind a journal to its device. */
export function bindingOf(deviceId: string): Uint8Array {
  const digest = createHash("sha256").update("godwit journal\0").update(deviceId).digest();
  return new Uint8Array(digest.subarray(0, DEVICE_BINDING_BYTES));
}

/** systemd's machine id where there is one, else the host name. */
export function machineId(): string {
  try {
    return readFileSync("/etc/machine-id", "utf8").trim() || hostname();
  } catch {
    return hostname();
  }
}
