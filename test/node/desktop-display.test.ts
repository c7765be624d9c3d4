// SPDX-License-Identifier: MIT
// Goal: notifications appear on a Linux desktop, and what a person does with them comes back. Method: a real session bus and a
// real notification server (dunst) on a screen nobody sees; its own tool plays the person.

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { GodwitNotification } from "../../src/declarative/index.ts";
import { createDesktopDisplay } from "../../src/node/desktop.ts";
import { sessionBusPath } from "../../src/node/session-bus.ts";
import type { DesktopDisplay } from "../../src/user-agent/desktop-display.ts";
import type { ShownNotification } from "../../src/user-agent/display.ts";
import { Desktop, desktopProblem } from "./desktop.ts";

if (desktopProblem !== null) console.warn(`desktop-display.test.ts is skipped in part: no ${desktopProblem}`);

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A display on `environment`'s desktop, and what a person did there. */
class Subject {
  readonly display: DesktopDisplay;
  readonly did: string[] = [];
  #waiting: (() => void) | null = null;

  constructor(environment: NodeJS.ProcessEnv) {
    const note = (what: string): void => {
      this.did.push(what);
      this.#waiting?.();
    };
    this.display = createDesktopDisplay(
      {
        onActivate: (notificationId, action) => note(`activate ${notificationId} ${JSON.stringify(action)}`),
        onDismiss: (notificationId) => note(`dismiss ${notificationId}`),
      },
      environment,
    );
    closers.push(() => this.display.disconnect());
  }

