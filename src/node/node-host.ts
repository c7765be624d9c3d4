// SPDX-License-Identifier: MIT
/** The host contract on Node: every effect becomes a call of a library or of an app; every outcome comes back as an event. */

import { randomFillSync } from "node:crypto";
import type { AgentEvent, AppReply, Instant, Permission, Report } from "../agent/events.ts";
import { GodwitError } from "../errors.ts";
import type { EffectOf, Host } from "../host/host.ts";
import { AlarmClock, readClock } from "./alarm.ts";
import type { AppHandle } from "./app-handle.ts";
import type { Display } from "./display.ts";
import type { JournalStorage } from "./files.ts";
import { performHttpRequest } from "./http.ts";
import { MqttLinks } from "./mqtt.ts";
import { NetworkMonitor } from "./network.ts";
import { WebSocketLinks } from "./websocket.ts";

/** Answers for the person: at once, or after asking. */
export type PermissionPolicy = (owner: string) => Permission | Promise<Permission>;

export interface NodeHostOptions {
  readonly journal: JournalStorage;
  /** PEM certificates trusted besides the system's, or null. */
  readonly ca: string | null;
  readonly display: Display;
  readonly permission: PermissionPolicy;
  /** False where the wall clock cannot be relied on. */
  readonly epochTrusted: boolean;
  readonly apps: ReadonlyMap<string, AppHandle>;
  readonly onReport: (report: Report) => void;
  /** Called when an app with waiting messages is not attached. */
  readonly startApp: (owner: string) => void;
  /** What an app's handler threw, for its developer. */
  readonly onAppError: (error: unknown, owner: string) => void;
}

export class NodeHost implements Host {
  readonly #options: NodeHostOptions;
  readonly #dispatch: (event: AgentEvent) => void;
  readonly #webSockets: WebSocketLinks;
  readonly #mqtt: MqttLinks;
  readonly #alarm: AlarmClock;
  readonly #replies = new Map<number, (reply: AppReply) => void>();
  readonly #abortHttp = new Set<() => void>();
  #network: NetworkMonitor | null = null;
  #lastRequestId = 0;

