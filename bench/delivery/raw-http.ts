// SPDX-License-Identifier: MIT
/**
 * A sender that costs next to nothing: POSTs over connections kept open, one request under way on each, answers without a body.
 * What the measured program takes must not drown in what the measuring one takes.
 */

import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface Target {
  readonly port: number;
  /** PEM of the authority; null for plain HTTP. */
  readonly ca: string | null;
}

/** A connected socket to `target` on loopback. */
export function dial({ port, ca }: Target): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      ca === null
        ? connect({ port, host: "127.0.0.1" }, () => resolve(socket))
        : connectTls({ port, host: "127.0.0.1", servername: "localhost", ca }, () => resolve(socket));
    socket.setNoDelay(true);
    socket.once("error", reject);
  });
}

export interface Answer {
  readonly status: number;
  /** ASCII. */
  readonly body: string;
}

/** One connection of an application server. */
export class Sender {
  readonly #socket: Socket;
  #received = "";
  #answered: ((answer: Answer) => void) | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#take(text));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#answer({ status: 0, body: "" }));
  }

  static async connect(target: Target): Promise<Sender> {
    return new Sender(await dial(target));
  }

  /** The answer; status 0 when the connection ended. One request at a time. */
  ask(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
  ): Promise<Answer> {
    const lines = Object.entries({ Host: "localhost", ...headers, "Content-Length": body.length });
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    return new Promise((resolve) => {
      this.#answered = resolve;
      if (this.#socket.destroyed) return this.#answer({ status: 0, body: "" });
      this.#socket.write(
        Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${head}\r\n`, "latin1"), body]),
      );
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#received += text;
    const end = this.#received.indexOf("\r\n\r\n");
    if (end < 0) return;
    const bodyChars = Number(/^content-length: *(\d+)/im.exec(this.#received)?.[1] ?? 0);
    if (this.#received.length < end + 4 + bodyChars) return;
    const status = Number(this.#received.slice(9, 12));
    const body = this.#received.slice(end + 4, end + 4 + bodyChars);
    this.#received = this.#received.slice(end + 4 + bodyChars);
    this.#answer({ status, body });
  }

  #answer(answer: Answer): void {
    const answered = this.#answered;
    this.#answered = null;
    answered?.(answer);
  }
}
