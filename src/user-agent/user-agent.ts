// SPDX-License-Identifier: MIT
/** The user agent: the agent, its journal, its host and the apps, screens and people around it, on any runtime. */

import type { Agent } from "../agent/agent.ts";
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
import type { AppBadge } from "../declarative/index.ts";
import { GodwitError } from "../errors.ts";
import { Driver } from "../host/driver.ts";
import type { Urgency } from "../wire/dialect.ts";
import { AgentHost, type HostListener, type ReportAt } from "./agent-host.ts";
import { type AppPeer, AppPeers, type Seat } from "./app-peers.ts";
import type { Display } from "./display.ts";
import type { JournalStorage } from "./journal-directory.ts";
import type { Machine, MakeMachine, Platform } from "./platform.ts";
import type { PermissionPolicy, Questions } from "./questions.ts";

/** What a user agent is made of. */
export interface UserAgentParts {
  readonly agent: Agent;
  /** Closed with the user agent. */
  readonly journal: JournalStorage;
  readonly platform: Platform;
  readonly makeMachine: MakeMachine;
  readonly permission: PermissionPolicy;
  /** The first screen, or null. */
  readonly display: Display | null;
  readonly listener: HostListener;
  readonly onAppError: (error: unknown, owner: string) => void;
}

/** For programs, and for the app socket. */
export class UserAgent {
  readonly #agent: Agent;
  readonly #journal: JournalStorage;
  readonly #driver: Driver;
  readonly #host: AgentHost;
  readonly #peers: AppPeers;
  readonly #watchers = new Set<() => void>();
  #closing: Promise<void> | null = null;
  #stopped: (() => void) | null = null;

  /** Use {@link startUserAgent}. */
  constructor(parts: UserAgentParts) {
    const { agent, journal, display } = parts;
    this.#agent = agent;
    this.#journal = journal;
    const dispatch = (event: AgentEvent): void => this.#dispatch(event);
    this.#peers = new AppPeers(dispatch);
    this.#host = new AgentHost({ ...parts, peers: this.#peers }, dispatch);
    this.#driver = new Driver(agent, this.#host);
    // What is shown already comes to it with the start.
    if (display !== null) this.#host.displays.add(display);
    this.listen(parts.listener);
  }

  /** Done by {@link startUserAgent}. */
  async start(isNetworkWatched: boolean): Promise<void> {
    // First, so that the first dial is made on a network with a name, and none without one.
    if (isNetworkWatched) await this.#host.machine.watchNetwork();
    this.#dispatch({ type: "start" });
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
    if (choice.type === "factoryReset") {
      this.#host.forgetReports(null);
      this.report({ type: "reset" });
    }
    if (choice.type === "clearData" || choice.type === "uninstall") this.#host.forgetReports(choice.owner);
  }

  /** Adds a screen, which gets everything that is shown. The function returned takes it away again. */
  addDisplay(display: Display): () => void {
    const remove = this.#host.displays.add(display);
    // It is shown, or kept, elsewhere.
    for (const view of this.notifications())
      this.#host.displays.showOn(display, { ...view, replaces: null, alert: false }).catch(() => {});
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

  /** For test messages, which go by the machine's own way to the push service. */
  post(...request: Parameters<Machine["post"]>): Promise<number> {
    return this.#host.machine.post(...request);
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

  /** Messages below it stay at the service from now on. */
  setLeastUrgency(leastUrgency: Urgency): void {
    this.#dispatch({ type: "urgency", leastUrgency });
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

/** What is said of an owner that is none. */
export function notAnOwner(): GodwitError {
  return new GodwitError("ERR_OWNER", NO_OWNER_TEXT);
}
