// SPDX-License-Identifier: MIT
/**
 * The page's end of the app socket: says hello with the code of the link or the session behind it, comes back by itself, and
 * pairs answers with requests. Nothing runs while it is connected, nor while nobody looks at the page.
 */

import { proofOf } from "../apps/proof.ts";
import { type AdminEvent, APP_PATH, APP_SUBPROTOCOL, CLOSE_REFUSED } from "../apps/protocol.ts";
import { DASHBOARD_RETRY_MS_MAX, DASHBOARD_RETRY_MS_MIN } from "../limits.ts";

/** "ended": only a new link helps. "closed": the agent is not there; it is tried again. */
export type ConnectionState = "connecting" | "open" | "closed" | "ended";

export interface ConnectionListener {
  handleState(state: ConnectionState): void;
  handleEvent(event: AdminEvent): void;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

const SESSION = "godwit.session";

export class AgentConnection {
  readonly #listener: ConnectionListener;
  readonly #waiting = new Map<number, Waiting>();
  #socket: WebSocket | null = null;
  #code: string | null = null;
  #lastId = 0;
  #failures = 0;
  #isEnded = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(listener: ConnectionListener) {
    this.#listener = listener;
  }

  /** Begins. Also call it for a new link opened in the same tab. */
  start(): void {
    this.#takeCode();
    addEventListener("hashchange", () => {
      if (this.#takeCode()) this.#dial();
    });
    // A page that nobody sees does not try; it does as soon as somebody does.
    document.addEventListener("visibilitychange", () => {
      if (this.#socket !== null || this.#isEnded) return;
      if (document.hidden) clearTimeout(this.#timer);
      else this.#dial();
    });
    this.#dial();
  }

  /** @throws {Error} with the agent's message, or when there is no connection */
  request(type: string, members: object = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) return reject(new Error("the agent is not connected"));
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ ...members, id, type }));
    });
  }

  /** The code works once and does not belong into the history. */
  #takeCode(): boolean {
    const code = new URLSearchParams(location.hash.slice(1)).get("code");
    if (code === null) return false;
    this.#code = code;
    history.replaceState(null, "", location.pathname);
    return true;
  }

  #dial(): void {
    clearTimeout(this.#timer);
    const session = sessionStorage.getItem(SESSION);
    this.#isEnded = this.#code === null && session === null;
    if (this.#isEnded) return this.#listener.handleState("ended");
    this.#listener.handleState("connecting");
    const socket = new WebSocket(`ws://${location.host}${APP_PATH}`, APP_SUBPROTOCOL);
    this.#drop(socket);
    socket.onopen = () => {
      const hello =
        this.#code === null
          ? this.#enterAgain(session ?? "", socket)
          : this.request("hello", { role: "admin", code: this.#code });
      hello.then(
        (result) => this.#handleHello((result as { session?: string }).session ?? null),
        // Refused, or gone: the socket closes.
        () => {},
      );
    };
    socket.onmessage = ({ data }) => this.#handleMessage(JSON.parse(String(data)));
    socket.onclose = ({ code }) => {
      this.#drop(null);
      this.#failures++;
      if (code !== CLOSE_REFUSED) return this.#handleClosed();
      // A link that was used already, while the session it was used for may still be good.
      if (this.#code === null) sessionStorage.removeItem(SESSION);
      this.#code = null;
      this.#dial();
    };
  }

  /** Proves that we have the session without telling it: who listens at this port now may be somebody else. */
  async #enterAgain(session: string, socket: WebSocket): Promise<unknown> {
    const { challenge } = (await this.request("challenge")) as { challenge: string };
    const [claims, key] = session.split(/\.(?=[^.]*$)/);
    const proof = await proofOf(key ?? "", challenge, location.origin);
    if (this.#socket !== socket) throw new Error("meanwhile there is another connection");
    return this.request("hello", { role: "admin", claims, proof });
  }

  /** Ends what there was, with every request on it; `socket` takes its place. */
  #drop(socket: WebSocket | null): void {
    const before = this.#socket;
    this.#socket = socket;
    if (before !== null) {
      before.onopen = before.onmessage = before.onclose = null;
      before.close();
    }
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new Error("the connection to the agent was lost"));
  }

  #handleHello(session: string | null): void {
    if (session !== null) sessionStorage.setItem(SESSION, session);
    this.#code = null;
    this.#failures = 0;
    this.#listener.handleState("open");
  }

  #handleClosed(): void {
    this.#listener.handleState("closed");
    if (document.hidden) return;
    const delayMs = Math.min(DASHBOARD_RETRY_MS_MIN * 2 ** (this.#failures - 1), DASHBOARD_RETRY_MS_MAX);
    this.#timer = setTimeout(() => this.#dial(), delayMs);
  }

  #handleMessage(message: {
    readonly id?: number;
    readonly result?: unknown;
    readonly error?: { readonly message: string };
  }): void {
    if (message.id === undefined) return this.#listener.handleEvent(message as unknown as AdminEvent);
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error === undefined) waiting?.resolve(message.result);
    else waiting?.reject(new Error(message.error.message));
  }
}
