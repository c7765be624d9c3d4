// SPDX-License-Identifier: MIT
/** The agent's end of the app socket, played by a test: connections in memory that open, answer and break when told. No tests here. */

import type { WebSocketClass, WebSocketLike } from "../../src/apps/connection.ts";
import type { AppEvent } from "../../src/apps/protocol.ts";

export interface PlayedRequest {
  readonly id: number;
  readonly type: string;
  readonly [member: string]: unknown;
}

export class PlayedConnection implements WebSocketLike {
  onopen: ((event: never) => unknown) | null = null;
  onmessage: ((event: never) => unknown) | null = null;
  onclose: ((event: never) => unknown) | null = null;
  onerror: ((event: never) => unknown) | null = null;
  readonly url: string;
  readonly subprotocol: string;
  /** Everything the app said, oldest first. */
  readonly requests: PlayedRequest[] = [];
  isClosed = false;

  constructor(url: string, subprotocol: string) {
    this.url = url;
    this.subprotocol = subprotocol;
  }

  send(text: string): void {
    if (this.isClosed) throw new Error("nothing is sent on a closed connection");
    this.requests.push(JSON.parse(text) as PlayedRequest);
  }

  /** The app's side: its own `close` event comes later, as in browsers. */
  close(): void {
    this.isClosed = true;
  }

  // --- what the agent does ---

  /** Opens, and takes the `hello`. */
  accept(): this {
    this.open();
    return this.say({ id: 0, result: {} });
  }

  open(): void {
    this.onopen?.({} as never);
  }

  say(message: object | string): this {
    const data = typeof message === "string" ? message : JSON.stringify(message);
    this.onmessage?.({ data } as never);
    return this;
  }

  event(event: AppEvent): this {
    return this.say(event);
  }

  /** Answers the last request of that type. */
  answer(type: string, result: object): this {
    return this.say({ id: this.last(type).id, result });
  }

  refuse(type: string, code: string, name: string): this {
    return this.say({ id: this.last(type).id, error: { code, name, message: "no" } });
  }

  /** The connection breaks, or is closed with `code`. */
  lose(code = 1006): void {
    this.isClosed = true;
    this.onerror?.({} as never);
    this.onclose?.({ code } as never);
  }

  types(): string[] {
    return this.requests.map(({ type }) => type);
  }

  last(type: string): PlayedRequest {
    const request = this.requests.findLast((candidate) => candidate.type === type);
    if (request === undefined) throw new Error(`${type} was not asked; only ${this.types().join(", ")}`);
    return request;
  }
}

export class PlayedAgent {
  /** Every connection the app made, the present one last. */
  readonly connections: PlayedConnection[] = [];
  readonly WebSocket: WebSocketClass;

  constructor() {
    const { connections } = this;
    this.WebSocket = class extends PlayedConnection {
      constructor(url: string, subprotocol: string) {
        super(url, subprotocol);
        connections.push(this);
      }
    };
  }

  get last(): PlayedConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error("the app did not come");
    return connection;
  }
}
