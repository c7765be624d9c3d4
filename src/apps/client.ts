// SPDX-License-Identifier: MIT
/** An app behind the app socket: a page, or a process. */

import type { AppReply, AppRequest } from "../agent/events.ts";
import { App } from "./app.ts";
import { Connection, type Credential, type Renew, type WebSocketClass } from "./connection.ts";
import { appError } from "./errors.ts";
import { Lifetime } from "./lifetime.ts";
import type { AppEvent } from "./protocol.ts";
import { Remembered } from "./remembered.ts";
import { askOverSocket, deliveryOf, viewOf } from "./socket-port.ts";

/** What a shell puts on `globalThis.godwit` of a page, exactly as the agent's `pageSecret` answers. */
export interface InjectedCredential {
  readonly url: string;
  readonly owner: string;
  readonly secret: string;
}

export interface ConnectOptions {
  /** Of the app socket: `ws://127.0.0.1:PORT/v1/app`. Default: what the shell injected, like the next two. */
  readonly url?: string;
  readonly owner?: string;
  /** The page's secret, which is proved and never sent, or the app's token. */
  readonly token?: string;
  /** Default "page". A page proves its origin too; an app has its token only. */
  readonly role?: "app" | "page";
  /** Default: the platform's. */
  readonly WebSocket?: WebSocketClass;
  /**
   * Asked once when the agent refuses the credential, for a fresh one. Default: what the shell injected, if that is another
   * one by then. Null, and the app is refused for good.
   */
  readonly renew?: Renew;
  /**
   * Endpoint of the default subscription as the app's server knows it. When it is another one by now,
   * `pushsubscriptionchange` tells so at the first connection.
   */
  readonly lastEndpoint?: string | null;
  /** Connect only when something is asked for or listened to. Default false. */
  readonly isLazy?: boolean;
  /** A number in [0, 1) that spreads reconnects; default Math.random. */
  readonly jitter?: () => number;
}

/**
 * Connects an app to the user agent. Add listeners in the same turn: from then on messages come.
 *
 * @throws {AppError} ERR_CONFIG (TypeError) when url, owner or token is neither given nor injected, or there is no WebSocket
 */
export function connect(options: ConnectOptions = {}): AppClient {
  const client = new AppClient(options);
  if (!options.isLazy) client.open();
  return client;
}

export class AppClient extends App {
  readonly #connection: Connection;
  readonly #remembered: Remembered;
  readonly #stopListening: () => void;
  readonly #isLazy: boolean;
  /** What `attach` said on the present connection; null: nothing yet. */
  #attached: boolean | null = null;

  /** Use {@link connect}. */
  constructor(options: ConnectOptions) {
    const { credential, renew } = readCredential(options);
    const remembered = new Remembered(options.lastEndpoint ?? null);
    const connection: Connection = new Connection({
      credential,
      renew,
      role: options.role ?? "page",
      WebSocket: options.WebSocket ?? platformWebSocket(),
      jitter: options.jitter ?? Math.random,
      isWanted: () => !this.#isLazy || this.hasListeners,
      handleOpen: () => this.#handleOpen(),
      handleLost: () => this.#handleLost(),
      handleEvent: (event) => this.#handleEvent(event),
    });
    super(credential.owner, (request) => ask(connection, remembered, credential.owner, request));
    this.#connection = connection;
    this.#remembered = remembered;
    this.#isLazy = options.isLazy ?? false;
    this.#stopListening = onComeback(() => connection.hurry());
  }

  /** True while the agent is connected. */
  get isConnected(): boolean {
    return this.#connection.isOpen;
  }

  /** Connects now if it is not connected; done by {@link connect}. */
  open(): void {
    this.#connection.open();
  }

  /** For good. What is unanswered is rejected with AbortError. */
  close(): void {
    this.#connection.end(appError("ERR_APP_CONNECTION", "the app closed its connection"));
  }

