// SPDX-License-Identifier: MIT
/**
 * Notifications on a Linux desktop (Desktop Notifications Specification 1.2): shown by its notification server over the
 * session bus, links opened by its browser. Connected only while something is shown; without bus or server there is no
 * screen. Pictures are not fetched, badges have no place there.
 */

import { displayedText } from "../declarative/index.ts";
import { GodwitError } from "../errors.ts";
import type { Display, ShownNotification } from "./display.ts";
import {
  BUS,
  type ConnectMessageBus,
  type DBusNews,
  type DBusValue,
  type MessageBus,
} from "./message-bus.ts";
import type { ChildEnd } from "./platform.ts";

const SERVER = {
  destination: "org.freedesktop.Notifications",
  path: "/org/freedesktop/Notifications",
  interface: "org.freedesktop.Notifications",
} as const;
const RULES = [
  `type='signal',sender='${SERVER.destination}',interface='${SERVER.interface}',path='${SERVER.path}'`,
  `type='signal',sender='${BUS.destination}',interface='${BUS.destination}',member='NameOwnerChanged',arg0='${SERVER.destination}'`,
];

/** What the specification calls the action of clicking the notification itself. */
const DEFAULT_ACTION = "default";
/** Why the server closed one: the person dismissed it. It also expires, or we closed it: then it stays with the agent. */
const REASON_DISMISSED = 2;
const URGENCY_LOW = 0;
const URGENCY_NORMAL = 1;
const EXPIRES_BY_SERVER = -1;
const EXPIRES_NEVER = 0;

export interface DesktopOptions {
  readonly connect: ConnectMessageBus;
  /** Starts a program; `ended` is called once, in a later turn. */
  readonly start: (argv: readonly string[], ended: (how: ChildEnd) => void) => void;
  /** A person chose a notification; `action` is "" for the notification itself. */
  readonly onActivate: (notificationId: number, action: string) => void;
  readonly onDismiss: (notificationId: number) => void;
}

interface OnScreen {
  readonly desktopId: number;
  readonly notificationId: number;
  readonly actions: readonly string[];
  /** Many servers take it away then, and say that the person dismissed it. */
  isActivated: boolean;
}

interface Server {
  readonly bus: MessageBus;
  /** Nobody else's signals count. */
  readonly uniqueName: string;
  readonly capabilities: readonly string[];
}

export class DesktopDisplay implements Display {
  readonly #options: DesktopOptions;
  readonly #onScreen = new Map<number, OnScreen>();
  #server: Server | null = null;
  /** One call after the other: a notification is closed only after the server has given it a number. */
  #queue: Promise<unknown> = Promise.resolve();
  #jobs = 0;

  constructor(options: DesktopOptions) {
    this.#options = options;
  }

  /**
   * Sees that there is a session bus at all; a notification server may come with the first notification.
   *
   * @throws {GodwitError} ERR_DISPLAY when there is none, or it does not let us in
   */
  async check(): Promise<void> {
    const bus = await this.#options.connect({ onSignal: () => {}, onGone: () => {} });
    bus.close();
  }

  /** @throws {GodwitError} ERR_DISPLAY when there is no session bus, or no notification server on it */
  show(shown: ShownNotification): Promise<void> {
    return this.#enqueue(() => this.#show(shown));
  }

