// SPDX-License-Identifier: MIT
/** What a page does to have push; the test calls `push`. Each scope has a service worker, and so a subscription, of its own. */

/** @param key the sender's, base64url, or null for a subscription that anybody may send to */
async function subscribe(scope, key) {
  const registration = await navigator.serviceWorker.register("/worker.js", { scope });
  await activated(registration);
  const options = { userVisibleOnly: true, ...(key === null ? {} : { applicationServerKey: key }) };
  return registration.pushManager.subscribe(options);
}

/** What it has now, or null. */
async function subscription(scope) {
  const registration = await navigator.serviceWorker.getRegistration(scope);
  return registration.pushManager.getSubscription();
}

async function unsubscribe(scope) {
  return (await subscription(scope)).unsubscribe();
}

globalThis.push = { subscribe, subscription, unsubscribe };

function activated(registration) {
  const worker = registration.installing ?? registration.waiting ?? registration.active;
  return new Promise((resolve) => {
    const look = () => worker.state === "activated" && resolve();
    worker.addEventListener("statechange", look);
    look();
  });
}
