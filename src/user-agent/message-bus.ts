// SPDX-License-Identifier: MIT
/** The session bus as {@link DesktopDisplay} uses it (D-Bus): methods called, signals taken. Pure. */

/** A value with its type: byte, boolean, signed and unsigned 32-bit integer, text, texts, dictionary of variants. */
export type DBusValue =
  | readonly ["y" | "i" | "u", number]
  | readonly ["b", boolean]
  | readonly ["s" | "o" | "g", string]
  | readonly ["as", readonly string[]]
  | readonly ["a{sv}", Readonly<Record<string, DBusValue>>];

/** The bus itself, which says hello and takes rules. */
export const BUS = {
  destination: "org.freedesktop.DBus",
  path: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
} as const;

export interface DBusCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly body: readonly DBusValue[];
}

/** What came, of a method's answer and of a signal. */
export interface DBusNews {
  /** Put there by the bus, so nobody can claim another's. */
  readonly sender: string;
  readonly member: string;
  /** Numbers, texts and lists of texts; empty when there are values of other types, which nobody here waits for. */
  readonly body: readonly (number | string | readonly string[])[];
}

export interface MessageBus {
  /**
   * Calls a method, starting what offers it if need be.
   *
   * @throws {GodwitError} ERR_DISPLAY when it fails, is not answered in time, or the bus goes
   */
  call(call: DBusCall): Promise<DBusNews>;
  close(): void;
}

export interface MessageBusHandlers {
  /** A signal that matches one of the rules, or that somebody sent to us alone: look at its `sender`. */
  readonly onSignal: (signal: DBusNews) => void;
  /** The bus is gone; not called after {@link MessageBus.close}. */
  readonly onGone: () => void;
}

/** @throws {GodwitError} ERR_DISPLAY when there is no bus, or it does not let us in */
export type ConnectMessageBus = (handlers: MessageBusHandlers) => Promise<MessageBus>;
