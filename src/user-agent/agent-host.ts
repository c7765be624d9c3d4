// SPDX-License-Identifier: MIT
/**
 * The host of the one agent, on any runtime: what leaves the process is its {@link Machine}'s, the rest becomes calls of the journal,
 * of apps, screens and people. Every outcome comes back as an event.
 */

import type { AgentEvent, AppReply, AppRequest, Choice, Instant, Report } from "../agent/events.ts";
import { GodwitError } from "../errors.ts";
import type { EffectOf, Host } from "../host/host.ts";
import { REPORTS_KEPT_MAX } from "../limits.ts";
import type { AppPeers } from "./app-peers.ts";
import { Displays } from "./displays.ts";
import type { JournalStorage } from "./journal-directory.ts";
import type { Machine, MakeMachine, Platform } from "./platform.ts";
import { type PermissionPolicy, Questions } from "./questions.ts";

/** Whoever wants to know what goes on. */
export interface HostListener {
  /** Without secrets. */
  handleReport?(report: Report): void;
  /** An app that is not attached has something waiting. */
  handleStartApp?(owner: string): void;
}

export interface AgentHostOptions {
  readonly platform: Platform;
  readonly makeMachine: MakeMachine;
  readonly journal: JournalStorage;
  readonly permission: PermissionPolicy;
  readonly peers: AppPeers;
  /** What an app's handler threw, for its developer. */
  readonly onAppError: (error: unknown, owner: string) => void;
}

/** Something that happened, and when (ms since 1970). */
export interface ReportAt {
  readonly atEpochMs: number;
  readonly report: Report;
}

export class AgentHost implements Host {
  readonly displays: Displays;
  readonly questions: Questions;
  readonly machine: Machine;
  readonly #options: AgentHostOptions;
  readonly #dispatch: (event: AgentEvent) => void;
  readonly #replies = new Map<number, (reply: AppReply) => void>();
  readonly #listeners = new Set<HostListener>();
  /** The last reports, oldest first: for whoever begins to watch. */
  #reports: ReportAt[] = [];
  /** Apps to be started that nobody has been told of. */
  readonly #startAsked = new Set<string>();
  #lastRequestId = 0;

  /** @param dispatch hands an event to the driver */
  constructor(options: AgentHostOptions, dispatch: (event: AgentEvent) => void) {
    this.#options = options;
    this.#dispatch = dispatch;
    this.displays = new Displays((text, owner) =>
      this.#report({ type: "fault", code: "ERR_DISPLAY", text, ...(owner === undefined ? {} : { owner }) }),
    );
    this.questions = new Questions(options.permission, dispatch);
    this.machine = options.makeMachine(dispatch, (text) =>
      this.#report({ type: "fault", code: "ERR_NETWORK_MONITOR", text }),
    );
  }

  now(): Instant {
    return this.#options.platform.now();
  }

  openLink(request: EffectOf<"openLink">): void {
    this.machine.openLink(request);
  }

  send(frame: EffectOf<"send">): void {
    this.machine.send(frame);
  }

  ping(link: EffectOf<"ping">): void {
    this.machine.ping(link);
  }

  closeLink(link: EffectOf<"closeLink">): void {
    this.machine.closeLink(link);
  }

  setAlarm(alarm: EffectOf<"setAlarm">): void {
    this.machine.setAlarm(alarm);
  }

  stayAwake(span: EffectOf<"stayAwake">): void {
    this.machine.stayAwake(span);
  }

  httpRequest(request: EffectOf<"httpRequest">): void {
    this.machine.httpRequest(request);
  }

  append({ appendId, bytes }: EffectOf<"append">): void {
    this.#journaled(appendId, this.#options.journal.append(bytes));
  }

  checkpoint({ appendId, bytes, urgent }: EffectOf<"checkpoint">): void {
    this.#journaled(appendId, this.#options.journal.checkpoint(bytes, { urgent }));
  }

  startApp({ owner }: EffectOf<"startApp">): void {
    this.#startAsked.add(owner);
    // Later: it may use the user agent, which at a start does not exist yet.
    this.#options.platform.after(0, () => this.#tellStarters());
  }

  /** Hears of what happens from now on, and of the apps that are to be started. The function returned ends that. */
  listen(listener: HostListener): () => void {
    this.#listeners.add(listener);
    this.#tellStarters();
    return () => this.#listeners.delete(listener);
  }

