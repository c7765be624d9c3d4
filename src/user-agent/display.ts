// SPDX-License-Identifier: MIT
/** Where notifications, badges and links go; {@link TerminalDisplay} writes them as lines of text. */

import { type AppBadge, badgeText, displayedText, type GodwitNotification } from "../declarative/index.ts";

export interface ShownNotification {
  readonly notificationId: number;
  readonly owner: string;
  readonly notification: GodwitNotification;
  /** The notification with the same tag it takes the place of, or null. */
  readonly replaces: number | null;
  /** False when it is not to make a sound or pop up again. */
  readonly alert: boolean;
}

/** Throwing from `show` means there is no screen: the notification is kept and comes back with a screen or a restart. */
export interface Display {
  show(shown: ShownNotification): void | Promise<void>;
  close(notificationId: number): void;
  setBadge(owner: string, badge: AppBadge): void;
  /** Throwing means that this one opens no links: another may. */
  openUrl(owner: string, url: string): void | Promise<void>;
}

/** One line an event on a stream, cleaned of control and bidirectional characters. */
export class TerminalDisplay implements Display {
  readonly #write: (line: string) => void;

  /** @param write takes one line without its line break */
  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  show({ notificationId, owner, notification }: ShownNotification): void {
    const { title, body, actions } = displayedText(notification);
    const text = body === "" ? title : `${title} | ${body.replaceAll("\n", " / ")}`;
    const buttons = actions.map((action) => ` [${action.title}]`).join("");
    this.#write(`(${notificationId}) ${owner}: ${text}${buttons}`);
  }

  close(notificationId: number): void {
    this.#write(`(${notificationId}) closed`);
  }

  setBadge(owner: string, badge: AppBadge): void {
    this.#write(`${owner}: badge ${badgeText(badge) || "cleared"}`);
  }

  openUrl(owner: string, url: string): void {
    this.#write(`${owner}: open ${url}`);
  }
}
