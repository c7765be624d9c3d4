// SPDX-License-Identifier: MIT
// Goal: one failure of the main link within what was proven neither makes it risk more nor lets go of the link.
// Method: what is known of one network, told of successes and failures. Pure.

import { describe, expect, test } from "vitest";
import { Knowledge } from "../../src/agent/knowledge.ts";

function knowing(loMs: number, hiMs: number | null): Knowledge {
  const learned = {
    loMs,
    hiMs,
    isHiSure: true,
    confidence: 9,
    losses: 0,
    confirmedEpochMs: 0,
    transport: "",
  };
  return new Knowledge({ type: "network", label: "wifi", ...learned });
}

describe("what is proven comes into doubt", () => {
  test.each([
    [1_738_000, null, 240_000],
    [299_000, null, 240_000],
    // What an unknown network is supposed to keep would be more than was ever seen here.
    [238_000, null, 136_000],
    [190_000, 210_000, 136_000],
    [100_000, 110_000, 50_000],
  ])("%d ms with a limit of %s: it begins again with %d ms", (loMs, hiMs, startMs) => {
    const known = knowing(loMs, hiMs);
    known.mainFailed(loMs - 2_000);
    expect(known.startMs).toBe(startMs);
    // The first frames on the new link come milliseconds apart, which proves nothing worth having.
    known.survived(10);
    expect(known.startMs).toBe(startMs);
    expect(known.record.loMs).toBe(loMs);
    known.survived(loMs);
    expect(known.provenMs).toBe(loMs);
  });

  test("a second failure lets go of it", () => {
    const known = knowing(1_738_000, null);
    known.mainFailed(1_736_000);
    known.survived(10);
    known.mainFailed(238_000);
    expect(known.record).toMatchObject({ loMs: 10, hiMs: 238_000, losses: 2 });
    expect(known.startMs).toBe(136_000);
  });
});