  async until(count: number): Promise<string[]> {
    while (this.did.length < count) await new Promise<void>((resolve) => (this.#waiting = resolve));
    return this.did;
  }
}

function notification(members: Partial<GodwitNotification> = {}): GodwitNotification {
  return {
    title: "Tide",
    navigate: "https://news.example/tide",
    body: "High water at six",
    dir: "auto",
    lang: "",
    tag: "",
    icon: null,
    image: null,
    badge: null,
    vibrate: [],
    timestamp: 0,
    renotify: false,
    requireInteraction: false,
    silent: null,
    data: null,
    actions: [
      { action: "default", title: "Answer", navigate: null, icon: null },
      { action: "later", title: "Later", navigate: "https://news.example/later", icon: null },
    ],
    ...members,
  };
}

function shown(members: Partial<ShownNotification> = {}): ShownNotification {
  return {
    notificationId: 7,
    owner: "https://news.example",
    notification: notification(),
    replaces: null,
    alert: true,
    ...members,
  };
}

async function start(hasServer = true): Promise<{ desktop: Desktop; subject: Subject }> {
  const desktop = await Desktop.start(hasServer);
  closers.push(() => desktop.close());
  return { desktop, subject: new Subject(desktop.environment) };
}

describe.skipIf(desktopProblem !== null)("on a desktop (needs apt-get install dbus dunst xvfb)", () => {
  test("a notification says who sends it, and its text is text", async () => {
    const { desktop, subject } = await start();
    const body = "<b>six</b> & \u0007half\u202e past";
    await subject.display.show(shown({ notification: notification({ body }) }));
    expect(await desktop.printed(1)).toEqual({
      appName: "https://news.example",
      title: "Tide",
      body: "https://news.example\n&lt;b&gt;six&lt;/b&gt; &amp; half past",
      urgency: "NORMAL",
      id: expect.any(Number),
      actions: { default: "Open", 0: "Answer", 1: "Later" },
    });
  });

  test("an action is the sender's name for it, also where that is the desktop's for something else", async () => {
    const { desktop, subject } = await start();
    await subject.display.show(shown());
    await desktop.printed(1);
    await desktop.choose("Answer");
    expect(await subject.until(1)).toEqual(['activate 7 "default"']);
    await desktop.choose("Later");
    expect(await subject.until(2)).toEqual(['activate 7 "default"', 'activate 7 "later"']);
  });

  test("a click is the notification itself, which stays until the agent closes it", async () => {
    const { desktop, subject } = await start();
    await subject.display.show(shown({ owner: "tide.station" }));
    expect((await desktop.printed(1)).appName).toBe("tide.station");
    await desktop.click();
    expect(await subject.until(1)).toEqual(['activate 7 ""']);
    expect(await desktop.displayed()).toBe(1);
    await subject.display.close(7);
    expect(await desktop.displayed()).toBe(0);
    expect(subject.did.length).toBe(1);
  });

  test("what a person dismisses is told, what we close is not, and nothing is listened to with nothing shown", async () => {
    const { desktop, subject } = await start();
    await subject.display.show(shown());
    await desktop.printed(1);
    await desktop.dismiss();
    expect(await subject.until(1)).toEqual(["dismiss 7"]);
    await subject.display.show(shown({ notificationId: 8 }));
    expect(await desktop.displayed()).toBe(1);
    expect((await desktop.clients()).length).toBe(2);
    await subject.display.close(8);
    expect(await desktop.displayed()).toBe(0);
    expect((await desktop.clients()).length).toBe(1);
    expect(subject.did).toEqual(["dismiss 7"]);
  });

  test("a replacement takes the place of the first, quietly when it is not to alert", async () => {
    const { desktop, subject } = await start();
    await subject.display.show(shown());
    const first = await desktop.printed(1);
    const newer = notification({ title: "Tide turned" });
    await subject.display.show(shown({ notification: newer, replaces: 7, alert: false }));
    const second = await desktop.printed(2);
    expect(second).toMatchObject({ id: first.id, title: "Tide turned", urgency: "LOW" });
    expect(await desktop.displayed()).toBe(1);
  });

  test("somebody else's signals count for nothing", async () => {
    const { desktop, subject } = await start();
    const before = new Set(await desktop.clients());
    await subject.display.show(shown());
    const { id } = await desktop.printed(1);
    const forged = [
      "--type=signal",
      "/org/freedesktop/Notifications",
      "org.freedesktop.Notifications.ActionInvoked",
    ];
    const [own] = (await desktop.clients()).filter((name) => !before.has(name));
    await desktop.send(...forged, `uint32:${id}`, "string:default");
    await desktop.send(`--dest=${own}`, ...forged, `uint32:${id}`, "string:default");
    await desktop.choose("Later");
    expect(await subject.until(1)).toEqual(['activate 7 "later"']);
  });

  test("a server that died is started again by the next notification", async () => {
    const { desktop, subject } = await start();
    await subject.display.show(shown());
    await desktop.printed(1);
    await desktop.killServer();
    await subject.display.show(shown({ notificationId: 8 }));
    await desktop.printed(2);
    expect(await desktop.displayed()).toBe(1);
    await desktop.click();
    expect(await subject.until(1)).toEqual(['activate 8 ""']);
  });

  test("without a notification server there is no screen", async () => {
    const { desktop, subject } = await start(false);
    await expect(subject.display.show(shown())).rejects.toMatchObject({ code: "ERR_DISPLAY" });
    expect(await desktop.clients()).toEqual([]);
  });
});

describe("without a desktop", () => {
  const directory = (): string => {
    const path = mkdtempSync(join(tmpdir(), "godwit-desktop-"));
    closers.push(() => rmSync(path, { recursive: true }));
    return path;
  };

  test("without a session bus there is no screen", async () => {
    const gone = `unix:path=${directory()}/bus`;
    for (const environment of [
      {},
      { DBUS_SESSION_BUS_ADDRESS: gone },
      { DBUS_SESSION_BUS_ADDRESS: "tcp:host=x" },
    ]) {
      const { display } = new Subject(environment);
      await expect(display.show(shown())).rejects.toMatchObject({ code: "ERR_DISPLAY" });
    }
  });

  test.each([
    ["refuses us", "REJECTED EXTERNAL\r\n"],
    ["never ends its greeting", "x".repeat(5_000)],
    ["sends no message", `OK 0123\r\n${"?".repeat(64)}`],
    ["announces a huge message", Buffer.from("4f4b20300d0a6c02000100000040010000000000000000", "hex")],
    ["hangs up", null],
  ])("a bus that %s is no screen", async (_, greeting) => {
    const path = join(directory(), "bus");
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => (greeting === null ? socket.end() : socket.write(greeting)));
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    closers.push(() => server.close());
    const { display } = new Subject({ DBUS_SESSION_BUS_ADDRESS: `unix:path=${path}` });
    await expect(display.show(shown())).rejects.toMatchObject({ code: "ERR_DISPLAY" });
  });

  test("the bus is found by its address, of several the first that we can use", () => {
    expect(sessionBusPath({ DBUS_SESSION_BUS_ADDRESS: "unix:path=/run/a%20b,guid=1" })).toBe("/run/a b");
    expect(sessionBusPath({ DBUS_SESSION_BUS_ADDRESS: "unix:abstract=/tmp/dbus-x,guid=1" })).toBe(
      "\0/tmp/dbus-x",
    );
    expect(sessionBusPath({ DBUS_SESSION_BUS_ADDRESS: "tcp:host=h,port=1;unix:guid=1,path=/b" })).toBe("/b");
    expect(sessionBusPath({ DBUS_SESSION_BUS_ADDRESS: "disabled:" })).toBe(null);
    const runtime = directory();
    expect(sessionBusPath({ XDG_RUNTIME_DIR: runtime })).toBe(null);
    writeFileSync(join(runtime, "bus"), "");
    expect(sessionBusPath({ XDG_RUNTIME_DIR: runtime })).toBe(join(runtime, "bus"));
  });

  test("a link goes to xdg-open as one argument", async () => {
    const path = directory();
    writeFileSync(join(path, "xdg-open"), `#!/bin/sh\nprintf '%s|' "$@" > '${path}/opened'\n`);
    chmodSync(join(path, "xdg-open"), 0o755);
    const { display } = new Subject({ PATH: path });
    const url = "https://news.example/?a=b&c=$(d);e'f";
    await display.openUrl("https://news.example", url);
    expect(readFileSync(join(path, "opened"), "utf8")).toBe(`${url}|`);
  });

  test("without xdg-open, or a browser behind it, a link does not open", async () => {
    const path = directory();
    const { display } = new Subject({ PATH: path });
    await expect(display.openUrl("https://a.example", "https://a.example/")).rejects.toMatchObject({
      code: "ERR_DISPLAY",
    });
    writeFileSync(join(path, "xdg-open"), "#!/bin/sh\nexit 3\n");
    chmodSync(join(path, "xdg-open"), 0o755);
    await expect(display.openUrl("https://a.example", "https://a.example/")).rejects.toMatchObject({
      code: "ERR_DISPLAY",
    });
  });
});
