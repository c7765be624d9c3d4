// SPDX-License-Identifier: MIT
/**
 * An app's connection to the app socket (SPEC.md, "App socket"): hello, requests and their answers, coming back. Knows nothing of
 * push; nothing of a runtime but timers and the WebSocket class it is given.
 */

import {
  APP_BACKOFF_BASE_MS,
  APP_BACKOFF_CAP_MS,
  APP_OPEN_TIMEOUT_MS,
  APP_REQUEST_CHARS_MAX,
  APP_REQUEST_TRIES_MAX,
  APP_REQUEST_WAIT_MS,
  APP_REQUESTS_MAX,
  APP_STABLE_MS,
} from "../limits.ts";
import { appError } from "./errors.ts";
import { proofOf } from "./proof.ts";
import {
  type Answer,
  APP_SUBPROTOCOL,
  type AppEvent,
  type ChallengeRequest,
  CLOSE_REFUSED,
} from "./protocol.ts";

/** What is used of a WebSocket, the platform's or that of the package `ws`. */
export interface WebSocketLike {
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  onerror: ((event: never) => unknown) | null;
  send(text: string): void;
  close(): void;
}
export type WebSocketClass = new (url: string, subprotocol: string) => WebSocketLike;

/** Who the app is, and where the agent. `token` is the app's token, or the page's secret, which is never sent: neither into a log. */
export interface Credential {
  readonly url: string;
  readonly owner: string;
  readonly token: string;
}

/** What is new about a credential that was refused; null for nothing. */
export type Renew = (refused: Credential) => Partial<Credential> | null | Promise<Partial<Credential> | null>;

export interface ConnectionOptions {
  readonly credential: Credential;
  readonly role: "app" | "page";
  readonly WebSocket: WebSocketClass;
  /** Asked once after a refusal. */
  readonly renew: Renew;
  /** A number in [0, 1). */
  readonly jitter: () => number;
  /** True while a connection is wanted even though nothing waits for an answer. */
  readonly isWanted: () => boolean;
  /** `hello` was answered: what is said here is said before everything that waits. */
  readonly handleOpen: () => void;
  readonly handleLost: () => void;
  readonly handleEvent: (event: AppEvent) => void;
}

interface Request {
  readonly text: string;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
  /** Connections it may still be asked on: one where asking twice would do it twice. */
  triesLeft: number;
  isSent: boolean;
  /** While it waits for a connection. */
  timer: Timer | undefined;
}

type Timer = ReturnType<typeof setTimeout>;

/** "ended" is for good: closed by the app, or refused by the agent. */
type State = "idle" | "opening" | "open" | "waiting" | "renewing" | "ended";

