// SPDX-License-Identifier: MIT
// Goal: a recorded agent is led through its run again to the same effects; where its code has changed, the replay says at which event that
// shows; no file makes it do anything else. Method: devices of worlds that crash, lose power and have bad flashes are recorded and replayed,
// by the program as it is and by one with a defect; hostile files are made of good ones.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TRACE_LINE_BYTES_MAX, TRACE_VALUE_BYTES_MAX } from "../../src/limits.ts";
import { bundled, run } from "./program.ts";
import { describeReplay, replayTrace } from "./replay.ts";

/** A world with both dialects, in which agents crash often. */
const SEED = "42";
const PROGRAM = await bundled();
const WITHOUT_ACKS = await bundled({
  name: "no acknowledgement sent",
  file: "src/agent/acks.ts",
  find: `      this.#link.send({ type: "ack", code, ranges: ranges.slice(at, at + ACK_RANGES_MAX) }, now);\n`,
  replace: "",
});

let directory: string;
const traces: string[] = [];
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "godwit-replay-"));
  const { status, output } = await run(PROGRAM, "--seed", SEED, "--record", directory);
  // Among the rules: no secret in a log, which a trace is.
  expect(output.trimEnd().split("\n").at(-1)).toMatch(/every rule held/);
  expect(status).toBe(0);
  traces.push(...readdirSync(directory).map((name) => join(directory, name)));
});
afterAll(() => rmSync(directory, { recursive: true }));

test("devices of the simulation are replayed with the same effects", () => {
  const replayed = traces.map((trace) => replayTrace(trace));
  expect(replayed.map(describeReplay)).toEqual(
    replayed.map(() => expect.stringMatching(/, the same effects$/)),
  );
  const sum = (of: (each: (typeof replayed)[number]) => number) =>
    replayed.reduce((all, each) => all + of(each), 0);
  expect(sum(({ events }) => events)).toBeGreaterThan(900);
  // Starts behind a crash, from what the journal held then.
  expect(sum(({ runs }) => runs)).toBeGreaterThan(traces.length + 10);
  const texts = traces.map((trace) => readFileSync(trace, "utf8"));
  for (const told of [
    '"dialect":"autopush"',
    '"dialect":"godwit.v1"',
    '"journalFailed"',
    '"type":"show"',
    '"redelivered":true',
  ])
    expect(texts.some((text) => text.includes(told))).toBe(true);
});

test.skipIf(process.env.GODWIT_LONG !== "1")(
  "so are those of 256 worlds",
  { timeout: 3_600_000 },
  async () => {
    for (let seed = 1; seed <= 256; seed++) {
      const into = mkdtempSync(join(directory, "seed-"));
      expect(await run(PROGRAM, "--seed", String(seed), "--record", into)).toMatchObject({ status: 0 });
      for (const name of readdirSync(into)) {
        const told = describeReplay(replayTrace(join(into, name)));
        expect({ seed, name, told }).toMatchObject({ told: expect.stringMatching(/, the same effects$/) });
      }
      rmSync(into, { recursive: true });
    }
  },
);