  close(notificationId: number): Promise<void> {
    return this.#enqueue(async () => {
      const entry = this.#onScreen.get(notificationId);
      if (entry === undefined || this.#server === null) return;
      this.#onScreen.delete(notificationId);
      await this.#call("CloseNotification", [["u", entry.desktopId]]);
    });
  }

  setBadge(): void {}

  /**
   * @param url absolute, http or https: never taken for an option, and no shell reads it
   * @throws {GodwitError} ERR_DISPLAY when there is no `xdg-open`, or it finds no browser
   */
  openUrl(_owner: string, url: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#options.start(["xdg-open", url], (how) => {
        if (how.type === "exit" && how.code === 0) return resolve();
        const why = how.type === "notStarted" ? "no xdg-open" : "xdg-open failed";
        reject(new GodwitError("ERR_DISPLAY", `a link cannot be opened: ${why}`));
      });
    });
  }

  /** Lets go of the bus; what is shown stays there until its server closes it. */
  disconnect(): void {
    this.#server?.bus.close();
    this.#server = null;
    this.#onScreen.clear();
  }

  async #show({ notificationId, owner, notification, replaces, alert }: ShownNotification): Promise<void> {
    const { capabilities } = await this.#connect();
    const { title, body, actions } = displayedText(notification);
    const before = this.#onScreen.get(notificationId) ?? this.#onScreen.get(replaces ?? notificationId);
    const isQuiet = !alert || notification.silent === true;
    const hints: Record<string, DBusValue> = {
      urgency: ["y", isQuiet ? URGENCY_LOW : URGENCY_NORMAL],
      // The agent says when it goes; a link that needs a second question must not take it along.
      resident: ["b", true],
    };
    if (isQuiet) hints["suppress-sound"] = ["b", true];
    // Who sends it, so that no message can claim to be somebody else's; in full, since an app id may look like a site's host.
    const text = body === "" ? owner : `${owner}\n${body}`;
    const reply = await this.#call("Notify", [
      ["s", owner],
      ["u", before?.desktopId ?? 0],
      ["s", ""],
      ["s", title],
      ["s", capabilities.includes("body-markup") ? escapeMarkup(text) : text],
      ["as", capabilities.includes("actions") ? actionsOf(actions) : []],
      ["a{sv}", hints],
      ["i", notification.requireInteraction ? EXPIRES_NEVER : EXPIRES_BY_SERVER],
    ]);
    const desktopId = reply.body[0];
    if (typeof desktopId !== "number" || desktopId === 0)
      throw new GodwitError("ERR_DISPLAY", "the notification server answered something else");
    if (replaces !== null) this.#onScreen.delete(replaces);
    this.#onScreen.set(notificationId, {
      desktopId,
      notificationId,
      actions: actions.map(({ action }) => action),
      isActivated: false,
    });
  }

  async #connect(): Promise<Server> {
    if (this.#server !== null) return this.#server;
    const bus = await this.#options.connect({
      onSignal: (signal) => this.#handleSignal(signal),
      onGone: () => this.disconnect(),
    });
    try {
      for (const rule of RULES) await bus.call({ ...BUS, member: "AddMatch", body: [["s", rule]] });
      // Starts the server where the desktop starts it on demand.
      const reply = await bus.call({ ...SERVER, member: "GetCapabilities", body: [] });
      const capabilities = reply.body[0];
      this.#server = {
        bus,
        uniqueName: reply.sender,
        capabilities: Array.isArray(capabilities) ? capabilities : [],
      };
      return this.#server;
    } catch (error) {
      bus.close();
      throw error;
    }
  }

  #call(member: string, body: readonly DBusValue[]): Promise<DBusNews> {
    if (this.#server === null)
      return Promise.reject(new GodwitError("ERR_DISPLAY", "the session bus is gone"));
    return this.#server.bus.call({ ...SERVER, member, body });
  }

  #handleSignal({ sender, member, body }: DBusNews): void {
    // The server ended, and with it what it showed. With the agent it is open still.
    if (sender === BUS.destination && member === "NameOwnerChanged") return this.disconnect();
    if (sender !== this.#server?.uniqueName) return;
    const [desktopId, detail] = body;
    const entry = [...this.#onScreen.values()].find((candidate) => candidate.desktopId === desktopId);
    if (entry === undefined) return;
    if (member === "ActionInvoked" && typeof detail === "string") this.#activated(entry, detail);
    else if (member === "NotificationClosed") {
      this.#onScreen.delete(entry.notificationId);
      this.#rest();
      if (detail === REASON_DISMISSED && !entry.isActivated) this.#options.onDismiss(entry.notificationId);
    }
  }

  #activated(entry: OnScreen, key: string): void {
    const action = key === DEFAULT_ACTION ? "" : entry.actions.find((_, index) => String(index) === key);
    if (action === undefined) return;
    entry.isActivated = true;
    this.#options.onActivate(entry.notificationId, action);
  }

  /** With nothing on the screen there is nothing to listen for. */
  #rest(): void {
    if (this.#onScreen.size === 0 && this.#jobs === 0) this.disconnect();
  }

  #enqueue(job: () => Promise<void>): Promise<void> {
    this.#jobs++;
    const done = this.#queue.then(job).finally(() => {
      this.#jobs--;
      this.#rest();
    });
    this.#queue = done.catch(() => {});
    return done;
  }
}

/** Keys are numbers of our own, so that nothing a sender chose is taken for {@link DEFAULT_ACTION}. */
function actionsOf(actions: readonly { readonly title: string }[]): string[] {
  return [DEFAULT_ACTION, "Open", ...actions.flatMap(({ title }, index) => [String(index), title])];
}

/** Servers with the capability `body-markup` read the body as a kind of HTML. */
export function escapeMarkup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
