// SPDX-License-Identifier: MIT
// Goal: at a terminal the command line asks before it destroys or opens something, and `npm start` opens the dashboard only for
// a person who sits before a desktop. Method: `script` gives the program a terminal; the browser is a script that writes down
// what it was given.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Program, Sender, type ServiceProcess, Stage } from "../end-to-end/stage.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const HAS_SCRIPT = spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux");

let stage: Stage;
beforeAll(() => {
  stage = new Stage();
});
afterAll(() => stage.close());

/** Runs `godwit` on a terminal of its own. What it writes anywhere is on stdout. */
function onTerminal(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Program {
  const command = [process.execPath, CLI, ...args].map((word) => `'${word}'`).join(" ");
  return stage.start("terminal", ["script", "-qefc", `exec ${command}`, "/dev/null"], {
    stdio: ["pipe", "pipe", "pipe"],
    env: stage.environment({ TERM: "xterm-256color", ...environment }),
  });
}

/** Types `line` when `question` stands there; it has no line break, so the line that was waited for is what comes next. */
function type(program: Program, line: string): void {
  program.child.stdin?.write(`${line}\r`);
}

describe.skipIf(!HAS_SCRIPT)("at a terminal", () => {
  let service: ServiceProcess;
  let agent: Program;
  let state: string;
  const at = (...args: string[]) => stage.run([...args, "--state", state]);
  beforeAll(async () => {
    service = await stage.service();
    state = stage.newDirectory();
    const where = ["--service", service.origin, "--ca", service.caFile, "--state", state];
    agent = stage.godwit(["agent", ...where]);
    await agent.stderr.match(/^agent ready/);
  });

  test.each([
    ["y", 0, /"endpoint"/],
    ["n", 77, /permission for push was not granted/],
  ])("subscribe asks whoever runs it; %s", async (answer, code, said) => {
    const owner = `https://${answer}.example`;
    const program = onTerminal(["subscribe", owner, "--state", state]);
    // The agent says that it asks; the question is on the terminal by then, or the line waits for it.
    await agent.stderr.match(new RegExp(`^${owner} asks for permission`));
    type(program, answer);
    expect((await program.exited).code).toBe(code);
    const text = program.stdout.all.join("\n");
    expect(text).toContain(`May ${owner} send you push messages? [y/N]`);
    expect(text).toMatch(said);
  });

  test("a click on a link to another origin asks", async () => {
    const sender = new Sender(service);
    await at("permission", "set", "https://links.example", "granted");
    const key = ["--application-server-key", sender.keys.publicKey];
    const target = JSON.parse((await at("subscribe", "https://links.example", ...key)).stdout);
    const notification = { title: "Elsewhere", navigate: "https://maps.example/" };
    await sender.send(target, JSON.stringify({ web_push: 8030, notification }));
    const id = /^\((\d+)\)/.exec(await agent.stdout.match(/: Elsewhere$/))?.[1] ?? "";
    const refusing = onTerminal(["notifications", "click", id, "--state", state]);
    type(refusing, "");
    expect((await refusing.exited).code).toBe(77);
    expect(refusing.stdout.all.join("\n")).toContain("Its link leads to maps.example. Open it? [y/N]");
    const allowing = onTerminal(["notifications", "click", id, "--state", state]);
    type(allowing, "yes");
    expect((await allowing.exited).code).toBe(0);
    await agent.stdout.match(/: open https:\/\/maps\.example\/$/);
  });

  test("reset asks, and only a yes is one", async () => {
    for (const [answer, code] of [
      ["", 1],
      ["no", 1],
      ["yes", 0],
    ] as const) {
      expect((await at("permission")).stdout).not.toBe("no app has asked yet");
      const program = onTerminal(["reset", "--state", state]);
      type(program, answer);
      expect((await program.exited).code).toBe(code);
      expect(program.stdout.all.join("\n")).toContain(`Remove everything in ${state}: `);
    }
    expect((await at("permission")).stdout).toBe("no app has asked yet");
  });

  test("the doctor has colours, unless nobody wants them", async () => {
    const args = ["doctor", "--state", state, "--ca", service.caFile];
    const coloured = onTerminal(args);
    await coloured.exited;
    expect(coloured.stdout.all.join("\n")).toContain("\u001b[32mok");
    const plain = onTerminal(args, { NO_COLOR: "1" });
    await plain.exited;
    expect(plain.stdout.all.join("\n")).not.toContain("\u001b[");
  });
});

describe.skipIf(!HAS_SCRIPT || process.platform !== "linux")("npm start at a desktop", () => {
  /** Starts the demo on a terminal, with a browser that writes down what it gets; resolves when all is said. */
  async function start(args: readonly string[], environment: NodeJS.ProcessEnv) {
    const bin = stage.newDirectory();
    const seen = join(bin, "seen");
    writeFileSync(join(bin, "xdg-open"), `#!/bin/sh\nprintf %s "$*" > ${seen}\necho opened\n`, {
      mode: 0o755,
    });
    const state = stage.newDirectory();
    const demo = onTerminal(["demo", "--state", state, ...args], {
      PATH: `${bin}:${process.env.PATH}`,
      ...environment,
    });
    await demo.stdout.match(/Ctrl-C ends it/);
    return { demo, state, seen };
  }

  /** Ctrl-C as the terminal sends it. The demo opens the browser before it listens to anything else. */
  async function stop(demo: Program): Promise<void> {
    demo.child.stdin?.write("\u0003");
    expect((await demo.exited).code).toBe(0);
  }

  test("opens the dashboard, with the code in a page only we can read and not in its arguments", async () => {
    const { demo, state, seen } = await start([], { DISPLAY: ":99" });
    await demo.stdout.match(/It opens in the browser/);
    const page = join(state, "agent", "dashboard.html");
    expect(readFileSync(seen, "utf8")).toBe(`file://${page}`);
    expect(readFileSync(page, "utf8")).toMatch(/url=http:\/\/127\.0\.0\.1:\d+\/#code=/);
    await stop(demo);
  });

  test.each([
    ["without a desktop", [], {}],
    ["for somebody from afar", [], { DISPLAY: ":99", SSH_CONNECTION: "192.0.2.1 1 192.0.2.2 22" }],
    ["when told not to", ["--no-open"], { DISPLAY: ":99" }],
  ])("does not %s", async (_when, args, environment) => {
    const { demo, state, seen } = await start(args, environment);
    await stop(demo);
    expect([existsSync(seen), existsSync(join(state, "agent", "dashboard.html"))]).toEqual([false, false]);
  });
});
