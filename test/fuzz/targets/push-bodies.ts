// SPDX-License-Identifier: MIT
/**
 * Bodies of push messages in both codings, as they come and sealed under the right keys, so that what is inside is reached. The portable
 * cryptography and OpenSSL's agree on the plaintext or the code; what we open, another implementation opens to the same. The first
 * byte of an input says which of these it is, see {@link KINDS}. No tests here.
 */

import { createECDH } from "node:crypto";
import ece from "http_ece";
import { concatBytes, utf8Decode, utf8Encode } from "../../../src/bytes.ts";
import type { ErrorCode } from "../../../src/errors.ts";
import { AUTOPUSH_BODY_BYTES_MAX, MESSAGE_BODY_BYTES_MAX } from "../../../src/limits.ts";
import { createNodeProvider } from "../../../src/node/crypto.ts";
import { base64urlEncode } from "../../../src/webpush/base64url.ts";
import { HEADER_BYTES, writeAes128GcmHeader } from "../../../src/webpush/content-coding.ts";
import { type DecryptOptions, decrypt } from "../../../src/webpush/decrypt.ts";
import { encrypt } from "../../../src/webpush/encrypt.ts";
import { generateKeyPair, generateKeys } from "../../../src/webpush/keys.ts";
import { createNobleProvider } from "../../../src/webpush/noble.ts";
import { Random } from "../random.ts";
import { holds, resultOrCode, same, type Target } from "../target.ts";

const CODES: readonly ErrorCode[] = [
  ...([
    "ERR_ECE_NO_PAYLOAD",
    "ERR_ECE_TOO_LARGE",
    "ERR_ECE_TRUNCATED_HEADER",
    "ERR_ECE_BAD_RECORD_SIZE",
  ] as const),
  ...(["ERR_ECE_BAD_KEYID_LENGTH", "ERR_ECE_TRUNCATED_RECORD", "ERR_ECE_INVALID_PUBLIC_KEY"] as const),
  ...(["ERR_ECE_MULTIPLE_RECORDS", "ERR_ECE_AUTH_FAILED", "ERR_ECE_BAD_PADDING"] as const),
  ...(["ERR_ECE_BAD_CRYPTO_KEY_HEADER", "ERR_ECE_BAD_ENCRYPTION_HEADER", "ERR_ECE_BAD_SALT"] as const),
];
const noble = createNobleProvider();
const node = createNodeProvider();
const random = new Random(5);
const randomFill = (bytes: Uint8Array): void => bytes.set(random.bytes(bytes.length));
const keys = generateKeys(randomFill, node);
const sender = generateKeyPair(randomFill, node);
const salt = random.bytes(16);
const SALT = base64urlEncode(salt);
const DH = base64urlEncode(sender.publicKey);
const ecdh = createECDH("prime256v1");
ecdh.setPrivateKey(keys.privateKey);

/** What the rest of an input is, by its first byte; in front of what is sealed the record size stands, 4 bytes. */
const KINDS = ["body", "sealed", "aesgcm", "aesgcm sealed"] as const;

export const target: Target = {
  name: "push-bodies",
  covers: [
    ...[
      "aesgcm",
      "content-coding",
      "decrypt",
      "key-derivation",
      "keys",
      "parameters",
      "base64url",
      "noble.",
    ].map((name) => `src/webpush/${name}`),
    "src/node/crypto.ts",
  ],
  inputBytesMax: AUTOPUSH_BODY_BYTES_MAX + 100,
  inputMsMax: 500,
  words: [
    ...[
      "salt=",
      "rs=",
      "dh=",
      "keyid=",
      "keyid=a;",
      "p256ecdsa=",
      ";",
      ",",
      '"',
      "=",
      `salt=${SALT}`,
      `dh=${DH}`,
    ],
    ...["\0\0\x10\0", "\0\0\0\x12", "\0\0\0\x11", "\x02", "\x01", "A".repeat(20)],
  ],
  seeds: () => SEEDS,
  run(input) {
    const [kind, body, options] = messageOf(input);
    const outcomes = [MESSAGE_BODY_BYTES_MAX, AUTOPUSH_BODY_BYTES_MAX].map((limitBytes) => {
      const by = (provider: typeof noble) =>
        resultOrCode(CODES, () => decrypt(body, keys, { ...options, limitBytes, provider }));
      const read = by(noble);
      same("what OpenSSL opens", by(node), read);
      if ("code" in read) return read.code;
      holds("a plaintext is shorter than its body", read.value.length < body.length);
      same("what another implementation opens", plain(openByPeer(body, options)), read.value);
      return "opened";
    });
    return `${kind} ${outcomes.join(" ")}`;
  },
};

function messageOf(input: Uint8Array): [kind: string, body: Uint8Array, options: DecryptOptions] {
  const kind = KINDS[(input[0] ?? 0) % KINDS.length] ?? "body";
  const rest = input.subarray(1);
  if (kind === "body") return [kind, rest, {}];
  if (kind === "sealed") return [kind, seal(rest), {}];
  const aesgcm = { contentEncoding: "aesgcm", allowAesgcm: true };
  if (kind === "aesgcm sealed") {
    const recordBytes = uint32(rest);
    const headers = { encryption: `salt=${SALT};rs=${recordBytes}`, cryptoKey: `dh=${DH}` };
    return [kind, sealAesgcm(rest.subarray(4)), { ...aesgcm, ...headers }];
  }
  // Two headers, each behind its length in two bytes, and the body.
  const [encryption, behind] = takeText(rest);
  const [cryptoKey, body] = takeText(behind);
  return [kind, body, { ...aesgcm, encryption, cryptoKey }];
}

