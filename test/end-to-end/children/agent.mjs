// SPDX-License-Identifier: MIT
// A user agent with apps in a process of its own. Its options come as JSON in the first argument, requests over the IPC
// channel; what happens goes out as JSON lines on stdout. Each line is written synchronously before the handler goes on,
// so a line that was read happened, and one that was not read did not, even when the process is killed in between.

import { writeSync } from "node:fs";
import { createUserAgent } from "../../../dist/index.js";

const options = JSON.parse(process.argv[2]);
let delivered = 0;

const userAgent = await createUserAgent({
  serviceUrl: options.serviceUrl,
  stateDirectory: options.stateDirectory,
  ca: options.ca,
  permission: () => options.permission ?? "granted",
  deviceKey: options.deviceKey === undefined ? null : Buffer.from(options.deviceKey, "hex"),
  // What is sent here is numbers by the hundred.
  silentPushMax: () => null,
  windowS: options.windowS ?? 0,
  ...(options.mqttUrls === undefined ? {} : { mqttUrls: options.mqttUrls }),
  onReport: (report) => write({ event: "report", ...report }),
  display: {
    show: (shown) => write({ event: "show", ...shown }),
    close: () => {},
    setBadge: () => {},
    openUrl: () => {},
  },
});

for (const owner of options.owners) {
  const app = userAgent.app(owner);
  app.onpush = (event) => handle(owner, event);
  app.onpushsubscriptionchange = ({ oldSubscription, newSubscription }) =>
    write({ event: "change", owner, oldSubscription, newSubscription });
}

const requests = {
  subscribe: ({ owner, init }) => userAgent.app(owner).pushManager.subscribe(init),
  getSubscription: ({ owner, waToken }) => userAgent.app(owner).pushManager.getSubscription(waToken ?? null),
  unsubscribe: async ({ owner, waToken }) =>
    (await userAgent.app(owner).pushManager.getSubscription(waToken ?? null))?.unsubscribe() ?? false,
  status: () => userAgent.status(),
  close: () => userAgent.close(),
  // Of what was preloaded, if anything.
  ...globalThis.moreRequests,
};

process.on("message", async ({ id, type, ...members }) => {
  try {
    write({ event: "answer", id, result: (await requests[type](members)) ?? null });
  } catch (error) {
    write({
      event: "answer",
      id,
      error: { name: error.name, code: error.godwitCode ?? error.code, message: error.message },
    });
  }
  if (type === "close") process.disconnect();
});
// Whoever started us is gone: nobody would end us any more.
process.on("disconnect", () => process.exit());
write({ event: "ready" });

function handle(owner, { messageId, redelivered, data, notification }) {
  const text = notification === null ? (data?.text() ?? null) : notification.title;
  write({ event: "push", owner, messageId, redelivered, text });
  delivered++;
  // The hardest moment to die: the app has the message, and nobody was told.
  if (delivered === options.dieAt) process.kill(process.pid, "SIGKILL");
  if (options.fails === true) throw new Error("the app failed");
  if (options.hangs === true) return new Promise(() => {});
  return options.isSlow === true ? new Promise((resolve) => setImmediate(resolve)) : undefined;
}

function write(line) {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
