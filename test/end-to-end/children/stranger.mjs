// SPDX-License-Identifier: MIT
// Another user of the machine, who tries what there is to try: files and socket of a state directory, and the loopback port with a
// hello of its own. Run from its text (node -e), for it may not read this file. Writes one JSON object.

import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";

const { state, port, hellos } = JSON.parse(process.argv[1]);

const attempt = (action) => {
  try {
    return void action() ?? "ok";
  } catch ({ code }) {
    return code;
  }
};

const connecting = (path) =>
  new Promise((resolve) => {
    const socket = connect(path, () => resolve("ok"));
    socket.on("error", ({ code }) => resolve(code));
  });

/** A WebSocket by hand: one masked text frame, and whatever comes back as hex. */
const saying = ({ origin, hello }) =>
  new Promise((resolve) => {
    const heard = [];
    const socket = connect(port, "127.0.0.1");
    const head = [
      "GET /v1/app HTTP/1.1",
      `Host: 127.0.0.1:${port}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
      "Sec-WebSocket-Protocol: godwit.app.v1",
      ...(origin === null ? [] : [`Origin: ${origin}`]),
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    const text = Buffer.from(JSON.stringify(hello));
    const length = Buffer.alloc(2);
    length.writeUInt16BE(text.length);
    // A mask of zeros leaves the text as it is.
    socket.write(Buffer.concat([Buffer.of(0x81, 0xfe), length, Buffer.alloc(4), text]));
    socket.on("data", (chunk) => {
      heard.push(chunk);
      // The close frame is the end of it.
      if (chunk.includes(Buffer.of(0x88, 2, 0x11, 0x31))) socket.end();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(Buffer.concat(heard).toString("latin1").split("\r\n\r\n")[1]));
  });

const files = ["admin.token", "shell.token", "page.key", "apps.json", "journal-0", "journal-1"];
console.log(
  JSON.stringify({
    uid: process.getuid(),
    list: attempt(() => readdirSync(state)),
    files: files.map((name) => attempt(() => readFileSync(join(state, name)))),
    socket: await connecting(join(state, "app.sock")),
    heard: await Promise.all(hellos.map(saying)),
  }),
);
process.exit();
