// SPDX-License-Identifier: MIT
/** A connection to a running agent, as its administrator or as a shell (SPEC.md, "App socket"). */

import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { WebSocket } from "ws";
import {
  type AdminEvent,
  type AdminRequests,
  type Answer,
  APP_PATH,
  APP_SUBPROTOCOL,
  type ChoiceRequest,
  CLOSE_REFUSED,
  type ShellEvent,
  type ShellRequests,
} from "../apps/protocol.ts";
import { whyUnreadable } from "../configuration/arguments.ts";
import { CommandError, EXIT } from "../configuration/exit.ts";
import { GodwitError } from "../errors.ts";
import { AGENT_HELLO_TIMEOUT_MS } from "../limits.ts";

export const APP_SOCKET = "app.sock";

type ChoiceRequests = {
  [C in ChoiceRequest as C["type"]]: { readonly request: Omit<C, "type">; readonly result: object };
};
type Requests = Omit<ShellRequests, keyof AdminRequests> & AdminRequests & ChoiceRequests;
export type ClientEvent = AdminEvent | ShellEvent;

/** How one proves to be it: the file in the state directory. */
const TOKEN_FILES = { admin: "admin.token", shell: "shell.token" } as const;

export class AgentClient {
  readonly #socket: WebSocket;
  readonly #stateDirectory: string;
  readonly #asked = new Map<number, (answer: Answer | null) => void>();
  readonly #handleEvent: (event: ClientEvent) => void;
  /** Resolves when the connection is gone, by us or by the agent. */
  readonly closed: Promise<void>;
  #lastId = 0;
  #isOpen = false;
  #isRefused = false;

  private constructor(socket: WebSocket, stateDirectory: string, handleEvent: (event: ClientEvent) => void) {
    this.#socket = socket;
    this.#stateDirectory = stateDirectory;
    this.#handleEvent = handleEvent;
    this.closed = new Promise((resolve) => {
      socket.on("close", (code) => {
        this.#isRefused = code === CLOSE_REFUSED;
        for (const settle of this.#asked.values()) settle(null);
        this.#asked.clear();
        resolve();
      });
    });
    socket.on("message", (data) => this.#handle(JSON.parse(String(data))));
  }

  /**
   * Connects, and says who we are.
   *
   * @throws {CommandError} 69 when no agent runs there, 75 when it does not answer, 77 when it is another user's, or does not
   *   take the token
   */
  static async open(
    stateDirectory: string,
    role: keyof typeof TOKEN_FILES = "admin",
    handleEvent: (event: ClientEvent) => void = () => {},
  ): Promise<AgentClient> {
    const path = join(stateDirectory, APP_SOCKET);
    // The address is given to the socket and not in the URL, where a path with a colon or a blank would be another one.
    const socket = new WebSocket(`ws://localhost${APP_PATH}`, APP_SUBPROTOCOL, {
      createConnection: () => connect(path),
      perMessageDeflate: false,
    });
    const client = new AgentClient(socket, stateDirectory, handleEvent);
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      client.close();
    }, AGENT_HELLO_TIMEOUT_MS);
    try {
      await new Promise<void>((resolve, reject) => {
        socket.on("open", resolve);
        socket.on("error", (error) => reject(unreachable(stateDirectory, error)));
      });
      await client.#ask("hello", { role, token: readToken(stateDirectory, role) });
    } catch (error) {
      client.close();
      throw isLate
        ? new CommandError(EXIT.tryAgain, `the agent in ${stateDirectory} does not answer`)
        : error;
    } finally {
      clearTimeout(timer);
    }
    client.#isOpen = true;
    return client;
  }

  /**
   * One request, one answer.
   *
   * @throws {GodwitError} as the agent answered
   * @throws {CommandError} 69 when it went away, 77 when it does not take us any more
   */
  ask<Type extends keyof Requests>(
    type: Type,
    members: Requests[Type]["request"],
  ): Promise<Requests[Type]["result"]> {
    return this.#ask(type, members) as Promise<Requests[Type]["result"]>;
  }

  close(): void {
    this.#socket.terminate();
  }

  /** What to say when {@link closed} came without our doing. */
  wentAway(): CommandError {
    return new CommandError(EXIT.unreachable, `the agent in ${this.#stateDirectory} went away`);
  }

  async #ask(type: string, members: object): Promise<unknown> {
    const id = ++this.#lastId;
    const answer = await new Promise<Answer | null>((resolve) => {
      if (this.#socket.readyState !== WebSocket.OPEN) return resolve(null);
      this.#asked.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, type, ...members }));
    });
    if (answer === null) throw this.#isRefused ? refused(this.#stateDirectory) : this.wentAway();
    if ("result" in answer) return answer.result;
    const { code, message } = answer.error;
    if (!this.#isOpen && code === "ERR_APP_AUTH") throw refused(this.#stateDirectory);
    throw new GodwitError(code, message);
  }

  #handle(message: Answer | ClientEvent): void {
    if ("event" in message) return this.#handleEvent(message);
    const { id } = message;
    if (id === null) return;
    this.#asked.get(id)?.(message);
    this.#asked.delete(id);
  }
}

/** Does something at the agent, and lets go of it whatever comes of that. */
export async function withAgent<T>(
  stateDirectory: string,
  act: (agent: AgentClient) => Promise<T>,
): Promise<T> {
  const agent = await AgentClient.open(stateDirectory);
  try {
    return await act(agent);
  } finally {
    agent.close();
  }
}

function readToken(stateDirectory: string, role: keyof typeof TOKEN_FILES): string {
  const path = join(stateDirectory, TOKEN_FILES[role]);
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new CommandError(EXIT.denied, `${path} ${whyUnreadable(error)}: only the agent's user can ask it`);
  }
}

function unreachable(stateDirectory: string, error: NodeJS.ErrnoException): CommandError {
  if (error.code === "EACCES" || error.code === "EPERM") {
    const why = "is another user's: only the agent's user can ask it";
    return new CommandError(EXIT.denied, `${stateDirectory} ${why}`);
  }
  return new CommandError(
    EXIT.unreachable,
    `no agent is running in ${stateDirectory} (--state names its directory)`,
  );
}

function refused(stateDirectory: string): CommandError {
  return new CommandError(
    EXIT.denied,
    `the agent does not take the token in ${stateDirectory}: it belongs to another run of another agent`,
  );
}
