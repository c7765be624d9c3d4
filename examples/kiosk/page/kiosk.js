// SPDX-License-Identifier: MIT
/* The kiosk's page: an ordinary web page that subscribes to push messages. What Godwit adds to it is the first import. */

import { connect, install } from "/godwit-apps.js";

/** What there is to say, by what the person decided and whether there is a subscription. */
const STATES = {
  off: "Notices are off.",
  on: "Notices are on.",
  denied: "This kiosk does not allow notices.",
  outside: "Notices work in the kiosk only.",
};

/** By the agent, since this document was loaded. */
let wasAccepted = false;
const byId = (id) => document.getElementById(id);
const { applicationServerKey } = await (await fetch("/settings.json")).json();
showPlace();
if ("godwit" in globalThis) await start();
else show("outside");

async function start() {
  const app = connect();
  // Gives this page window.pushManager, where the browser has none of its own.
  install(app);
  // The subscription was replaced, or a person ended it elsewhere.
  app.onpushsubscriptionchange = refresh;
  byId("on").addEventListener("click", () => attempt(subscribe));
  byId("off").addEventListener("click", () => attempt(unsubscribe));
  // Who reads the notices has seen them.
  if (location.pathname === "/notices") app.clearAppBadge().catch(() => {});
  await attempt(refresh);
}

async function subscribe() {
  byId("state").textContent = "Please answer the question of the kiosk.";
  await window.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
}

async function unsubscribe() {
  await (await window.pushManager.getSubscription())?.unsubscribe();
}

/** Does it, and says how things are then, or why it failed. */
async function attempt(action) {
  for (const id of ["on", "off"]) byId(id).disabled = true;
  let failure = null;
  try {
    await action();
  } catch (error) {
    failure = error;
  }
  try {
    await refresh();
  } catch (error) {
    failure = error;
  }
  // It was uninstalled at the agent meanwhile, as if it had never been there.
  if (failure?.godwitCode === "ERR_APP_AUTH" && wasAccepted) return location.reload();
  for (const id of ["on", "off"]) byId(id).disabled = false;
  // A person who said no knows it.
  if (failure !== null && failure.name !== "NotAllowedError")
    byId("state").textContent = `That did not work: ${failure.message}.`;
}

async function refresh() {
  const permission = await window.pushManager.permissionState();
  const subscription = await window.pushManager.getSubscription();
  wasAccepted = true;
  show(subscription !== null ? "on" : permission === "denied" ? "denied" : "off");
  // The application's server has to know where to send, or that there is nowhere.
  await fetch("/subscription", { method: "PUT", body: JSON.stringify(subscription) });
}

function show(state) {
  byId("state").textContent = STATES[state];
  byId("on").hidden = state !== "off";
  byId("off").hidden = state !== "on";
}

function showPlace() {
  const articles = [...document.querySelectorAll("article")];
  const here = articles.find((article) => article.dataset.path === location.pathname) ?? articles[0];
  for (const article of articles) article.hidden = article !== here;
  for (const link of document.querySelectorAll("nav a"))
    if (link.pathname === here.dataset.path) link.setAttribute("aria-current", "page");
}
