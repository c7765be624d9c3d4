// SPDX-License-Identifier: MIT
// Goal: every case of test/vectors/declarative-cases.json comes out on a real device as the file says: on the screen with
// the right members, at the app's handler with the very octets, or nowhere; the service is rid of it in each case.
// Method: one push service and one user agent; web-push encrypts each payload, with the Content-Type of the case.

import { afterAll, beforeAll, expect, test } from "vitest";
import { NOTIFICATION_ACTIONS_MAX } from "../../src/limits.ts";
import { base64urlDecode } from "../../src/webpush/base64url.ts";
import vectorsText from "../vectors/declarative-cases.json?raw";
import { effectsOf, ofType, Receiver } from "./receiver.ts";
import { Stage } from "./stage.ts";

interface VectorCase {
  readonly id: string;
  readonly format: "w3c" | "explainer";
  readonly payload: string | null;
  readonly payload_base64url?: string;
  readonly scope_or_base_url: string;
  readonly content_type?: string | null;
  readonly subscription_opt_in?: boolean;
  readonly max_actions?: number;
  readonly expect: "declarative" | "legacy" | "error";
  readonly expect_fields?: Readonly<Record<string, unknown>>;
}

const { cases } = JSON.parse(vectorsText) as { readonly cases: readonly VectorCase[] };

/** Beyond our nesting limit, which its own note allows. */
const TOO_DEEP = "sp-depth-2000";
/** About a device that shows no actions; ours shows two. */
const NO_ACTIONS = "sp-actions-max0";

let stage: Stage;
let receiver: Receiver;
beforeAll(async () => {
  stage = new Stage();
  // The same few owners handle all of it, and show nothing.
  receiver = await Receiver.open(stage, { silentPushMax: () => null });
});
afterAll(() => stage.close());

test.each(cases.map((vector) => [vector.id, vector] as const))("%s", async (_id, vector) => {
  const plaintext = bytesOf(vector);
  // Here a subscription's scope is its owner's origin.
  const { origin } = new URL(vector.scope_or_base_url);
  const declarative = vector.subscription_opt_in === true ? "auto+explainer" : "auto";
  receiver.app(origin, () => {});
  const subscription = await receiver.subscribe(origin, { declarative, waToken: declarative });
  const beforeMs = Date.now();
  const seen = await receiver.deal(subscription, {
    plaintext,
    contentType: vector.content_type ?? null,
  });
  const outcome = vector.id === TOO_DEEP ? "legacy" : vector.expect;
  const effects = effectsOf(seen);
  if (outcome === "error") {
    expect(effects).toEqual({ shown: [], pushes: [], badges: [] });
    return;
  }
  if (outcome === "legacy") {
    expect(effects).toMatchObject({ shown: [], badges: [] });
    const [push, ...others] = ofType(seen, "push");
    expect(others).toEqual([]);
    expect(push?.event.data?.bytes()).toEqual(plaintext);
    expect(push?.event.notification).toBeNull();
    return;
  }
  const { mutable, badge, notification } = expectedOf(vector);
  expect(effects.pushes).toEqual(mutable ? [{ data: null, title: notification.title }] : []);
  expect(effects.badges).toEqual(badge === null ? [] : [badge]);
  const [shown, ...others] = ofType(seen, "show");
  expect(others).toEqual([]);
  const { timestamp, ...members } = { ...shown?.notification };
  const { timestamp: due, ...dueMembers } = notification;
  expect(members).toStrictEqual(dueMembers);
  if (due !== undefined) expect(timestamp).toBe(due);
  else {
    expect(timestamp).toBeGreaterThanOrEqual(beforeMs);
    expect(timestamp).toBeLessThanOrEqual(Date.now());
  }
  // A handler of a mutable message is given the same notification.
  if (mutable) expect(ofType(seen, "push")[0]?.event.notification).toStrictEqual(shown?.notification);
});

test("all were sent, and the service is rid of each: the mistakes as rejected, all others as dealt with", async () => {
  expect(cases.length).toBe(155);
  await receiver.empty();
  const rejected = cases.filter((vector) => vector.expect === "error").length;
  expect(receiver.acknowledged).toEqual({ ok: cases.length - rejected, undecryptable: 0, rejected });
});

function bytesOf(vector: VectorCase): Uint8Array {
  if (vector.payload_base64url !== undefined) return base64urlDecode(vector.payload_base64url);
  return new Uint8Array(Buffer.from(vector.payload ?? "", "utf8"));
}

/** The expected notification with the defaults that the file's meta names, and links as from the origin's root. */
function expectedOf(vector: VectorCase) {
  const { app_badge: badge, mutable, ...fields }: Record<string, unknown> = { ...vector.expect_fields };
  const defaults = { icon: null, image: null, badge: null, vibrate: [], renotify: false };
  const notification: Record<string, unknown> = {
    ...defaults,
    requireInteraction: false,
    data: null,
    ...fields,
  };
  const nested = /^<(\d+) nested arrays>$/.exec(String(notification.data));
  if (nested !== null) notification.data = nestedArrays(Number(nested[1]));
  const rebased = vector.scope_or_base_url !== `${new URL(vector.scope_or_base_url).origin}/`;
  if (rebased || vector.id === NO_ACTIONS) resolveAgain(notification, vector);
  return { mutable: mutable === true, badge: (badge ?? null) as number | boolean | null, notification };
}

/** What the payload says, resolved against the owner's origin instead of a scope below it, and with our number of actions. */
function resolveAgain(notification: Record<string, unknown>, vector: VectorCase): void {
  const { origin } = new URL(vector.scope_or_base_url);
  const sent = JSON.parse(new TextDecoder().decode(bytesOf(vector))).notification;
  const resolve = (text: unknown) =>
    typeof text === "string" && URL.canParse(text, origin) ? new URL(text, origin).href : null;
  for (const name of ["navigate", "icon", "image", "badge"]) notification[name] = resolve(sent[name]);
  if (!Array.isArray(notification.actions)) return;
  const known = Array.isArray(sent.actions) ? sent.actions : [];
  if (vector.id === NO_ACTIONS) notification.actions = known.slice(0, NOTIFICATION_ACTIONS_MAX);
  notification.actions = (notification.actions as Record<string, unknown>[]).map((action) => {
    const own = known.find((one: Record<string, unknown>) => one.action === action.action);
    const { navigate, icon } = own ?? action;
    return { ...action, navigate: resolve(navigate), icon: resolve(icon) };
  });
}

function nestedArrays(levels: number): unknown {
  let value: unknown[] = [];
  for (let level = 1; level < levels; level++) value = [value];
  return value;
}
