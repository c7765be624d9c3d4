// SPDX-License-Identifier: MIT
/** `godwit/apps/process`: a Node process at the app socket's Unix socket, with the token of its installation. */

import { readFileSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { WebSocket } from "ws";
import { APP_ANSWER_BYTES_MAX } from "../limits.ts";
import { type AppClient, type ConnectOptions, connect as connectApp } from "./client.ts";
import { appError } from "./errors.ts";
import { APP_PATH } from "./protocol.ts";

export * from "./index.ts";

export interface ProcessOptions extends Pick<ConnectOptions, "lastEndpoint" | "isLazy" | "jitter"> {
  /** Default: GODWIT_OWNER. */
  readonly owner?: string;
  /** Path of the agent's `app.sock`. Default: GODWIT_SOCKET. */
  readonly socketPath?: string;
  /** Holds what installing the app answered. Default: GODWIT_TOKEN_FILE. Read again when the token is refused. */
  readonly tokenFile?: string;
}

/**
 * Connects a process to the user agent; an app that the agent starts finds everything in its environment. The connection
 * keeps the process alive until `close()`.
 *
 * @throws {AppError} ERR_CONFIG (TypeError) when something is missing or the token cannot be read
 */
export function connect(options: ProcessOptions = {}): AppClient {
  const { GODWIT_OWNER, GODWIT_SOCKET, GODWIT_TOKEN_FILE } = process.env;
  const {
    owner = GODWIT_OWNER,
    socketPath = GODWIT_SOCKET,
    tokenFile = GODWIT_TOKEN_FILE,
    ...rest
  } = options;
  if (owner === undefined || socketPath === undefined || tokenFile === undefined)
    throw appError(
      "ERR_CONFIG",
      "owner, socketPath and tokenFile are needed, or GODWIT_OWNER, GODWIT_SOCKET and GODWIT_TOKEN_FILE in the environment",
    );
  return connectApp({
    ...rest,
    // The host is for the upgrade's headers only.
    url: `ws://localhost${APP_PATH}`,
    owner,
    token: readToken(tokenFile),
    role: "app",
    WebSocket: unixSocketClass(socketPath),
    renew: (refused) => {
      const token = readToken(tokenFile);
      return token === refused.token ? null : { token };
    },
  });
}

function readToken(tokenFile: string): string {
  try {
    return readFileSync(tokenFile, "utf8").trim();
  } catch (error) {
    throw appError("ERR_CONFIG", `the token file cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** The address is given to the socket and not in the URL, where a path with a colon or a blank would be another one. */
function unixSocketClass(path: string) {
  return class UnixWebSocket extends WebSocket {
    constructor(url: string, subprotocol: string) {
      super(url, subprotocol, {
        createConnection: () => connectSocket(path),
        perMessageDeflate: false,
        maxPayload: APP_ANSWER_BYTES_MAX,
      });
    }
  };
}
