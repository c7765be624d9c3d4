// SPDX-License-Identifier: MIT
/** The dashboard: keeps what the agent tells, draws it, and passes on what the person wants. */

import type { AdminEvent, AdminRequests } from "../apps/protocol.ts";
import { appsSection, questionsSection, resetSection } from "./apps-section.ts";
import { AgentConnection, type ConnectionState } from "./connection.ts";
import { byId, type Child, h, update } from "./dom.ts";
import { energySection } from "./energy-section.ts";
import { type Model, withEvent } from "./model.ts";
import {
  type Act,
  connectionSection,
  eventsSection,
  foreign,
  networksSection,
  notificationsSection,
} from "./sections.ts";
import { TestPush } from "./test-push.ts";

class Dashboard {
  readonly #connection = new AgentConnection({
    handleState: (state) => this.#handleState(state),
    handleEvent: (event) => this.#handleEvent(event),
  });
  readonly #testPush = new TestPush(
    async () => ((await this.#connection.request("testPush")) as { statusCode: number }).statusCode,
    (text, isGood) => say(byId("test-said"), text, isGood),
  );
  /** null before the first status. */
  #model: Model | null = null;
  #events: Model["events"] = [];
  /** Had the focus when the agent went. */
  #focused: HTMLElement | null = null;
  #isDrawing = false;
  /** Something of the notifications or apps may be different from what was fetched. */
  #isStale = true;

  start(): void {
    byId("test-push").onclick = () => void this.#testPush.start();
    // Nothing may have happened for hours, which is what the plots are to show.
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) void this.#refresh();
    });
    this.#connection.start();
  }

  async #refresh(): Promise<void> {
    try {
      const status = (await this.#connection.request("status")) as Model["status"];
      if (this.#model !== null) this.#draw({ ...this.#model, status, atEpochMs: Date.now() });
    } catch {
      // It comes with the next connection.
    }
  }

  #handleState(state: ConnectionState): void {
    const page = byId("page");
    // What is inert has no focus: it comes back with the agent.
    if (page.contains(document.activeElement)) this.#focused = document.activeElement as HTMLElement;
    page.hidden = state === "ended" || this.#model === null;
    page.inert = state !== "open";
    if (state === "open") return this.#begin();
    if (state !== "connecting") this.#testPush.handleConnectionLost();
    if (state === "ended") update(byId("banner"), ENDED());
    else if (state === "closed") update(byId("banner"), AWAY());
  }

  #begin(): void {
    update(byId("banner"));
    if (this.#model !== null) say(byId("said"), "The agent is back", true);
    if (this.#focused?.isConnected) this.#focused.focus();
    this.#focused = null;
    this.#isStale = true;
    // When that fails the connection is gone, and it begins anew.
    this.#connection.request("watch").catch(() => {});
  }

  #handleEvent(event: AdminEvent): void {
    const model = this.#model;
    if (event.event === "report") {
      this.#testPush.handleReport(event.report);
      // A notification may have taken another's place, or an app been removed, while their number stayed.
      if (event.report.type === "shown" || event.report.type === "unsubscribed") this.#isStale = true;
      this.#events = withEvent(this.#events, event);
      if (model !== null) this.#draw(model);
    } else if (event.event === "changed") {
      const { status, questions } = event;
      if (status.notifications !== model?.notifications.length) this.#isStale = true;
      const at = { status, questions, atEpochMs: Date.now() };
      this.#draw({ ...(model ?? EMPTY), ...at });
      if (this.#isStale) void this.#fetch();
    }
  }

  /** What the status does not hold. */
  async #fetch(): Promise<void> {
    this.#isStale = false;
    try {
      const [notifications, installed] = (await Promise.all([
        this.#connection.request("notifications"),
        this.#connection.request("installed"),
      ])) as [AdminRequests["notifications"]["result"], AdminRequests["installed"]["result"]];
      if (this.#model !== null) this.#draw({ ...this.#model, notifications, installed });
    } catch {
      // Asked again behind the next hello.
      this.#isStale = true;
    }
  }

  /** Many changes at once are one drawing, and none while nobody looks. */
  #draw(model: Omit<Model, "events">): void {
    this.#model = { ...model, events: this.#events };
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      if (this.#model !== null) this.#drawNow(this.#model);
    });
  }

  #drawNow(model: Model): void {
    const { status, questions } = model;
    byId("page").hidden = false;
    byId("device").textContent = status.device === null ? "new device" : `device ${status.device}`;
    const open = questions.permissions.length + questions.navigations.length;
    document.title = open === 0 ? "Godwit" : `(${open}) Godwit`;
    byId("questions").hidden = open === 0;
    fill("questions", questionsSection(model, this.#act));
    fill("connection", connectionSection(model));
    fill("notifications", notificationsSection(model, this.#act));
    fill("apps", appsSection(model, this.#act));
    fill(
      "energy",
      energySection(model, (radio) => this.#model !== null && this.#draw({ ...this.#model, radio })),
    );
    fill("networks", networksSection(model));
    fill("events", eventsSection(model));
    fill("reset", resetSection(this.#act));
  }

  readonly #act: Act = (type, members, done) => {
    this.#connection.request(type, members).then(
      () => {
        if (type === "factoryReset") this.#events = [];
        say(byId("said"), done, true);
        void this.#fetch();
      },
      (error: Error) => say(byId("said"), `Not done: ${error.message}`, false),
    );
  };
}

const EMPTY = {
  notifications: [],
  installed: [],
  radio: null,
};

const ENDED = () =>
  h(
    "div",
    { class: "card" },
    h("h2", {}, "This page needs a link"),
    h(
      "p",
      {},
      "Its session is over, or there was none: a link works once, and for five minutes. Ask for a new one on the device:",
    ),
    h("p", {}, h("code", {}, "godwit dashboard")),
  );

const AWAY = () =>
  h("p", { class: "card bad" }, "The agent is not there. This page comes back as soon as the agent does.");

/** Brings one section up to date. Focus that went away with what had it goes to the heading, or to the page's first. */
function fill(section: string, children: readonly Child[]): void {
  const element = byId(section);
  const hadFocus = element.contains(document.activeElement);
  update(element.querySelector(".content") as Element, ...children);
  if (hadFocus && !element.contains(document.activeElement))
    byId(element.hidden ? "connection-title" : `${section}-title`).focus();
}

function say(element: HTMLElement, text: string, isGood: boolean): void {
  element.textContent = foreign(text);
  element.classList.toggle("bad", !isGood);
  // It fades out (style.css), from the beginning each time.
  for (const animation of element.getAnimations()) animation.play();
}

new Dashboard().start();
