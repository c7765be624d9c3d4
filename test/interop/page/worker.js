// SPDX-License-Identifier: MIT
/** A service worker that shows what it gets, and tells the page's server. */

const { pathname: scope } = new URL(registration.scope);

addEventListener("push", (event) => {
  const text = event.data?.text() ?? null;
  event.waitUntil(registration.showNotification(text ?? "empty").then(() => report({ type: "push", text })));
});

addEventListener("pushsubscriptionchange", (event) =>
  event.waitUntil(report({ type: "change", text: null })),
);

function report(members) {
  return fetch("/reports", { method: "POST", body: JSON.stringify({ scope, ...members }) });
}
