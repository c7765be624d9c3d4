// SPDX-License-Identifier: MIT
// Goal: what a recorded trace says instead of a message still is the same kind of message, and says nothing of it; a trace is bounded, goes
// on where another ended, and never takes the place of another file. Method: every declarative case there is, in every mode, through the
// trace and back; files with small bounds.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { utf8Decode, utf8Encode } from "../../src/bytes.ts";
import { type DeclarativeMode, type Disposition, decide } from "../../src/declarative/index.ts";
import { GodwitError } from "../../src/errors.ts";
import { plainSealer, recoverJournal } from "../../src/journal/index.ts";
import { nodeProvider } from "../../src/node/crypto.ts";
import { framesOf } from "../../src/node/trace/frames.ts";
import { Names, Values } from "../../src/node/trace/names.ts";
import { opened } from "../../src/node/trace/payload.ts";
import { RecordedAgent } from "../../src/node/trace/recorder.ts";
import { type Json, url } from "../../src/node/trace/shapes.ts";
import { TraceFile } from "../../src/node/trace/trace-file.ts";
import { encodeAutopushDownstream, parseAutopushDownstream } from "../../src/wire/autopush.ts";
import { godwitDevice } from "../../src/wire/godwit.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "godwit-trace-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const MODES: readonly DeclarativeMode[] = ["auto", "auto+explainer", "only", "never"];
const VECTORS = new URL("../vectors/declarative-cases.json", import.meta.url);
const CASES = (JSON.parse(readFileSync(VECTORS, "utf8")).cases as Case[]).filter(
  ({ payload }) => typeof payload === "string",
);

interface Case {
  readonly id: string;
  readonly payload: string;
  readonly scope_or_base_url: string | null;
}

/** What the agent's doings depend on. */
function formOf({ kind, reason, mutable, appBadge, notification }: Disposition) {
  const { actions = [], silent = null, renotify = false, tag = "" } = notification ?? {};
  const links = actions.map(({ navigate }) => navigate === null);
  return { kind, reason, mutable, badge: typeof appBadge, links, silent, renotify, hasTag: tag !== "" };
}

/** As it is written, and as a replay reads it. */
function through(plaintext: Uint8Array, scope: string) {
  const padded = new Uint8Array([...plaintext, 2, 0, 0]);
  const names = new Names();
  const written = JSON.stringify([url.strip(scope, names), opened.strip(padded, false, names)]);
  const [scopeJson = null, openedJson = null] = JSON.parse(written) as Json[];
  const values = new Values();
  const base = url.restore(scopeJson, values);
  const restored = opened.restore(openedJson, values);
  return { written, base, restored: restored?.subarray(0, restored.length - 3) ?? null };
}

