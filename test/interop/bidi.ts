// SPDX-License-Identifier: MIT
/** As much of WebDriver BiDi as tests need: one session, one page, functions called in it. No tests here. */

import { once } from "node:events";
import { WebSocket } from "ws";

/** Nothing asked for takes nearly this long; it only makes a failure readable. */
const ANSWER_MS_MAX = 60_000;

interface Answer {
  /** Absent in events. */
  readonly id?: number;
  readonly type: "success" | "error" | "event";
  readonly result?: unknown;
  readonly error?: string;
  readonly message?: string;
}

interface Evaluated {
  readonly type: "success" | "exception";
  readonly result?: { readonly value?: string };
  readonly exceptionDetails?: { readonly text: string };
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** A session with a browser, and the page it opened last. */
export class BidiSession {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #context = "";

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data) => this.#answered(JSON.parse(String(data)) as Answer));
    socket.on("close", () => this.#failAll("the browser closed the session"));
  }

  /** @param url what the browser said it listens on */
  static async start(url: string): Promise<BidiSession> {
    const socket = new WebSocket(`${url}/session`, { handshakeTimeout: ANSWER_MS_MAX });
    await once(socket, "open");
    // An error is followed by "close".
    socket.on("error", () => {});
    const session = new BidiSession(socket);
    await session.#ask("session.new", { capabilities: {} });
    const { contexts } = (await session.#ask("browsingContext.getTree", { maxDepth: 0 })) as {
      contexts: readonly { readonly context: string }[];
    };
    session.#context = contexts[0]?.context ?? "";
    return session;
  }

  /** Resolves once the page is loaded. */
  async open(url: string): Promise<void> {
    await this.#ask("browsingContext.navigate", { context: this.#context, url, wait: "complete" });
  }

  /**
   * What `source`, a function as JavaScript, makes of `args` in the page, as if a person had just clicked there. Arguments and
   * result travel as JSON.
   *
   * @throws {Error} with the text of what the function threw
   */
  async call(source: string, ...args: readonly unknown[]): Promise<unknown> {
    const evaluated = (await this.#ask("script.callFunction", {
      functionDeclaration: `async (args) => JSON.stringify((await (${source})(...JSON.parse(args))) ?? null)`,
      arguments: [{ type: "string", value: JSON.stringify(args) }],
      target: { context: this.#context },
      awaitPromise: true,
      userActivation: true,
    })) as Evaluated;
    if (evaluated.type === "exception") throw new Error(evaluated.exceptionDetails?.text);
    return JSON.parse(evaluated.result?.value ?? "null");
  }

  /** Asks the browser to end, in order. */
  async closeBrowser(): Promise<void> {
    await this.#ask("browser.close", {});
  }

  #ask(method: string, params: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      const settle = (done: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        done();
      };
      const timer = setTimeout(
        () => waiting.reject(new Error(`no answer to ${method} in time`)),
        ANSWER_MS_MAX,
      );
      const waiting: Waiting = {
        resolve: (result) => settle(() => resolve(result)),
        reject: (error) => settle(() => reject(error)),
      };
      this.#waiting.set(id, waiting);
      this.#socket.send(JSON.stringify({ id, method, params }), (error) => {
        if (error) waiting.reject(error);
      });
    });
  }

  #answered({ id, type, result, error, message }: Answer): void {
    const waiting = this.#waiting.get(id ?? 0);
    if (type === "success") waiting?.resolve(result);
    else waiting?.reject(new Error(`${error}: ${message}`));
  }

  #failAll(why: string): void {
    for (const { reject } of [...this.#waiting.values()]) reject(new Error(why));
  }
}
