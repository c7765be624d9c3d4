// SPDX-License-Identifier: MIT
/**
 * A desktop nobody sees: Xvfb, a session bus of its own, and dunst, a notification server we did not write, started by the bus
 * when it is first called. No tests here.
 */

import { execFile, spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { Program } from "../end-to-end/stage.ts";

const run = promisify(execFile);
const PROGRAMS = ["Xvfb", "dbus-daemon", "dbus-send", "dunst", "dunstctl"];

/** What is missing for {@link Desktop}, or null. */
export const desktopProblem: string | null =
  PROGRAMS.filter((program) => !isInstalled(program)).join(", ") || null;

/** One notification as dunst prints it. */
export interface Printed {
  readonly appName: string;
  readonly title: string;
  readonly body: string;
  readonly urgency: string;
  readonly id: number;
  readonly actions: Readonly<Record<string, string>>;
}

export class Desktop {
  readonly directory: string;
  /** For programs on this desktop. */
  readonly environment: NodeJS.ProcessEnv;
  /** For programs with windows: `DISPLAY`. */
  readonly display: string;
  readonly #screen: Program;
  readonly #bus: Program;

  private constructor(directory: string, display: string, screen: Program, bus: Program) {
    this.directory = directory;
    this.display = display;
    this.#screen = screen;
    this.#bus = bus;
    this.environment = environmentOf(directory);
  }

  /** @param hasServer false: there is a bus, and no notification server */
  static async start(hasServer = true): Promise<Desktop> {
    const directory = mkdtempSync(join(tmpdir(), "godwit-desktop-"));
    const write = (name: string, text: string): void =>
      writeFileSync(join(directory, name), text, { mode: 0o700 });
    write("dunstrc", `[global]\nmarkup = full\nmouse_left_click = do_action\ndmenu = ${directory}/choose\n`);
    // dunst's menu of actions: it takes what is printed for chosen.
    write("choose", `#!/bin/sh\nexec grep -F -f '${directory}/choice'\n`);
    // The bus hands its own output down, so what dunst prints comes out of the bus.
    write("dunst", `#!/bin/sh\necho "dunst $$"\nexec dunst -config '${directory}/dunstrc' -print\n`);
    if (hasServer)
      write("n.service", `[D-BUS Service]\nName=org.freedesktop.Notifications\nExec=${directory}/dunst\n`);
    write("bus.conf", busConfiguration(directory));
    const screen = start("Xvfb", ["-displayfd", "1", "-nolisten", "tcp"], directory);
    const display = `:${await screen.stdout.match(/^\d+$/)}`;
    const bus = start(
      "dbus-daemon",
      ["--nofork", "--print-address", `--config-file=${directory}/bus.conf`],
      directory,
      {
        DISPLAY: display,
      },
    );
    await bus.stdout.match(/^unix:/);
    return new Desktop(directory, display, screen, bus);
  }

  /** Resolves once dunst has shown so many, counted over its whole life and those before it; the last of them. */
  async printed(count: number): Promise<Printed> {
    const all = await this.#bus.stdout.until(`${count} notifications`, (lines) => {
      const found = readPrinted(lines);
      return found.length >= count ? found : null;
    });
    const last = all[count - 1];
    if (last === undefined) throw new Error("nothing was shown");
    return last;
  }

  /** How many are on the screen. */
  async displayed(): Promise<number> {
    return Number(await this.#control("count", "displayed"));
  }

  /** The person opens the menu of the notification and takes the action with that title. */
  async choose(title: string): Promise<void> {
    writeFileSync(join(this.directory, "choice"), `#${title} `);
    await this.#control("context");
  }

  /** The person clicks the notification. */
  async click(): Promise<void> {
    await this.#control("action", "0");
  }

  /** The person dismisses the notification. */
  async dismiss(): Promise<void> {
    await this.#control("close");
  }

  /** Clients of the bus without the one that asks. */
  async clients(): Promise<string[]> {
    const reply = await this.send(
      "--print-reply",
      "--dest=org.freedesktop.DBus",
      "/",
      "org.freedesktop.DBus.ListNames",
    );
    const own = /destination=(:[\d.]+)/.exec(reply)?.[1];
    return [...reply.matchAll(/string "(:[\d.]+)"/g)]
      .map(([, name]) => name ?? "")
      .filter((name) => name !== own);
  }

  /** Runs dbus-send, as anybody on the bus may. */
  async send(...args: readonly string[]): Promise<string> {
    const { stdout } = await run("dbus-send", [`--bus=unix:path=${this.directory}/bus`, ...args]);
    return stdout;
  }

  /** Ends dunst with all it shows. Resolves once it is gone from the bus. */
  async killServer(): Promise<void> {
    const line = await this.#bus.stdout.match(/^dunst \d+$/);
    const name = (await this.clients()).length;
    process.kill(Number(line.slice("dunst ".length)), "SIGKILL");
    while ((await this.clients()).length === name);
  }

  async close(): Promise<void> {
    await this.#bus.end("SIGTERM");
    await this.#screen.end("SIGTERM");
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  async #control(...args: readonly string[]): Promise<string> {
    const { stdout } = await run("dunstctl", args, { env: this.environment });
    return stdout.trim();
  }
}

function start(
  program: string,
  args: readonly string[],
  directory: string,
  more: NodeJS.ProcessEnv = {},
): Program {
  const env = { ...environmentOf(directory), ...more };
  return new Program(program, spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env }));
}

function environmentOf(directory: string): NodeJS.ProcessEnv {
  const { PATH } = process.env;
  return { PATH, HOME: directory, DBUS_SESSION_BUS_ADDRESS: `unix:path=${directory}/bus` };
}

/** What dunst -print writes, which is nearly JSON. */
function readPrinted(lines: readonly string[]): Printed[] {
  return [...lines.join("\n").matchAll(/^\{\n([\s\S]*?)^\}$/gm)].map(([, text = ""]) => {
    const quoted = (name: string): string =>
      new RegExp(`^\\t${name}: '([\\s\\S]*?)'$`, "m").exec(text)?.[1] ?? "";
    const actions = [...text.matchAll(/^\t\t"(.*)": "(.*)"$/gm)].map(([, key = "", title = ""]) => [
      key,
      title,
    ]);
    return {
      appName: quoted("appname"),
      title: quoted("summary"),
      body: quoted("body"),
      urgency: /^\turgency: (.*)$/m.exec(text)?.[1] ?? "",
      id: Number(/^\tid: (\d+)$/m.exec(text)?.[1]),
      actions: Object.fromEntries(actions),
    };
  });
}

function busConfiguration(directory: string): string {
  return `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=${directory}/bus</listen>
  <auth>EXTERNAL</auth>
  <servicedir>${directory}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`;
}

/** Whether a program is on the PATH. */
export function isInstalled(program: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
