// SPDX-License-Identifier: MIT
/** The script of godwitd: a user agent whose apps, screens and people come over the app socket. */

import "./globals.ts";
import {
  applyPolicy,
  logIdle,
  type ProgramOutput,
  readyLine,
  startOptionsOf,
} from "../configuration/agent-program.ts";
import { exitCodeOf } from "../configuration/exit.ts";
import { GodwitError } from "../errors.ts";
import { DASHBOARD_FILE_BYTES_MAX } from "../limits.ts";
import { AppSocket, listenError } from "../user-agent/app-socket.ts";
import { DASHBOARD_FILES } from "../user-agent/dashboard-files.ts";
import { DesktopDisplay } from "../user-agent/desktop-display.ts";
import { systemCode } from "../user-agent/file-system.ts";
import { HelperDisplay } from "../user-agent/helper-display.ts";
import { privateFilesIn } from "../user-agent/private-files.ts";
import { startUserAgent } from "../user-agent/start.ts";
import type { UserAgent } from "../user-agent/user-agent.ts";
import type { AllEvents, DaemonBridge } from "./daemon-bridge.d.ts";
import { type DaemonOptions, readDaemonOptions } from "./daemon-options.ts";
import { bridgeBootId, bridgeMachineId } from "./files.ts";
import { bridge } from "./lent-bridge.ts";
import { Peers } from "./peers.ts";
import { DaemonProcesses } from "./processes.ts";
import { bridgeRuntime } from "./runtime.ts";
import { SessionBus } from "./session-bus.ts";

/** Priorities of syslog. */
const [ERROR, NOTICE, INFO] = [3, 5, 6];

class Daemon {
  readonly #daemon: DaemonBridge;
  readonly #options: DaemonOptions;
  readonly #runtime = bridgeRuntime(bridge);
  readonly #processes: DaemonProcesses;
  readonly #output: ProgramOutput;
  readonly #bus: SessionBus | null;
  #helper: HelperDisplay | null = null;
  #peers: Peers | null = null;
  #socket: AppSocket | null = null;
  #userAgent: UserAgent | null = null;
  /** Resolves when it has, or failed. */
  #started: Promise<void> = Promise.resolve();
  #isStopping = false;
  #isOver = false;

