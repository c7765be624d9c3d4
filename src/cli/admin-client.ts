// SPDX-License-Identifier: MIT
/** Asks a running agent over its admin socket. */

import { join } from "node:path";
import { WebSocket } from "ws";
import { type ErrorCode, GodwitError } from "../errors.ts";
import { ADMIN_SOCKET } from "../node/admin-socket.ts";
import { CommandError, EXIT } from "./exit.ts";

interface Answer {
  readonly result?: unknown;
  readonly error?: { readonly code: ErrorCode; readonly message: string };
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
  const socket = new WebSocket(`ws+unix:${join(stateDirectory, ADMIN_SOCKET)}:/`);
  try {
    const answer = await new Promise<Answer>((resolve, reject) => {
      const noAgent = () =>
        reject(
          new CommandError(
            EXIT.unreachable,
            `no agent is running in ${stateDirectory} (--state names its directory)`,
          ),
        );
      socket.on("open", () => socket.send(JSON.stringify({ id: 1, type, ...members })));
      socket.on("message", (data) => resolve(JSON.parse(String(data)) as Answer));
      socket.on("error", noAgent);
      socket.on("close", noAgent);
    });
    if (answer.error !== undefined) throw new GodwitError(answer.error.code, answer.error.message);
    return answer.result;
  } finally {
    socket.terminate();
  }
}
