// SPDX-License-Identifier: MIT
/** What a shell may do at the app socket: show what it is told, and tell what the person did. */

import { NOTIFICATION_CHARS_MAX } from "../limits.ts";
import type { AppConnection, Session, Verb, Verbs } from "./app-connection.ts";
import type { Platform } from "./platform.ts";
import type { RequestMembers } from "./request-members.ts";
import { badgeEvent, navigationEvent, restoredEvent, Shell, type Shells } from "./shells.ts";
import type { TokenBucket } from "./token-bucket.ts";
import type { UserAgent } from "./user-agent.ts";

export const PERMISSIONS = ["granted", "denied", "prompt"] as const;

/** What injecting a page needs. */
export interface PageSecrets {
  /** @throws {GodwitError} ERR_OPTION for an owner that has no pages here, or when no loopback port is open */
  pageSecret(owner: string): { readonly url: string; readonly owner: string; readonly secret: string };
}

export interface ShellSessionOptions {
  readonly userAgent: UserAgent;
  readonly platform: Pick<Platform, "after">;
  readonly shells: Shells;
  readonly pages: PageSecrets;
  readonly connection: Pick<AppConnection, "send">;
  readonly bucket: TokenBucket;
  readonly handleClosed: () => void;
}

export class ShellSession implements Session {
  readonly greeting = {};
  readonly bucket: TokenBucket;
  readonly endEpochMs = null;
  readonly verbs: Verbs;
  readonly #options: ShellSessionOptions;
  readonly #shell: Shell;
  #removeAsker: (() => void) | null = null;

  constructor(options: ShellSessionOptions) {
    const { userAgent, platform, shells, pages, connection } = options;
    const shell = new Shell(platform, (event) => connection.send(event));
    this.#options = options;
    this.#shell = shell;
    this.bucket = options.bucket;
    const actions = personVerbs(userAgent);
    const asShell = (verb: Verb) => (members: RequestMembers) => shells.actAs(shell, () => verb(members));
    this.verbs = {
      ...actions,
      activate: asShell(actions.activate),
      answerNavigation: asShell(actions.answerNavigation),
      displayed: (members) => {
        shell.answer(members.integer("notificationId"), "displayed");
        return {};
      },
      displayFailed: (members) => {
        shell.answer(members.integer("notificationId"), "failed");
        return {};
      },
      pageSecret: (members) => pages.pageSecret(members.owner("owner")),
    };
  }

  handleOpen(): void {
    const { userAgent, shells, connection } = this.#options;
    for (const view of userAgent.notifications()) connection.send(restoredEvent(view));
    for (const [owner, badge] of userAgent.badges) connection.send(badgeEvent(owner, badge));
    shells.add(this.#shell);
    this.#removeAsker = userAgent.questions.addAsker({
      askPermission: (owner) => connection.send({ event: "permission", owner }),
      settlePermission: (owner, permission) =>
        connection.send({ event: "permissionSettled", owner, permission }),
      askNavigation: (question) => connection.send(navigationEvent(question)),
      settleNavigation: (notificationId, action) =>
        connection.send({ event: "navigationSettled", notificationId, action }),
    });
  }

  handleClosed(): void {
    this.#removeAsker?.();
    this.#options.shells.remove(this.#shell);
    this.#options.handleClosed();
  }
}

/** What a person does, at a shell or as the administrator. */
export function personVerbs(userAgent: UserAgent) {
  return {
    activate: (members: RequestMembers) => {
      const action = members.text("action", NOTIFICATION_CHARS_MAX);
      userAgent.activateNotification(members.integer("notificationId"), action);
      return {};
    },
    dismiss: (members: RequestMembers) => {
      userAgent.closeNotification(members.integer("notificationId"));
      return {};
    },
    answerPermission: (members: RequestMembers) => {
      userAgent.questions.answerPermission(members.owner("owner"), members.oneOf("permission", PERMISSIONS));
      return {};
    },
    answerNavigation: (members: RequestMembers) => {
      const action = members.text("action", NOTIFICATION_CHARS_MAX);
      const [notificationId, allowed] = [members.integer("notificationId"), members.boolean("allowed")];
      userAgent.questions.answerNavigation(notificationId, action, allowed);
      return {};
    },
  };
}
