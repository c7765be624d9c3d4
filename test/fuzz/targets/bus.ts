// SPDX-License-Identifier: MIT
/**
 * Messages of the desktop's bus (D-Bus) on Node: what is no message gets the listed code and nothing else; what is read is bounded and
 * has values of known types; what we write of it is read as the same. No tests here.
 */

import { DBUS_MESSAGE_BYTES_MAX } from "../../../src/limits.ts";
import { DBUS_FIXED_BYTES, decodeMessage, encodeCall, messageBytes } from "../../../src/node/dbus-message.ts";
import type { DBusCall, DBusValue } from "../../../src/user-agent/message-bus.ts";
import type { Random } from "../random.ts";
import { holds, resultOrCode, same, type Target } from "../target.ts";

export const target: Target = {
  name: "bus",
  covers: ["src/node/dbus-message.ts"],
  inputBytesMax: 4096,
  inputMsMax: 50,
  words: [
    "l",
    "B",
    "s",
    "as",
    "a{sv}",
    "ybiusog",
    ":1.2",
    "ActionInvoked",
    "NotificationClosed",
    "org.freedesktop.DBus",
  ],
  seeds: () => CALLS.map((call) => encodeCall(call, 7)),
  mutate: mutateNumber,
  run(input) {
    const bytes = Buffer.from(input);
    if (bytes.length < DBUS_FIXED_BYTES) return "short";
    const length = resultOrCode(["ERR_DISPLAY"], () => messageBytes(bytes));
    if ("code" in length) return "no message";
    holds(
      "a bound for what is waited for",
      length.value <= DBUS_MESSAGE_BYTES_MAX && length.value >= DBUS_FIXED_BYTES,
    );
    // What a reader has of it: as long as it says, where there is as much.
    const whole = bytes.subarray(0, length.value);
    const read = resultOrCode(["ERR_DISPLAY"], () => decodeMessage(whole));
    if ("code" in read) return "malformed";
    const { body, type, member } = read.value;
    for (const value of body)
      holds("values of known types", ["number", "string"].includes(typeof value) || Array.isArray(value));
    checkWritten(read.value.member, body);
    return `${Math.min(type, 5)} ${body.length === 0 ? "" : typeof body[0]} ${member === "" ? "" : "member"}`;
  },
};

/** Its values in a call of ours, and back. */
function checkWritten(member: string, body: readonly (number | string | readonly string[])[]): void {
  const values = body.map((value): DBusValue => {
    if (typeof value === "number") return value < 0 ? ["i", value] : ["u", value];
    return typeof value === "string" ? ["s", value] : ["as", value];
  });
  const call = { destination: "a.b", path: "/a", interface: "a.b", member, body: values };
  const bytes = encodeCall(call, 9);
  if (bytes.length > DBUS_MESSAGE_BYTES_MAX) return;
  same("the length we write", messageBytes(bytes), bytes.length);
  const again = decodeMessage(bytes);
  const clean = (text: string): string => text.replaceAll("\0", "");
  same("the member read again", again.member, clean(member));
  same(
    "the values read again",
    again.body,
    body.map((value) =>
      typeof value === "number" ? value : typeof value === "string" ? clean(value) : value.map(clean),
    ),
  );
}

/** Lengths and counts are 4 bytes at multiples of 4. */
function mutateNumber(input: Uint8Array, random: Random): Uint8Array | null {
  if (input.length < 8 || random.oneIn(2)) return null;
  const changed = input.slice();
  const view = new DataView(changed.buffer);
  const at = 4 * random.below(Math.floor(changed.length / 4));
  const value = view.getUint32(at, true) + random.pick([-8, -4, -1, 1, 4, 8, 0x7fff_fff0, 65_536]);
  view.setUint32(at, random.oneIn(8) ? changed.length : value, true);
  if (random.oneIn(8)) changed[0] = random.pick([0x42, 0x6c]);
  return changed;
}

const names = {
  destination: "org.freedesktop.Notifications",
  path: "/org/freedesktop/Notifications",
  interface: "a.b",
};
const CALLS: readonly DBusCall[] = [
  { ...names, member: "GetCapabilities", body: [] },
  {
    ...names,
    member: "ActionInvoked",
    body: [
      ["u", 7],
      ["s", "default"],
    ],
  },
  {
    ...names,
    member: "NotificationClosed",
    body: [
      ["u", 7],
      ["u", 2],
    ],
  },
  { ...names, member: "Capabilities", body: [["as", ["body", "actions", "é"]]] },
  {
    ...names,
    member: "Everything",
    body: [
      ["y", 1],
      ["b", true],
      ["i", -1],
      ["u", 4_294_967_295],
      ["s", "a"],
      ["o", "/a"],
      ["g", "as"],
      ["as", []],
    ],
  },
  {
    ...names,
    member: "Notify",
    body: [
      ["s", "mail"],
      ["a{sv}", { urgency: ["y", 1], "suppress-sound": ["b", true] }],
    ],
  },
];
