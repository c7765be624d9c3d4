// SPDX-License-Identifier: MIT
// An installed app as the agent starts it: takes messages at the app socket, each of which says what to do with it. What it was
// given and what it did goes to the file named in its first argument, a JSON line each.

import { appendFileSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { WebSocket } from "ws";

const [, , log, ...args] = process.argv;
const { GODWIT_OWNER: owner, GODWIT_SOCKET: path, GODWIT_TOKEN_FILE: tokenFile } = process.env;
const note = (line) => appendFileSync(log, `${JSON.stringify(line)}\n`);

const variables = Object.keys(process.env).filter((name) => name.startsWith("GODWIT_"));
note({ pid: process.pid, args, variables });

const webSocket = new WebSocket("ws://localhost/v1/app", "godwit.app.v1", {
  createConnection: () => connect(path),
});
let lastId = 0;
const say = (type, members) => webSocket.send(JSON.stringify({ id: ++lastId, type, ...members }));

webSocket.on("open", () => {
  say("hello", { role: "app", owner, token: readFileSync(tokenFile, "utf8").trim() });
  say("attach", { handlesPush: true });
});
webSocket.on("message", (text) => {
  const { event, deliveryId, data } = JSON.parse(text);
  if (event !== "push") return;
  const order = Buffer.from(data, "base64url").toString();
  note({ order });
  if (order === "die") process.kill(process.pid, "SIGKILL");
  say("handled", { deliveryId });
});
