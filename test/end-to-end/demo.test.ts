// SPDX-License-Identifier: MIT
// Goal: `godwit demo --once` shows the whole system at work and ends with 0, leaving nothing behind, also when it is stopped.
// Method: runs the program and reads its timeline; Ctrl-C is a signal to a process group made for it.

import { readdirSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Program, Stage } from "./stage.ts";

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

interface Step {
  readonly ms: number;
  readonly step: string;
  readonly text: string;
}

/** What has to happen, in this order. Acknowledgements of the first two messages may come anywhere between. */
const STEPS: readonly [step: string, text: RegExp][] = [
  ["service", /^push service: listening at https:\/\/localhost:\d+ \(TLS, LMDB\)$/],
  ["token", /^user agent: UA token fetched over HTTPS$/],
  ["registered", /^user agent: registered, one connection for all apps \(device [0-9a-f]{8}…\)$/],
  ["subscribed https://news.example", /subscribed with its own WAToken, channel 1$/],
  ["subscribed https://chat.example", /subscribed with a generated WAToken, channel 2$/],
  ["sent-opaque", /^web-push: opaque message answered 201$/],
  ["app-opaque", /^app https:\/\/chat\.example: got "hello from web-push"$/],
  ["sent-declarative", /^web-push: declarative message answered 201$/],
  ["shown-declared", /^user agent: notification shown, no app code ran$/],
  ["sent-mutable", /^web-push: mutable message answered 201$/],
  ["app-mutable", /^app https:\/\/chat\.example: may replace "1 new message"$/],
  ["shown-app", /^user agent: notification shown, by its app$/],
  ["acknowledged-3", /3.* acknowledged and removed$/],
  ["store-empty", /^push service: store empty, nothing lost$/],
];

test("--once --json prints every step as JSON, in order, and exits 0", async () => {
  const { code, stdout } = await stage.run(["demo", "--once", "--json"]);
  expect(code).toBe(0);
  const timeline = stdout.split("\n").map((line) => JSON.parse(line) as Step);
  const wanted = new Map(STEPS);
  const found = timeline.filter(({ step }) => wanted.has(step));
  for (const { step, text } of found) expect(text).toMatch(wanted.get(step) as RegExp);
  // An app may have its message before the sender has read its 201.
  for (const isSent of [false, true]) {
    const ofKind = (step: string): boolean => step.startsWith("sent-") === isSent;
    expect(found.map(({ step }) => step).filter(ofKind)).toEqual([...wanted.keys()].filter(ofKind));
  }
  expect(timeline.filter(({ step }) => step === "fault")).toEqual([]);
  expect(timeline.filter(({ step }) => step === "display").map(({ text }) => text)).toEqual([
    "screen: (1) https://news.example: Godwits reach New Zealand",
    "screen: (2) https://chat.example: Ada: lunch at noon? | replaced by the app",
  ]);
  expect(timeline.at(-1)?.step).toBe("store-empty");
});

test("--once prints the same for people", async () => {
  const { code, stdout, stderr } = await stage.run(["demo", "--once"]);
  expect([code, stderr]).toEqual([0, ""]);
  for (const line of stdout.split("\n")) expect(line).toMatch(/^ *\d+ ms {2}\S/);
  for (const [, text] of STEPS) {
    const lines = stdout.split("\n").map((line) => line.replace(/^ *\d+ ms {2}/, ""));
    expect(lines.some((line) => text.test(line))).toBe(true);
  }
});

test("leaves nothing in the temporary directory", async () => {
  const temporary = stage.newDirectory();
  expect((await stage.run(["demo", "--once"], { TMPDIR: temporary })).code).toBe(0);
  expect(readdirSync(temporary)).toEqual([]);
});

