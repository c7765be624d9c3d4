// SPDX-License-Identifier: MIT
// Goal: what a message is follows from its plaintext and the subscription's mode; the header, which anybody on the way
// may change, only narrows. Method: on a real device every mode, header and kind of plaintext, with and without a handler,
// against the rows of one table; a message nobody is given leaves nothing behind at the service either.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DeclarativeMode } from "../../src/agent/events.ts";
import type { PushSubscription } from "../../src/apps/push-manager.ts";
import { effectsOf, Receiver } from "./receiver.ts";
import { Stage } from "./stage.ts";

const HEADER = "application/notification+json";
const W3C = { web_push: 8030, notification: { title: "W3C", navigate: "/w" } };
const EXPLAINER = { title: "Explainer", default_action_url: "/e" };

/** Plaintexts, with what they are: a notification of the one format or the other, both, or none. */
const PLAINTEXTS = {
  "a W3C message": [JSON.stringify(W3C), "w3c"],
  "an explainer message": [JSON.stringify(EXPLAINER), "explainer"],
  "one that is both": [JSON.stringify({ ...EXPLAINER, ...W3C }), "w3c"],
  "a W3C message without title": [
    JSON.stringify({ web_push: 8030, notification: { navigate: "/" } }),
    "none",
  ],
  "a broken W3C message inside a good explainer one": [
    JSON.stringify({ ...EXPLAINER, web_push: 8030, notification: {} }),
    "explainer",
  ],
  "an app's own JSON": ['{"unread":3}', "none"],
  text: ["hello", "none"],
  "no text": ["", "none"],
  "no body": [null, "none"],
} as const;
type Kind = (typeof PLAINTEXTS)[keyof typeof PLAINTEXTS][1];

type Outcome = "declarative" | "legacy" | "error";

/** First row that fits decides. `header`, `kind`: undefined is any. */
const TABLE: readonly {
  readonly mode: DeclarativeMode;
  readonly header?: boolean;
  readonly kind?: Kind;
  readonly outcome: Outcome;
}[] = [
  { mode: "never", outcome: "legacy" },
  { mode: "auto", kind: "w3c", outcome: "declarative" },
  { mode: "auto", outcome: "legacy" },
  { mode: "auto+explainer", kind: "w3c", outcome: "declarative" },
  { mode: "auto+explainer", header: true, kind: "explainer", outcome: "declarative" },
  { mode: "auto+explainer", header: true, kind: "none", outcome: "error" },
  { mode: "auto+explainer", header: false, outcome: "legacy" },
  { mode: "only", kind: "w3c", outcome: "declarative" },
  { mode: "only", kind: "explainer", outcome: "declarative" },
  { mode: "only", kind: "none", outcome: "error" },
];

/** Without plaintext there is nothing the header could have said a notification of. */
function expectedOf(mode: DeclarativeMode, header: boolean, kind: Kind, plaintext: string | null): Outcome {
  if (mode === "auto+explainer" && plaintext === null) return "legacy";
  const row = TABLE.find(
    (one) => one.mode === mode && (one.header ?? header) === header && (one.kind ?? kind) === kind,
  );
  if (row === undefined) throw new Error("the table has a hole");
  return row.outcome;
}

const MODES = ["auto", "auto+explainer", "only", "never"] as const;
const CASES = MODES.flatMap((mode) =>
  [true, false].flatMap((header) =>
    (Object.keys(PLAINTEXTS) as (keyof typeof PLAINTEXTS)[]).map((name) => ({ mode, header, name })),
  ),
);

describe.each([true, false])("with a handler: %s", (hasHandler) => {
  const owner = "https://app.example";
  let stage: Stage;
  let receiver: Receiver;
  const subscriptions = new Map<DeclarativeMode, PushSubscription>();
  const due = { ok: 0, undecryptable: 0, rejected: 0 };
  beforeAll(async () => {
    stage = new Stage();
    receiver = await Receiver.open(stage, { silentPushMax: () => null });
    receiver.app(owner, hasHandler ? () => {} : null);
    for (const declarative of MODES)
      subscriptions.set(declarative, await receiver.subscribe(owner, { declarative, waToken: declarative }));
  });
  afterAll(() => stage.close());

  test.each(CASES)("$mode, header: $header, $name", async ({ mode, header, name }) => {
    const [plaintext, kind] = PLAINTEXTS[name];
    const outcome = expectedOf(mode, header, kind, plaintext);
    const contentType = header ? HEADER : "application/octet-stream";
    const subscription = subscriptions.get(mode);
    if (subscription === undefined) throw new Error("not subscribed");
    const seen = await receiver.deal(subscription, { plaintext, contentType });
    const title = kind === "w3c" ? "W3C" : "Explainer";
    expect(effectsOf(seen)).toEqual({
      shown: outcome === "declarative" ? [title] : [],
      pushes: outcome === "legacy" && hasHandler ? [{ data: plaintext, title: null }] : [],
      badges: [],
    });
    due[outcome === "error" || (outcome === "legacy" && !hasHandler) ? "rejected" : "ok"]++;
  });

  test("the service is rid of all of them, nobody was woken", async () => {
    await receiver.empty();
    expect(receiver.acknowledged).toEqual(due);
    expect(due.ok + due.rejected).toBe(CASES.length);
    expect(receiver.seen.filter(({ type }) => type === "start")).toEqual([]);
  });
});
