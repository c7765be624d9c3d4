// SPDX-License-Identifier: MIT
/** The agent's app socket in the role shell (SPEC.md, "App socket"): requests, events, and coming back when the agent was away. */

import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { WebSocket } from "ws";

const BACKOFF_MS_MIN = 250;
const BACKOFF_MS_MAX = 5_000;
const OPEN_MS_MAX = 10_000;
const HELLO_ID = 0;

export class ShellSocket {
  #stateDirectory;
  #handlers;
  #socket = null;
  #isOpen = false;
  #isClosed = false;
  #timer = null;
  #backoffMs = BACKOFF_MS_MIN;
  #lastId = HELLO_ID;
  #requests = new Map();

  /**
   * @param {string} stateDirectory the agent's: it has the socket, and the token that only its user can read
   * @param {{onOpen: () => void, onEvent: (event: any) => void, onLost: () => void}} handlers after `onOpen` everything that is
   *   shown, set or asked comes as events
   */
  constructor(stateDirectory, handlers) {
    this.#stateDirectory = stateDirectory;
    this.#handlers = handlers;
    this.#dial();
  }

  /** @returns {Promise<any>} what the agent answers with; rejects with its `code` */
  request(type, members = {}) {
    if (!this.#isOpen) return Promise.reject(new Error("the agent is away"));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { resolve, reject });
      this.#send({ id, type, ...members });
    });
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#socket.close();
  }

  #dial() {
    const socket = new WebSocket("ws://localhost/v1/app", "godwit.app.v1", {
      createConnection: () => connect(join(this.#stateDirectory, "app.sock")),
      perMessageDeflate: false,
      handshakeTimeout: OPEN_MS_MAX,
    });
    this.#socket = socket;
    socket.on("open", () => this.#greet());
    socket.on("message", (data) => this.#handle(JSON.parse(data.toString())));
    // `close` follows, and does the rest.
    socket.on("error", () => {});
    socket.on("close", () => this.#handleLost());
  }

  #greet() {
    try {
      // Read each time: an agent that was set up anew has another one.
      const token = readFileSync(join(this.#stateDirectory, "shell.token"), "utf8").trim();
      this.#send({ id: HELLO_ID, type: "hello", role: "shell", token });
    } catch {
      this.#socket.close();
    }
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #handle({ id, result, error, ...event }) {
    if (event.event !== undefined) return this.#handlers.onEvent(event);
    if (id === HELLO_ID) {
      // A refusal: the agent closes, and the next try reads the token again.
      if (error !== undefined) return;
      this.#isOpen = true;
      this.#backoffMs = BACKOFF_MS_MIN;
      return this.#handlers.onOpen();
    }
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    if (error === undefined) request?.resolve(result);
    else request?.reject(Object.assign(new Error(error.message), { code: error.code }));
  }

  #handleLost() {
    for (const { reject } of this.#requests.values()) reject(new Error("the agent is away"));
    this.#requests.clear();
    const wasOpen = this.#isOpen;
    this.#isOpen = false;
    if (wasOpen) this.#handlers.onLost();
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.#dial(), this.#backoffMs);
    this.#backoffMs = Math.min(2 * this.#backoffMs, BACKOFF_MS_MAX);
  }
}