  constructor(daemon: DaemonBridge, options: DaemonOptions) {
    this.#daemon = daemon;
    this.#options = options;
    this.#processes = new DaemonProcesses(daemon, this.#runtime.platform);
    this.#bus = sessionBusOf(daemon);
    this.#output = {
      isJson: options.isJson,
      json: (value) => daemon.print(JSON.stringify(value)),
      line: (text) => daemon.print(text),
      log: (text) => bridge.log(INFO, text),
    };
  }

  get events(): AllEvents {
    return {
      ...this.#runtime.events,
      startAsked: () => {
        this.#started = this.#run(() => this.#start());
      },
      stopAsked: () => void this.#stop(),
      peerCame: (...peer) => this.#peers?.peerCame(...peer),
      upgradeAsked: (...request) => this.#peers?.upgradeAsked(...request),
      fileAsked: (...request) => this.#peers?.fileAsked(...request),
      peerOpened: (peerId) => this.#peers?.peerOpened(peerId),
      peerMessage: (...message) => this.#peers?.peerMessage(...message),
      peerClosed: (peerId) => this.#peers?.peerClosed(peerId),
      allPeersGone: () => this.#peers?.allPeersGone(),
      processEnded: (...end) => this.#processes.processEnded(...end),
      processLine: (...line) => this.#processes.processLine(...line),
      busReplied: (...reply) => this.#bus?.events.busReplied(...reply),
      busSignal: (...signal) => this.#bus?.events.busSignal(...signal),
      busGone: () => this.#bus?.events.busGone(),
    };
  }

  /** What cannot be mended by going on ends the program, with the exit code of the error. */
  async #run(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const message = error instanceof Error ? error.message : "failed";
      const code = error instanceof GodwitError ? error.code : null;
      await this.#close().catch(() => {});
      bridge.log(
        ERROR,
        this.#options.isJson ? JSON.stringify({ error: { code, message } }) : `godwitd: ${message}`,
      );
      this.#finish(exitCodeOf(error));
    }
  }

  async #start(): Promise<void> {
    const { stateDirectory, policy } = this.#options;
    const { platform, makeMachine, openJournal } = this.#runtime;
    const shared = startOptionsOf({ ...this.#options, ca: null, deviceKey: null }, this.#output);
    const userAgent = await startUserAgent(
      {
        ...shared,
        deviceId: bridgeMachineId(bridge),
        deviceKey: bridge.deviceKey,
        // In the journal the lines of this screen would be what messages say, in a log.
        display: this.#options.hasScreen ? (shared.display ?? null) : null,
      },
      platform,
      makeMachine,
      () => openJournal(stateDirectory),
    );
    this.#userAgent = userAgent;
    await applyPolicy(userAgent, policy, this.#output);
    await this.#addDisplays(userAgent);
    const port = await this.#listen(userAgent);
    const line = readyLine(stateDirectory, port);
    bridge.log(NOTICE, line);
    this.#daemon.ready(line);
    logIdle(this.#options, userAgent, this.#output);
  }

  async #addDisplays(userAgent: UserAgent): Promise<void> {
    const { helper, isOnDesktop } = this.#options;
    const { helpers } = this.#processes;
    const { platform } = this.#runtime;
    if (helper !== null) {
      this.#helper = new HelperDisplay({ command: [helper], helpers, platform, userAgent });
      const problem = programProblem(helper);
      // Said now, and not only when somebody should have seen a message.
      if (problem !== null)
        userAgent.report({
          type: "fault",
          code: "ERR_DISPLAY",
          text: `the helper ${helper} cannot be started (${problem}): notifications are kept until it can`,
        });
    }
    if (!isOnDesktop) return;
    const bus = this.#bus;
    if (bus === null) throw new GodwitError("ERR_CONFIG", "this godwitd was built without D-Bus: no desktop");
    const desktop = new DesktopDisplay({
      connect: (handlers) => bus.connect(handlers),
      start: (argv, ended) => this.#processes.start(argv, {}, ended),
      onActivate: (notificationId, action) => userAgent.activateNotification(notificationId, action),
      onDismiss: (notificationId) => userAgent.closeNotification(notificationId),
    });
    await desktop.check();
    userAgent.addDisplay(desktop);
  }

  /** The loopback port, or null. */
  async #listen(userAgent: UserAgent): Promise<number | null> {
    const { stateDirectory, policy, appPort, dashboardDirectory } = this.#options;
    const { platform, fileSystem } = this.#runtime;
    const socket = await AppSocket.open({
      userAgent,
      platform,
      processes: this.#processes,
      files: privateFilesIn(stateDirectory, fileSystem),
      bootId: bridgeBootId(bridge),
      pageOrigins: policy.pageOrigins,
      shellOrigins: policy.shellOrigins,
      served: dashboardDirectory === null ? null : (path) => dashboardFile(dashboardDirectory, path),
    });
    this.#socket = socket;
    this.#peers = new Peers(this.#daemon, socket);
    try {
      this.#daemon.listenUnix(socket.path);
      if (appPort !== null) socket.loopbackDoor.handleListening(this.#daemon.listenLoopback(appPort));
    } catch (error) {
      throw listenError(error, appPort);
    }
    socket.start();
    return socket.loopbackDoor.port;
  }

  async #stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    // What has begun to open is opened first, and closed then.
    await this.#started;
    if (this.#isOver) return;
    await this.#run(async () => {
      await this.#close();
      this.#finish(0);
    });
  }

  #finish(exitCode: number): void {
    this.#isOver = true;
    this.#daemon.finish(exitCode);
  }

  async #close(): Promise<void> {
    const [socket, peers] = [this.#socket, this.#peers];
    if (socket !== null && peers !== null) {
      await Promise.all([socket.close(), peers.close()]);
      bridge.fs.unlink(socket.path);
    }
    this.#helper?.end();
    await this.#userAgent?.close();
  }
}

function dashboardFile(directory: string, path: string) {
  const file = DASHBOARD_FILES.get(path);
  if (file === undefined) return null;
  return { type: file.type, body: bridge.fs.readFile(`${directory}/${file.name}`, DASHBOARD_FILE_BYTES_MAX) };
}

/** The system's code for why this program cannot be started, as far as its file tells; null where nothing speaks against it. */
function programProblem(path: string): string | null {
  try {
    return (bridge.fs.stat(path).mode & 0o111) === 0 ? "EACCES" : null;
  } catch (error) {
    return systemCode(error) || "unknown error";
  }
}

/** Null in a build without D-Bus. */
function sessionBusOf({ busOpen, busCall, busClose }: DaemonBridge): SessionBus | null {
  if (busOpen === undefined || busCall === undefined || busClose === undefined) return null;
  return new SessionBus({ busOpen, busCall, busClose });
}

const { daemon } = globalThis as unknown as { readonly daemon: DaemonBridge };
bridge.listen(new Daemon(daemon, readDaemonOptions(bridge.options)).events);