  /** @param dispatch hands an event to the driver */
  constructor(options: NodeHostOptions, dispatch: (event: AgentEvent) => void) {
    this.#options = options;
    this.#dispatch = dispatch;
    this.#webSockets = new WebSocketLinks({ ca: options.ca, dispatch });
    this.#mqtt = new MqttLinks({ ca: options.ca, dispatch });
    this.#alarm = new AlarmClock(
      () => this.now(),
      () => dispatch({ type: "alarm" }),
    );
  }

  /** Tells the agent which network the device is on, now and whenever that changes. Resolves once it was told, or cannot be. */
  watchNetwork(): Promise<void> {
    this.#network = new NetworkMonitor({
      onChange: (network) => this.#dispatch({ type: "networkChanged", network }),
      onNewAddress: (network) => this.#dispatch({ type: "networkChanged", network, hasNewAddress: true }),
      onTrigger: () => this.#alarm.look(),
      onFault: (text) => this.#report({ type: "fault", code: "ERR_NETWORK_MONITOR", text }),
    });
    return this.#network.start();
  }

  now(): Instant {
    return readClock(this.#options.epochTrusted);
  }

  openLink(request: EffectOf<"openLink">): void {
    try {
      if (request.mqtt === null) this.#webSockets.open(request);
      else this.#mqtt.open(request, request.mqtt);
    } catch {
      // A header or address the library does not take. Its message may quote them, and they are secrets.
      const { linkId } = request;
      this.#dispatch({ type: "linkClosed", linkId, cause: "local", httpStatus: null, retryAfterS: null });
    }
  }

  send({ linkId, frame, qos }: EffectOf<"send">): void {
    if (this.#mqtt.has(linkId)) this.#mqtt.send(linkId, frame, qos);
    else this.#webSockets.send(linkId, frame);
  }

  ping({ linkId }: EffectOf<"ping">): void {
    this.#webSockets.ping(linkId);
  }

  closeLink({ linkId }: EffectOf<"closeLink">): void {
    this.#webSockets.close(linkId);
    this.#mqtt.close(linkId);
  }

  setAlarm({ alarm }: EffectOf<"setAlarm">): void {
    this.#alarm.set(alarm);
  }

  stayAwake(): void {
    // A Node host runs where something else decides about suspend; firmware-bridge holds a wake lock here.
  }

  append({ appendId, bytes }: EffectOf<"append">): void {
    this.#journaled(appendId, this.#options.journal.append(bytes));
  }

  checkpoint({ appendId, bytes, urgent }: EffectOf<"checkpoint">): void {
    this.#journaled(appendId, this.#options.journal.checkpoint(bytes, { urgent }));
  }

  httpRequest(request: EffectOf<"httpRequest">): void {
    try {
      const abort = performHttpRequest(request, this.#options.ca, (event) => {
        this.#abortHttp.delete(abort);
        this.#dispatch(event);
      });
      this.#abortHttp.add(abort);
    } catch {
      const { requestId } = request;
      this.#dispatch({
        type: "httpResponse",
        requestId,
        status: 0,
        cause: "local",
        retryAfterS: null,
        body: null,
      });
    }
  }

  startApp({ owner }: EffectOf<"startApp">): void {
    // Later: it may use the user agent, which at a start does not exist yet.
    setImmediate(() => this.#guard(owner, () => this.#options.startApp(owner)));
  }

  deliver({ delivery }: EffectOf<"deliver">): void {
    const { deliveryId, owner } = delivery;
    const handled =
      this.#options.apps.get(owner)?.deliver(delivery) ?? Promise.reject(new Error("no such app"));
    handled.then(
      () => this.#dispatch({ type: "appHandled", deliveryId }),
      (error: unknown) => {
        this.#reportAppError(error, owner);
        this.#dispatch({ type: "appFailed", deliveryId });
      },
    );
  }

  cancelDelivery({ deliveryId, owner }: EffectOf<"cancelDelivery">): void {
    // A handler in our own process cannot be stopped; it can look at its event's signal.
    this.#options.apps.get(owner)?.cancel(deliveryId);
  }

  /** Sends a request of an app to the agent; resolves with its reply. */
  request(owner: string, request: Extract<AgentEvent, { type: "appRequest" }>["request"]): Promise<AppReply> {
    const requestId = ++this.#lastRequestId;
    return new Promise((resolve) => {
      this.#replies.set(requestId, resolve);
      this.#dispatch({ type: "appRequest", requestId, owner, request });
    });
  }

  appReply({ requestId, reply }: EffectOf<"appReply">): void {
    this.#replies.get(requestId)?.(reply);
    this.#replies.delete(requestId);
  }

  subscriptionChange({ owner, oldSubscription, newSubscription }: EffectOf<"subscriptionChange">): void {
    const app = this.#options.apps.get(owner);
    this.#guard(owner, () => app?.handleSubscriptionChange(oldSubscription, newSubscription));
  }

  show(shown: EffectOf<"show">): void {
    const { notificationId } = shown;
    // Synchronous displays answer at once; a throw or rejection means that there is no screen.
    const outcome = new Promise<void>((resolve) => resolve(this.#options.display.show(shown)));
    outcome.then(
      () => this.#dispatch({ type: "displayed", notificationId }),
      () => this.#dispatch({ type: "displayFailed", notificationId }),
    );
  }

  closeNotification({ notificationId }: EffectOf<"closeNotification">): void {
    this.#onScreen(() => this.#options.display.close(notificationId));
  }

  notificationClick({ owner, notification, action }: EffectOf<"notificationClick">): void {
    const app = this.#options.apps.get(owner);
    this.#guard(owner, () => app?.handleClick(notification, action));
  }

  setBadge({ owner, badge }: EffectOf<"setBadge">): void {
    this.#onScreen(() => this.#options.display.setBadge(owner, badge));
  }

  openUrl({ owner, url }: EffectOf<"openUrl">): void {
    this.#onScreen(() => this.#options.display.openUrl(owner, url));
  }

  askPermission({ owner }: EffectOf<"askPermission">): void {
    const answer = new Promise<Permission>((resolve) => resolve(this.#options.permission(owner)));
    answer
      .catch((): Permission => "denied")
      .then((permission) => this.#dispatch({ type: "permissionAnswered", owner, permission }));
  }

  permissionSettled(): void {}

  askNavigation({ notificationId, action }: EffectOf<"askNavigation">): void {
    this.#dispatch({ type: "navigationAnswered", notificationId, action, allowed: false });
  }

  warnApp({ owner, code, text }: EffectOf<"warnApp">): void {
    const app = this.#options.apps.get(owner);
    this.#guard(owner, () => app?.handleWarning(code, text));
  }

  report({ report }: EffectOf<"report">): void {
    this.#report(report);
  }

  /** Lets go of everything but the journal. */
  close(): void {
    this.#network?.close();
    this.#alarm.set(null);
    this.#webSockets.closeAll();
    this.#mqtt.closeAll();
    for (const abort of this.#abortHttp) abort();
    this.#abortHttp.clear();
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

  /** Neither must a screen. What `show` does is answered with `displayFailed` instead. */
  #onScreen(call: () => unknown): void {
    new Promise((resolve) => resolve(call())).catch(() => {
      this.#report({ type: "fault", code: "ERR_DISPLAY", text: "the display failed" });
    });
  }

  #report(report: Report): void {
    try {
      this.#options.onReport(report);
    } catch {
      // A listener that throws has nobody to tell; the agent goes on.
    }
  }

  /** An app's handler must not take the agent down with it. */
  #guard(owner: string, call: () => unknown): void {
    new Promise((resolve) => resolve(call())).catch((error: unknown) => this.#reportAppError(error, owner));
  }

  /** The report says that it happened, without the error: its text is the app's and may hold anything. */
  #reportAppError(error: unknown, owner: string): void {
    this.#report({ type: "fault", code: "ERR_APP_HANDLER", text: `a handler of ${owner} failed` });
    this.#options.onAppError(error, owner);
  }
}

/** Fills `target` from the system's CSPRNG. */
export function systemRandomFill(target: Uint8Array): void {
  randomFillSync(target);
}
