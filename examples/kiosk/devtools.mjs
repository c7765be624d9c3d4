// SPDX-License-Identifier: MIT
/**
 * Chromium, started and spoken to over a pipe (DevTools protocol, --remote-debugging-pipe). A pipe, because a debugging port would
 * let every local program read the page's secret and drive the browser.
 */

import { spawn } from "node:child_process";

/** The browser reads from the first and writes to the second. */
const PIPES = ["pipe", "pipe"];
/** Messages are JSON, each ended by a zero byte. */
const END = 0;
/** What is kept of the browser's own log, to say why it ended. */
const LOG_CHARS_MAX = 2_000;
const CLOSE_MS_MAX = 5_000;

export class DevTools {
  #child;
  #lastId = 0;
  #calls = new Map();
  #listeners = new Map();
  #unread = [];
  #log = "";
  /** Resolves to the end of the browser's log once it is gone, whatever the reason. */
  exited;

  /** @param {string} program  @param {string[]} args */
  constructor(program, args) {
    this.#child = spawn(program, ["--remote-debugging-pipe", ...args], {
      stdio: ["ignore", "ignore", "pipe", ...PIPES],
    });
    const [, , log, input, output] = this.#child.stdio;
    log.on("data", (chunk) => {
      this.#log = `${this.#log}${chunk}`.slice(-LOG_CHARS_MAX);
    });
    output.on("data", (chunk) => this.#read(chunk));
    // The pipes break when the browser ends; `exited` tells that.
    for (const pipe of [input, output]) pipe.on("error", () => {});
    this.exited = new Promise((resolve) => {
      const end = (reason) => {
        for (const { reject } of this.#calls.values()) reject(new Error("the browser is gone"));
        this.#calls.clear();
        resolve(`${reason}\n${this.#log}`.trim());
      };
      this.#child.once("error", (error) => end(error.message));
      this.#child.once("exit", (code, signal) => end(`it ended with ${code ?? signal}`));
    });
  }

  /** Calls a method of the browser, or of the page or frame with that session. @returns {Promise<any>} */
  call(method, params = {}, sessionId = undefined) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  /** One listener for each event. @param {(params: any, sessionId: string | undefined) => void} listener */
  on(event, listener) {
    this.#listeners.set(event, listener);
  }

  /** Ends the browser in order, or else by force. */
  async close() {
    this.call("Browser.close").catch(() => {});
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), CLOSE_MS_MAX);
    await this.exited;
    clearTimeout(timer);
  }

  #read(chunk) {
    let start = 0;
    for (let end = chunk.indexOf(END); end >= 0; end = chunk.indexOf(END, start)) {
      this.#unread.push(chunk.subarray(start, end));
      this.#handle(JSON.parse(Buffer.concat(this.#unread.splice(0)).toString()));
      start = end + 1;
    }
    if (start < chunk.length) this.#unread.push(chunk.subarray(start));
  }

  #handle({ id, result, error, method, params, sessionId }) {
    if (id === undefined) return this.#listeners.get(method)?.(params, sessionId);
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(error.message));
  }
}
