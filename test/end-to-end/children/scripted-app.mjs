// SPDX-License-Identifier: MIT
// An app in a process of its own that does with each message what the message says, good or bad: its payload, or the data of
// its notification, is a list of steps. Bare WebSocket, since a client would not answer twice. What it hears goes out as JSON
// lines on stdout.

import { once } from "node:events";
import { readFileSync, writeSync } from "node:fs";
import { connect } from "node:net";
import { WebSocket } from "ws";

const { GODWIT_OWNER: owner, GODWIT_SOCKET: path, GODWIT_TOKEN_FILE: tokenFile } = process.env;
const write = (line) => writeSync(1, `${JSON.stringify(line)}\n`);
const webSocket = new WebSocket("ws://localhost/v1/app", "godwit.app.v1", {
  createConnection: () => connect(path),
});
let lastId = 0;
/** By request. */
const waiting = new Map();
/** By delivery. */
const cancelled = new Map();

function ask(type, members = {}) {
  const id = ++lastId;
  webSocket.send(JSON.stringify({ id, type, ...members }));
  return new Promise((resolve) => waiting.set(id, resolve));
}

webSocket.on("message", (text) => {
  const message = JSON.parse(text);
  if (message.id !== undefined) return waiting.get(message.id)?.(message);
  if (message.event === "cancel") return cancelled.get(message.deliveryId)?.();
  if (message.event === "push") void follow(message);
});
await once(webSocket, "open");
await ask("hello", { role: "app", owner, token: readFileSync(tokenFile, "utf8").trim() });
await ask("attach", { handlesPush: true });
write({ event: "attached" });

async function follow({ deliveryId, notification, data }) {
  const isCancelled = new Promise((resolve) => cancelled.set(deliveryId, resolve));
  const steps = notification?.data ?? JSON.parse(Buffer.from(data, "base64url").toString());
  write({ event: "push", deliveryId });
  for (const [what, members] of steps) {
    if (what === "die") process.kill(process.pid, "SIGKILL");
    else if (what === "spin") for (;;);
    else if (what === "leave") webSocket.close();
    else if (what === "until cancelled") await isCancelled;
    else {
      const { error } = await ask(what, { deliveryId, ...members });
      write({ event: "answer", deliveryId, what, code: error?.code ?? null });
    }
  }
}
