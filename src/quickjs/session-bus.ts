// SPDX-License-Identifier: MIT
/** The session bus over the daemon's natives: one connection at a time. */

import { GodwitError } from "../errors.ts";
import type { DBusCall, DBusNews, MessageBus, MessageBusHandlers } from "../user-agent/message-bus.ts";
import type { BusBridge, BusEvents } from "./bus-bridge.d.ts";

interface PendingCall {
  readonly resolve: (news: DBusNews) => void;
  readonly reject: (error: GodwitError) => void;
}

/** The bus's natives, and where its events go. */
export class SessionBus {
  readonly #bridge: BusBridge;
  #connection: Connection | null = null;

  constructor(bridge: BusBridge) {
    this.#bridge = bridge;
  }

  /** For the bridge. */
  readonly events: BusEvents = {
    busReplied: (callId, errorName, sender, body) =>
      this.#connection?.handleReply(callId, errorName, { sender, member: "", body }),
    busSignal: (member, sender, body) => this.#connection?.handlers.onSignal({ member, sender, body }),
    busGone: () => {
      const connection = this.#connection;
      this.#connection = null;
      connection?.rejectAll();
      connection?.handlers.onGone();
    },
  };

  /** @throws {GodwitError} ERR_DISPLAY when there is none */
  async connect(handlers: MessageBusHandlers): Promise<MessageBus> {
    this.#connection?.close();
    try {
      this.#bridge.busOpen();
    } catch {
      throw failed("there is no session bus");
    }
    const connection = new Connection(this.#bridge, handlers, () => {
      if (this.#connection === connection) this.#connection = null;
    });
    this.#connection = connection;
    return connection;
  }
}

class Connection implements MessageBus {
  readonly handlers: MessageBusHandlers;
  readonly #bridge: BusBridge;
  readonly #closed: () => void;
  readonly #calls = new Map<number, PendingCall>();
  #lastCallId = 0;
  #isClosed = false;

  constructor(bridge: BusBridge, handlers: MessageBusHandlers, closed: () => void) {
    this.#bridge = bridge;
    this.handlers = handlers;
    this.#closed = closed;
  }

  call({ destination, path, interface: interfaceName, member, body }: DBusCall): Promise<DBusNews> {
    if (this.#isClosed) return Promise.reject(failed("the session bus is gone"));
    const callId = ++this.#lastCallId;
    return new Promise((resolve, reject) => {
      this.#calls.set(callId, { resolve, reject });
      try {
        this.#bridge.busCall(callId, destination, path, interfaceName, member, body);
      } catch (error) {
        this.#calls.delete(callId);
        reject(failed((error as Error).message));
      }
    });
  }

  handleReply(callId: number, errorName: string | null, news: DBusNews): void {
    const call = this.#calls.get(callId);
    this.#calls.delete(callId);
    if (errorName === null) call?.resolve(news);
    else call?.reject(failed(errorName));
  }

  rejectAll(): void {
    this.#isClosed = true;
    for (const { reject } of this.#calls.values()) reject(failed("the session bus is gone"));
    this.#calls.clear();
  }

  close(): void {
    if (this.#isClosed) return;
    this.rejectAll();
    this.#closed();
    this.#bridge.busClose();
  }
}

function failed(why: string): GodwitError {
  return new GodwitError("ERR_DISPLAY", `no desktop notifications: ${why}`);
}
