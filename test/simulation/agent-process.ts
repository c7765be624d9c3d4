// SPDX-License-Identifier: MIT
/**
 * One run of a device's agent: the real user agent on a platform and a machine of the simulated world. Before each effect it has on
 * the world the process may die.
 */

import type { AgentEvent, Report } from "../../src/agent/events.ts";
import type { EffectOf } from "../../src/host/host.ts";
import { JOURNAL_RETRY_MS_MAX } from "../../src/limits.ts";
import { nodeProvider } from "../../src/node/crypto.ts";
import { RecordedAgent } from "../../src/node/trace/recorder.ts";
import type { Display, ShownNotification } from "../../src/user-agent/display.ts";
import { JournalDirectory } from "../../src/user-agent/journal-directory.ts";
import type { Machine, Platform } from "../../src/user-agent/platform.ts";
import { startUserAgent } from "../../src/user-agent/start.ts";
import type { UserAgent } from "../../src/user-agent/user-agent.ts";
import { base64urlEncode } from "../../src/webpush/base64url.ts";
import { Connection } from "./access.ts";
import { numberIn } from "./app.ts";
import type { Device } from "./device.ts";
import type { Run } from "./ledger.ts";
import type { LinkKind } from "./link-watch.ts";
import { ORIGIN, pathOf, upgradeHeaders } from "./service.ts";
import { WindowWatch } from "./window-watch.ts";

type Dispatch = (event: AgentEvent) => void;

