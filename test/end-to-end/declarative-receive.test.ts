// SPDX-License-Identifier: MIT
// Goal: a message is received on a real device as the receive cases of test/vectors/declarative-cases.json and the table
// of kinds and handlers say: what the screen shows, what the app is given, the badge, and that the service is rid of it.
// Method: real push service and user agent in this process, whose timers can be skipped to; web-push sends.

import "./children/skippable-time.mjs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { PushEvent } from "../../src/apps/events.ts";
import { GodwitError } from "../../src/errors.ts";
import {
  DELIVERY_ATTEMPTS_MAX,
  DELIVERY_RETRY_MS,
  HANDLER_BUDGET_MS,
  TRANSFORM_BUDGET_MS,
} from "../../src/limits.ts";
import type { Store } from "../../src/push-service/index.ts";
import vectorsText from "../vectors/declarative-cases.json?raw";
import { declared, effectsOf, type Handler, type Letter, ofType, Receiver } from "./receiver.ts";
import { Stage } from "./stage.ts";

const { receive_cases: cases } = JSON.parse(vectorsText) as {
  readonly receive_cases: readonly { readonly id: string; readonly expect: string }[];
};

/** Nothing waits for less than a tick of the clock. */
const TICK_MS = 20;
const forever = (): Promise<never> => new Promise(() => {});
const mutable = (notification = {}, members = {}): string =>
  declared(notification, { mutable: true, ...members });

let stage: Stage;
let receiver: Receiver;
beforeAll(async () => {
  stage = new Stage();
  receiver = await Receiver.open(stage);
});
afterAll(() => stage.close());

/** One message to a new app with this handler: all that was seen, and in short. */
async function received(letter: Letter, handler: Handler | null) {
  const { owner, subscription } = await receiver.newApp(handler);
  const seen = await receiver.receive(subscription, letter);
  return { owner, subscription, seen, ...effectsOf(seen) };
}

/** The message is in the handler's hands; then its time passes. */
async function outlasted(letter: Letter, handler: Handler, budgetMs: number) {
  const { owner, subscription } = await receiver.newApp(handler);
  const from = receiver.seen.length;
  await receiver.post(subscription, letter);
  const { event } = await receiver.next("push", from);
  await skip(budgetMs);
  return { owner, from, event };
}

async function skip(ms: number): Promise<void> {
  await globalThis.moreRequests?.skip({ ms: ms + TICK_MS });
}

const never = (): boolean => false;
const isGone = (error: Error): boolean => / answered 4(04|10)$/.test(error.message);

const lastShown = () => {
  const shown = ofType(receiver.seen, "show").at(-1);
  if (shown === undefined) throw new Error("nothing was shown");
  return shown;
};

