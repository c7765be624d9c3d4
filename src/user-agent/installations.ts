// SPDX-License-Identifier: MIT
/** Installing and uninstalling apps: the agent's choice, the token, the connections and the process that go with it. */

import type { InstalledApp } from "../apps/protocol.ts";
import type { AppStarter } from "./app-starter.ts";
import type { Credentials } from "./credentials.ts";
import type { InstalledApps } from "./installed-apps.ts";
import type { UserAgent } from "./user-agent.ts";

export interface InstallationsOptions {
  readonly userAgent: UserAgent;
  readonly apps: InstalledApps;
  readonly credentials: Credentials;
  readonly starter: AppStarter;
  /** Whoever is connected for `owner`, or for any when it is null, has to prove anew who it is. */
  readonly disconnect: (owner: string | null) => void;
}

export class Installations {
  readonly #options: InstallationsOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: InstallationsOptions) {
    this.#options = options;
  }

  list(): InstalledApp[] {
    return this.#options.apps.list();
  }

  /** A token for the app. The old one, if there is one, and connections made with it, are good no more. */
  install(app: InstalledApp): Promise<string> {
    return this.#afterOthers(async () => {
      const { userAgent, apps, starter, disconnect } = this.#options;
      const { owner, start } = app;
      await userAgent.choose({ type: "install", owner, startable: start !== null });
      const token = await apps.install(app);
      starter.handleInstalled(owner);
      disconnect(owner);
      return token;
    });
  }

  /**
   * The token goes first: nothing can be subscribed meanwhile. What can be done is done, also when the disk is full.
   *
   * @throws {GodwitError} ERR_JOURNAL_FULL, ERR_JOURNAL_IO: it holds, but could not be written down yet
   */
  uninstall(owner: string): Promise<void> {
    return this.#afterOthers(async () => {
      const { userAgent, apps, starter, disconnect } = this.#options;
      const written = await Promise.allSettled([apps.uninstall(owner)]);
      starter.forget(owner);
      disconnect(owner);
      const chosen = await Promise.allSettled([userAgent.choose({ type: "uninstall", owner })]);
      throwFailure([...chosen, ...written]);
    });
  }

  /** @throws {GodwitError} as {@link uninstall} */
  factoryReset(): Promise<void> {
    return this.#afterOthers(async () => {
      const { userAgent, apps, credentials, starter, disconnect } = this.#options;
      const owners = apps.list().map(({ owner }) => owner);
      const written = await Promise.allSettled([apps.uninstallAll(), credentials.renewPageKey()]);
      for (const owner of owners) starter.forget(owner);
      disconnect(null);
      const chosen = await Promise.allSettled([userAgent.choose({ type: "factoryReset" })]);
      throwFailure([...chosen, ...written]);
    });
  }

  /** What one takes away, another that is under way must not give back; and a file is written by one at a time. */
  #afterOthers<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#last.then(change);
    this.#last = done.catch(() => {});
    return done;
  }
}

function throwFailure(outcomes: readonly PromiseSettledResult<void>[]): void {
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}
