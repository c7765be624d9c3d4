// SPDX-License-Identifier: MIT
/**
 * An app as its own code sees it: push manager, notifications, badge, and events. The same for an app in the agent's process and
 * for one behind the app socket, which differ in how requests reach the agent (W3C Push API, Notifications, Badging).
 */

import type { AppWarning, Delivery, Permission, SubscriptionView } from "../agent/events.ts";
import type { AppBadge, GodwitNotification } from "../declarative/index.ts";
import {
  type AppNotification,
  NotificationClickEvent,
  PushEvent,
  PushSubscriptionChangeEvent,
  readBadge,
  WarningEvent,
} from "./events.ts";
import { Lifetime } from "./lifetime.ts";
import { type AppPort, ask, PushManager, PushSubscription } from "./push-manager.ts";

export interface AppEventMap {
  push: PushEvent;
  /** The name the first proposal gave the push of a mutable declarative message. */
  pushnotification: PushEvent;
  notificationclick: NotificationClickEvent;
  pushsubscriptionchange: PushSubscriptionChangeEvent;
  warning: WarningEvent;
}

export type AppEventType = keyof AppEventMap;
export type AppListener<Type extends AppEventType> = (event: AppEventMap[Type]) => unknown;
export type PushHandler = AppListener<"push">;
export interface AppListenerObject<Type extends AppEventType> {
  handleEvent(event: AppEventMap[Type]): unknown;
}
export interface AppListenerOptions {
  readonly once?: boolean;
  readonly signal?: AbortSignal;
}

type AnyListener = ((event: never) => unknown) | { handleEvent(event: never): unknown };
type Guarded = (event: Event) => void;

export abstract class App extends EventTarget {
  readonly owner: string;
  readonly pushManager: PushManager;
  readonly #port: AppPort;
  /** What was added, with the wrapper the platform knows it by. */
  readonly #listeners = new Map<string, Map<AnyListener, Guarded>>();
  /** The on… attributes that are set, each with the one listener that stands for it. */
  readonly #handlers = new Map<string, { handler: AnyListener; readonly listener: AnyListener }>();
  readonly #deliveries = new Map<number, Lifetime>();
  /** Of the event being dispatched: where its listeners' promises and failures go. */
  #dispatching: Lifetime | null = null;

  protected constructor(owner: string, port: AppPort) {
    super();
    this.owner = owner;
    this.#port = port;
    this.pushManager = new PushManager(port);
  }

  // --- what an app asks for ------------------------------------------------------------------------------------------