  deliver({ delivery }: EffectOf<"deliver">): void {
    const { deliveryId, owner } = delivery;
    this.#options.peers.deliver(delivery).then(
      () => this.#dispatch({ type: "appHandled", deliveryId }),
      (error: unknown) => {
        this.#reportAppError(error, owner);
        this.#dispatch({ type: "appFailed", deliveryId });
      },
    );
  }

  cancelDelivery({ deliveryId }: EffectOf<"cancelDelivery">): void {
    this.#options.peers.cancel(deliveryId);
  }

  /** Sends a request of an app to the agent; resolves with its reply. */
  request(owner: string, request: AppRequest): Promise<AppReply> {
    return this.#ask((requestId) => ({ type: "appRequest", requestId, owner, request }));
  }

  /** Tells the agent what a person decided; resolves with its reply once that is on disk. */
  choose(choice: Choice): Promise<AppReply> {
    return this.#ask((requestId) => ({ type: "choice", requestId, choice }));
  }

  appReply({ requestId, reply }: EffectOf<"appReply">): void {
    this.#replies.get(requestId)?.(reply);
    this.#replies.delete(requestId);
  }

  subscriptionChange({ owner, oldSubscription, newSubscription }: EffectOf<"subscriptionChange">): void {
    for (const peer of this.#options.peers.all(owner))
      this.#guard(owner, () => peer.handleSubscriptionChange(oldSubscription, newSubscription));
  }

  show(shown: EffectOf<"show">): void {
    const { notificationId } = shown;
    this.displays.show(shown).then(
      () => this.#dispatch({ type: "displayed", notificationId }),
      () => this.#dispatch({ type: "displayFailed", notificationId }),
    );
  }

  closeNotification({ notificationId }: EffectOf<"closeNotification">): void {
    this.questions.dropNavigations(notificationId);
    this.displays.close(notificationId);
  }

  notificationClick({ owner, notification, action }: EffectOf<"notificationClick">): void {
    this.#guard(owner, () => this.#options.peers.forClicks(owner)?.handleClick(notification, action));
  }

  setBadge({ owner, badge }: EffectOf<"setBadge">): void {
    this.displays.setBadge(owner, badge);
  }

  openUrl({ owner, url }: EffectOf<"openUrl">): void {
    this.displays.openUrl(owner, url);
  }

  askPermission({ owner }: EffectOf<"askPermission">): void {
    this.questions.askPermission(owner);
  }

  permissionSettled({ owner, permission }: EffectOf<"permissionSettled">): void {
    this.questions.settlePermission(owner, permission);
  }

  askNavigation(question: EffectOf<"askNavigation">): void {
    this.questions.askNavigation(question);
  }

  warnApp({ owner, code, text }: EffectOf<"warnApp">): void {
    this.#guard(owner, () => this.#options.peers.forClicks(owner)?.handleWarning(code, text));
  }

  report({ report }: EffectOf<"report">): void {
    this.#report(report);
  }

  /** Lets go of everything but the journal. */
  close(): void {
    this.machine.close();
    for (const reply of this.#replies.values()) {
      reply({ type: "error", code: "ERR_SHUTDOWN", message: "the user agent is stopping" });
    }
    this.#replies.clear();
  }

  #journaled(appendId: number, write: Promise<void>): void {
    write.then(
      () => this.#dispatch({ type: "journalAppended", appendId }),
      (error: unknown) => {
        const isFull = error instanceof GodwitError && error.code === "ERR_JOURNAL_FULL";
        this.#dispatch({ type: "journalFailed", appendId, reason: isFull ? "full" : "io" });
      },
    );
  }

  #ask(event: (requestId: number) => AgentEvent): Promise<AppReply> {
    const requestId = ++this.#lastRequestId;
    return new Promise((resolve) => {
      this.#replies.set(requestId, resolve);
      this.#dispatch(event(requestId));
    });
  }

  get reports(): readonly ReportAt[] {
    return this.#reports;
  }

  /** Those about `owner`, or all for null. */
  forgetReports(owner: string | null): void {
    this.#reports = this.#reports.filter(
      ({ report }) => owner !== null && !("owner" in report && report.owner === owner),
    );
  }

  #tellStarters(): void {
    const starters = [...this.#listeners].filter(({ handleStartApp }) => handleStartApp !== undefined);
    if (starters.length === 0) return;
    for (const owner of this.#startAsked)
      for (const starter of starters) this.#guard(owner, () => starter.handleStartApp?.(owner));
    this.#startAsked.clear();
  }

  #report(report: Report): void {
    this.#reports.push({ atEpochMs: this.#options.platform.epochMs(), report });
    if (this.#reports.length > REPORTS_KEPT_MAX) this.#reports.shift();
    for (const listener of this.#listeners) {
      try {
        listener.handleReport?.(report);
      } catch {
        // A listener that throws has nobody to tell; the agent goes on.
      }
    }
  }

  /** An app's handler must not take the agent down with it. */
  #guard(owner: string, call: () => unknown): void {
    new Promise((resolve) => resolve(call())).catch((error: unknown) => this.#reportAppError(error, owner));
  }

  /** The report says that it happened, without the error: its text is the app's and may hold anything. */
  #reportAppError(error: unknown, owner: string): void {
    const text = `a handler of ${owner} failed`;
    this.#report({ type: "fault", code: "ERR_APP_HANDLER", text, owner });
    this.#options.onAppError(error, owner);
  }
}