/** One record with `rest` behind its first four bytes inside, padding and all. */
function seal(rest: Uint8Array): Uint8Array {
  // An own message with as much in it has key and nonce, and the stream that GCM adds: so what is inside becomes anything.
  const padded = rest.subarray(4);
  if (padded.length === 0) return new Uint8Array(0);
  const body = new Uint8Array(HEADER_BYTES + padded.length + 16);
  writeAes128GcmHeader(body, salt, uint32(rest), sender.publicKey);
  const cipher = { key: new Uint8Array(0), nonce: new Uint8Array(0) };
  encrypt(new Uint8Array(0), keys, {
    ...{ salt, senderKeys: sender },
    provider: {
      ...node,
      gcmSeal(key, nonce) {
        cipher.key = key.slice();
        cipher.nonce = nonce.slice();
        return new Uint8Array(17);
      },
    },
  });
  body.set(node.gcmSeal(cipher.key, cipher.nonce, padded), HEADER_BYTES);
  return body;
}

/** Likewise, by the key and nonce that opening one asks for. */
function sealAesgcm(padded: Uint8Array): Uint8Array {
  let sealed = new Uint8Array(0);
  const provider = {
    ...node,
    gcmOpen(key: Uint8Array, nonce: Uint8Array) {
      sealed = Uint8Array.from(node.gcmSeal(key, nonce, padded));
      return null;
    },
  };
  const options = {
    contentEncoding: "aesgcm",
    allowAesgcm: true,
    encryption: `salt=${SALT}`,
    cryptoKey: `dh=${DH}`,
  };
  resultOrCode(["ERR_ECE_AUTH_FAILED"], () => decrypt(new Uint8Array(18), keys, { ...options, provider }));
  return sealed;
}

function openByPeer(
  body: Uint8Array,
  { encryption, cryptoKey, contentEncoding }: DecryptOptions,
): Uint8Array {
  const own = { privateKey: ecdh, authSecret: Buffer.from(keys.authSecret) };
  if (contentEncoding === undefined) return ece.decrypt(Buffer.from(body), { version: "aes128gcm", ...own });
  const value = (header: string | null | undefined, name: string): string | undefined =>
    new RegExp(`(?:^|[;,\\s])${name}\\s*=\\s*"?([^";,\\s]+)`, "i").exec(header ?? "")?.[1];
  const rs = value(encryption, "rs");
  return ece.decrypt(Buffer.from(body), {
    ...{
      version: "aesgcm",
      keyid: "",
      dh: dhOf(encryption, cryptoKey),
      salt: value(encryption, "salt") ?? "",
    },
    ...(rs === undefined ? {} : { rs: Number(rs) }),
    ...own,
  });
}

/** The one with the key id of the other header. */
function dhOf(encryption: string | null | undefined, cryptoKey: string | null | undefined): string {
  const keyId = /(?:^|[;\s])keyid\s*=\s*"?([^";,\s]*)/i.exec(encryption ?? "")?.[1];
  const lists = (cryptoKey ?? "").split(",").filter((list) => /(?:^|[;\s])dh\s*=/i.test(list));
  const fitting = lists.find((list) => keyId === undefined || list.includes(keyId)) ?? "";
  return /(?:^|[;\s])dh\s*=\s*"?([^";,\s]+)/i.exec(fitting)?.[1] ?? "";
}

function plain(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}

function uint32(bytes: Uint8Array): number {
  return [0, 1, 2, 3].reduce((sum, at) => sum * 256 + (bytes[at] ?? 0), 0);
}

function takeText(bytes: Uint8Array): [text: string, rest: Uint8Array] {
  const end = 2 + Math.min(bytes.length, (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0));
  return [utf8Decode(bytes.subarray(2, end)), bytes.subarray(end)];
}

function text(value: string): Uint8Array {
  return concatBytes(Uint8Array.of(value.length >> 8, value.length & 255), utf8Encode(value));
}

const kind = (name: (typeof KINDS)[number]): Uint8Array => Uint8Array.of(KINDS.indexOf(name));
const hello = utf8Encode("hello");
const rs = (recordBytes: number): Uint8Array => Uint8Array.of(0, 0, recordBytes >> 8, recordBytes & 255);
const SEEDS: readonly Uint8Array[] = [
  concatBytes(
    kind("body"),
    encrypt(hello, keys, { salt, senderKeys: sender, provider: node, paddingBytes: 3 }),
  ),
  concatBytes(kind("sealed"), rs(4096), hello, Uint8Array.of(2, 0, 0)),
  concatBytes(kind("sealed"), rs(4096), new Uint8Array(3993).fill(65), Uint8Array.of(2)),
  concatBytes(kind("sealed"), rs(18), Uint8Array.of(2)),
  concatBytes(kind("sealed"), rs(4096), Uint8Array.of(1)),
  concatBytes(kind("aesgcm sealed"), rs(4096), Uint8Array.of(0, 2, 0, 0), hello),
  concatBytes(
    kind("aesgcm"),
    text(`keyid="a";salt="${SALT}";rs=24`),
    text(`keyid=a;dh=${DH},p256ecdsa=x`),
    sealAesgcm(Uint8Array.of(0, 0, 65)),
  ),
  concatBytes(kind("aesgcm"), text(""), text(""), new Uint8Array(40)),
];