const CASES: Readonly<Record<string, () => Promise<void>>> = {
  "rx-no-payload": async () => {
    const withHandler = await received({ plaintext: null }, () => {});
    expect(withHandler).toMatchObject({ shown: [], pushes: [{ data: null, title: null }], badges: [] });
    const without = await received({ plaintext: null }, null);
    expect(without).toMatchObject({ shown: [], pushes: [], badges: [] });
  },
  "rx-undecryptable": async () => {
    const damage = (body: Uint8Array): Uint8Array => body.with(-1, (body.at(-1) ?? 0) ^ 1);
    const before = receiver.acknowledged.undecryptable;
    for (const handler of [() => {}, null]) {
      const outcome = await received({ plaintext: declared({}), damage }, handler);
      expect(outcome).toMatchObject({ shown: [], pushes: [], badges: [] });
      expect(ofType(outcome.seen, "start")).toEqual([]);
    }
    expect(receiver.acknowledged.undecryptable).toBe(before + 2);
  },
  "rx-immutable": async () => {
    const letter = { plaintext: declared({}, { app_badge: 3 }) };
    for (const handler of [forever, null]) {
      const outcome = await received(letter, handler);
      expect(outcome).toMatchObject({ shown: ["Declared"], pushes: [], badges: [3] });
      expect(ofType(outcome.seen, "start")).toEqual([]);
    }
  },
  "rx-mutable-no-handler": async () => {
    const outcome = await received({ plaintext: mutable({}, { app_badge: 3 }) }, null);
    expect(outcome).toMatchObject({ shown: ["Declared"], pushes: [], badges: [3] });
    expect(ofType(outcome.seen, "start")).toEqual([]);
  },
  "rx-mutable-shows": async () => {
    const outcome = await received({ plaintext: mutable() }, (event) => event.showNotification("Other"));
    expect(outcome).toMatchObject({ shown: ["Other"], pushes: [{ data: null, title: "Declared" }] });
  },
  "rx-mutable-silent": async () => {
    const outcome = await received({ plaintext: mutable() }, () => {});
    expect(outcome).toMatchObject({ shown: ["Declared"], pushes: [{ data: null, title: "Declared" }] });
  },
  "rx-mutable-rejects": async () => {
    const outcome = await received({ plaintext: mutable() }, () => Promise.reject(new Error("no")));
    expect(outcome).toMatchObject({ shown: ["Declared"] });
    expect(outcome.pushes).toHaveLength(1);
  },
  "rx-mutable-shows-then-rejects": async () => {
    const outcome = await received({ plaintext: mutable() }, async (event) => {
      await event.showNotification("Other");
      throw new Error("no");
    });
    expect(outcome).toMatchObject({ shown: ["Other"] });
    expect(outcome.pushes).toHaveLength(1);
  },
  "rx-mutable-timeout": async () => {
    const letter = { plaintext: mutable({}, { app_badge: 7 }) };
    const { owner, from, event } = await outlasted(letter, forever, TRANSFORM_BUDGET_MS);
    await receiver.empty();
    await expect(event.showNotification("Late")).rejects.toMatchObject({ godwitCode: "ERR_NOTIFICATION" });
    await expect(event.setAppBadge(99)).rejects.toMatchObject({ godwitCode: "ERR_NOTIFICATION" });
    await receiver.app(owner).pushManager.permissionState();
    expect(effectsOf(receiver.seen.slice(from))).toMatchObject({ shown: ["Declared"], badges: [7] });
  },
  "rx-mutable-badge": async () => {
    const outcome = await received({ plaintext: mutable({}, { app_badge: 12 }) }, (event) =>
      event.setAppBadge(1024),
    );
    expect(outcome).toMatchObject({ shown: ["Declared"], badges: [1024] });
  },
  "rx-mutable-badge-untouched": async () => {
    for (const handler of [() => {}, (event: PushEvent) => event.showNotification("Other")]) {
      const outcome = await received({ plaintext: mutable({}, { app_badge: 12 }) }, handler);
      expect(outcome.badges).toEqual([12]);
    }
  },
  "rx-replacement-no-navigate": async () => {
    const letter = { plaintext: mutable({ navigate: "/its-own" }) };
    const { owner } = await received(letter, (event) => event.showNotification("Other", { body: "b" }));
    expect(lastShown().notification).toMatchObject({ title: "Other", navigate: `${owner}/its-own` });
  },
  "rx-legacy-retry": async () => {
    const { from } = await outlasted({ plaintext: "text" }, () => Promise.reject(new Error("no")), 0);
    for (let attempt = 2; attempt <= DELIVERY_ATTEMPTS_MAX; attempt++) {
      // What is written down meanwhile is handed out behind that.
      await receiver.until(
        "it came",
        (seen) => ofType(seen.slice(from), "push").length === attempt - 1 || null,
      );
      await skip(DELIVERY_RETRY_MS * (attempt - 1));
    }
    await receiver.until(
      "it is dropped",
      (seen) => ofType(seen.slice(from), "report").some(({ report }) => report.type === "dropped") || null,
    );
    await receiver.empty();
    const events = ofType(receiver.seen.slice(from), "push").map(({ event }) => event);
    expect(events.map(({ redelivered }) => redelivered)).toEqual([false, true, true]);
    expect(new Set(events.map(({ messageId }) => messageId)).size).toBe(1);
    expect(effectsOf(receiver.seen.slice(from)).shown).toEqual([]);
  },
  "rx-declarative-ack": async () => {
    const outcome = await received({ plaintext: mutable() }, () => Promise.reject(new Error("no")));
    await skip(HANDLER_BUDGET_MS);
    expect(ofType(outcome.seen, "acknowledged")).toMatchObject([{ code: "ok", messages: 1 }]);
    expect(effectsOf(receiver.seen.slice(receiver.seen.indexOf(outcome.seen[0] as never)))).toMatchObject({
      shown: ["Declared"],
      pushes: [{ title: "Declared" }],
    });
  },
  "rx-tag-replace": async () => {
    const before = receiver.userAgent.status().notifications;
    const { owner, subscription } = await receiver.newApp(null);
    const other = await receiver.newApp(null);
    const show = async (notification: object, target = subscription) => {
      await receiver.receive(target, { plaintext: declared({ tag: "score", ...notification }) });
      return lastShown();
    };
    const first = await show({ title: "1:0" });
    const second = await show({ title: "2:0" });
    expect(second).toMatchObject({ notificationId: first.notificationId, alert: false, owner });
    expect(second.replaces).toBe(first.notificationId);
    const third = await show({ title: "3:0", renotify: true });
    expect(third).toMatchObject({ notificationId: first.notificationId, alert: true });
    // The tag is the owner's: another one's with the same tag stays, and so does one without a tag.
    const foreign = await show({}, other.subscription);
    expect(foreign).toMatchObject({ replaces: null, alert: true });
    const untagged = await show({ tag: "" });
    expect(untagged).toMatchObject({ replaces: null, alert: true });
    expect(receiver.userAgent.status().notifications).toBe(before + 3);
  },
  "rx-activate-body": async () => {
    const { owner, seen } = await received({ plaintext: declared({ navigate: "/inbox?1" }) }, () => {});
    const from = receiver.seen.length;
    receiver.userAgent.activateNotification(lastShown().notificationId);
    expect(await receiver.next("open", from)).toMatchObject({ owner, url: `${owner}/inbox?1` });
    await receiver.next("close", from);
    expect(ofType([...seen, ...receiver.seen.slice(from)], "click")).toEqual([]);
  },
  "rx-activate-action": async () => {
    const actions = [{ action: "reply", title: "Reply", navigate: "/reply" }];
    const { owner } = await received({ plaintext: declared({ actions }) }, () => {});
    const from = receiver.seen.length;
    receiver.userAgent.activateNotification(lastShown().notificationId, "reply");
    expect(await receiver.next("open", from)).toMatchObject({ owner, url: `${owner}/reply` });
    await receiver.next("close", from);
    expect(ofType(receiver.seen.slice(from), "click")).toEqual([]);
  },
  "rx-activate-action-null": async () => {
    const actions = [{ action: "later", title: "Later" }];
    const { owner } = await received({ plaintext: mutable() }, (event) =>
      event.showNotification("Other", { actions }),
    );
    const from = receiver.seen.length;
    const { notificationId, notification } = lastShown();
    receiver.userAgent.activateNotification(notificationId, "later");
    expect(await receiver.next("click", from)).toMatchObject({ owner, action: "later", notification });
    expect(ofType(receiver.seen.slice(from), "open")).toEqual([]);
  },
};

