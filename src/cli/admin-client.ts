// SPDX-License-Identifier: MIT
/** Asks a running agent over its app socket, as the administrator (SPEC.md, "App socket"). */

import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { WebSocket } from "ws";
import { type Answer, APP_PATH, APP_SUBPROTOCOL } from "../apps/protocol.ts";
import { GodwitError } from "../errors.ts";
import { APP_SOCKET } from "../node/app-socket.ts";
import { ADMIN_TOKEN_FILE } from "../node/credentials.ts";
import { CommandError, EXIT } from "./exit.ts";

/** A connection to a running agent that has let us in. */
export class AdminClient {
  readonly #socket: WebSocket;
  readonly #stateDirectory: string;
  readonly #pending = new Map<number, PendingRequest>();
  #lastId = 0;
  #gone: CommandError | null = null;
  /** Gets every event there is, once `watch` was asked for. */
  onevent: ((event: { readonly event: string }) => void) | null = null;

  private constructor(socket: WebSocket, stateDirectory: string) {
    this.#socket = socket;
    this.#stateDirectory = stateDirectory;
    socket.on("message", (data) => this.#receive(String(data)));
    socket.on("error", () => this.#end());
    socket.on("close", () => this.#end());
  }

  /** @throws {CommandError} 69 when no agent runs in `stateDirectory`, 77 when this user may not ask it */
  static async connect(stateDirectory: string): Promise<AdminClient> {
    const token = readAdminToken(stateDirectory);
    // The path is given to the socket and not in the URL, where one with a colon or a blank would be another one.
    const createConnection = () => connect(join(stateDirectory, APP_SOCKET));
    const options = { createConnection, perMessageDeflate: false };
    const socket = new WebSocket(`ws://localhost${APP_PATH}`, APP_SUBPROTOCOL, options);
    const client = new AdminClient(socket, stateDirectory);
    try {
      await client.#opened();
      await client.ask("hello", { role: "admin", token });
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /**
   * @throws {GodwitError} as the agent answers
   * @throws {CommandError} 69 when it goes before it has
   */
  ask(type: string, members: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.#gone !== null) return reject(this.#gone);
      this.#pending.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ ...members, id, type }));
    });
  }

  /** Resolves once the agent, or {@link close}, has ended the connection. */
  async closed(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    await new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
  }

  close(): void {
    this.#socket.terminate();
  }

  #opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.once("open", resolve);
      this.#pending.set(0, { resolve: () => {}, reject });
    });
  }

  #receive(text: string): void {
    const message = JSON.parse(text) as Answer | { readonly event: string };
    if ("event" in message) return this.onevent?.(message);
    const request = this.#pending.get(message.id ?? 0);
    this.#pending.delete(message.id ?? 0);
    if ("result" in message) return request?.resolve(message.result);
    request?.reject(new GodwitError(message.error.code, message.error.message));
  }

  #end(): void {
    this.#gone ??= noAgent(this.#stateDirectory);
    for (const { reject } of this.#pending.values()) reject(this.#gone);
    this.#pending.clear();
  }
}

interface PendingRequest {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One request, one answer.
 *
 * @throws {CommandError} 69 when no agent runs in `stateDirectory`
 * @throws {GodwitError} as the agent answered
 */
export async function askAgent(
  stateDirectory: string,
  type: string,
  members: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  const client = await AdminClient.connect(stateDirectory);
  try {
    return await client.ask(type, members);
  } finally {
    client.close();
  }
}

function readAdminToken(stateDirectory: string): string {
  try {
    return readFileSync(join(stateDirectory, ADMIN_TOKEN_FILE), "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES")
      throw new CommandError(EXIT.denied, `${stateDirectory} is another user's`);
    throw noAgent(stateDirectory);
  }
}

function noAgent(stateDirectory: string): CommandError {
  return new CommandError(
    EXIT.unreachable,
    `no agent is running in ${stateDirectory} (--state names its directory)`,
  );
}