/** One run of the agent's process. */
export class Life {
  readonly run: Run;
  userAgent: UserAgent | null = null;
  isAlive = true;
  isStopping = false;
  readonly #device: Device;
  readonly #connections = new Map<number, Connection>();
  readonly #screen: Display = {
    show: (shown) => this.#show(shown),
    close: (notificationId) => {
      if (this.touch()) this.#device.closed(notificationId);
    },
    setBadge: () => void this.touch(),
    openUrl: () => void this.touch(),
  };
  #takeAlarmBack = (): void => {};

  constructor(device: Device, run: Run) {
    this.#device = device;
    this.run = run;
  }

  start(): Promise<UserAgent> {
    const device = this.#device;
    const { setting, flash } = device;
    flash.wait = (operation) => this.#flashWait(operation);
    const self = { pid: this.run.number, startTicks: "", bootId: "" };
    const processes = { self: () => self, isRunning: () => false };
    const sink = device.surroundings.recordingOf(device.name);
    return startUserAgent(
      {
        serviceUrl: ORIGIN,
        dialect: setting.dialect,
        deviceId: setting.name,
        deviceKey: device.deviceKey,
        permission: () => "granted",
        mqttUrls: [],
        silentPushMax: () => null,
        display: this.#screen,
        onReport: (report) => this.#hear(report),
        startApp: (owner) => {
          if (this.touch()) device.startApp(owner);
        },
        ...(sink === null ? {} : { makeAgent: (made) => new RecordedAgent(made, sink, "simulation") }),
      },
      this.#platform(),
      (dispatch) => this.#machine(dispatch),
      () =>
        JournalDirectory.open({
          directory: "/state",
          fileSystem: flash,
          processes,
          randomFill: (target) => device.fill(target),
        }),
    ).then((userAgent) => {
      userAgent.watch(() => this.#watch(userAgent));
      return userAgent;
    });
  }

  /** A screen is added, and finds what is to be shown. */
  showAgain(): void {
    this.userAgent?.addDisplay(this.#screen)();
  }

  /** Before each effect on the world. False: the process is gone, and the effect does not come to be. */
  touch(): boolean {
    return this.isAlive && !this.#device.isDoomed();
  }

  end(): void {
    this.isAlive = false;
    this.#takeAlarmBack();
  }

  #flashWait(operation: string): Promise<void> | null {
    const { syncMs, surroundings } = this.#device;
    // Where the process dies in between is what matters; that a write is followed by a sync is enough to wait for.
    if (!this.touch()) return new Promise(() => {});
    if (!operation.endsWith("sync") || syncMs === 0) return null;
    return new Promise((resolve) => surroundings.clockwork.after(syncMs, () => this.#when(resolve)));
  }

  #platform(): Platform {
    const device = this.#device;
    const { clockwork } = device.surroundings;
    return {
      now: () => device.now(),
      monotonicMs: () => clockwork.nowMs,
      epochMs: () => device.now().epochMs,
      after: (delayMs, action) => clockwork.after(delayMs, () => this.#when(action)),
      randomFill: (target) => device.fill(target),
      provider: nodeProvider,
      sign: (keys, data) => nodeProvider.sign(keys, data),
    };
  }

  /** When the device is awake, if the process is still there. */
  #when(action: () => void): void {
    this.#device.awake(() => {
      if (this.isAlive) action();
    });
  }

  #machine(dispatch: Dispatch): Machine {
    const device = this.#device;
    const { clockwork } = device.surroundings;
    const tell: Dispatch = (event) => this.#when(() => dispatch(event));
    return {
      openLink: (request) => {
        if (this.touch()) this.#open(request, dispatch);
      },
      send: ({ linkId, frame }) => {
        if (!this.touch()) return;
        this.#check(linkId, frame);
        const isBinary = device.dialect !== "autopush";
        this.#connections.get(linkId)?.up({ type: "frame", bytes: frame.slice(), isBinary });
      },
      ping: ({ linkId }) => {
        if (this.touch()) this.#connections.get(linkId)?.up({ type: "ping" });
      },
      closeLink: ({ linkId }) => {
        if (!this.touch()) return;
        this.#connections.get(linkId)?.up({ type: "close", code: 1000 });
        this.#connections.get(linkId)?.forget();
        this.#connections.delete(linkId);
        device.watch.closed(linkId);
      },
      setAlarm: ({ alarm }) => {
        if (!this.touch()) return;
        this.#takeAlarmBack();
        if (alarm === null) return;
        const dueMs = alarm.atMs + alarm.windowMs;
        this.#takeAlarmBack = clockwork.after(dueMs - clockwork.nowMs, () => {
          device.watch.alarm();
          tell({ type: "alarm" });
        });
      },
      stayAwake: () => void this.touch(),
      httpRequest: (request) => {
        if (this.touch()) this.#request(request, tell);
      },
      watchNetwork: async () => {
        // Which it is when the device is awake to hear of it.
        this.tellNetwork = (hasNewAddress) =>
          this.#when(() => {
            const { network } = device.access;
            dispatch({ type: "networkChanged", network, ...(hasNewAddress ? { hasNewAddress } : {}) });
          });
        dispatch({ type: "networkChanged", network: device.access.network });
      },
      post: async () => 0,
      close: () => {
        for (const connection of this.#connections.values()) {
          connection.up({ type: "close", code: 1000 });
          connection.forget();
        }
        this.#connections.clear();
        this.#takeAlarmBack();
      },
    };
  }

  /** Set once the agent listens. */
  tellNetwork: (hasNewAddress: boolean) => void = () => {};

  #open(
    { linkId, url, subprotocol, bearer, headers, isText }: EffectOf<"openLink">,
    dispatch: Dispatch,
  ): void {
    const tell: Dispatch = (event) => this.#when(() => dispatch(event));
    const device = this.#device;
    const { service, ledger } = device.surroundings;
    const kind: LinkKind = url.endsWith("/v1/canary") ? "canary" : "main";
    const closed = (
      cause: "refused" | "reset" | "closed" | "unreachable",
      httpStatus: number | null,
      retryAfterS: number | null,
    ): void => {
      if (!this.#connections.delete(linkId)) return;
      this.#when(() => device.watch.closed(linkId));
      tell({ type: "linkClosed", linkId, cause, httpStatus, retryAfterS });
    };
    const window = new WindowWatch(device.name, device.dialect, ledger);
    const connection = new Connection(device.access, {
      opened: () =>
        this.#when(() => {
          device.watch.opened(linkId);
          tell({ type: "linkOpened", linkId });
        }),
      received: (packet) => {
        if (packet.type === "frame") {
          const { bytes } = packet;
          this.#when(() => {
            if (kind === "main") device.watch.received(linkId, bytes, device.dialect);
            dispatch({ type: "linkMessage", linkId, frame: bytes });
          });
        } else if (packet.type === "pong") tell({ type: "linkPong", linkId });
        else if (packet.type === "ping") {
          // The system's WebSocket answers; of a sleeping device it does not run.
          device.awake(() => connection.up({ type: "pong" }));
          if (isText) tell({ type: "linkMessage", linkId, frame: new Uint8Array(0) });
        }
      },
      closed: (cause) => closed(cause === "closed" ? "closed" : "reset", null, null),
      serviceSent: (frame) => {
        if (kind === "main") window.sent(frame);
      },
      serviceHeard: (frame) => {
        if (kind === "main") window.heard(frame);
      },
    });
    this.#connections.set(linkId, connection);
    device.watch.dialed(linkId, kind, this.userAgent?.status().link === "online");
    device.trace(`dials ${kind} ${linkId}`);
    if (bearer !== null) ledger.addSecret(bearer);
    const lower = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
    );
    const request = {
      path: pathOf(url),
      headers: {
        ...lower,
        ...upgradeHeaders(subprotocol),
        ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
      },
      address: `192.0.2.${1 + (device.name.charCodeAt(1) % 250)}`,
    };
    if (device.access.network === null)
      return connection.refuse("unreachable", () => closed("unreachable", null, null));
    connection.reach(() =>
      service.upgrade(request, connection, (status, retryAfterS) => {
        const cause = "refused";
        connection.refuse(cause, () => closed(cause, status === 0 ? null : status, retryAfterS));
      }),
    );
  }

  /** POST /v1/token, over a connection of its own. */
  #request({ requestId, bearer, timeoutMs }: EffectOf<"httpRequest">, tell: Dispatch): void {
    const device = this.#device;
    const { clockwork, service, ledger } = device.surroundings;
    let isOver = false;
    const answer = (status: number, retryAfterS: number | null, body: string | null): void => {
      if (isOver) return;
      isOver = true;
      const cause = status === 0 ? "unreachable" : null;
      tell({ type: "httpResponse", requestId, status, cause, retryAfterS, body });
    };
    clockwork.after(timeoutMs, () => answer(0, null, null));
    if (device.access.network === null) return;
    const headers = bearer === null ? {} : { authorization: `Bearer ${bearer}` };
    clockwork.after(device.access.transitMs(), () => {
      void service.issueToken({ path: "/v1/token", headers, address: device.name }).then((reply) => {
        if (reply === null) return answer(0, null, null);
        const token = /"uaToken":"([^"]+)"/.exec(reply.body)?.[1];
        if (token !== undefined) ledger.addSecret(token);
        const retryAfter = reply.headers["Retry-After"];
        clockwork.after(device.access.transitMs(), () => {
          if (device.access.network !== null)
            answer(reply.status, retryAfter === undefined ? null : Number(retryAfter), reply.body);
        });
      });
    });
  }

  /** Nothing is acknowledged that is not safe. */
  #check(linkId: number, frame: Uint8Array): void {
    const device = this.#device;
    const { ledger } = device.surroundings;
    for (const { messageId, code } of device.watch.acknowledgedBy(linkId, frame, device.dialect)) {
      const message = ledger.byId(messageId);
      device.trace(`acks ${message?.number ?? messageId} ${code}`);
      if (message === undefined) ledger.violate("ack names what came", `${messageId} was never stored`);
      else ledger.acknowledging(message, code, () => device.isKept(message));
    }
  }

  async #show(shown: ShownNotification): Promise<void> {
    const device = this.#device;
    if (!this.touch()) return new Promise(() => {});
    const number = numberIn(shown.notification.title);
    if (!device.isScreenOn) {
      if (number !== null) device.keep(shown.notificationId, number);
      throw new Error("the screen is off");
    }
    if (number === null) return;
    device.trace(`shows ${number}`);
    device.surroundings.ledger.shown(
      this.run,
      shown.owner,
      number,
      shown.notificationId,
      device.wasKept(shown.notificationId),
    );
  }

  #hear(report: Report): void {
    if (!this.isAlive) return;
    const { ledger } = this.#device.surroundings;
    const line = JSON.stringify(report);
    this.#device.trace(line);
    ledger.logged(this.#device.name, line);
    if (report.type === "fault" && report.code.startsWith("ERR_JOURNAL_"))
      this.#device.watch.hinderFor(2 * JOURNAL_RETRY_MS_MAX);
    if (report.type === "dropped") ledger.dropped(report.messageId, report.code);
    else if (report.type === "journaled") ledger.events.journaled++;
    else if (report.type === "subscribed") this.#checkSubscribed(report.owner);
  }

  /** A subscription exists when its record is durable. */
  #checkSubscribed(owner: string): void {
    const { ledger } = this.#device.surroundings;
    const found = [...this.#device.durableState().subscriptions.values()].find((one) => one.owner === owner);
    if (found?.endpoint == null)
      return ledger.violate("nothing half-registered", `${owner} is not on the flash`);
    ledger.addSecretBytes(found.privateKey);
    ledger.addSecretBytes(found.authSecret);
    ledger.addSecret(base64urlEncode(found.registrationId));
  }

  #watch(userAgent: UserAgent): void {
    if (this.isAlive) this.#device.watch.check(userAgent, this.#device.dialect);
  }
}