/** With parts of their own. */
const OTHERS: Readonly<Record<string, () => Promise<void>>> = {
  // The service's store fails with the acknowledgement, so the message comes again.
  "rx-duplicate": async () => {
    let failures = 1;
    const forgetful = await Receiver.open(stage, {}, (store) => {
      const ack: Store["ack"] = (uaid, ranges) =>
        failures-- > 0
          ? Promise.reject(new GodwitError("ERR_STORE", "the disk is away"))
          : store.ack(uaid, ranges);
      return new Proxy(store, {
        get: (target, name) => {
          const member = name === "ack" ? ack : Reflect.get(target, name);
          return typeof member === "function" ? member.bind(target) : member;
        },
      });
    });
    const subscription = await forgetful.subscribe("https://app.example");
    await forgetful.post(subscription, { plaintext: declared({}) });
    await forgetful.next("report", 0, ({ report }) => report.type === "acknowledged");
    await forgetful.restart();
    await forgetful.empty();
    const received = ofType(forgetful.seen, "report").filter(({ report }) => report.type === "received");
    expect(received.map(({ report }) => report)).toMatchObject([{ attempt: 1 }, { attempt: 2 }]);
    // The second is the one that was not closed, brought back by the restart.
    expect(ofType(forgetful.seen, "show").map(({ alert }) => alert)).toEqual([true, false]);
    expect(forgetful.userAgent.status().notifications).toBe(1);
  },
  // The message goes with the subscription, so nobody acknowledges it.
  "rx-permission-revoked": async () => {
    const revoked = await Receiver.open(stage);
    const owner = "https://app.example";
    revoked.app(owner, forever);
    const subscription = await revoked.subscribe(owner);
    await revoked.post(subscription, { plaintext: mutable({}, { app_badge: 3 }) });
    const { event } = await revoked.next("push");
    await revoked.userAgent.choose({ type: "setPermission", owner, permission: "denied" });
    await expect(event.showNotification("Late")).rejects.toMatchObject({ godwitCode: "ERR_NOTIFICATION" });
    await skip(TRANSFORM_BUDGET_MS);
    await vi.waitUntil(async () => (await revoked.store.countMessages()) === 0);
    await vi.waitUntil(() => revoked.post(subscription, { plaintext: declared({}) }).then(never, isGone));
    expect(effectsOf(revoked.seen)).toMatchObject({ shown: [], badges: [] });
  },
};

const ALL = { ...CASES, ...OTHERS };

describe("receive cases", () => {
  test.each(cases.filter(({ id }) => id in ALL).map((one) => [one.id, one.expect]))("%s: %s", (id) =>
    ALL[id]?.(),
  );

  test("each of the file has its test, here or where its name stands", () => {
    // In transform-process.test.ts: only a process can die.
    const elsewhere = ["rx-mutable-crash"];
    expect([...Object.keys(ALL), ...elsewhere].sort()).toEqual(cases.map(({ id }) => id).sort());
  });
});

