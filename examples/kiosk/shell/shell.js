// SPDX-License-Identifier: MIT
/* The shell's document. The kiosk calls draw() with everything there is to see; tellKiosk() takes back what the person does. */

/** A question that has just come under somebody's finger is not answered by that finger. */
const GUARD_MS = 700;

const byId = (id) => document.getElementById(id);
const tell = (message) => globalThis.tellKiosk(JSON.stringify(message));
let placeId = null;
/** Of the notifications that were said aloud. */
let lastAlertId = 0;
/** Timers, by card. */
const guards = new WeakMap();

globalThis.draw = ({ isAgentThere, home, place, badge, notifications, questions }) => {
  const host = place?.host ?? new URL(home).host;
  byId("place").textContent = host;
  byId("home").hidden = place?.host === undefined;
  byId("agent").textContent = isAgentThere ? "" : "Notifications are away for a moment";
  byId("badge").hidden = badge === "";
  byId("badge").lastChild.textContent = badge;
  drawList(byId("questions"), questions, ({ key }) => key, questionCard);
  drawList(byId("notifications"), notifications, JSON.stringify, notificationCard);
  byId("tray").hidden = questions.length + notifications.length === 0;
  sayNew(notifications, questions);
  if (place === null || place.id === placeId) return;
  placeId = place.id;
  byId("frame").src = place.url;
};

byId("home").addEventListener("click", () => tell({ type: "home" }));
tell({ type: "ready" });

/** Keeps the cards that are there already, with the focus in them. */
function drawList(list, items, keyOf, newCard) {
  const before = [...list.children];
  const known = new Map(before.map((card) => [card.dataset.key, card]));
  const cards = items.map((item) => known.get(keyOf(item)) ?? keyed(newCard(item), keyOf(item)));
  const gone = before.filter((card) => !cards.includes(card));
  const hadFocus = gone.some((card) => card.contains(document.activeElement));
  for (const card of gone) card.remove();
  cards.forEach((card, index) => {
    if (list.children[index] !== card) list.insertBefore(card, list.children[index] ?? null);
    if (before[index] !== card && card.matches(".question")) guard(card);
  });
  if (hadFocus) byId("tray-title").focus();
}

function keyed(card, key) {
  card.dataset.key = key;
  return card;
}

/** For a moment it takes no answer. */
function guard(card) {
  const buttons = [...card.querySelectorAll("button")];
  for (const button of buttons) button.disabled = true;
  clearTimeout(guards.get(card));
  const end = () => {
    for (const button of buttons) button.disabled = false;
  };
  guards.set(card, setTimeout(end, GUARD_MS));
}

function questionCard({ key, owner, host }) {
  const card = element("li", "card question");
  const answer = (more) => ({ type: "answer", key, ...more });
  if (host === undefined) {
    card.append(
      element("p", "title", "May this app show notifications?"),
      element("p", "owner", nameOf(owner)),
    );
    card.append(
      row(
        button("Allow", answer({ permission: "granted" })),
        button("Not now", answer({ permission: "prompt" })),
        button("Never", answer({ permission: "denied" })),
      ),
    );
  } else {
    card.append(element("p", "title", "Open a page elsewhere?"), element("p", "owner", host));
    card.append(element("p", "body", `A notification of ${nameOf(owner)} leads there.`));
    card.append(
      row(button("Open", answer({ allowed: true })), button("Stay here", answer({ allowed: false }))),
    );
  }
  return card;
}

function notificationCard({ notificationId, owner, title, body, actions }) {
  const card = element("li", "card notification");
  const open = button("", { type: "activate", notificationId, action: "" }, "open");
  open.append(element("span", "title", title), element("span", "body", body));
  const close = button("×", { type: "dismiss", notificationId }, "close");
  close.setAttribute("aria-label", `Close: ${title}`);
  card.append(element("p", "owner", nameOf(owner)), open);
  const choices = actions.map(({ action, title }) =>
    button(title, { type: "activate", notificationId, action }),
  );
  if (choices.length > 0) card.append(row(...choices));
  card.append(close);
  return card;
}

/** For those who do not see it come. */
function sayNew(notifications, questions) {
  const fresh = notifications.filter(({ alertId }) => alertId !== null && alertId > lastAlertId);
  lastAlertId = Math.max(lastAlertId, ...fresh.map(({ alertId }) => alertId));
  const texts = fresh.map(({ title, body }) => `${title}. ${body}`);
  if (questions.length > 0) texts.push("A question waits for your answer.");
  const text = texts.join(" ");
  if (byId("said").textContent !== text) byId("said").textContent = text;
}

/** Who it is, as the agent knows: never from the message. */
function nameOf(owner) {
  return owner.replace(/^https?:\/\//, "");
}

/** @param {object} message what pressing it says */
function button(text, message, className = "") {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", () => tell(message));
  return made;
}

function row(...children) {
  const made = element("div", "row");
  made.append(...children);
  return made;
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  made.dir = "auto";
  return made;
}
