// SPDX-License-Identifier: MIT
/**
 * The app socket (SPEC.md): a WebSocket server on a Unix socket, and on loopback if asked for, where apps, pages, shells and
 * the administrator meet the agent. Puts the parts together; who a peer is decides {@link Doorkeeper}.
 */

import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import { APP_PATH, CLOSE_GOING } from "../apps/protocol.ts";
import { GodwitError } from "../errors.ts";
import { Credentials } from "../user-agent/credentials.ts";
import { InstalledApps } from "../user-agent/installed-apps.ts";
import { privateFilesIn } from "../user-agent/private-files.ts";
import { AppConnection } from "./app-connection.ts";
import { AppListener, type ServeFile } from "./app-listener.ts";
import { AppStarter } from "./app-starter.ts";
import { Doorkeeper } from "./doorkeeper.ts";
import { nodeFileSystem } from "./file-system.ts";
import { Installations } from "./installations.ts";
import { checkOrigins, isOrigin } from "./loopback.ts";
import { createNodePlatform } from "./platform.ts";
import { Shells } from "./shells.ts";
import { systemBootId } from "./system-processes.ts";
import { TestPush } from "./test-push.ts";
import type { UserAgent } from "./user-agent.ts";

/** Name of the socket in the state directory. */
export const APP_SOCKET = "app.sock";
/** What `sun_path` holds everywhere, without its end mark. A longer path is cut, and the socket would be elsewhere. */
const SOCKET_PATH_BYTES_MAX = 103;

export interface AppSocketOptions {
  readonly userAgent: UserAgent;
  /** Of the agent, which has locked it. */
  readonly stateDirectory: string;
  /** PEM certificates trusted besides the system's, or null: test messages go to the push service by them. */
  readonly ca?: string | null;
  /** The loopback port to listen on too, 0 for a free one; null (default) for none. */
  readonly port?: number | null;
  /** http origins of loopback whose pages may come; https ones may anyway. */
  readonly pageOrigins?: readonly string[];
  /** Origins of pages that are shells. */
  readonly shellOrigins?: readonly string[];
  /** What the loopback port serves besides. */
  readonly files?: ServeFile | null;
}

export class AppSocket {
  readonly #path: string;
  readonly #listeners: readonly AppListener[];
  readonly #connections: ReadonlySet<AppConnection>;
  readonly #port: number | null;
  readonly #leave: () => void;
  readonly #end: () => Promise<void>;

  private constructor(
    path: string,
    listeners: readonly AppListener[],
    connections: ReadonlySet<AppConnection>,
    leave: () => void,
    end: () => Promise<void>,
  ) {
    this.#path = path;
    this.#listeners = listeners;
    this.#connections = connections;
    this.#port = listeners.find(({ port }) => port !== null)?.port ?? null;
    this.#leave = leave;
    this.#end = end;
  }

  /**
   * Listens. A socket left there by an earlier run is replaced.
   *
   * @throws {GodwitError} ERR_CONFIG for a path too long for a socket, an origin that is none, a port that is taken, or files of
   *   credentials that others may read; ERR_JOURNAL_FULL, ERR_JOURNAL_IO
   */
  static async open(options: AppSocketOptions): Promise<AppSocket> {
    const { userAgent, stateDirectory, ca = null, port = null, files: served = null } = options;
    const path = join(stateDirectory, APP_SOCKET);
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
      const limit = `the ${SOCKET_PATH_BYTES_MAX} bytes of a socket's path`;
      throw new GodwitError("ERR_CONFIG", `${path} is longer than ${limit}`);
    }
    const pageOrigins = checkOrigins(options.pageOrigins ?? [], "page origins");
    const shellOrigins = checkOrigins(options.shellOrigins ?? [], "shell origins");
    const files = privateFilesIn(stateDirectory, nodeFileSystem);
    const platform = createNodePlatform();
    const credentials = await Credentials.open({ files, platform, bootId: systemBootId() });
    const apps = await InstalledApps.open({ files, platform });