describe("payloads", () => {
  test.each(MODES)("in mode %s what is a notification stays one, and what is none fails alike", (mode) => {
    expect(CASES.length).toBeGreaterThan(100);
    for (const { id, payload, scope_or_base_url } of CASES) {
      const plaintext = utf8Encode(payload);
      const scope = new URL("/", scope_or_base_url || "https://app.example/").href;
      const { base, restored } = through(plaintext, scope);
      const context = { mode, contentType: "application/notification+json", maxActions: 2, epochMs: 5 };
      const was = decide(plaintext, { ...context, baseUrl: scope });
      const is = decide(restored, { ...context, baseUrl: base });
      expect({ id, ...formOf(is) }).toEqual({ id, ...formOf(was) });
    }
  });

  test("the same text is the same everywhere, another one another", () => {
    const message = {
      web_push: 8030,
      notification: { title: "Tern", body: "Tern", tag: "Gull", data: [7, "Gull", 7] },
    };
    const { restored } = through(utf8Encode(JSON.stringify(message)), "https://app.example/");
    const { title, body, tag, data } = JSON.parse(utf8Decode(restored ?? new Uint8Array(0))).notification;
    expect([title.length, body, tag.length, data]).toEqual([4, title, 4, [data[0], tag, data[0]]]);
    expect([title, tag, data[0]]).not.toContainEqual(expect.toBeOneOf(["Tern", "Gull", 7]));
    expect(tag).not.toBe(title);
    expect(restored).toHaveLength(JSON.stringify(message).length);
  });

  test("nothing of a payload is written", () => {
    const secret = {
      "a member": "the text",
      n: 123_456,
      nested: [{ navigate: "https://shore.example/path?q" }],
      "": -4.5,
    };
    for (const payload of [
      JSON.stringify(secret),
      "no JSON: the text",
      `{"web_push":8030,"x":"${"the text".repeat(9)}"}`,
    ]) {
      const { written } = through(utf8Encode(payload), "https://app.example/");
      for (const word of ["member", "the text", "123456", "shore", "path", "app.example", "4.5", "JSON"])
        expect(written).not.toContain(word);
    }
  });

  test("padding stays as long as it was, in both codings", () => {
    for (const [padded, isAesgcm] of [
      [[1, 2, 3, 2, 0, 0, 0], false],
      [[2], false],
      [[9, 9, 7, 0], false],
      [[0, 3, 0, 0, 0, 8, 8], true],
    ] as const) {
      const written = opened.strip(new Uint8Array(padded), isAesgcm, new Names());
      const restored = opened.restore(written, new Values()) ?? new Uint8Array(0);
      const isPadding = (octet: number) => octet <= 3;
      expect(restored).toHaveLength(padded.length);
      if (!isAesgcm)
        expect(restored.findLastIndex((octet) => octet > 0)).toBe(padded.findLastIndex((octet) => octet > 0));
      else expect([...restored.subarray(0, 5)]).toEqual(padded.slice(0, 5));
      expect(isPadding(restored[restored.length - 1] ?? 0)).toBe(isPadding(padded.at(-1) ?? 0) && !isAesgcm);
    }
  });
});

test.each(["aes128gcm", "aesgcm", "", "Alice's tide table"])(
  "a content coding called %j is the same one again",
  (encoding) => {
    const notification = { type: "notification", channelId: new Uint8Array(16), version: "v" } as const;
    const headers = { encoding, encryption: null, cryptoKey: null };
    const { stripDown, restoreDown } = framesOf("autopush");
    const frame = (of: string): Uint8Array =>
      utf8Encode(
        encodeAutopushDownstream({ ...notification, data: null, headers: { ...headers, encoding: of } }),
      );
    const written = stripDown(frame(encoding), new Names());
    const isOurs = encoding.startsWith("aes") || encoding === "";
    expect(JSON.stringify(written).includes(`:"${encoding}"`)).toBe(isOurs);
    const restored = parseAutopushDownstream(utf8Decode(restoreDown(written, new Values()).frame));
    const length = restored.type === "notification" ? restored.headers?.encoding.length : null;
    expect(length).toBe(encoding.length);
  },
);

test("an agent that throws leaves the event and the kind of error, and not its text", () => {
  const lines: string[] = [];
  const sink = {
    write: (line: string) => lines.push(line) > 0,
    writeLast: (line: string) => void lines.push(`last ${line}`),
    end: (why: string) => void lines.push(why),
  };
  const deviceBinding = new Uint8Array(16);
  const sealer = plainSealer();
  const agent = new RecordedAgent(
    {
      serviceUrl: "https://push.example",
      mqttUrls: [],
      dialect: godwitDevice,
      recovery: recoverJournal([], { deviceBinding, sealer }),
      sealer,
      deviceBinding,
      provider: nodeProvider,
      randomFill: () => {
        throw new RangeError("a secret");
      },
      jitter: () => 0,
      heartbeatMs: null,
      windowS: 0,
      leastUrgency: "very-low",
      portalProbeUrl: null,
      keepConnected: false,
      navigation: { httpAllowed: false, originsAllowed: [] },
    },
    sink,
    "1.2.3",
  );
  const now = { monotonicMs: 1, epochMs: 2, epochTrusted: true };
  expect(() => agent.handle({ type: "start" }, now)).toThrow("a secret");
  expect(() => agent.handle({ type: "start" }, now)).toThrow("a secret");
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^\{"trace":1,"godwit":"1\.2\.3","dialect":"godwit\.v1","records":0,/);
  expect(lines[1]).toBe('last {"at":[1,2,true],"event":{"type":"start"},"effects":[],"threw":"RangeError"}');
});

