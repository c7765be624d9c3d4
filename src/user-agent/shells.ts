// SPDX-License-Identifier: MIT
/** The shells at the app socket: together one {@link Display}. */

import type { NotificationView } from "../agent/events.ts";
import type { ShellEvent } from "../apps/protocol.ts";
import { type AppBadge, badgeText, displayedText } from "../declarative/index.ts";
import { SHELL_DISPLAY_TIMEOUT_MS } from "../limits.ts";
import type { Display, ShownNotification } from "./display.ts";
import type { Platform } from "./platform.ts";
import type { NavigationQuestion } from "./questions.ts";

/** One `show` that a shell has not answered. */
interface Pending {
  readonly displayed: () => void;
  readonly failed: () => void;
}

/** One of them. */
export class Shell {
  readonly #platform: Pick<Platform, "after">;
  readonly #send: (event: ShellEvent) => void;
  /** By notification, in the order of the answers to come: with the same tag one may be shown several times. */
  readonly #pending = new Map<number, Pending[]>();

  constructor(platform: Pick<Platform, "after">, send: (event: ShellEvent) => void) {
    this.#platform = platform;
    this.#send = send;
  }

  send(event: ShellEvent): void {
    this.#send(event);
  }

  /** Resolves when the shell shows it; rejects when it does not, goes, or says nothing in time. */
  show(shown: ShownNotification): Promise<void> {
    const { notificationId } = shown;
    return new Promise((resolve, reject) => {
      const cancel = this.#platform.after(SHELL_DISPLAY_TIMEOUT_MS, () =>
        this.#settle(notificationId, "failed", pending),
      );
      const pending: Pending = {
        displayed: () => {
          cancel();
          resolve();
        },
        failed: () => {
          cancel();
          reject(new Error("the shell does not show it"));
        },
      };
      this.#pending.set(notificationId, [...(this.#pending.get(notificationId) ?? []), pending]);
      this.#send(showEvent(shown));
    });
  }

  /** The shell's answer to the oldest `show` of that notification. */
  answer(notificationId: number, outcome: keyof Pending): void {
    const [first] = this.#pending.get(notificationId) ?? [];
    if (first !== undefined) this.#settle(notificationId, outcome, first);
  }

  handleClosed(): void {
    for (const [notificationId, list] of this.#pending)
      for (const pending of list) this.#settle(notificationId, "failed", pending);
  }

  #settle(notificationId: number, outcome: keyof Pending, pending: Pending): void {
    const left = (this.#pending.get(notificationId) ?? []).filter((other) => other !== pending);
    if (left.length > 0) this.#pending.set(notificationId, left);
    else this.#pending.delete(notificationId);
    pending[outcome]();
  }
}

export class Shells implements Display {
  /** The one that attached last is the last. */
  readonly #shells = new Set<Shell>();
  #acting: Shell | null = null;

  get count(): number {
    return this.#shells.size;
  }

  add(shell: Shell): void {
    this.#shells.add(shell);
  }

  remove(shell: Shell): void {
    this.#shells.delete(shell);
    shell.handleClosed();
  }

  /** What `act` leads to opens at `shell`. */
  actAs<Result>(shell: Shell, act: () => Result): Result {
    this.#acting = shell;
    try {
      return act();
    } finally {
      this.#acting = null;
    }
  }

  /** Resolves once one of them shows it. */
  async show(shown: ShownNotification): Promise<void> {
    await Promise.any([...this.#shells].map((shell) => shell.show(shown)));
  }

  close(notificationId: number): void {
    this.#toAll({ event: "close", notificationId });
  }

  setBadge(owner: string, badge: AppBadge): void {
    this.#toAll(badgeEvent(owner, badge));
  }

  /** Where the person chose it, else at the shell attached last. */
  openUrl(owner: string, url: string): void {
    const shell = this.#acting ?? [...this.#shells].at(-1);
    if (shell === undefined) throw new Error("there is no shell");
    shell.send({ event: "openUrl", owner, url });
  }

  /** What they injected into pages is good no more. */
  handleSecretsRenewed(): void {
    this.#toAll({ event: "pageSecrets" });
  }

  #toAll(event: ShellEvent): void {
    for (const shell of this.#shells) shell.send(event);
  }
}

export function showEvent(shown: ShownNotification): ShellEvent {
  const { notificationId, owner, replaces, alert } = shown;
  const { title: _title, body: _body, actions: _actions, data: _data, ...notification } = shown.notification;
  return {
    event: "show",
    notificationId,
    owner,
    replaces,
    alert,
    ...displayedText(shown.notification),
    notification,
  };
}

/** For a shell that comes when it is shown already. */
export function restoredEvent(view: NotificationView): ShellEvent {
  return showEvent({ ...view, replaces: null, alert: false });
}

export function badgeEvent(owner: string, badge: AppBadge): ShellEvent {
  return { event: "badge", owner, badge, text: badgeText(badge) };
}

export function navigationEvent(question: NavigationQuestion): ShellEvent {
  const { notificationId, action, owner, host } = question;
  return { event: "navigation", notificationId, action, owner, host };
}