    const shells = new Shells();
    const testPush = new TestPush({ userAgent, ca });
    const starter = new AppStarter({
      find: (owner) => apps.get(owner),
      socketPath: path,
      handleFault: (text, owner) => userAgent.report({ type: "fault", code: "ERR_APP_START", text, owner }),
    });
    const isPageOwner = (owner: string): boolean =>
      isOrigin(owner) && (owner.startsWith("https:") || pageOrigins.has(owner));
    let boundPort: number | null = null;
    const doorkeeper = new Doorkeeper({
      userAgent,
      credentials,
      apps,
      shells,
      shellOrigins,
      isPageOwner,
      installations: new Installations({
        userAgent,
        apps,
        credentials,
        starter,
        disconnect: (owner) => doorkeeper.disconnect(owner),
      }),
      testPush,
      pages: {
        pageSecret: (owner) => {
          if (!isPageOwner(owner)) throw new GodwitError("ERR_OPTION", "that owner has no pages here");
          const url = `ws://127.0.0.1:${openPort(boundPort)}${APP_PATH}`;
          return { url, owner, secret: credentials.pageSecret(owner) };
        },
      },
      dashboardLink: () => {
        const origin = `http://127.0.0.1:${openPort(boundPort)}`;
        return `${origin}/#code=${credentials.newDashboardCode()}`;
      },
      handleAttached: (owner) => starter.handleAttached(owner),
    });

    const connections = new Set<AppConnection>();
    const listenerOptions = {
      files: served,
      origins: new Set([...pageOrigins, ...shellOrigins]),
      handleArrival: (
        arrival: Parameters<ConstructorParameters<typeof AppListener>[0]["handleArrival"]>[0],
      ) => {
        const connection = new AppConnection(arrival.socket, (hello, challenge) =>
          doorkeeper.greet(hello, connection, { ...arrival, challenge }),
        );
        connections.add(connection);
        arrival.socket.once("close", () => connections.delete(connection));
      },
    };
    const listeners: AppListener[] = [];
    try {
      await rm(path, { force: true });
      listeners.push(new AppListener(listenerOptions));
      await listeners[0]?.listenAt(path);
      // The directory may be open to others; the socket is not.
      await chmod(path, 0o600);
      if (port !== null) {
        const loopback = new AppListener(listenerOptions);
        listeners.push(loopback);
        await loopback.listenOn(port);
        boundPort = loopback.port;
      }
    } catch (error) {
      await Promise.all(listeners.map((listener) => listener.close()));
      throw listenError(error, port);
    }
    const stopListening = [
      userAgent.addDisplay(shells),
      userAgent.listen({ handleStartApp: (owner) => starter.start(owner) }),
    ];
    const leave = (): void => {
      for (const stop of stopListening) stop();
    };
    const end = (): Promise<void> => {
      testPush.end();
      return starter.close();
    };
    return new AppSocket(path, listeners, connections, leave, end);
  }

  /** The loopback port, or null. */
  get port(): number | null {
    return this.#port;
  }

  /** Before the user agent: what still comes in from apps goes to it. */
  async close(): Promise<void> {
    // First, or the apps that go now would be started again.
    this.#leave();
    for (const connection of this.#connections) connection.close(CLOSE_GOING);
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await this.#end();
    await rm(this.#path, { force: true });
  }
}

function openPort(port: number | null): number {
  if (port === null) throw new GodwitError("ERR_OPTION", "the agent has no loopback port open");
  return port;
}

function listenError(error: unknown, port: number | null): unknown {
  const { code, address } = error as NodeJS.ErrnoException & { readonly address?: string };
  if (code === "EADDRINUSE" || code === "EACCES")
    return new GodwitError(
      "ERR_CONFIG",
      `cannot listen on ${address ?? "the app socket"}, port ${port} (${code}): name another one`,
    );
  return error;
}
