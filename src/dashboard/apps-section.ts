// SPDX-License-Identifier: MIT
/** Apps with what a person may decide about each, and about all of them. */

import type { Permission } from "../agent/events.ts";
import type { SubscriptionStatus } from "../agent/status.ts";
import { TEST_OWNER } from "../apps/protocol.ts";
import { confirmed, type Question } from "./dialog.ts";
import { type Child, h } from "./dom.ts";
import { type AppView, appsOf, type Model } from "./model.ts";
import { type Act, foreign } from "./sections.ts";
import { clockText, countText } from "./words.ts";

const PERMISSIONS = { granted: "Allowed", prompt: "Ask", denied: "Blocked" } as const;

export function appsSection(model: Model, act: Act): Child[] {
  const { status } = model;
  const apps = appsOf(status, model.installed);
  return [
    h(
      "div",
      { class: "card all" },
      h("h3", {}, "All apps"),
      toggle(
        "all-paused",
        "Pause",
        "all apps",
        "Messages wait at the push service until they expire.",
        status.paused,
        (paused) => act("setPaused", { owner: null, paused }, paused ? "All apps are paused" : "Apps go on"),
      ),
      toggle(
        "all-out",
        "Push off",
        "all apps",
        "Ends every subscription and allows no new one.",
        status.optedOut,
        (optedOut) => {
          const done = optedOut ? "Push is off for all apps" : "Apps may subscribe again";
          if (!optedOut) return act("setOptedOut", { owner: null, optedOut }, done);
          ask(act, "setOptedOut", { owner: null, optedOut }, done, {
            title: "Turn push off for all apps?",
            text: "Every subscription ends here and at the push service. Apps have to subscribe again when it is back on.",
            verb: "Turn off",
            typed: null,
          });
        },
      ),
    ),
    apps.length === 0
      ? h("p", { class: "quiet" }, "No app has asked for push yet.")
      : h(
          "ul",
          { class: "cards" },
          apps.map((app) => appCard(app, model, act)),
        ),
  ];
}

function appCard(app: AppView, { atEpochMs }: Model, act: Act): HTMLElement {
  const { owner, registrations, paused, optedOut } = app;
  const name = foreign(owner);
  const id = `app-${encodeURIComponent(owner)}`;
  return h(
    "li",
    { key: owner },
    h("h3", { id }, name),
    h("p", { class: "quiet" }, facts(app)),
    h(
      "div",
      { class: "choice", role: "group", "aria-label": `Permission of ${name}` },
      Object.entries(PERMISSIONS).map(([permission, text]) =>
        h(
          "button",
          {
            type: "button",
            "aria-pressed": String(app.permission === permission),
            onclick: () => act("setPermission", { owner, permission }, `${name}: ${text}`),
          },
          text,
        ),
      ),
    ),
    toggle(`${id}-paused`, "Pause", name, "Messages wait at the push service.", paused, (next) =>
      act("setPaused", { owner, paused: next }, next ? `${name} is paused` : `${name} goes on`),
    ),
    toggle(`${id}-out`, "Push off", name, "Ends its subscriptions and allows no new one.", optedOut, (next) =>
      act("setOptedOut", { owner, optedOut: next }, `Push is ${next ? "off" : "possible again"} for ${name}`),
    ),
    registrations.length === 0
      ? null
      : h(
          "ul",
          { class: "lines" },
          registrations.map((one) => subscriptionLine(one, name, atEpochMs, act)),
        ),
    h("p", { class: "row" }, removals(app, name, act)),
  );
}

function facts(app: AppView): string {
  const { subscriptions, isAttached, hasHandler, messagesWaiting, silent, badge, isInstalled, program } = app;
  return [
    ...(app.owner === TEST_OWNER ? ["this page's test pushes"] : []),
    subscriptions === 0 ? "not subscribed" : countText(subscriptions, "subscription"),
    isAttached ? "running" : "not running",
    hasHandler ? "handles messages itself" : "declared notifications only",
    ...(messagesWaiting === 0 ? [] : [`${countText(messagesWaiting, "message")} waiting`]),
    ...silentText(silent),
    ...(badge === null ? [] : [badge === true ? "badge set" : `badge ${badge}`]),
    ...(isInstalled ? [program === null ? "installed" : `installed, started by ${foreign(program)}`] : []),
  ].join(" · ");
}

/** Nothing while an app has shown something for every message. */
function silentText(silent: AppView["silent"]): string[] {
  if (silent === null || silent.left >= silent.max) return [];
  if (silent.left === 0) return ["has shown nothing too often, so its messages wait"];
  return [`${countText(silent.left, "more message")} may show nothing`];
}

