// SPDX-License-Identifier: MIT
/**
 * The app socket (SPEC.md), where apps, pages, shells and the administrator meet the agent, behind whatever listens: it gets
 * connections that are WebSockets already. Puts the parts together; who a peer is decides {@link Doorkeeper}.
 */

import { APP_PATH, CLOSE_GOING } from "../apps/protocol.ts";
import { utf8Encode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { AppConnection } from "./app-connection.ts";
import { AppDoor, type Place, type ServeFile } from "./app-door.ts";
import { AppStarter } from "./app-starter.ts";
import { Credentials } from "./credentials.ts";
import { Doorkeeper } from "./doorkeeper.ts";
import { Installations } from "./installations.ts";
import { InstalledApps } from "./installed-apps.ts";
import { checkOrigins, isOrigin } from "./loopback.ts";
import type { PeerSocket, Platform, PrivateFiles, Processes } from "./platform.ts";
import { Shells } from "./shells.ts";
import { TestPush } from "./test-push.ts";
import { newToken } from "./tokens.ts";
import type { UserAgent } from "./user-agent.ts";

/** Name of the socket in the state directory. */
const SOCKET_FILE = "app.sock";
/** What `sun_path` holds everywhere, without its end mark. A longer path is cut, and the socket would be elsewhere. */
const SOCKET_PATH_BYTES_MAX = 103;

export interface AppSocketOptions {
  readonly userAgent: UserAgent;
  readonly platform: Platform;
  readonly processes: Processes;
  /** Of the agent's state directory, which it has locked. */
  readonly files: PrivateFiles;
  /** Another one after each boot of the machine; "" where the system has none: then each run counts as a boot. */
  readonly bootId: string;
  /** http origins of loopback whose pages may come; https ones may anyway. */
  readonly pageOrigins?: readonly string[];
  /** Origins of pages that are shells. */
  readonly shellOrigins?: readonly string[];
  /** What the loopback port serves besides. */
  readonly served?: ServeFile | null;
}

/** A connection that has proved nothing yet. */
export interface Arrival extends Place {
  /** It has proved who it is: it may stay. */
  settle(): void;
}

export class AppSocket {
  /** Where to listen. */
  readonly path: string;
  readonly unixDoor: AppDoor;
  /** Without a port until {@link AppDoor.handleListening}; nobody comes this way where there is none. */
  readonly loopbackDoor: AppDoor;
  readonly #options: AppSocketOptions;
  readonly #shells = new Shells();
  readonly #starter: AppStarter;
  readonly #testPush: TestPush;
  readonly #doorkeeper: Doorkeeper;
  readonly #connections = new Set<AppConnection>();
  #leave: (() => void) | null = null;
  #isClosed = false;

  private constructor(options: AppSocketOptions, credentials: Credentials, apps: InstalledApps) {
    const { userAgent, platform, processes, files, served = null } = options;
    const pageOrigins = checkOrigins(options.pageOrigins ?? [], "page origins");
    const shellOrigins = checkOrigins(options.shellOrigins ?? [], "shell origins");
    const doorOptions = { platform, origins: new Set([...pageOrigins, ...shellOrigins]) };
    const isPageOwner = (owner: string): boolean =>
      isOrigin(owner) && (owner.startsWith("https:") || pageOrigins.has(owner));
    this.#options = options;
    this.path = files.path(SOCKET_FILE);
    this.unixDoor = new AppDoor({ ...doorOptions, files: null });
    this.loopbackDoor = new AppDoor({ ...doorOptions, files: served });
    this.#testPush = new TestPush({ userAgent, platform });
    this.#starter = new AppStarter({
      platform,
      processes,
      find: (owner) => apps.get(owner),
      socketPath: this.path,
      handleFault: (text, owner) => userAgent.report({ type: "fault", code: "ERR_APP_START", text, owner }),
    });
    const installations = new Installations({
      ...{ userAgent, apps, credentials },
      starter: this.#starter,
      disconnect: (owner) => this.#doorkeeper.disconnect(owner),
    });
    this.#doorkeeper = new Doorkeeper({
      ...{ userAgent, platform, credentials, apps, installations, shellOrigins, isPageOwner },
      shells: this.#shells,
      testPush: this.#testPush,
      pages: {
        pageSecret: (owner) => {
          if (!isPageOwner(owner)) throw new GodwitError("ERR_OPTION", "that owner has no pages here");
          const url = `ws://127.0.0.1:${this.#openPort()}${APP_PATH}`;
          return { url, owner, secret: credentials.pageSecret(owner) };
        },
      },
      dashboardLink: () => `http://127.0.0.1:${this.#openPort()}/#code=${credentials.newDashboardCode()}`,
      handleAttached: (owner) => this.#starter.handleAttached(owner),
    });
  }

  /**
   * Reads the credentials, and makes those that are missing. Then it is for somebody to listen.
   *
   * @throws {GodwitError} ERR_CONFIG for a path too long for a socket, an origin that is none, or files of credentials that others
   *   may read; ERR_JOURNAL_FULL, ERR_JOURNAL_IO
   */
  static async open(options: AppSocketOptions): Promise<AppSocket> {
    const { platform, files } = options;
    const bootId = options.bootId || newToken(platform.randomFill);
    const path = files.path(SOCKET_FILE);
    if (utf8Encode(path).length > SOCKET_PATH_BYTES_MAX) {
      const limit = `the ${SOCKET_PATH_BYTES_MAX} bytes of a socket's path`;
      throw new GodwitError("ERR_CONFIG", `${path} is longer than ${limit}`);
    }
    const credentials = await Credentials.open({ files, platform, bootId });
    const apps = await InstalledApps.open({ files, platform });
    return new AppSocket(options, credentials, apps);
  }

  /** Somebody listens: what is shown is shown to shells too, and apps are started. */
  start(): void {
    const { userAgent } = this.#options;
    const stops = [
      userAgent.addDisplay(this.#shells),
      userAgent.listen({ handleStartApp: (owner) => this.#starter.start(owner) }),
    ];
    this.#leave = () => {
      for (const stop of stops) stop();
    };
  }

  /** A connection that a door let in. */
  arrive(socket: PeerSocket, arrival: Arrival): void {
    const { platform } = this.#options;
    const connection = new AppConnection({
      socket,
      platform,
      greet: (hello, challenge) => this.#doorkeeper.greet(hello, connection, { ...arrival, challenge }),
      handleGone: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    if (this.#isClosed) connection.close(CLOSE_GOING);
  }

  /** Before the user agent: what still comes in from apps goes to it. Resolves when the programs it started have ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    // First, or the apps that go now would be started again.
    this.#leave?.();
    for (const connection of this.#connections) connection.close(CLOSE_GOING);
    this.unixDoor.close();
    this.loopbackDoor.close();
    this.#testPush.end();
    await this.#starter.close();
  }

  #openPort(): number {
    const { port } = this.loopbackDoor;
    if (port === null) throw new GodwitError("ERR_OPTION", "the agent has no loopback port open");
    return port;
  }
}

/** Says what to do about a port that cannot be had; anything else is handed back. @param error with the system's `code` and `address` */
export function listenError(error: unknown, port: number | null): unknown {
  const { code, address } = error as { readonly code?: string; readonly address?: string };
  if (code === "EADDRINUSE" || code === "EACCES")
    return new GodwitError(
      "ERR_CONFIG",
      `cannot listen on ${address ?? "the app socket"}${port === null ? "" : `, port ${port}`} (${code}): name another one`,
    );
  return error;
}
