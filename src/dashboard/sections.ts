// SPDX-License-Identifier: MIT
/** Connection, questions, notifications, networks and events as elements. What others may choose is text in all of them. */

import type { KnownNetwork } from "../agent/status.ts";
import { displayedText, displayLine } from "../declarative/display.ts";
import { spanText } from "../figures.ts";
import { OWNER_CHARS_MAX } from "../limits.ts";
import { type Child, h, svg } from "./dom.ts";
import type { Model, ShownNotification } from "./model.ts";
import { timeoutShare } from "./plot.ts";
import { clockText, connectionWords, countText, networkName, reportText, timeoutText } from "./words.ts";

/** What the person wants done; `done` is said when it is. */
export type Act = (type: string, members: object, done: string) => void;

/** Text that somebody else chose, fit for a line of ours. Owners and hosts stay whole: whose they are stands at their end. */
export function foreign(text: string): string {
  return displayLine(text, "auto", OWNER_CHARS_MAX);
}

export function connectionSection(model: Model): Child[] {
  const { status, atEpochMs } = model;
  const { tone, title, why } = connectionWords(model);
  const { network, meter } = status;
  const facts: readonly (readonly [string, string])[] = [
    ["Push service", new URL(status.serviceUrl).host],
    ["Transport", status.transport === "mqtt" ? "MQTT" : "WebSocket"],
    [
      "Network",
      network.label === "" ? meter.networkKind : `${foreign(network.label)} (${meter.networkKind})`,
    ],
    ["Round trip", network.rttMs === 0 ? "not known yet" : `${Math.round(network.rttMs)} ms`],
    [
      "Next alarm",
      status.alarmInMs === null ? "none" : `by ${clockText(atEpochMs + status.alarmInMs, atEpochMs, true)}`,
    ],
    [
      "Last message",
      meter.messageAgoMs === null ? "none yet" : clockText(atEpochMs - meter.messageAgoMs, atEpochMs, true),
    ],
    [
      "Messages",
      `${meter.messages.received} received, ${meter.messages.shown} shown, ${meter.messages.delivered} to apps, ${status.messagesWaiting} waiting`,
    ],
    ["Without connection", `${spanText(meter.deafMs)} since the start`],
  ];
  return [
    h("p", { class: `state ${tone}`, role: "status" }, title),
    why === null ? null : h("p", { class: "why" }, why),
    status.journalFailing
      ? h("p", { class: "why bad" }, "The agent cannot write its journal: look at the disk.")
      : null,
    h(
      "dl",
      { class: "facts" },
      facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
  ];
}

export function notificationsSection({ notifications, atEpochMs }: Model, act: Act): Child[] {
  if (notifications.length === 0) return [h("p", { class: "quiet" }, "None on the screen.")];
  const newest = [...notifications].reverse();
  return [
    h(
      "ul",
      { class: "cards" },
      newest.map((shown) => notificationCard(shown, atEpochMs, act)),
    ),
  ];
}

function notificationCard(shown: ShownNotification, nowEpochMs: number, act: Act): HTMLElement {
  const { notificationId, owner, notification, shownEpochMs } = shown;
  const { title, body, actions } = displayedText(notification);
  const button = (text: string, action: string, navigate: string | null) =>
    h(
      "button",
      {
        type: "button",
        "aria-label": `${text}: ${title}`,
        title: navigate === null || !URL.canParse(navigate) ? null : `opens ${new URL(navigate).host}`,
        onclick: () => act("activate", { notificationId, action }, `Chosen: ${text}`),
      },
      text,
    );
  const lang = notification.lang === "" ? null : notification.lang;
  const links = notification.actions.map(({ navigate }) => navigate);
  return h(
    "li",
    { key: notificationId },
    h(
      "p",
      { class: "quiet" },
      foreign(owner),
      // Not dated yet: the clock was not known when it was shown.
      ...(shownEpochMs === 0
        ? []
        : [
            " · ",
            h(
              "time",
              { datetime: new Date(shownEpochMs).toISOString() },
              clockText(shownEpochMs, nowEpochMs),
            ),
          ]),
    ),
    h("h3", { dir: "auto", lang }, title),
    body === "" ? null : h("p", { class: "body", dir: "auto", lang }, body),
    h(
      "p",
      { class: "row" },
      button("Open", "", notification.navigate),
      actions.map(({ action, title: text }, index) => button(text, action, links[index] ?? null)),
      h(
        "button",
        {
          type: "button",
          class: "plain",
          "aria-label": `Dismiss: ${title}`,
          onclick: () => act("dismiss", { notificationId }, "Dismissed"),
        },
        "Dismiss",
      ),
    ),
  );
}

export function networksSection({ status }: Model): Child[] {
  const { networks, network } = status;
  const present = h(
    "p",
    {},
    network.isHeld
      ? `After ${spanText(network.intervalMs)} of silence a ping goes out; ${network.isLearned ? "nothing is left to learn here" : "longer pauses are being tried"}.`
      : "This network forgets connections too fast to hold one: it is visited instead.",
  );
  if (networks.length === 0) return [present, h("p", { class: "quiet" }, "None learned yet.")];
  const newest = [...networks].reverse();
  return [
    present,
    h(
      "ul",
      { class: "lines" },
      newest.map((known) => networkLine(known, known.label === network.label)),
    ),
    h(
      "p",
      { class: "quiet" },
      "Bars run from 30 seconds to an hour: full as far as silence is known to survive, faint where it may.",
    ),
  ];
}

function networkLine(known: KnownNetwork, isPresent: boolean): HTMLElement {
  const { label, loMs, hiMs, confidence, losses, transport } = known;
  const lo = timeoutShare(loMs) * 100;
  const hi = hiMs === null ? 100 : timeoutShare(hiMs) * 100;
  const bracket = svg(
    "svg",
    { class: "bracket", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "track", x: 0, y: 0, width: 100, height: 4 }),
    svg("rect", { class: "maybe", x: lo, y: 0, width: Math.max(0, hi - lo), height: 4 }),
    svg("rect", { class: "bar", x: 0, y: 0, width: lo, height: 4 }),
  );
  return h(
    "li",
    { key: label },
    h("h3", {}, foreign(networkName(label)), isPresent ? h("span", { class: "tag" }, "now") : null),
    bracket,
    h(
      "p",
      { class: "quiet" },
      `${timeoutText(known)}. Confirmed ${countText(confidence, "time")}, ${countText(losses, "connection")} lost.${transport === "" ? "" : " MQTT works here."}`,
    ),
  );
}

export function eventsSection({ events, atEpochMs }: Model): Child[] {
  if (events.length === 0) return [h("p", { class: "quiet" }, "Nothing yet.")];
  return [
    h(
      "ol",
      // The list scrolls, so the keyboard has to get there.
      { class: "events", tabindex: 0, "aria-label": "Newest first" },
      events.map(({ atEpochMs: at, report }) =>
        h(
          "li",
          report.type === "fault" || report.type === "dropped" ? { class: "bad" } : {},
          h("time", { datetime: new Date(at).toISOString() }, clockText(at, atEpochMs, true)),
          h("span", {}, foreign(reportText(report))),
        ),
      ),
    ),
  ];
}