/** What each kind of message is, and what a handler of it may do. */
const KINDS = {
  immutable: { plaintext: declared({}) },
  mutable: { plaintext: mutable() },
  opaque: { plaintext: "opaque" },
  "no body": { plaintext: null },
  undecryptable: { plaintext: mutable(), damage: (body: Uint8Array) => body.with(20, 64) },
} as const satisfies Readonly<Record<string, Letter>>;

const HANDLERS = {
  absent: null,
  "shows nothing": () => {},
  shows: (event) => event.showNotification("Shown"),
  "shows two": async (event) => {
    await event.showNotification("Shown");
    await event.showNotification("Shown");
  },
  rejects: () => Promise.reject(new Error("no")),
  throws: () => {
    throw new Error("no");
  },
  "shows, then rejects": async (event) => {
    await event.showNotification("Shown");
    throw new Error("no");
  },
  "does not wait for what it shows": (event) => void event.showNotification("Shown"),
  "shows what is no notification": (event) => event.showNotification("Shown", { renotify: true }),
  hangs: forever,
  "shows, then hangs": async (event) => {
    await event.showNotification("Shown");
    await forever();
  },
} as const satisfies Readonly<Record<string, Handler | null>>;
type Does = keyof typeof HANDLERS;

/** Whether the handler shows, how often, and whether it ends well. */
function deedsOf(does: Does): { shows: number; isHandled: boolean } {
  const shows = { "shows two": 2, shows: 1, "does not wait for what it shows": 1 } as Record<string, number>;
  const isHandled = ["shows nothing", "shows", "shows two", "does not wait for what it shows"].includes(does);
  return { shows: shows[does] ?? (does.startsWith("shows, then") ? 1 : 0), isHandled };
}

describe.each(Object.keys(KINDS) as (keyof typeof KINDS)[])("%s", (kind) => {
  test.each(Object.keys(HANDLERS) as Does[])("handler %s", async (does) => {
    const handler = HANDLERS[does];
    const { subscription } = await receiver.newApp(handler);
    const from = receiver.seen.length;
    const before = receiver.acknowledged;
    await receiver.post(subscription, KINDS[kind]);
    const isDeclared = kind === "immutable" || kind === "mutable";
    const isGiven = handler !== null && (kind === "mutable" || kind === "opaque" || kind === "no body");
    const { shows, isHandled } = deedsOf(does);
    const isRepeated = isGiven && !isDeclared && !isHandled;
    const deliveries = !isGiven ? 0 : isRepeated ? DELIVERY_ATTEMPTS_MAX : 1;
    for (let attempt = 1; attempt <= deliveries; attempt++) {
      await receiver.until(
        "it is handed out",
        (seen) => ofType(seen.slice(from), "push").length >= attempt || null,
      );
      if (does.endsWith("hangs")) {
        if (shows > 0)
          await receiver.until(
            "it shows",
            (seen) => ofType(seen.slice(from), "show").length >= attempt || null,
          );
        await skip(isDeclared ? TRANSFORM_BUDGET_MS : HANDLER_BUDGET_MS);
      } else if (isRepeated) await failed(from, attempt);
      if (attempt < deliveries) await skip(DELIVERY_RETRY_MS * attempt);
    }
    await receiver.empty();
    const own = Array.from({ length: isGiven ? shows * deliveries : 0 }, () => "Shown");
    const effects = effectsOf(receiver.seen.slice(from));
    expect(effects.shown).toEqual(isDeclared && own.length === 0 ? ["Declared"] : own);
    expect(effects.pushes).toHaveLength(deliveries);
    for (const push of effects.pushes)
      expect(push).toEqual({
        data: kind === "opaque" ? "opaque" : null,
        title: kind === "mutable" ? "Declared" : null,
      });
    const code =
      kind === "undecryptable"
        ? "undecryptable"
        : isDeclared || (isGiven && isHandled)
          ? "ok"
          : isRepeated
            ? null
            : "rejected";
    // One that fails for long is acknowledged from the journal meanwhile.
    if (code !== null) expect(receiver.acknowledged).toEqual({ ...before, [code]: before[code] + 1 });
    expect(ofType(receiver.seen.slice(from), "start")).toEqual([]);
  });
});

/** The handler failed so often, and the agent knows. */
async function failed(from: number, times: number): Promise<void> {
  await receiver.until("it failed", (seen) => {
    const faults = ofType(seen.slice(from), "report").filter(
      ({ report }) => report.type === "fault" && report.code === "ERR_APP_HANDLER",
    );
    return faults.length >= times || null;
  });
  await new Promise((next) => setImmediate(next));
}
