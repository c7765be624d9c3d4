// SPDX-License-Identifier: MIT
/**
 * `Authorization` headers of application servers, as they come, and with a header and claims of any bytes signed with the right key. The portable
 * cryptography and OpenSSL's agree. The first byte of an input says which it is. No tests here.
 */

import { concatBytes, utf8Decode, utf8Encode } from "../../../src/bytes.ts";
import type { ErrorCode } from "../../../src/errors.ts";
import { VAPID_HEADER_CHARS_MAX } from "../../../src/limits.ts";
import { createNodeProvider } from "../../../src/node/crypto.ts";
import {
  base64urlDecode,
  base64urlDecodePortable,
  base64urlEncode,
  base64urlEncodePortable,
} from "../../../src/webpush/base64url.ts";
import { generateKeyPair } from "../../../src/webpush/keys.ts";
import { createNobleSigningProvider } from "../../../src/webpush/noble-signing.ts";
import { signVapid, verifyVapid } from "../../../src/webpush/vapid.ts";
import { mutateJson } from "../json.ts";
import { Random } from "../random.ts";
import { holds, resultOrCode, same, type Target } from "../target.ts";

const CODES: readonly ErrorCode[] = [
  ...(["ERR_VAPID_SYNTAX", "ERR_VAPID_KEY", "ERR_VAPID_SIGNATURE", "ERR_VAPID_AUDIENCE"] as const),
  ...(["ERR_VAPID_EXPIRED", "ERR_VAPID_EXPIRY_TOO_FAR", "ERR_VAPID_SUBJECT"] as const),
];
const noble = createNobleSigningProvider();
const node = createNodeProvider();
const random = new Random(6);
const keys = generateKeyPair((bytes) => bytes.set(random.bytes(bytes.length)), node);
const KEY = base64urlEncode(keys.publicKey);
const AUDIENCE = "https://push.example";
const NOW_S = 1_800_000_000;
const HEADER = '{"typ":"JWT","alg":"ES256"}';

/** The rest of an input, by its first byte. */
const KINDS = ["header", "claims", "token header", "base64url"] as const;

export const target: Target = {
  name: "vapid",
  covers: ["src/webpush/vapid.ts", "src/webpush/parameters.ts", "src/webpush/base64url.ts", "src/json.ts"],
  inputBytesMax: VAPID_HEADER_CHARS_MAX + 16,
  inputMsMax: 500,
  words: [
    ...["vapid ", "VAPID\t", "t=", "k=", `k=${KEY}`, ", ", ";", '"', "=", "WebPush ", "Bearer "],
    ...["alg", "ES256", "none", "typ", "aud", AUDIENCE, "exp", String(NOW_S), "sub", "mailto:", "act", "."],
  ],
  seeds: () => SEEDS,
  mutate(input, changes) {
    const inner =
      input[0] === 1 || input[0] === 2 ? mutateJson(input.subarray(1), this.words, changes) : null;
    return inner === null ? null : concatBytes(input.subarray(0, 1), inner);
  },
  run(input) {
    const kind = KINDS[(input[0] ?? 0) % KINDS.length] ?? "header";
    const rest = input.subarray(1);
    if (kind === "base64url") return checkBase64url(rest);
    const authorization = kind === "header" ? utf8Decode(rest) : signed(kind, rest);
    const by = (provider: typeof noble) =>
      resultOrCode(CODES, () => verifyVapid({ authorization, audience: AUDIENCE, nowS: NOW_S, provider }));
    const read = by(node);
    // What OpenSSL verifies in a hundredth of the time.
    if (kind === "header" || random.oneIn(16)) same("what the portable cryptography finds", by(noble), read);
    if ("code" in read) return `${kind} ${read.code}`;
    const { aud, exp, sub } = read.value;
    same("aud", aud, AUDIENCE);
    holds("exp is near", exp >= NOW_S - 60 && exp <= NOW_S + 86_400);
    holds("sub is a text or missing", sub === undefined || typeof sub === "string");
    return `${kind} good`;
  },
};

function signed(kind: "claims" | "token header", part: Uint8Array): string {
  const parts = kind === "claims" ? [utf8Encode(HEADER), part] : [part, utf8Encode(CLAIMS)];
  const token = parts.map(base64urlEncode).join(".");
  return `vapid t=${token}.${base64urlEncode(node.sign(keys, utf8Encode(token)))}, k=${KEY}`;
}

/** As a text to decode, and as bytes to encode. */
function checkBase64url(bytes: Uint8Array): string {
  const encoded = base64urlEncode(bytes);
  same("encoded without the engine's codec", base64urlEncodePortable(bytes), encoded);
  same("decoded again", base64urlDecode(encoded), Uint8Array.from(bytes));
  const text = utf8Decode(bytes);
  const read = resultOrCode(["ERR_BASE64URL"], () => base64urlDecode(text));
  if ("code" in read) return read.code;
  same("decoded without the engine's codec", base64urlDecodePortable(text), read.value);
  same("one text stands for one array", base64urlEncode(read.value), text);
  same("what Node decodes", Uint8Array.from(Buffer.from(text, "base64url")), read.value);
  return "base64url";
}

const CLAIMS = JSON.stringify({ aud: AUDIENCE, exp: NOW_S + 3600, sub: "mailto:a@b.example" });
const GOOD = signVapid({
  keys,
  audience: AUDIENCE,
  expiresS: NOW_S + 60,
  subject: "https://a.example",
  provider: node,
});
const seed = (kind: (typeof KINDS)[number], text: string): Uint8Array =>
  concatBytes(Uint8Array.of(KINDS.indexOf(kind)), utf8Encode(text));
const SEEDS: readonly Uint8Array[] = [
  seed("header", GOOD),
  seed("header", GOOD.replace(/t=([^,]*), k=(.*)/, 'k="$2=" ; T=$1')),
  seed("header", "Bearer x"),
  seed("claims", CLAIMS),
  seed("claims", JSON.stringify({ aud: AUDIENCE, exp: NOW_S + 86_401 })),
  seed("claims", JSON.stringify({ aud: AUDIENCE, exp: NOW_S - 100, sub: 1 })),
  seed("claims", "[[[[[[[[[]]]]]]]]]"),
  seed("token header", HEADER),
  seed("base64url", "aGVsbG8"),
];
