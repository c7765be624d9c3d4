// SPDX-License-Identifier: MIT
/**
 * What the webpush specs share: the vector file with a type, a seeded byte source and a way to
 * name what went wrong.
 * Free of any runtime, so that the same specs run inside QuickJS.
 */
import { type ErrorCode, GodwitError } from "../../src/errors.ts";
import { base64urlDecode } from "../../src/webpush/base64url.ts";
import type { RandomFill, SubscriptionKeys } from "../../src/webpush/crypto.ts";
import { ALL_CODES } from "../error-codes.ts";
import json from "../vectors/ece-vectors.json" with { type: "json" };

/** All texts are unpadded base64url unless said otherwise. */
export interface MessageCase {
  readonly id: string;
  readonly description: string;
  readonly body: string;
  readonly expect: "decrypt" | "error";
  readonly error: string | null;
  readonly plaintext?: string;
}

export interface HeaderCase {
  readonly id: string;
  readonly content_encoding: string | null;
  readonly headers: { readonly Encryption?: string; readonly "Crypto-Key"?: string };
  readonly body?: string;
  readonly body_text?: string;
  readonly body_ref?: string;
  readonly keys?: string;
  readonly expect: "decrypt" | "error";
  readonly error?: string;
  /** `decrypt` or `error:` and a name. */
  readonly expect_if_legacy_enabled?: string;
  readonly plaintext?: string;
}

/** One worked example; which members it has depends on its source. */
export type Example = Readonly<Record<string, string>>;

interface VectorFile {
  readonly vectors: Readonly<Record<string, Example>>;
  readonly cases: readonly MessageCase[];
  readonly header_cases: readonly HeaderCase[];
  readonly configuration_cases: readonly { readonly id: string }[];
}

export const vectors = json as unknown as VectorFile;

/** Bytes of member `name` of the example `id`. */
export function exampleBytes(id: string, name: string): Uint8Array {
  const text = vectors.vectors[id]?.[name];
  if (text === undefined) throw new Error(`no ${name} in vector ${id}`);
  return base64urlDecode(text);
}

/** The receiver's keys of an example, a new object at each call. */
export function exampleKeys(id: string): SubscriptionKeys {
  return {
    privateKey: exampleBytes(id, "ua_private"),
    publicKey: exampleBytes(id, "ua_public"),
    authSecret: exampleBytes(id, "auth_secret"),
  };
}

/** Keys of RFC 8291 Appendix A, which nearly all cases are made for. */
export const rfc8291Keys = exampleKeys("rfc8291-appendix-a");

export function messageCase(id: string): MessageCase {
  const found = vectors.cases.find((message) => message.id === id);
  if (found === undefined) throw new Error(`no case ${id}`);
  return found;
}

/** A reproducible byte source (xorshift32); never for real keys. */
export function seededFill(seed: number): RandomFill {
  let state = seed | 1;
  return (target) => {
    for (let i = 0; i < target.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      target[i] = state >>> 11;
    }
  };
}

/** The code `action` fails with. Anything but a GodwitError with a listed code, or no failure at all, fails the test. */
export function codeOf(action: () => unknown): ErrorCode {
  try {
    action();
  } catch (error) {
    if (error instanceof GodwitError && ALL_CODES.includes(error.code)) return error.code;
    throw error;
  }
  throw new Error("nothing was thrown");
}
