// SPDX-License-Identifier: MIT
/**
 * A client of the desktop's session bus (D-Bus, protocol version 1, EXTERNAL authentication): calls methods, takes signals.
 * Serves no objects of its own. Nothing goes over a command line, where every local user could read it.
 */

import { existsSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { GodwitError } from "../errors.ts";
import { DBUS_CALL_TIMEOUT_MS, DBUS_GREETING_BYTES_MAX } from "../limits.ts";
import { BUS, type DBusCall, type MessageBus, type MessageBusHandlers } from "../user-agent/message-bus.ts";
import {
  DBUS_ERROR,
  DBUS_FIXED_BYTES,
  DBUS_RETURN,
  DBUS_SIGNAL,
  type DBusMessage,
  decodeMessage,
  encodeCall,
  messageBytes,
} from "./dbus-message.ts";

interface PendingCall {
  readonly resolve: (reply: DBusMessage) => void;
  readonly reject: (error: GodwitError) => void;
  readonly timer: NodeJS.Timeout;
}

export class SessionBus implements MessageBus {
  readonly #socket: Socket;
  readonly #handlers: MessageBusHandlers;
  readonly #calls = new Map<number, PendingCall>();
  readonly #unsent: Buffer[] = [];
  #lastSerial = 0;
  #received: Buffer = Buffer.alloc(0);
  #isGreeted = false;
  #isClosed = false;

  /** Use {@link connect}. */
  private constructor(socket: Socket, handlers: MessageBusHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", () => this.#end());
    socket.on("close", () => this.#end());
    // RFC 4422 EXTERNAL: who we are is what the kernel says of this socket; the number only has to agree.
    const user = Buffer.from(String(process.getuid?.() ?? 0)).toString("hex");
    socket.write(`\0AUTH EXTERNAL ${user}\r\n`);
  }

  /**
   * Connects to the session bus that the environment names.
   *
   * @throws {GodwitError} ERR_DISPLAY when there is none, or it does not let us in
   */
  static async connect(environment: NodeJS.ProcessEnv, handlers: MessageBusHandlers): Promise<SessionBus> {
    const path = sessionBusPath(environment);
    if (path === null) throw failed("there is no session bus");
    const bus = new SessionBus(createConnection(path), handlers);
    try {
      await bus.call({ ...BUS, member: "Hello", body: [] });
      return bus;
    } catch (error) {
      bus.close();
      throw error;
    }
  }

  call(call: DBusCall): Promise<DBusMessage> {
    if (this.#isClosed) return Promise.reject(failed("the session bus is gone"));
    const serial = ++this.#lastSerial;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(serial);
        reject(failed(`${call.member} was not answered in time`));
      }, DBUS_CALL_TIMEOUT_MS);
      this.#calls.set(serial, { resolve, reject, timer });
      const message = encodeCall(call, serial);
      // Before the greeting is over the bus takes nothing else; then Hello comes first.
      if (this.#isGreeted) this.#socket.write(message);
      else this.#unsent.push(message);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
    this.#rejectAll();
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    try {
      if (!this.#isGreeted) this.#readGreeting();
      if (this.#isGreeted) this.#readMessages();
    } catch {
      // Where one message ends, the next begins: behind one that cannot be read there is nothing to be had.
      this.#socket.destroy();
    }
  }

  #readGreeting(): void {
    const end = this.#received.indexOf("\r\n");
    if (end < 0 && this.#received.length <= DBUS_GREETING_BYTES_MAX) return;
    if (!this.#received.subarray(0, Math.max(end, 0)).toString("latin1").startsWith("OK "))
      throw failed("the session bus does not let us in");
    this.#received = this.#received.subarray(end + 2);
    this.#isGreeted = true;
    this.#socket.write(Buffer.concat([Buffer.from("BEGIN\r\n"), ...this.#unsent.splice(0)]));
  }

  #readMessages(): void {
    while (this.#received.length >= DBUS_FIXED_BYTES) {
      const bytes = messageBytes(this.#received);
      if (this.#received.length < bytes) return;
      const message = decodeMessage(this.#received.subarray(0, bytes));
      this.#received = this.#received.subarray(bytes);
      this.#handle(message);
    }
  }

  #handle(message: DBusMessage): void {
    if (message.type === DBUS_SIGNAL) return this.#handlers.onSignal(message);
    if (message.type !== DBUS_RETURN && message.type !== DBUS_ERROR) return;
    const call = this.#calls.get(message.replySerial);
    if (call === undefined) return;
    this.#calls.delete(message.replySerial);
    clearTimeout(call.timer);
    if (message.type === DBUS_RETURN) call.resolve(message);
    else call.reject(failed(message.errorName));
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#rejectAll();
    this.#handlers.onGone();
  }

  #rejectAll(): void {
    for (const { reject, timer } of this.#calls.values()) {
      clearTimeout(timer);
      reject(failed("the session bus is gone"));
    }
    this.#calls.clear();
  }
}

/** The socket of the session bus, abstract ones with a leading zero; null when there is none that we can use. */
export function sessionBusPath(environment: NodeJS.ProcessEnv): string | null {
  const { DBUS_SESSION_BUS_ADDRESS: addresses = "", XDG_RUNTIME_DIR: runtime = "" } = environment;
  for (const address of addresses.split(";")) {
    const [, path] = /^unix:(?:.*,)?path=([^,]*)/.exec(address) ?? [];
    const [, name] = /^unix:(?:.*,)?abstract=([^,]*)/.exec(address) ?? [];
    if (path !== undefined) return unescapeAddress(path);
    if (name !== undefined) return `\0${unescapeAddress(name)}`;
  }
  const usual = join(runtime, "bus");
  return addresses === "" && runtime !== "" && existsSync(usual) ? usual : null;
}

function unescapeAddress(text: string): string {
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function failed(why: string): GodwitError {
  return new GodwitError("ERR_DISPLAY", `no desktop notifications: ${why}`);
}