test("an agent that does something else is told at the first event where it does, with what led to it", async () => {
  const trace = traces.find((path) => readFileSync(path, "utf8").includes('"frame":{"type":"ack"')) ?? "";
  const lines = readFileSync(trace, "utf8").split("\n");
  const line = lines.findIndex((text) => text.includes('"frame":{"type":"ack"')) + 1;
  const event = lines.slice(0, line).filter((text) => text.startsWith('{"at"')).length;
  expect(await run(PROGRAM, "--replay", trace)).toMatchObject({ status: 0 });
  const { status, output } = await run(WITHOUT_ACKS, "--replay", trace);
  expect(status).toBe(1);
  const [first, second, ...before] = output.trimEnd().split("\n");
  expect(first).toMatch(`event ${event} (line ${line}): was send ack {`);
  expect(first).toMatch(/, is report acknowledged \{/);
  expect(second).toBe(`the ${Math.min(20, event)} events up to it:`);
  expect(before).toHaveLength(Math.min(20, event));
  expect(lines[line - 1]?.startsWith(before.at(-1)?.trim().replace(/…$/, "") ?? "?")).toBe(true);
});

describe("files that are none", () => {
  /** Lines of a good trace: its beginning, an event. */
  let good: string[];
  beforeAll(() => {
    good = readFileSync(traces[0] ?? "", "utf8")
      .split("\n")
      .slice(0, 12);
  });

  function codeOf(content: string | Buffer): string {
    const path = join(directory, "hostile");
    writeFileSync(path, content);
    try {
      replayTrace(path);
      return "none";
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      return `${code}: ${message}`;
    }
  }
  const changed = (at: number, change: (line: Record<string, unknown>) => object): string =>
    good.map((text, i) => (i === at ? JSON.stringify(change(JSON.parse(text))) : text)).join("\n");

  test("garbage, nothing, another format", () => {
    expect(codeOf("")).toBe("ERR_TRACE: the file holds no trace");
    expect(codeOf(Buffer.from(Array.from({ length: 9_999 }, (_, i) => (i * 7919) % 256)))).toMatch(
      /^ERR_TRACE: line 1 is/,
    );
    expect(codeOf("[]\n")).toMatch(/^ERR_TRACE: line 1 is/);
    expect(codeOf('{"at":[1,2,true]}\n')).toBe("ERR_TRACE: line 1 is not the beginning of a trace");
    expect(codeOf(changed(0, (line) => ({ ...line, trace: 2 })))).toBe(
      "ERR_TRACE: line 1 is a trace of another version than 1",
    );
    expect(codeOf(changed(0, (line) => ({ ...line, dialect: "other" })))).toMatch(/^ERR_TRACE: line 1 /);
    const nowhere = { code: "ERR_TRACE", message: "the trace cannot be read: ENOENT" };
    expect(() => replayTrace(join(directory, "nowhere"))).toThrow(expect.objectContaining(nowhere));
  });

  test("lines without an end, and values without a bound", () => {
    expect(codeOf(`${good.join("\n")}\n${"x".repeat(TRACE_LINE_BYTES_MAX + 65_537)}`)).toMatch(
      /^ERR_TRACE: line 13 is longer than/,
    );
    const long = {
      type: "httpResponse",
      requestId: 1,
      status: 1,
      cause: null,
      retryAfterS: null,
      body: { length: TRACE_VALUE_BYTES_MAX + 1 },
    };
    expect(codeOf(changed(2, (line) => ({ ...line, event: long })))).toMatch(
      /^ERR_TRACE: line 3 is not at most/,
    );
    const deep = `${good[0]}\n${"[".repeat(1_000_000)}\n${good[0]}`;
    expect(codeOf(deep)).toBe("none");
  });

  test.each([
    ["an event of no type", { event: { type: "linkBurned" } }],
    ["an event that is inherited", { event: { type: "constructor" } }],
    ["members that are missing", { event: { type: "linkOpened" } }],
    ["members that are something else", { event: { type: "linkOpened", linkId: { toString: 1 } } }],
    ["no time", { at: "noon" }],
    ["a time without an end", { at: [null, 1, true] }],
    ["no effects", { effects: null }],
    ["a frame of no type", { event: { type: "linkMessage", linkId: 1, frame: { type: "hello" } } }],
    ["an owner without a number", { event: { type: "appDetached", owner: ["a", -1, 5] } }],
    ["a host without end", { event: { type: "appDetached", owner: ["https", ["h", 999, 4e9], "", ""] } }],
    ["a message decrypted to nothing known", { told: [{ opened: ["z"] }] }],
  ])("%s", (_, change) => {
    expect(codeOf(changed(2, (line) => ({ ...line, ...change })))).toMatch(/^ERR_TRACE: line 3 is /);
  });

  test("a journal that is not all there, and one that has too much", () => {
    expect(codeOf(changed(0, (line) => ({ ...line, records: 1 })))).toBe(
      "ERR_TRACE: line 2 is not a record of the journal",
    );
    const record = JSON.stringify({ record: { type: "clean" } });
    expect(codeOf([good[0], record, ""].join("\n"))).toBe("ERR_TRACE: line 2 is not an event");
  });

  test("damage in the middle is damage, a last line that was cut off is a crash", () => {
    const cut = good[3]?.slice(0, 40) ?? "";
    expect(codeOf([...good.slice(0, 3), cut].join("\n"))).toBe("none");
    expect(codeOf([...good.slice(0, 3), cut, ...good].join("\n"))).toBe("none");
    expect(codeOf([...good.slice(0, 3), cut, ...good.slice(3)].join("\n"))).toBe(
      "ERR_TRACE: line 5 is no line of a trace",
    );
  });

  test("the program says which file is none, by a status and a code", async () => {
    expect(await run(PROGRAM, "--replay", join(directory, "nowhere"))).toEqual({ status: 2, output: "" });
  });
});
