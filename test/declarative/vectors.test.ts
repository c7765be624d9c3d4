// Goal: every known case of the W3C and the explainer format comes out as expected, field by field.
// Method: the cases of WebKit, Gecko and the standard in test/vectors, with the defaults its meta names filled in.

import { describe, expect, test } from "vitest";
import { utf8Encode } from "../../src/bytes.ts";
import { type ActivationPolicy, activate, decide, REASONS } from "../../src/declarative/index.ts";
import { base64urlDecode } from "../../src/webpush/base64url.ts";
import vectorsText from "../vectors/declarative-cases.json?raw";
import { EPOCH_MS } from "./support.ts";

interface VectorCase {
  readonly id: string;
  readonly format: string;
  readonly payload: string | null;
  readonly payload_base64url?: string;
  readonly scope_or_base_url: string;
  readonly content_type?: string | null;
  readonly subscription_opt_in?: boolean;
  readonly max_actions?: number;
  readonly expect: string;
  readonly expect_fields?: Readonly<Record<string, unknown>>;
  readonly spec_failure?: string;
  readonly failure?: string;
  readonly activation_policy?: string;
}

// As text: a title in there is a lone surrogate, on which the JSON loader of vitest gives up.
const vectors = JSON.parse(vectorsText) as {
  readonly meta: { readonly default_max_actions: number };
  readonly cases: readonly VectorCase[];
};
const { cases } = vectors;

/** Its own note allows a nesting limit: "A UA may set a nesting limit and then treat the message as legacy". */
const BEYOND_NESTING_LIMIT = "sp-depth-2000";

/** Sentences of the vectors that say the same as ours in other words. */
const SAME_REASON: Readonly<Record<string, string>> = {
  "navigate does not parse": REASONS["navigate-url"],
  "default_action_url does not parse": REASONS["navigate-url"],
  "an action navigate does not parse": REASONS["action-url"],
  "an action url does not parse": REASONS["action-url"],
  "silent true with vibrate present (TypeError)": REASONS["silent-vibrate"],
};

function bytesOf(vector: VectorCase): Uint8Array {
  if (vector.payload_base64url !== undefined) return base64urlDecode(vector.payload_base64url);
  return utf8Encode(vector.payload ?? "");
}

function decideVector(vector: VectorCase): ReturnType<typeof decide> {
  return decide(bytesOf(vector), {
    mode: vector.subscription_opt_in === true ? "auto+explainer" : "auto",
    contentType: vector.content_type ?? null,
    baseUrl: vector.scope_or_base_url,
    maxActions: vector.max_actions ?? vectors.meta.default_max_actions,
    epochMs: EPOCH_MS,
  });
}

/** Expected fields with the defaults of the vectors' meta, in our names. */
function expectedFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { app_badge: appBadge, mutable, ...notification }: Record<string, unknown> = fields;
  const defaults = { icon: null, image: null, badge: null, vibrate: [], timestamp: EPOCH_MS };
  const flags = { renotify: false, requireInteraction: false, data: null };
  const nested = /^<(\d+) nested arrays>$/.exec(String(notification.data));
  if (nested !== null) notification.data = nestedArrays(Number(nested[1]));
  return { notification: { ...defaults, ...flags, ...notification }, mutable, appBadge };
}

function nestedArrays(levels: number): unknown {
  let value: unknown[] = [];
  for (let i = 1; i < levels; i++) value = [value];
  return value;
}

describe("declarative cases", () => {
  test("there are as many as the vectors hold", () => {
    expect(cases.length).toBe(155);
  });

  test.each(
    cases.filter(({ id }) => id !== BEYOND_NESTING_LIMIT).map((vector) => [vector.id, vector] as const),
  )("%s", (_id, vector) => {
    const result = decideVector(vector);
    expect(result.kind).toBe(vector.expect);
    if (vector.expect_fields === undefined) {
      expect(result).toMatchObject({ notification: null, mutable: false, appBadge: null });
    } else {
      const { notification, mutable, appBadge } = result;
      expect({ notification, mutable, appBadge }).toStrictEqual(expectedFields(vector.expect_fields));
    }
  });

  test("1500 nested arrays are beyond the nesting limit, so app data", () => {
    const vector = cases.find(({ id }) => id === BEYOND_NESTING_LIMIT) as VectorCase;
    expect(decideVector(vector)).toMatchObject({ kind: "legacy", reason: "json-too-deep" });
  });
});

describe("reasons", () => {
  const failing = cases.filter(({ spec_failure, failure, format }) =>
    format === "w3c" ? spec_failure !== undefined : failure !== undefined,
  );

  test.each(failing.map((vector) => [vector.id, vector] as const))("%s", (_id, vector) => {
    const { reason } = decideVector(vector);
    const sentence = vector.format === "w3c" ? vector.spec_failure : vector.failure;
    const ours = reason === null ? "none" : REASONS[reason];
    if (sentence === "title missing, not a string, or empty") {
      expect([REASONS["no-title"], REASONS["empty-title"]]).toContain(ours);
    } else {
      expect(ours).toBe(SAME_REASON[sentence ?? ""] ?? sentence);
    }
  });
});

// The column is a sentence; this is what the sentence means here.
describe("activation policy", () => {
  const strict: ActivationPolicy = { baseUrl: "https://app.example/", httpAllowed: false };
  const expected: Readonly<Record<string, object>> = {
    "cross-origin: block or show the host, see declarative.md section 8": {
      kind: "navigate",
      crossOrigin: true,
      ask: true,
      host: "evil.example",
    },
    "cross-origin": { kind: "navigate", crossOrigin: true, ask: true, host: "evil.example" },
    "downgrade: warn or block": { kind: "refused", reason: "http" },
    "cross-origin; never render the raw string": {
      kind: "navigate",
      crossOrigin: true,
      ask: true,
      host: "evil.example",
    },
    "block unless the embedder allows the scheme": { kind: "refused", reason: "scheme" },
    block: { kind: "refused", reason: "scheme" },
  };
  const withPolicy = cases.filter(({ activation_policy }) => activation_policy !== undefined);

  test("six cases name one", () => {
    expect(withPolicy.length).toBe(6);
  });

  test.each(withPolicy.map((vector) => [vector.id, vector] as const))("%s", (_id, vector) => {
    const { notification } = decideVector(vector);
    if (notification === null) throw new Error("not declarative");
    expect(activate(notification, "", strict)).toMatchObject(expected[vector.activation_policy ?? ""] ?? {});
    expect(expected[vector.activation_policy ?? ""]).toBeDefined();
  });
});
