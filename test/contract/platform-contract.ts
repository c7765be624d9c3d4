// SPDX-License-Identifier: MIT
// Goal: clock, alarm, waits, randomness and text are what the agent takes them for. Method: the host's own clock, and Node's codecs.

import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Stage } from "./stage.ts";

export function describePlatform(stage: Stage): void {
  clocks(stage);
  randomness(stage);
  text(stage);
}

function clocks(stage: Stage): void {
  describe("clock and alarm", () => {
    test("the clocks go on, and the wall clock is ours", async () => {
      const before = await stage.host.operations.now();
      const { tookMs } = (await stage.host.operations.waits([20], []))[0] ?? { tookMs: 0 };
      const after = await stage.host.operations.now();
      expect(after.monotonicMs - before.monotonicMs).toBeGreaterThanOrEqual(Math.floor(tookMs) - 10);
      expect(Math.abs(after.epochMs - Date.now())).toBeLessThan(5_000);
      expect(Number.isInteger(after.monotonicMs)).toBe(true);
    });

    test("an alarm fires once, not before its time", async () => {
      const { atMs } = await stage.host.operations.setAlarm(50, 0);
      await stage.host.events.next("alarm");
      expect((await stage.host.operations.now()).monotonicMs).toBeGreaterThanOrEqual(atMs);
      await stage.host.operations.waits([100], []);
      expect(stage.host.events.rest).toEqual([]);
    });

    test("with a window it fires at its end at the latest", async () => {
      const { atMs, windowMs } = await stage.host.operations.setAlarm(20, 100);
      await stage.host.events.next("alarm");
      const late = (await stage.host.operations.now()).monotonicMs - atMs;
      expect(late).toBeGreaterThanOrEqual(0);
      // What the machine is late by on a bad day.
      expect(late).toBeLessThan(windowMs + 1_000);
    });

    test("another one replaces it; none fires once it was taken back", async () => {
      await stage.host.operations.setAlarm(10, 0);
      await stage.host.operations.setAlarm(60, 0);
      await stage.host.events.next("alarm");
      await stage.host.operations.setAlarm(30, 0);
      await stage.host.operations.cancelAlarm();
      await stage.host.operations.waits([120], []);
      expect(stage.host.events.rest).toEqual([]);
    });

    test("one that is due fires at once", async () => {
      await stage.host.operations.setAlarm(-1_000, 0);
      await stage.host.events.next("alarm");
    });

    test("times with fractions, and far ahead, are taken", async () => {
      await stage.host.operations.stayAwake(10.5);
      await stage.host.operations.setAlarm(10.25, 5.5);
      await stage.host.events.next("alarm");
      await stage.host.operations.setAlarm(500 * 24 * 3600 * 1000, 1e15);
      await stage.host.operations.waits([20], []);
      expect(stage.host.events.rest).toEqual([]);
    });

    test("waits end in the order of their times, never early, and not once taken back", async () => {
      const came = await stage.host.operations.waits([60, 20, 0, 40, 20], [1]);
      expect(came.map(({ delayMs }) => delayMs)).toEqual([0, 20, 40, 60]);
      // Clocks of ms may count the first one short.
      for (const { delayMs, tookMs } of came) expect(tookMs).toBeGreaterThanOrEqual(delayMs - 1);
    });
  });
}

function randomness(stage: Stage): void {
  test("randomness fills what it is given, all of it, and nothing beside it", async () => {
    const [one, two] = [await stage.host.operations.random(4096), await stage.host.operations.random(4096)];
    expect(one).not.toEqual(two);
    for (const bytes of [one, two]) {
      expect([bytes.at(0), bytes.at(-1)]).toEqual([0, 0]);
      // Of 4096 bytes each value is missing once in 10^7 times, and all 256 are there; the longest run of one is short.
      expect(new Set(bytes.subarray(1, -1)).size).toBeGreaterThan(250);
    }
    expect(await stage.host.operations.random(0)).toEqual(new Uint8Array(2));
  });
}

function text(stage: Stage): void {
  describe("UTF-8", () => {
    test.each(["", "a", "ä€😀", "\u0000\u007f\u0080\u07ff\u0800\uffff", "\ud800a\udc00", "😀".repeat(5000)])(
      "encodes %j",
      async (value) => {
        expect(await stage.host.operations.utf8Encode(value)).toEqual(new TextEncoder().encode(value));
      },
    );

    test.each([
      [0xef, 0xbb, 0xbf, 0x61],
      [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf],
      [0xc0, 0x80, 0xe0, 0x80, 0x80],
      [0xed, 0xa0, 0x80, 0xf4, 0x90, 0x80, 0x80],
      [0xf0, 0x9f, 0x98],
      [0xf0, 0x9f, 0x41, 0xff],
      [0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0x00],
    ])("decodes %j as a browser does", async (...bytes) => {
      const array = Uint8Array.from(bytes);
      expect(await stage.host.operations.utf8Decode(array)).toBe(new TextDecoder().decode(array));
    });

    test("random bytes decode as in a browser", async () => {
      for (let i = 0; i < 50; i++) {
        const bytes = new Uint8Array(randomBytes(i * 7)).map((byte) =>
          byte % 3 === 0 ? byte | 0x80 : byte & 0xbf,
        );
        expect(await stage.host.operations.utf8Decode(bytes)).toBe(new TextDecoder().decode(bytes));
      }
    });
  });
}