describe("the file", () => {
  const LINE = JSON.stringify({ trace: 1, x: "x".repeat(80) });
  const linesOf = (path: string) => readFileSync(path, "utf8").split("\n");

  test("has mode 0600, every line, and a last one that says that nothing is missing", async () => {
    const path = join(directory, "whole");
    const file = new TraceFile(path, () => expect.unreachable());
    for (let i = 0; i < 500; i++) expect(file.write(LINE)).toBe(true);
    await file.close();
    expect(linesOf(path)).toEqual([...Array(500).fill(LINE), '{"end":"closed"}', ""]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("another run goes on behind one that was killed in the middle of a line", async () => {
    const path = join(directory, "killed");
    writeFileSync(path, `${LINE}\n{"at":[1`);
    const file = new TraceFile(path, () => {});
    file.write(LINE);
    await file.close();
    expect(linesOf(path)).toEqual([LINE, '{"at":[1', LINE, '{"end":"closed"}', ""]);
  });

  test("ends at its bound and says so; the next run puts it aside", async () => {
    const path = join(directory, "full");
    const why: string[] = [];
    const limits = { bytesMax: 1_000, waitingBytesMax: 10_000 };
    const file = new TraceFile(path, (text) => why.push(text), limits);
    expect(Array.from({ length: 30 }, () => file.write(LINE)).indexOf(false)).toBe(
      Math.floor(1_000 / (LINE.length + 1)),
    );
    await file.close();
    expect(why).toEqual(["there is too much of it"]);
    expect(linesOf(path).at(-2)).toBe('{"end":"full"}');
    const next = new TraceFile(path, () => {}, limits);
    next.write(LINE);
    await next.close();
    expect(linesOf(`${path}.1`).at(-2)).toBe('{"end":"full"}');
    expect(linesOf(path)).toEqual([LINE, '{"end":"closed"}', ""]);
  });

  test("ends when the disk does not keep up", async () => {
    const why: string[] = [];
    const limits = { bytesMax: 100_000, waitingBytesMax: 1_000 };
    const file = new TraceFile(join(directory, "slow"), (text) => why.push(text), limits);
    while (file.write(LINE));
    await file.close();
    expect(why).toEqual(["the disk does not keep up"]);
    expect(linesOf(join(directory, "slow")).at(-2)).toBe('{"end":"slow"}');
  });

  test("the last line of an agent that throws is there at once, behind all others", () => {
    const path = join(directory, "thrown");
    const file = new TraceFile(path, () => {});
    for (let i = 0; i < 20; i++) file.write(LINE);
    file.writeLast('{"threw":"TypeError"}');
    expect(linesOf(path)).toEqual([...Array(20).fill(LINE), '{"threw":"TypeError"}', ""]);
  });

  test.each(["something else\n", "{}", '{"trac', "\n"])(
    "nothing is written into a file that holds %j",
    (content) => {
      const path = join(directory, "other");
      writeFileSync(path, content);
      expect(() => new TraceFile(path, () => {})).toThrow(expect.objectContaining({ code: "ERR_CONFIG" }));
      expect(readFileSync(path, "utf8")).toBe(content);
    },
  );

  test("what cannot be opened is a configuration that cannot work", () => {
    mkdirSync(join(directory, "directory"));
    for (const path of [join(directory, "directory"), join(directory, "nowhere", "trace"), "/dev/full"])
      expect(() => new TraceFile(path, () => {})).toThrow(GodwitError);
  });

  test("an empty file is taken", async () => {
    const path = join(directory, "empty");
    writeFileSync(path, "");
    await new TraceFile(path, () => {}).close();
    expect(linesOf(path)).toEqual(['{"end":"closed"}', ""]);
  });
});