/** Also of the challenge before it. */
const HELLO_ID = 0;

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #requests = new Map<number, Request>();
  #credential: Credential;
  #state: State = "idle";
  #socket: WebSocketLike | null = null;
  /** The open time-out, or the wait before the next try. */
  #timer: Timer | undefined;
  #openedMs = 0;
  #failures = 0;
  #lastId = HELLO_ID;
  /** A fresh credential was asked for since the last `hello` that was accepted. */
  #isRenewed = false;
  #endedBy: unknown = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#credential = options.credential;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  get isEnded(): boolean {
    return this.#state === "ended";
  }

  /** Makes a connection now, unless there is one or one is being made; after a loss also before its time. */
  open(): void {
    if (this.#state === "idle" || this.#state === "waiting") this.#dial();
  }

  /** Like {@link open}, but only for somebody who waits for it: something happened that makes success likely. */
  hurry(): void {
    if (this.#state === "waiting") this.#dial();
  }

  /**
   * The result of a request; it waits for a connection when there is none.
   *
   * @throws {AppError} as the agent answered; ERR_OPTION when it is too large; ERR_APP_CONNECTION when it could not be asked in time, or the answer was lost
   *   and asking again could do it twice; ERR_APP_AUTH when the agent refuses this app
   */
  request<Result>(type: string, members: object, isRepeatable: boolean): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      if (this.#state === "ended") throw this.#endedBy;
      if (this.#requests.size >= APP_REQUESTS_MAX)
        throw appError("ERR_APP_CONNECTION", "too many requests are unanswered");
      const id = ++this.#lastId;
      const text = JSON.stringify({ ...members, id, type });
      // The agent would end the connection, and with it what others wait for.
      if (text.length > APP_REQUEST_CHARS_MAX) throw appError("ERR_OPTION", "the request is too large");
      const triesLeft = isRepeatable ? APP_REQUEST_TRIES_MAX : 1;
      const request = { text, resolve, reject, triesLeft, isSent: false, timer: undefined };
      this.#requests.set(id, request);
      if (this.isOpen) this.#send(request);
      else this.#wait(id, request);
      if (this.#state === "idle") this.#dial();
    });
  }

  /** Says something whose answer does not matter, if there is a connection. */
  tell(type: string, members: object): void {
    if (this.isOpen) this.#socket?.send(JSON.stringify({ ...members, id: ++this.#lastId, type }));
  }

  /** For good: what is unanswered is rejected with `reason`, and so is every later request. */
  end(reason: unknown): void {
    if (this.#state === "ended") return;
    const socket = this.#socket;
    this.#socket = null;
    this.#become("ended");
    this.#endedBy = reason;
    socket?.close();
    for (const id of [...this.#requests.keys()]) this.#take(id)?.reject(reason);
    this.#options.handleLost();
  }

  // --- one try -------------------------------------------------------------------------------------------------------

  #dial(): void {
    this.#become("opening");
    const { role, WebSocket } = this.#options;
    const { url, owner, token } = this.#credential;
    let socket: WebSocketLike;
    try {
      socket = new WebSocket(url, APP_SUBPROTOCOL);
    } catch (error) {
      // A URL that is none, or one the platform's policy forbids: it will not be another one next time.
      return this.end(error);
    }
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#drop(socket), APP_OPEN_TIMEOUT_MS);
    socket.onopen = () =>
      this.#greet(socket, role === "page" ? { type: "challenge" } : { type: "hello", role, owner, token });
    socket.onmessage = ({ data }: { data: unknown }) => {
      if (socket === this.#socket) this.#receive(socket, data);
    };
    socket.onclose = ({ code }: { code: number }) => {
      if (socket === this.#socket) this.#handleClosed(code === CLOSE_REFUSED);
    };
    // `close` follows and says the same; but an error event without listener ends a process.
    socket.onerror = () => {};
  }

  /** It does not keep to the protocol, takes too long, or says no. */
  #drop(socket: WebSocketLike, isRefused = false): void {
    this.#handleClosed(isRefused);
    socket.close();
  }

  #receive(socket: WebSocketLike, data: unknown): void {
    const message = parse(data);
    if (message === null) return this.#drop(socket);
    if ("event" in message) {
      if (this.isOpen) this.#options.handleEvent(message);
      return;
    }
    if (message.id === HELLO_ID && this.#state === "opening") {
      if (!("result" in message)) return this.#drop(socket, message.error.code === "ERR_APP_AUTH");
      const { challenge } = (message.result ?? {}) as Partial<ChallengeRequest["result"]>;
      return challenge === undefined ? this.#handleHello() : void this.#prove(socket, challenge);
    }
    const request = message.id === null ? null : this.#take(message.id);
    if (request === null) return;
    if ("result" in message) return request.resolve(message.result as never);
    const { code, message: text, name } = message.error;
    request.reject(appError(code, text, name));
  }

  /** Anybody may have taken the port while the agent was away: what is said here is of use to nobody else. */
  async #prove(socket: WebSocketLike, challenge: string): Promise<void> {
    const { url, owner, token } = this.#credential;
    try {
      const proof = await proofOf(token, challenge, `http://${new URL(url).host}`);
      this.#greet(socket, { type: "hello", role: "page", owner, proof });
    } catch {
      // It will not be a secure context next time either.
      this.end(appError("ERR_CONFIG", "there is no crypto.subtle here"));
    }
  }

  #greet(socket: WebSocketLike, hello: object): void {
    if (socket === this.#socket) socket.send(JSON.stringify({ id: HELLO_ID, ...hello }));
  }

  #handleHello(): void {
    this.#become("open");
    this.#openedMs = performance.now();
    this.#isRenewed = false;
    this.#options.handleOpen();
    for (const request of this.#requests.values()) {
      clearTimeout(request.timer);
      // Opening may have asked for something, which is sent.
      if (!request.isSent) this.#send(request);
    }
  }

  #send(request: Request): void {
    request.isSent = true;
    request.triesLeft--;
    this.#socket?.send(request.text);
  }

  // --- coming back ---------------------------------------------------------------------------------------------------

  #handleClosed(isRefused: boolean): void {
    const wasStable = this.isOpen && performance.now() - this.#openedMs >= APP_STABLE_MS;
    this.#failures = wasStable ? 0 : this.#failures + 1;
    this.#socket = null;
    this.#become("waiting");
    for (const [id, request] of this.#requests) if (request.isSent) this.#handleUnanswered(id, request);
    this.#options.handleLost();
    // What is told about the loss may have ended it, or asked for more.
    if (this.#state !== "waiting") return;
    if (isRefused) return void this.#renew();
    if (this.#requests.size === 0 && !this.#options.isWanted()) return this.#become("idle");
    const delayMs = Math.min(APP_BACKOFF_CAP_MS, APP_BACKOFF_BASE_MS * 1.5 ** this.#failures);
    this.#timer = setTimeout(() => this.#dial(), delayMs * this.#options.jitter());
  }

  #handleUnanswered(id: number, request: Request): void {
    request.isSent = false;
    if (request.triesLeft > 0) this.#wait(id, request);
    else this.#take(id)?.reject(appError("ERR_APP_CONNECTION", "the connection was lost before the answer"));
  }

  async #renew(): Promise<void> {
    const refused = appError("ERR_APP_AUTH", "the agent refused this app");
    if (this.#isRenewed) return this.end(refused);
    this.#isRenewed = true;
    this.#become("renewing");
    let fresh: Partial<Credential> | null = null;
    try {
      fresh = await this.#options.renew(this.#credential);
    } catch {
      // Nothing new then.
    }
    if (this.#state !== "renewing") return;
    if (fresh === null) return this.end(refused);
    this.#credential = { ...this.#credential, ...fresh };
    this.#dial();
  }

  #wait(id: number, request: Request): void {
    request.timer = setTimeout(() => {
      const error = appError("ERR_APP_CONNECTION", "the agent could not be reached in time");
      this.#take(id)?.reject(error);
    }, APP_REQUEST_WAIT_MS);
  }

  #take(id: number): Request | null {
    const request = this.#requests.get(id) ?? null;
    this.#requests.delete(id);
    clearTimeout(request?.timer);
    return request;
  }

  #become(state: State): void {
    this.#state = state;
    clearTimeout(this.#timer);
  }
}

/** An answer or event as it came; null for what is neither. Its members are the agent's, whom an app has to trust. */
function parse(data: unknown): Answer | AppEvent | null {
  try {
    const message: unknown = typeof data === "string" ? JSON.parse(data) : null;
    if (typeof message !== "object" || message === null) return null;
    return "event" in message || "id" in message ? (message as Answer | AppEvent) : null;
  } catch {
    return null;
  }
}
