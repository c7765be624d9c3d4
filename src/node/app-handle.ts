// SPDX-License-Identifier: MIT
/** An app in the agent's own process. */

import type { AppReply, AppRequest } from "../agent/events.ts";
import { App, type AppEventType } from "../apps/app.ts";
import type { AppPeer } from "../user-agent/app-peers.ts";

/** What the user agent lends its handle. */
export interface AppConnection {
  request(request: AppRequest): Promise<AppReply>;
  attach(handlesPush: boolean): void;
}

export class AppHandle extends App implements AppPeer {
  readonly #connection: AppConnection;
  /** What the agent was told; null: nothing yet, so that messages wait. */
  #attached: boolean | null = null;

  constructor(owner: string, connection: AppConnection) {
    super(owner, (request) => connection.request(request));
    this.#connection = connection;
  }

  protected override handleListenersChanged(type: AppEventType): void {
    if (type === "push" || type === "pushnotification") return this.#attach();
    // After this turn: an app that sets this first and `onpush` next must not count as one without it in between.
    if (type === "notificationclick" && this.#attached === null) queueMicrotask(() => this.#attach());
  }

  #attach(): void {
    if (this.#attached === this.handlesPush) return;
    this.#attached = this.handlesPush;
    this.#connection.attach(this.#attached);
  }
}
