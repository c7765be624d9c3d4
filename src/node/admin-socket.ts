// SPDX-License-Identifier: MIT
/**
 * The agent's local socket for its administrator: a WebSocket server on a Unix socket inside the state directory, JSON
 * text frames, request and response by id (SPEC.md, "Admin socket"). Whoever may enter the directory (mode 0700) may ask.
 */

import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { type WebSocket, WebSocketServer } from "ws";
import { codeOf } from "../apps/errors.ts";
import { GodwitError } from "../errors.ts";
import type { Freshness } from "../journal/index.ts";
import { ADMIN_REQUEST_BYTES_MAX, FRESHNESS_MS } from "../limits.ts";
import { parseStatsOptions, statsOf } from "../stats.ts";
import { TIMER_MS_MAX } from "./alarm.ts";
import type { UserAgent } from "./user-agent.ts";

/** Name of the socket in the state directory. */
export const ADMIN_SOCKET = "admin.sock";
/** What `sun_path` holds everywhere, without its end mark. A longer path is cut, and the socket would be elsewhere. */
const SOCKET_PATH_BYTES_MAX = 103;

type Verb = (members: Readonly<Record<string, unknown>>) => unknown;

export class AdminSocket {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #path: string;

  private constructor(server: Server, sockets: WebSocketServer, path: string) {
    this.#server = server;
    this.#sockets = sockets;
    this.#path = path;
  }

  /**
   * Listens in `stateDirectory`, which the agent has locked: a socket left there by an earlier run is replaced.
   *
   * @throws {GodwitError} ERR_CONFIG when the path is too long for a socket
   */
  static async open(userAgent: UserAgent, stateDirectory: string): Promise<AdminSocket> {
    const path = join(stateDirectory, ADMIN_SOCKET);
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
      throw new GodwitError(
        "ERR_CONFIG",
        `${path} is longer than the ${SOCKET_PATH_BYTES_MAX} bytes of a socket's path`,
      );
    }
    await rm(path, { force: true });
    // The server's look for slow clients is a timer that wakes an idle agent twice a minute. Only the administrator is here.
    const options = { connectionsCheckingInterval: TIMER_MS_MAX };
    const server = createServer(options, (_request, response) => response.writeHead(426).end());
    const sockets = new WebSocketServer({
      server,
      maxPayload: ADMIN_REQUEST_BYTES_MAX,
      perMessageDeflate: false,
    });
    const verbs = verbsOf(userAgent);
    // It passes on the server's errors, which are answered below.
    sockets.on("error", () => {});
    sockets.on("connection", (socket) => {
      socket.on("error", () => socket.terminate());
      socket.on("message", (data) => void answer(socket, verbs, String(data)));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
    return new AdminSocket(server, sockets, path);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
    await rm(this.#path, { force: true });
  }
}

function verbsOf(userAgent: UserAgent): Readonly<Record<string, Verb>> {
  return {
    status: () => userAgent.status(),
    stats: (members) => statsOf(userAgent.status(), parseStatsOptions(members)),
    subscriptions: () => userAgent.status().subscriptions,
    subscribe: async ({ owner, applicationServerKey: key, freshness }) => {
      const { pushManager } = userAgent.app(String(owner));
      const subscription = await pushManager.subscribe({
        applicationServerKey: typeof key === "string" ? key : null,
        userVisibleOnly: false,
        ...(freshness == null ? {} : { freshness: readFreshness(freshness) }),
      });
      return subscription.toJSON();
    },
    unsubscribe: async ({ owner }) => {
      const subscription = await userAgent.app(String(owner)).pushManager.getSubscription();
      return { existed: (await subscription?.unsubscribe()) ?? false };
    },
    activate: ({ notificationId, action }) => {
      userAgent.activateNotification(Number(notificationId), typeof action === "string" ? action : "");
      return {};
    },
  };
}

function readFreshness(value: unknown): Freshness {
  const known = Object.keys(FRESHNESS_MS);
  if (typeof value === "string" && known.includes(value)) return value as Freshness;
  throw new GodwitError("ERR_OPTION", `freshness must be one of ${known.join(", ")}`);
}

async function answer(socket: WebSocket, verbs: Readonly<Record<string, Verb>>, text: string): Promise<void> {
  let id: unknown = null;
  try {
    const request: unknown = JSON.parse(text);
    if (typeof request !== "object" || request === null)
      throw new GodwitError("ERR_OPTION", "a request is an object");
    const members = request as Record<string, unknown>;
    id = members.id ?? null;
    const name = typeof members.type === "string" && Object.hasOwn(verbs, members.type) ? members.type : null;
    const verb = name === null ? undefined : verbs[name];
    if (verb === undefined) throw new GodwitError("ERR_OPTION", "unknown request type");
    const result = await verb(members);
    socket.send(JSON.stringify({ id, result }));
  } catch (error) {
    const code = codeOf(error);
    const message = code === null ? "the request is not JSON" : (error as Error).message;
    socket.send(JSON.stringify({ id, error: { code: code ?? "ERR_OPTION", message } }));
  }
}