describe("Ctrl-C", () => {
  /** As `npm start` does in a terminal: a group of its own, in it what passes signals on, and the demo. */
  const start = (temporary: string, ...args: string[]): Program => {
    const command = JSON.stringify(["dist/cli.js", "demo", ...args]);
    const script = `import { runNode } from "./scripts/node.mjs"; runNode(${command});`;
    return stage.start("npm start", [process.execPath, "--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "pipe"],
      env: stage.environment({ TMPDIR: temporary }),
      detached: true,
    });
  };
  /** To the whole group; the demo gets it again from its parent. */
  const press = ({ child }: Program): boolean => process.kill(-(child.pid ?? Number.NaN), "SIGINT");

  test("ends it with 0 and leaves nothing in the temporary directory", async () => {
    const temporary = stage.newDirectory();
    const demo = start(temporary);
    await demo.stderr.match(/Ctrl-C ends it/);
    expect(readdirSync(temporary)).toHaveLength(1);
    press(demo);
    expect(await demo.exited).toEqual({ code: 0, signal: null });
    expect(readdirSync(temporary)).toEqual([]);
  });

  test.each([
    ["while it starts", [], /listening at/],
    ["in the midst of its run", [], /subscribed with its own/],
    ["with --once", ["--once"], /registered, one connection/],
  ])("%s ends it as a failure and leaves nothing either", async (_when, args, line) => {
    const temporary = stage.newDirectory();
    const demo = start(temporary, ...args);
    await demo.stdout.match(line);
    press(demo);
    const { code } = await demo.exited;
    // On a busy machine everything may have arrived before the signal does.
    const isDone = demo.stdout.all.some((text) => text.includes("store empty"));
    expect(code).toBe(isDone ? 0 : 1);
    const said = demo.stderr.all.includes("godwit demo: stopped before everything had arrived");
    expect(said).toBe(!isDone);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test("a closed terminal leaves nothing", async () => {
    const temporary = stage.newDirectory();
    const demo = start(temporary);
    await demo.stderr.match(/Ctrl-C ends it/);
    process.kill(-(demo.child.pid ?? Number.NaN), "SIGHUP");
    expect(await demo.exited).toEqual({ code: 0, signal: null });
    expect(readdirSync(temporary)).toEqual([]);
  });
});

test("a second run on kept state works too", async () => {
  const state = stage.newDirectory();
  expect((await stage.run(["demo", "--once", "--state", state])).code).toBe(0);
  expect(await stage.run(["demo", "--once", "--state", state])).toMatchObject({ code: 0, stderr: "" });
});

test("a second demo on state in use ends with a plain sentence", async () => {
  const state = stage.newDirectory();
  const first = stage.godwit(["demo", "--state", state]);
  await first.stderr.match(/Still running/);
  const second = await stage.run(["demo", "--once", "--state", state]);
  expect(second.code).not.toBe(0);
  expect(second.stderr).toMatch(/^godwit demo: another [a-z ]+ uses .*$/);
  expect(await first.end("SIGINT")).toEqual({ code: 0, signal: null });
});

/** Runs a command that the demo advises, as it stands there. */
async function follow(demo: Program, which: RegExp) {
  const advice = await demo.stderr.match(which);
  const words =
    advice
      .slice(advice.indexOf("npx godwit ") + "npx godwit ".length)
      .trim()
      .match(/"[^"]*"|\S+/g) ?? [];
  return stage.run(words.map((word) => word.replaceAll('"', "")));
}

test("what it says about sending another one is true", async () => {
  const demo = stage.godwit(["demo", "--state", stage.newDirectory()]);
  expect(await follow(demo, /godwit send/)).toEqual({ code: 0, stdout: "accepted (201)", stderr: "" });
  await demo.stdout.match(/screen: \(3\) https:\/\/news\.example: Hello$/);
  await demo.end("SIGTERM");
});

test("what it says about a terminal alone is true: a notification is listed, clicked, and its link opens", async () => {
  const demo = stage.godwit(["demo", "--state", stage.newDirectory()]);
  const listed = await follow(demo, /godwit notifications --state/);
  expect(listed).toMatchObject({ code: 0, stderr: "" });
  expect(listed.stdout).toMatch(/^1\thttps:\/\/news\.example\tGodwits reach New Zealand$/m);
  const clicked = await follow(demo, /godwit notifications click/);
  expect(clicked.stdout).toBe("clicked: opens https://news.example/stories/godwits");
  await demo.stdout.match(
    /screen: a notification of https:\/\/news\.example was clicked: its link https:\/\/news\.example\/stories\/godwits opens$/,
  );
  expect((await follow(demo, /godwit dashboard/)).stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#code=/);
  const tail = stage.godwit(["tail", "--state", /--state (\S+)/.exec(demo.stderr.all.join("\n"))?.[1] ?? ""]);
  await tail.stdout.match(/ shown /);
  // Somebody who watches does not keep it.
  expect(await demo.end("SIGINT")).toEqual({ code: 0, signal: null });
  expect((await tail.exited).code).toBe(69);
});

test("the dashboard is there under the link, and a browser is not opened without a desktop", async () => {
  const demo = stage.godwit(["demo", "--state", stage.newDirectory()]);
  const link = (await demo.stderr.match(/127\.0\.0\.1:\d+\/#code=/)).trim();
  const page = await fetch(link);
  expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  await demo.stderr.match(/Ctrl-C ends it/);
  await demo.end("SIGINT");
});

test.each([["--port"], ["--dashboard-port"]])("a %s in use ends it with a plain sentence", async (flag) => {
  const holder = createServer();
  stage.defer(() => holder.close());
  await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
  const { port } = holder.address() as AddressInfo;
  const temporary = stage.newDirectory();
  const result = await stage.run(["demo", flag, String(port)], { TMPDIR: temporary });
  expect(result.code).toBe(78);
  expect(result.stderr).toMatch(new RegExp(`^godwit demo: .*port ${port}.*EADDRINUSE.*$`));
  expect(readdirSync(temporary)).toEqual([]);
});