  protected override handleListenersChanged(): void {
    if (this.#connection.isOpen) this.#attach();
    else if (this.#isLazy && this.hasListeners) this.#connection.open();
  }

  #handleOpen(): void {
    this.#attach();
    if (this.handlesSubscriptionChange) void this.#lookForChanges();
  }

  /** An agent that never hears `attach` keeps messages for whoever says it; who only subscribes is no judge of that. */
  #attach(): void {
    if (this.#attached === this.handlesPush || (this.#isLazy && !this.hasListeners)) return;
    this.#attached = this.handlesPush;
    this.#connection.tell("attach", { handlesPush: this.#attached });
  }

  #handleLost(): void {
    this.#attached = null;
    // The agent counts them as failed, and delivers them again.
    this.cancel(null);
    if (this.#connection.isEnded) this.#stopListening();
  }

  #handleEvent(event: AppEvent): void {
    switch (event.event) {
      case "push":
        return void this.#deliver(event);
      case "cancel":
        return this.cancel(event.deliveryId);
      case "notificationclick":
        return report(this.handleClick(event.notification, event.action));
      case "pushsubscriptionchange": {
        const [before, after] = [viewOf(event.oldSubscription), viewOf(event.newSubscription)];
        const change = this.#remembered.take(before, after);
        if (change !== null) report(this.handleSubscriptionChange(change.before, change.after));
        return;
      }
      case "warning":
        return report(this.handleWarning(event.code, event.text));
    }
  }

  async #deliver(event: AppEvent & { readonly event: "push" }): Promise<void> {
    const { deliveryId } = event;
    const lifetime = new Lifetime();
    let outcome = "handled";
    try {
      await this.deliver(deliveryOf(this.owner, event), lifetime);
    } catch (error) {
      outcome = "failed";
      reportError(error);
    }
    if (!lifetime.signal.aborted) this.#connection.tell(outcome, { deliveryId });
  }

  /** What happened while nobody was connected. */
  async #lookForChanges(): Promise<void> {
    for (const waToken of this.#remembered.waTokens) {
      try {
        const request = { type: "getSubscription", waToken } as const;
        const reply = await askOverSocket(this.#connection, this.owner, request);
        const change =
          reply.type === "subscription" ? this.#remembered.compare(waToken, reply.subscription) : null;
        if (change !== null) report(this.handleSubscriptionChange(change.before, change.after));
      } catch {
        // The connection is lost again; the next one looks.
        return;
      }
    }
  }
}

/** Asks, and remembers what the app gets to see of its subscriptions. */
async function ask(
  connection: Connection,
  remembered: Remembered,
  owner: string,
  request: AppRequest,
): Promise<AppReply> {
  const reply = await askOverSocket(connection, owner, request);
  if (reply.type === "subscription" && reply.subscription !== null && "waToken" in request)
    remembered.note(request.waToken, reply.subscription);
  if (request.type === "unsubscribe") remembered.forget(request.subscriptionId);
  return reply;
}

function readCredential(options: ConnectOptions): Required<Pick<ConnectOptions, "renew">> & {
  readonly credential: Credential;
} {
  const injected = injectedCredential();
  const url = options.url ?? injected?.url;
  const owner = options.owner ?? injected?.owner;
  const token = options.token ?? injected?.secret;
  if (url === undefined || owner === undefined || token === undefined)
    throw appError("ERR_CONFIG", "url, owner and token are needed");
  const renewInjected: Renew = (refused) => {
    const fresh = injectedCredential();
    if (options.token !== undefined || fresh === null || fresh.secret === refused.token) return null;
    return { url: options.url ?? fresh.url, token: fresh.secret };
  };
  return { credential: { url, owner, token }, renew: options.renew ?? renewInjected };
}

function injectedCredential(): InjectedCredential | null {
  return (globalThis as { godwit?: InjectedCredential }).godwit ?? null;
}

function platformWebSocket(): WebSocketClass {
  const { WebSocket } = globalThis as { WebSocket?: WebSocketClass };
  if (WebSocket === undefined) throw appError("ERR_CONFIG", "there is no WebSocket here: give one");
  return WebSocket;
}

/** Calls back when a device or page comes to life again; the function returned ends that. */
function onComeback(callback: () => void): () => void {
  const { document } = globalThis as { document?: EventTarget & { readonly visibilityState?: string } };
  const page = globalThis as unknown as Partial<EventTarget>;
  const look = (): void => {
    if (document?.visibilityState !== "hidden") callback();
  };
  const places = [
    [page, "online"],
    [page, "pageshow"],
    [document, "visibilitychange"],
  ] as const;
  for (const [target, type] of places) target?.addEventListener?.(type, look);
  return () => {
    for (const [target, type] of places) target?.removeEventListener?.(type, look);
  };
}

function report(run: Promise<void>): void {
  run.catch(reportError);
}

/** A listener's error is the app's: it is told where its developer looks, and goes no further. */
function reportError(error: unknown): void {
  const platform = globalThis as { reportError?: (error: unknown) => void };
  if (platform.reportError === undefined) console.error(error);
  else platform.reportError(error);
}
