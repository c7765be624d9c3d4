// SPDX-License-Identifier: MIT
// Goal: a notification that a screen does not show never goes by in silence: the screen's failure is told with its cause, and that nobody
// has it when nobody has. Method: the real displays, with screens that show, fail, or have nobody at them.

import { beforeEach, describe, expect, test } from "vitest";
import { GodwitError } from "../../src/errors.ts";
import { type Display, TerminalDisplay } from "../../src/user-agent/display.ts";
import { Displays } from "../../src/user-agent/displays.ts";
import { Shells } from "../../src/user-agent/shells.ts";

const SHOWN = {
  notificationId: 7,
  owner: "https://tide.example",
  notification: { title: "High water", body: "", actions: [] } as never,
  replaces: null,
  alert: true,
};
const KEPT = ["notification 7 is not shown, and kept for later", SHOWN.owner];

let told: (string | undefined)[][];
let displays: Displays;

beforeEach(() => {
  told = [];
  displays = new Displays((text, owner) => told.push(owner === undefined ? [text] : [text, owner]));
});

const terminal = () => new TerminalDisplay(() => {});
/** Every call of it fails with `error`. */
function broken(error: Error): Display {
  const fail = () => Promise.reject(error);
  return { show: fail, close: fail as never, setBadge: fail as never, openUrl: fail };
}
const helper = () => broken(new GodwitError("ERR_DISPLAY", "the helper ended with 3"));

describe("showing", () => {
  test("on a screen that works there is nothing to tell, also beside one with nobody at it", async () => {
    displays.add(terminal());
    displays.add(new Shells());
    await displays.show(SHOWN);
    expect(told).toEqual([]);
  });

  test("a screen that fails is told of with its cause, also when another shows it", async () => {
    displays.add(helper());
    displays.add(terminal());
    await displays.show(SHOWN);
    expect(told).toEqual([["the helper ended with 3"]]);
  });

  test("with no other screen it is told that it is kept", async () => {
    displays.add(helper());
    displays.add(new Shells());
    await expect(displays.show(SHOWN)).rejects.toThrow();
    expect(told).toEqual([["the helper ended with 3"], KEPT]);
  });

  test("without anybody at the screens it is told that it is kept", async () => {
    displays.add(new Shells());
    await expect(displays.show(SHOWN)).rejects.toThrow();
    expect(told).toEqual([KEPT]);
  });

  test("an agent that was given no screen at all is silent", async () => {
    await expect(displays.show(SHOWN)).rejects.toThrow();
    expect(told).toEqual([]);
  });

  test("what a screen of somebody else throws is not quoted: it may hold the message", async () => {
    displays.add(broken(new Error("no room for High water")));
    await expect(displays.show(SHOWN)).rejects.toThrow();
    expect(told).toEqual([KEPT]);
  });
});

test("a badge, a closing and a link that fail are told with their cause", async () => {
  displays.add(helper());
  displays.setBadge(SHOWN.owner, 3 as never);
  displays.close(7);
  displays.openUrl(SHOWN.owner, "https://tide.example/");
  await expect.poll(() => told).toEqual(Array(3).fill(["the helper ended with 3"]));
});
