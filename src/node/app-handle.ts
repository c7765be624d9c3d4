// SPDX-License-Identifier: MIT
/** An app in the agent's own process. */

import type { AppReply, AppRequest } from "../agent/events.ts";
import { App, type AppEventType } from "../apps/app.ts";

/** What the user agent lends its handle. */
export interface AppConnection {
  request(owner: string, request: AppRequest): Promise<AppReply>;
  attach(owner: string, handlesPush: boolean): void;
}

export class AppHandle extends App {
  readonly #connection: AppConnection;
  /** What the agent was told; null: nothing yet, so that messages wait. */
  #attached: boolean | null = null;

  constructor(owner: string, connection: AppConnection) {
    super(owner, (request) => connection.request(owner, request));
    this.#connection = connection;
  }

  protected override handleListenersChanged(type: AppEventType): void {
    // Only who says something about push messages is asked for them: `onpush = null` says that nobody takes them.
    if (type !== "push" && type !== "pushnotification") return;
    if (this.#attached === this.handlesPush) return;
    this.#attached = this.handlesPush;
    this.#connection.attach(this.owner, this.#attached);
  }
}
