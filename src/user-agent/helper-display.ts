// SPDX-License-Identifier: MIT
/**
 * A screen that is a program: for each event it is started anew, gets the event as one line of JSON on stdin (SPEC.md, "Helper
 * program"), and answers by ending with 0, or with lines of JSON on stdout, which may be what the person did. No helper runs
 * while there is nothing to say.
 */

import type { ShellEvent } from "../apps/protocol.ts";
import type { AppBadge } from "../declarative/index.ts";
import { GodwitError } from "../errors.ts";
import { jsonNesting } from "../json.ts";
import {
  HELPER_EVENTS_WAITING_MAX,
  HELPERS_MAX,
  JSON_DEPTH_MAX,
  SHELL_DISPLAY_TIMEOUT_MS,
} from "../limits.ts";
import type { Display, ShownNotification } from "./display.ts";
import type { Child, ChildEnd, Helpers, Platform } from "./platform.ts";
import type { Asker } from "./questions.ts";
import { RequestMembers } from "./request-members.ts";
import { personVerbs } from "./shell-session.ts";
import { badgeEvent, navigationEvent, showEvent } from "./shells.ts";
import type { UserAgent } from "./user-agent.ts";

export interface HelperDisplayOptions {
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly helpers: Helpers;
  readonly platform: Pick<Platform, "after">;
  readonly userAgent: UserAgent;
}

interface Waiting {
  readonly event: ShellEvent;
  readonly answered: () => void;
  readonly failed: (error: GodwitError) => void;
}

export class HelperDisplay implements Display {
  readonly #options: HelperDisplayOptions;
  readonly #verbs: Readonly<Record<string, (members: RequestMembers) => unknown>>;
  readonly #waiting: Waiting[] = [];
  /** Those that have not ended, the oldest first. */
  readonly #running = new Set<Child>();
  readonly #removeFromAgent: readonly (() => void)[];
  #isBusy = false;
  #isOver = false;

  constructor(options: HelperDisplayOptions) {
    const { userAgent } = options;
    this.#options = options;
    this.#verbs = personVerbs(userAgent);
    const tell = (event: ShellEvent): void => void this.#hand(event).catch(() => {});
    const asker: Asker = {
      askPermission: (owner) => tell({ event: "permission", owner }),
      settlePermission: (owner, permission) => tell({ event: "permissionSettled", owner, permission }),
      askNavigation: (question) => tell(navigationEvent(question)),
      settleNavigation: (notificationId, action) =>
        tell({ event: "navigationSettled", notificationId, action }),
    };
    this.#removeFromAgent = [userAgent.addDisplay(this), userAgent.questions.addAsker(asker)];
  }

  /** @throws {GodwitError} ERR_DISPLAY when the helper ends with another code than 0, or says nothing in time */
  show(shown: ShownNotification): Promise<void> {
    return this.#hand(showEvent(shown));
  }

  close(notificationId: number): Promise<void> {
    return this.#hand({ event: "close", notificationId });
  }

  setBadge(owner: string, badge: AppBadge): Promise<void> {
    return this.#hand(badgeEvent(owner, badge));
  }

  openUrl(owner: string, url: string): Promise<void> {
    return this.#hand({ event: "openUrl", owner, url });
  }

  /** No more events; what runs is ended. */
  end(): void {
    this.#isOver = true;
    for (const remove of this.#removeFromAgent) remove();
    for (const { failed } of this.#waiting.splice(0)) failed(failure("the agent is stopping"));
    for (const child of this.#running) child.signal("SIGTERM");
  }

  /** One event after the other: a notification is closed only after it was shown. */
  #hand(event: ShellEvent): Promise<void> {
    if (this.#isOver) return Promise.reject(failure("the agent is stopping"));
    if (this.#waiting.length >= HELPER_EVENTS_WAITING_MAX)
      return Promise.reject(failure("the helper does not keep up"));
    return new Promise((answered, failed) => {
      this.#waiting.push({ event, answered, failed });
      this.#next();
    });
  }

  #next(): void {
    if (this.#isBusy || this.#isOver) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) return;
    this.#isBusy = true;
    this.#run(waiting.event, (error) => {
      this.#isBusy = false;
      if (error === null) waiting.answered();
      else waiting.failed(error);
      this.#next();
    });
  }

  /** @param settled called once: when it ended, said something or took too long */
  #run(event: ShellEvent, settled: (error: GodwitError | null) => void): void {
    const { command, helpers, platform } = this.#options;
    let isSettled = false;
    const settle = (error: GodwitError | null): void => {
      if (isSettled) return;
      isSettled = true;
      cancel();
      settled(error);
    };
    const cancel = platform.after(SHELL_DISPLAY_TIMEOUT_MS, () => {
      child.signal("SIGTERM");
      settle(failure("the helper said nothing in time"));
    });
    const child: Child = helpers.start(command, `${JSON.stringify(event)}\n`, {
      line: (text) => {
        settle(null);
        this.#handleLine(text);
      },
      ended: (how) => {
        this.#running.delete(child);
        settle(problemOf(how));
      },
    });
    this.#running.add(child);
    const [oldest] = this.#running;
    if (this.#running.size > HELPERS_MAX) oldest?.signal("SIGTERM");
  }

  /** What the person did. A line that is nothing of that kind says only that the helper is at work. */
  #handleLine(text: string): void {
    try {
      if (jsonNesting(text) > JSON_DEPTH_MAX) return;
      const members: unknown = JSON.parse(text);
      if (typeof members !== "object" || members === null || Array.isArray(members)) return;
      const { type } = members as { readonly type?: unknown };
      if (typeof type === "string" && Object.hasOwn(this.#verbs, type))
        this.#verbs[type]?.(new RequestMembers(members as Record<string, unknown>));
    } catch {
      // A helper is a few lines of shell; nothing it gets wrong is to end anything.
    }
  }
}

function problemOf(how: ChildEnd): GodwitError | null {
  switch (how.type) {
    case "exit":
      return how.code === 0 ? null : failure(`the helper ended with ${how.code}`);
    case "signal":
      return failure(`the helper was ended by ${how.name}`);
    case "notStarted":
      return failure(`the helper could not be started (${how.code})`);
  }
}

function failure(text: string): GodwitError {
  return new GodwitError("ERR_DISPLAY", text);
}