  /** Asks the person when nothing is decided yet. */
  async requestPermission(): Promise<Permission> {
    return (await ask(this.#port, { type: "requestPermission" }, "permission")).permission;
  }

  /** Members of `options` as in the Notifications API, with `navigate` and actions that have one. */
  async showNotification(title: string, options: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const request = { type: "showNotification", deliveryId: null, title: String(title), options } as const;
    await ask(this.#port, request, "done");
  }

  /** This app's notifications, oldest first; with a `tag` only those. */
  async getNotifications({ tag = "" }: { readonly tag?: string } = {}): Promise<readonly AppNotification[]> {
    const request = { type: "getNotifications", tag: tag === "" ? null : tag } as const;
    const { notifications } = await ask(this.#port, request, "notifications");
    return notifications.map(({ notificationId, notification }) => ({
      ...notification,
      close: () => {
        ask(this.#port, { type: "closeNotification", notificationId }, "done").catch(() => {});
      },
    }));
  }

  /**
   * A number, true for a mark, 0 or false to clear.
   *
   * @throws {AppError} TypeError for a number that is none of 0 to 2^53 - 1
   */
  async setAppBadge(badge: AppBadge = true): Promise<void> {
    await ask(this.#port, { type: "setAppBadge", deliveryId: null, badge: readBadge(badge) }, "done");
  }

  clearAppBadge(): Promise<void> {
    return this.setAppBadge(false);
  }

  // --- listeners -----------------------------------------------------------------------------------------------------

  /**
   * Takes opaque messages, and mutable declarative ones before they are shown. The message is handled when what the
   * handler returns, and all it gave to `waitUntil`, is settled; a throw or a rejection counts as a failed delivery.
   */
  get onpush(): PushHandler | null {
    return this.#handler("push");
  }
  set onpush(handler: PushHandler | null) {
    this.#setHandler("push", handler);
  }
  /** Called when a person activates a notification of this app that has no link. */
  get onnotificationclick(): AppListener<"notificationclick"> | null {
    return this.#handler("notificationclick");
  }
  set onnotificationclick(handler: AppListener<"notificationclick"> | null) {
    this.#setHandler("notificationclick", handler);
  }
  get onpushsubscriptionchange(): AppListener<"pushsubscriptionchange"> | null {
    return this.#handler("pushsubscriptionchange");
  }
  set onpushsubscriptionchange(handler: AppListener<"pushsubscriptionchange"> | null) {
    this.#setHandler("pushsubscriptionchange", handler);
  }
  get onwarning(): AppListener<"warning"> | null {
    return this.#handler("warning");
  }
  set onwarning(handler: AppListener<"warning"> | null) {
    this.#setHandler("warning", handler);
  }

  /** As in the DOM, but what a listener returns is waited for, and what it throws fails the event and reaches nobody else. */
  override addEventListener<Type extends AppEventType>(
    type: Type,
    listener: AppListener<Type> | AppListenerObject<Type> | null,
    options: AppListenerOptions | boolean = {},
  ): void {
    if (listener === null) return;
    const { once = false, signal } = typeof options === "object" ? options : {};
    const known = this.#listeners.get(type) ?? new Map<AnyListener, Guarded>();
    if (known.has(listener) || signal?.aborted) return;
    const guarded: Guarded = (event) => {
      if (once) this.removeEventListener(type, listener);
      this.#call(listener, event);
    };
    known.set(listener, guarded);
    this.#listeners.set(type, known);
    super.addEventListener(type, guarded);
    signal?.addEventListener("abort", () => this.removeEventListener(type, listener), { once: true });
    this.handleListenersChanged(type);
  }

  override removeEventListener<Type extends AppEventType>(
    type: Type,
    listener: AppListener<Type> | AppListenerObject<Type> | null,
  ): void {
    const known = this.#listeners.get(type);
    const guarded = listener === null ? undefined : known?.get(listener);
    if (guarded === undefined || listener === null) return;
    known?.delete(listener);
    super.removeEventListener(type, guarded);
    this.handleListenersChanged(type);
  }

  // --- for whoever connects it to the agent --------------------------------------------------------------------------

  /** A listener was added or removed. */
  protected abstract handleListenersChanged(type: AppEventType): void;

  protected get hasListeners(): boolean {
    return [...this.#listeners.keys()].some((type) => this.#hasListener(type));
  }

  protected get handlesPush(): boolean {
    return this.#hasListener("push") || this.#hasListener("pushnotification");
  }

  protected get handlesSubscriptionChange(): boolean {
    return this.#hasListener("pushsubscriptionchange");
  }

  /** Runs the listeners on one message. Resolves when it is handled; rejects when it failed or nobody took it. */
  async deliver(delivery: Delivery, lifetime: Lifetime = new Lifetime()): Promise<void> {
    const { deliveryId, notification } = delivery;
    const isAliased = notification !== null && this.#hasListener("pushnotification");
    if (!this.#hasListener("push") && !isAliased) throw new Error("no listener takes this message");
    this.#deliveries.set(deliveryId, lifetime);
    try {
      const event = new PushEvent("push", this.#port, delivery, lifetime);
      this.#dispatch(event, lifetime);
      if (isAliased)
        this.#dispatch(new PushEvent("pushnotification", this.#port, delivery, lifetime), lifetime);
      await lifetime.settled();
    } finally {
      // An agent that was started again counts from one.
      if (this.#deliveries.get(deliveryId) === lifetime) this.#deliveries.delete(deliveryId);
    }
  }

  /** The agent waits no longer for this message, or with null for any: its event's signal is aborted. */
  cancel(deliveryId: number | null): void {
    for (const [id, lifetime] of this.#deliveries)
      if (deliveryId === null || id === deliveryId) lifetime.cancel();
  }

  /** Rejects when a listener failed. */
  handleClick(notification: GodwitNotification, action: string): Promise<void> {
    const lifetime = new Lifetime();
    return this.#run(new NotificationClickEvent(notification, action, lifetime), lifetime);
  }

  /** Rejects when a listener failed. */
  handleSubscriptionChange(before: SubscriptionView | null, after: SubscriptionView | null): Promise<void> {
    const [old, fresh] = [before, after].map((view) =>
      view === null ? null : new PushSubscription(this.#port, view),
    );
    const lifetime = new Lifetime();
    return this.#run(new PushSubscriptionChangeEvent(old ?? null, fresh ?? null, lifetime), lifetime);
  }

  /** Rejects when a listener failed. */
  handleWarning(code: AppWarning, text: string): Promise<void> {
    const event = new WarningEvent(code, text);
    const run = this.#run(event, new Lifetime());
    if (!event.defaultPrevented) console.warn(`godwit: ${this.owner}: ${text} (${code})`);
    return run;
  }

  #run(event: Event, lifetime: Lifetime): Promise<void> {
    this.#dispatch(event, lifetime);
    return lifetime.settled();
  }

  #dispatch(event: Event, lifetime: Lifetime): void {
    const outer = this.#dispatching;
    this.#dispatching = lifetime;
    this.dispatchEvent(event);
    this.#dispatching = outer;
  }

  #call(listener: AnyListener, event: Event): void {
    const lifetime = this.#dispatching;
    try {
      const result: unknown =
        typeof listener === "function"
          ? listener.call(this, event as never)
          : listener.handleEvent(event as never);
      // Nothing but a promise has to be waited for; one of another realm is no instance of our class.
      if (typeof (result as PromiseLike<unknown> | null | undefined)?.then === "function")
        lifetime?.extend(result);
    } catch (error) {
      // An event the app made itself: as the platform has it.
      if (lifetime === null) throw error;
      lifetime.extend(Promise.reject(error));
    }
  }

  #hasListener(type: string): boolean {
    return (this.#listeners.get(type)?.size ?? 0) > 0;
  }

  #handler<Type extends AppEventType>(type: Type): AppListener<Type> | null {
    return (this.#handlers.get(type)?.handler as AppListener<Type> | undefined) ?? null;
  }

  /** As in the DOM: another handler takes the place of the one before, also in the order of calls. */
  #setHandler<Type extends AppEventType>(type: Type, handler: AppListener<Type> | null): void {
    const known = this.#handlers.get(type);
    if (typeof handler !== "function") {
      this.#handlers.delete(type);
      if (known === undefined) this.handleListenersChanged(type);
      else this.removeEventListener(type, known.listener as AppListener<Type>);
    } else if (known !== undefined) {
      known.handler = handler;
    } else {
      const listener: AppListener<Type> = (event) => this.#handler(type)?.call(this, event);
      this.#handlers.set(type, { handler, listener });
      this.addEventListener(type, listener);
    }
  }
}