function subscriptionLine(
  {
    subscriptionId,
    channel,
    mode,
    createdEpochMs,
    hasApplicationServerKey,
    expirationTime,
  }: SubscriptionStatus,
  name: string,
  nowEpochMs: number,
  act: Act,
): HTMLElement {
  const about = [
    channel === null ? "being registered" : `since ${clockText(createdEpochMs, nowEpochMs)}`,
    `mode ${mode}`,
    hasApplicationServerKey ? "only with the sender's key" : "any sender with the endpoint",
    ...(expirationTime === null ? [] : [`until ${clockText(expirationTime, nowEpochMs)}`]),
  ].join(", ");
  const remove = () =>
    ask(act, "removeSubscription", { subscriptionId }, "Subscription removed", {
      title: "Remove this subscription?",
      text: `${name} gets no more messages through it. Its endpoint stops working at the push service.`,
      verb: "Remove",
      typed: null,
    });
  return h(
    "li",
    { key: subscriptionId, class: "row spread" },
    h("span", { class: "quiet" }, `Subscription ${subscriptionId}: ${about}`),
    h(
      "button",
      {
        type: "button",
        class: "plain",
        "aria-label": `Remove subscription ${subscriptionId} of ${name}`,
        onclick: remove,
      },
      "Remove…",
    ),
  );
}

function removals({ owner, isInstalled }: AppView, name: string, act: Act): HTMLElement[] {
  const button = (text: string, onclick: () => void) =>
    h("button", { type: "button", class: "plain", "aria-label": `${text} ${name}`, onclick }, `${text}…`);
  const clear = () =>
    ask(act, "clearData", { owner }, `Data of ${name} cleared`, {
      title: `Clear the data of ${name}?`,
      text: "Its subscriptions, waiting messages, notifications and badge go. What you decided about it stays.",
      verb: "Clear",
      typed: null,
    });
  const uninstall = () =>
    ask(act, "uninstallApp", { owner }, `${name} is forgotten`, {
      title: `${isInstalled ? "Uninstall" : "Forget"} ${name}?`,
      text: "Everything of it goes, also what you decided about it and the token it proves itself with.",
      verb: isInstalled ? "Uninstall" : "Forget",
      typed: owner,
    });
  return [button("Clear data", clear), button(isInstalled ? "Uninstall" : "Forget", uninstall)];
}

export function resetSection(act: Act): Child[] {
  const reset = () =>
    ask(act, "factoryReset", {}, "Everything is gone", {
      title: "Reset push on this device?",
      text: "Every app, subscription, message, notification and decision goes, and the push service forgets this device.",
      verb: "Reset",
      typed: "reset",
    });
  return [
    h("p", { class: "quiet" }, "Makes everything as if push had never been used on this device."),
    h(
      "p",
      { class: "row" },
      h("button", { type: "button", class: "danger", onclick: reset }, "Factory reset…"),
    ),
  ];
}

/** What apps and notifications wait for a person to say. */
export function questionsSection({ questions }: Model, act: Act): Child[] {
  const answer = (owner: string, permission: Permission, text: string, kind: string) =>
    h(
      "button",
      {
        type: "button",
        class: kind,
        "aria-label": `${text}: ${foreign(owner)}`,
        onclick: () => act("answerPermission", { owner, permission }, `${foreign(owner)}: ${text}`),
      },
      text,
    );
  return [
    h(
      "ul",
      { class: "cards" },
      questions.permissions.map((owner) =>
        h(
          "li",
          { key: owner },
          h("p", {}, h("b", {}, foreign(owner)), " wants to send notifications."),
          h(
            "p",
            { class: "row" },
            answer(owner, "granted", "Allow", ""),
            answer(owner, "denied", "Block", ""),
            answer(owner, "prompt", "Later", "plain"),
          ),
        ),
      ),
      questions.navigations.map(({ notificationId, action, owner, host }) => {
        const choose = (allowed: boolean, text: string) =>
          h(
            "button",
            {
              type: "button",
              class: allowed ? "" : "plain",
              "aria-label": `${text}: ${foreign(host)}`,
              onclick: () => act("answerNavigation", { notificationId, action, allowed }, text),
            },
            text,
          );
        return h(
          "li",
          { key: `${notificationId} ${action}` },
          h(
            "p",
            {},
            "A notification of ",
            h("b", {}, foreign(owner)),
            " leads elsewhere: open ",
            h("b", {}, foreign(host)),
            "?",
          ),
          h("p", { class: "row" }, choose(true, "Open"), choose(false, "Do not open")),
        );
      }),
    ),
  ];
}

function toggle(
  id: string,
  label: string,
  /** What it is about, for those who do not see where it stands. */
  subject: string,
  hint: string,
  isOn: boolean,
  change: (isOn: boolean) => void,
): HTMLElement {
  const onchange = ({ target }: Event): void => {
    const box = target as HTMLInputElement;
    const wanted = box.checked;
    // It shows what is, and that changes only when the agent says so.
    box.checked = isOn;
    change(wanted);
  };
  return h(
    "p",
    { class: "toggle" },
    h("input", {
      id,
      type: "checkbox",
      role: "switch",
      checked: isOn,
      "aria-describedby": `${id}-hint`,
      onchange,
    }),
    h("label", { for: id }, label, h("span", { class: "unseen" }, ` ${subject}`)),
    h("span", { class: "quiet", id: `${id}-hint` }, hint),
  );
}

async function ask(act: Act, type: string, members: object, done: string, question: Question): Promise<void> {
  if (await confirmed(question)) act(type, members, done);
}
