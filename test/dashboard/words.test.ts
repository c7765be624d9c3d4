// SPDX-License-Identifier: MIT
// Goal: a person reads why there is no connection, and short true times. Method: status in, words out.

import { describe, expect, test } from "vitest";
import type { AgentStatus } from "../../src/agent/status.ts";
import { clockText, connectionWords, numberText, reportText } from "../../src/dashboard/words.ts";
import { spanText } from "../../src/figures.ts";

const AT = new Date(2026, 2, 14, 15, 9, 26).getTime();

function words(members: Partial<AgentStatus>) {
  const status = {
    link: "online",
    transport: "websocket",
    linkSinceEpochMs: null,
    retryInMs: null,
    lastLoss: null,
    lastFault: null,
    isBehindPortal: false,
    ...members,
  } as AgentStatus;
  return connectionWords({ status, atEpochMs: AT });
}

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [1_000, "1 s"],
  [65_000, "1 min 5 s"],
  [3_600_000, "1 h"],
  [3_601_000, "1 h"],
  [90_061_000, "1 d 1 h"],
])("%i ms is %s", (ms, text) => expect(spanText(ms)).toBe(text));

test.each([
  [null, "–"],
  [0, "0"],
  [0.12345, "0.123"],
  [12.345, "12.3"],
  [2417.4, "2417"],
])("%f is written %s", (value, text) => expect(numberText(value)).toBe(text));

test("a time of another day says which", () => {
  expect(clockText(AT, AT)).toBe("15:09");
  expect(clockText(AT, AT, true)).toBe("15:09:26");
  expect(clockText(AT - 24 * 3_600_000, AT)).toBe("13 Mar, 15:09");
});

describe("the connection", () => {
  test.each([
    ["idle", "calm", "Resting"],
    ["offline", "bad", "No network"],
    ["token", "busy", "Introducing this device to the push service"],
    ["dialing", "busy", "Connecting over WebSocket"],
    ["greeting", "busy", "Connecting over WebSocket"],
    ["online", "good", "Online over WebSocket"],
    ["waiting", "bad", "Waiting"],
    ["stopped", "bad", "The agent is stopping"],
  ] as const)("%s is %s: %s", (link, tone, title) => {
    expect(words({ link })).toMatchObject({ tone, title });
  });

  test("online says since when and over what, and needs no reason", () => {
    expect(words({ transport: "mqtt", linkSinceEpochMs: AT - 60_000 })).toEqual({
      tone: "good",
      title: "Online over MQTT since 15:08",
      why: null,
    });
  });

  test("waiting says until when, and why", () => {
    expect(
      words({ link: "waiting", retryInMs: 42_000, lastLoss: { cause: "refused", httpStatus: 503 } }),
    ).toEqual({
      tone: "bad",
      title: "Waiting, next try at 15:10:08",
      why: "The push service refused the connection, HTTP 503.",
    });
  });

  test("a captive portal is named", () => {
    const { title, why } = words({ link: "waiting", isBehindPortal: true });
    expect(title).toBe("Behind a login page");
    expect(why).toContain("captive portal");
  });

  test("a fault is told with its code", () => {
    const lastFault = { code: "ERR_JOURNAL_IO", text: "the disk is gone" } as const;
    expect(words({ link: "idle", lastFault }).why).toBe("The disk is gone (ERR_JOURNAL_IO)");
  });
});

test("reports become sentences", () => {
  expect(reportText({ type: "received", messageId: "m", channel: 1, bytes: 1, attempt: 2 })).toBe(
    "A message of 1 byte came (attempt 2)",
  );
  expect(reportText({ type: "linkClosed", cause: "tls", httpStatus: null, retryInMs: 1_200 })).toBe(
    "The push service could not prove who it is (TLS); next try in 1 s",
  );
});
