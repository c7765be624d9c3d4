// SPDX-License-Identifier: MIT
/** A peer of the app socket that keeps to nothing but WebSocket: says what a test tells it to, and keeps what it hears. No tests here. */

import { createHmac } from "node:crypto";
import { once } from "node:events";
import type { ClientRequest, IncomingMessage } from "node:http";
import { connect } from "node:net";
import { WebSocket } from "ws";
import { APP_PATH, APP_SUBPROTOCOL } from "../../src/apps/protocol.ts";

/** Nothing waited for takes nearly this long; it only makes a failure readable. */
const WAIT_MS_MAX = 20_000;

/** As SPEC.md has it, and not by the code under test. */
export function proofOf(key: string, challenge: string, agentOrigin: string): string {
  return createHmac("sha256", key).update(`${challenge}\0${agentOrigin}`).digest("base64url");
}

export type Message = Readonly<Record<string, unknown>>;

export interface DialOptions {
  /** Of the Unix socket, or the port of loopback. */
  readonly at: string | number;
  readonly host?: string;
  readonly origin?: string;
  /** Default: the app socket's. */
  readonly path?: string;
  readonly subprotocol?: string;
}

/** How a connection ended. */
export interface End {
  readonly closeCode: number;
}

export class SocketClient {
  readonly webSocket: WebSocket;
  /** Everything that came, as text. */
  readonly heard: string[] = [];
  readonly closed: Promise<End>;
  readonly #waiting = new Set<() => void>();
  #isOver = false;
  #lastId = 0;

  private constructor(webSocket: WebSocket) {
    this.webSocket = webSocket;
    webSocket.on("message", (data) => {
      this.heard.push(String(data));
      for (const look of [...this.#waiting]) look();
    });
    webSocket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      webSocket.on("close", (closeCode) => {
        this.#isOver = true;
        resolve({ closeCode });
        for (const look of [...this.#waiting]) look();
      });
    });
  }

  /** Connects; resolves with the status of the refusal when there is one. */
  static async dial(options: DialOptions): Promise<SocketClient | number> {
    const { at, host, origin, path = APP_PATH, subprotocol = APP_SUBPROTOCOL } = options;
    const headers = {
      ...(host === undefined ? {} : { Host: host }),
      ...(origin === undefined ? {} : { Origin: origin }),
    };
    const webSocket = new WebSocket(
      `ws://127.0.0.1${typeof at === "number" ? `:${at}` : ""}${path}`,
      subprotocol,
      {
        headers,
        perMessageDeflate: false,
        ...(typeof at === "string" ? { createConnection: () => connect(at) } : {}),
      },
    );
    const client = new SocketClient(webSocket);
    return new Promise((resolve, reject) => {
      webSocket.once("open", () => resolve(client));
      webSocket.once("unexpected-response", (request: ClientRequest, response: IncomingMessage) => {
        request.destroy();
        resolve(response.statusCode ?? 0);
      });
      webSocket.once("error", reject);
    });
  }

  /** Connects, and says hello. @throws when either is refused */
  static async enter(options: DialOptions, hello: Message): Promise<SocketClient> {
    const client = await SocketClient.dial(options);
    if (typeof client === "number") throw new Error(`refused with ${client}`);
    await client.ask("hello", hello);
    return client;
  }

  /** Enters as the page of `dial.origin` that has this secret. @throws when it is refused */
  static async enterPage(dial: DialOptions, secret: unknown): Promise<SocketClient> {
    const client = await SocketClient.dial(dial);
    if (typeof client === "number") throw new Error(`refused with ${client}`);
    await client.ask(
      "hello",
      await client.pageHello(dial.origin ?? "", secret, `http://127.0.0.1:${dial.at}`),
    );
    return client;
  }

  /** What the page of `owner` says, once it was challenged, to the agent it dialled at `agentOrigin`. */
  async pageHello(owner: string, secret: unknown, agentOrigin: string): Promise<Message> {
    return { role: "page", owner, proof: await this.#proof(String(secret), agentOrigin) };
  }

  /** What a page of `origin` proves a dashboard's session with, once it was challenged. */
  async sessionHello(session: string, origin: string): Promise<Message> {
    const [claims, key = ""] = session.split(/\.(?=[^.]*$)/);
    return { role: "admin", claims, proof: await this.#proof(key, origin) };
  }

  async #proof(key: string, agentOrigin: string): Promise<string> {
    const { challenge } = await this.ask("challenge");
    return proofOf(key, String(challenge), agentOrigin);
  }

  say(message: unknown): void {
    this.webSocket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** @throws {Error} with `code` and `name` as answered */
  async ask(type: string, members: Message = {}): Promise<Message> {
    const id = ++this.#lastId;
    this.say({ ...members, id, type });
    const answer = await this.first(`the answer to ${type}`, (message) => message.id === id);
    const { result, error } = answer as {
      readonly result?: Message;
      readonly error?: { readonly message: string };
    };
    if (error !== undefined) throw Object.assign(new Error(error.message), error);
    return result ?? {};
  }

  /** What the first request, its hello, was answered with. */
  async firstResult(): Promise<Message> {
    return (await this.first("an answer", ({ result }) => result !== undefined)).result as Message;
  }

  get messages(): Message[] {
    return this.heard.map((text) => JSON.parse(text) as Message);
  }

  events(event: string): Message[] {
    return this.messages.filter((message) => message.event === event);
  }

  /** The `nth` event of that kind (from 1) that `isIt` takes. */
  event(event: string, isIt: (message: Message) => boolean = () => true, nth = 1): Promise<Message> {
    return this.#until(`event ${event}`, () => this.events(event).filter(isIt)[nth - 1]);
  }

  first(what: string, isIt: (message: Message) => boolean): Promise<Message> {
    return this.#until(what, () => this.messages.find(isIt));
  }

  async close(): Promise<void> {
    if (this.webSocket.readyState === WebSocket.CLOSED) return;
    this.webSocket.close();
    await once(this.webSocket, "close");
  }

  #until<T>(what: string, find: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (done: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        done();
      };
      const look = (): void => {
        const found = find();
        if (found !== undefined) settle(() => resolve(found));
        else if (this.#isOver) settle(() => reject(new Error(`closed before ${what}`)));
      };
      const timer = setTimeout(
        () => settle(() => reject(new Error(`time is up before ${what}`))),
        WAIT_MS_MAX,
      );
      this.#waiting.add(look);
      look();
    });
  }
}
