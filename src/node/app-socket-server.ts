// SPDX-License-Identifier: MIT
/** The app socket on Node: listens on a Unix socket of the state directory, and on loopback if asked for. */

import { chmod, rm } from "node:fs/promises";
import { AppSocket, type AppSocketOptions, listenError } from "../user-agent/app-socket.ts";
import { privateFilesIn } from "../user-agent/private-files.ts";
import { AppListener } from "./app-listener.ts";
import { nodeFileSystem } from "./file-system.ts";
import { createNodePlatform } from "./platform.ts";
import { nodeProcesses } from "./processes.ts";
import { systemBootId } from "./system-processes.ts";

export interface AppSocketServerOptions
  extends Pick<AppSocketOptions, "userAgent" | "pageOrigins" | "shellOrigins" | "served"> {
  /** Of the agent, which has locked it. */
  readonly stateDirectory: string;
  /** The loopback port to listen on too, 0 for a free one; null (default) for none. */
  readonly port?: number | null;
}

export class AppSocketServer {
  readonly #socket: AppSocket;
  readonly #listeners: readonly AppListener[];

  private constructor(socket: AppSocket, listeners: readonly AppListener[]) {
    this.#socket = socket;
    this.#listeners = listeners;
  }

  /**
   * Listens. A socket left there by an earlier run is replaced.
   *
   * @throws {GodwitError} ERR_CONFIG for a path too long for a socket, an origin that is none, a port that is taken, or files of
   *   credentials that others may read; ERR_JOURNAL_FULL, ERR_JOURNAL_IO
   */
  static async open(options: AppSocketServerOptions): Promise<AppSocketServer> {
    const { stateDirectory, port = null, ...shared } = options;
    const socket = await AppSocket.open({
      ...shared,
      platform: createNodePlatform(),
      processes: nodeProcesses,
      files: privateFilesIn(stateDirectory, nodeFileSystem),
      bootId: systemBootId(),
    });
    const unix = new AppListener(socket.unixDoor, (...arrival) => socket.arrive(...arrival));
    const loopback = new AppListener(socket.loopbackDoor, (...arrival) => socket.arrive(...arrival));
    try {
      await rm(socket.path, { force: true });
      await unix.listenAt(socket.path);
      // The directory may be open to others; the socket is not.
      await chmod(socket.path, 0o600);
      if (port !== null) await loopback.listenOn(port);
    } catch (error) {
      await Promise.all([socket.close(), unix.close(), loopback.close()]);
      throw listenError(error, port);
    }
    socket.start();
    return new AppSocketServer(socket, [unix, loopback]);
  }

  /** The loopback port, or null. */
  get port(): number | null {
    return this.#socket.loopbackDoor.port;
  }

  /** Before the user agent: what still comes in from apps goes to it. */
  async close(): Promise<void> {
    const closed = this.#socket.close();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await closed;
    await rm(this.#socket.path, { force: true });
  }
}
