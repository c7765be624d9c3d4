// SPDX-License-Identifier: MIT
// Goal: the legacy headers are read as the drafts say, each fault with its code and in the documented order. Method: the
// draft's own headers bent in one way per case; the message vectors are in vector-suite.ts.
import { describe, expect, test } from "vitest";
import { parseAesgcmHeaders } from "../../src/webpush/aesgcm.ts";
import { codeOf, exampleBytes } from "./support.ts";

const SALT = "lngarbyKfMoi9Z75xYXmkg";
const DH = "BNoRDbb84JGm8g5Z5CFxurSqsXWJ11ItfXEWYVLE85Y7CYkDjXsIEc4aqxYaQ1G8BqkXCJ6DPpDrWtdWj_mugHU";

describe("aesgcm headers", () => {
  test.each([
    ["keyed", `keyid="a"; salt="${SALT}"`, `keyid="a"; dh="${DH}"`, 4096],
    ["record size", `salt=${SALT};rs=3`, `dh=${DH}`, 3],
    ["any case and order", `RS=25 ;SALT=${SALT}`, `p256ecdsa=x;DH=${DH}`, 25],
    ["trailing separators", `salt=${SALT};`, `dh=${DH},`, 4096],
    ["another list for another key", `keyid=a;salt=${SALT}`, `keyid=b;dh=AAAA,keyid=a;dh=${DH}`, 4096],
    ["VAPID key in a list of its own", `salt=${SALT}`, `dh=${DH},p256ecdsa=x`, 4096],
    ["key id only beside the key", `salt=${SALT}`, `keyid=a;dh=${DH}`, 4096],
  ])("read: %s", (_what, encryption, cryptoKey, recordBytes) => {
    expect(parseAesgcmHeaders({ encryption, cryptoKey })).toEqual({
      salt: exampleBytes("draft-webpush-encryption-04", "salt"),
      recordBytes,
      senderPublicKey: exampleBytes("draft-webpush-encryption-04", "as_public"),
    });
  });

  test.each([
    ["none", undefined, undefined, "ERR_ECE_BAD_ENCRYPTION_HEADER"],
    ["empty", "", `dh=${DH}`, "ERR_ECE_BAD_ENCRYPTION_HEADER"],
    ["garbage", "salt", `dh=${DH}`, "ERR_ECE_BAD_ENCRYPTION_HEADER"],
    ["two salts", `salt=${SALT};salt=${SALT}`, `dh=${DH}`, "ERR_ECE_BAD_ENCRYPTION_HEADER"],
    ["two codings", `salt=${SALT},salt=${SALT}`, `dh=${DH}`, "ERR_ECE_BAD_ENCRYPTION_HEADER"],
    ["escape in quotes", `salt="\\${SALT}"`, `dh=${DH}`, "ERR_ECE_BAD_ENCRYPTION_HEADER"],
    ["too long", `salt=${SALT};x=${"x".repeat(1024)}`, `dh=${DH}`, "ERR_ECE_BAD_ENCRYPTION_HEADER"],
    ["record size 2", `salt=${SALT};rs=2`, `dh=${DH}`, "ERR_ECE_BAD_RECORD_SIZE"],
    ["negative record size", `salt=${SALT};rs=-5`, `dh=${DH}`, "ERR_ECE_BAD_RECORD_SIZE"],
    ["record size no number", `salt=${SALT};rs=0x19`, `dh=${DH}`, "ERR_ECE_BAD_RECORD_SIZE"],
    [
      "two keys, no key id",
      `salt=${SALT}`,
      `keyid=a;dh=${DH},keyid=b;dh=${DH}`,
      "ERR_ECE_BAD_CRYPTO_KEY_HEADER",
    ],
    [
      "two keys of one id",
      `salt=${SALT};keyid=a`,
      `keyid=a;dh=${DH},keyid=a;dh=${DH}`,
      "ERR_ECE_BAD_CRYPTO_KEY_HEADER",
    ],
    ["padded key", `salt=${SALT}`, `dh=${DH}=`, "ERR_ECE_BAD_CRYPTO_KEY_HEADER"],
    ["null key header", `salt=${SALT}`, null, "ERR_ECE_BAD_CRYPTO_KEY_HEADER"],
  ])("refused: %s", (_what, encryption, cryptoKey, code) => {
    expect(codeOf(() => parseAesgcmHeaders({ encryption, cryptoKey }))).toBe(code);
  });
});
