// SPDX-License-Identifier: MIT
/**
 * Voluntary application server identification (RFC 8292): makes and checks the `Authorization: vapid` header with its
 * ES256 token (RFC 7515, RFC 7519). Remembers no token; single use and revocation are the push service's business.
 */
import { bytesEqual, utf8Decode, utf8Encode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { jsonNesting } from "../json.ts";
import {
  VAPID_EXPIRY_AHEAD_S_MAX,
  VAPID_EXPIRY_LEEWAY_S,
  VAPID_HEADER_CHARS_MAX,
  VAPID_JSON_DEPTH_MAX,
} from "../limits.ts";
import { base64urlDecode, base64urlDecodeLenient, base64urlEncode } from "./base64url.ts";
import type { KeyPair, SigningProvider } from "./crypto.ts";
import { nobleSigningProvider } from "./noble-signing.ts";
import { parseParameterLists } from "./parameters.ts";

/** The claims of a checked token, others than these passed through unread. */
export interface VapidClaims {
  /** Origin of the push service. */
  readonly aud: string;
  /** Seconds since 1970. */
  readonly exp: number;
  /** Of whoever sends: a `mailto:` or `https:` URL, if it follows §2.1. */
  readonly sub?: string;
  readonly [claim: string]: unknown;
}

export interface SignVapidOptions {
  /** The application server's pair. Pass the same object each time: providers keep its import. */
  readonly keys: KeyPair;
  /** Origin of the push service: scheme, host, and port unless it is the default. */
  readonly audience: string;
  /** Seconds since 1970, at most 24 h ahead. */
  readonly expiresS: number;
  /** `mailto:` or `https:` URL. */
  readonly subject?: string;
  /** Further claims, such as `act`. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Default {@link nobleSigningProvider}. */
  readonly provider?: Pick<SigningProvider, "sign">;
}

/** What a token is held against. */
export interface VapidExpectation {
  /** Origin the token must be made for, compared exactly. */
  readonly audience: string;
  /** Wall-clock seconds since 1970. */
  readonly nowS: number;
  /** 65 bytes; the key the subscription was restricted to. */
  readonly expectedKey?: Uint8Array | undefined;
  /** Default {@link nobleSigningProvider}. */
  readonly provider?: SigningProvider;
}

export interface VerifyVapidOptions extends VapidExpectation {
  /** The whole `Authorization` header. */
  readonly authorization: string;
}

/** The value of an `Authorization` header: `vapid t=<token>, k=<public key>` (RFC 8292 §3). */
export function signVapid(options: SignVapidOptions): string {
  const { keys, audience, expiresS, subject, claims, provider = nobleSigningProvider } = options;
  const body = {
    ...claims,
    aud: audience,
    exp: expiresS,
    ...(subject === undefined ? {} : { sub: subject }),
  };
  const signed = `${encodeJson({ typ: "JWT", alg: "ES256" })}.${encodeJson(body)}`;
  const signature = provider.sign(keys, utf8Encode(signed));
  return `vapid t=${signed}.${base64urlEncode(signature)}, k=${base64urlEncode(keys.publicKey)}`;
}

/**
 * The claims of a good `Authorization: vapid` header (RFC 8292 §2 to §4.2). Checked in this order:
 *
 * @throws {GodwitError} ERR_VAPID_SYNTAX, ERR_VAPID_KEY as in {@link parseVapidHeader}
 * @throws {GodwitError} ERR_VAPID_KEY and the rest as in {@link verifyVapidToken}
 */
export function verifyVapid(options: VerifyVapidOptions): VapidClaims {
  const { token, publicKey } = parseVapidHeader(options.authorization);
  return verifyVapidToken(token, publicKey, options);
}

/**
 * Token and public key (decoded, any length) of an `Authorization` header. The scheme is case-insensitive, parameters
 * come in any order, unknown ones are ignored; the key may be spelled in either base64 alphabet, padded or not.
 *
 * @throws {GodwitError} ERR_VAPID_SYNTAX another scheme, malformed, over the limit, or `t` or `k` missing or repeated
 * @throws {GodwitError} ERR_VAPID_KEY `k` is not base64
 */
export function parseVapidHeader(authorization: string): { token: string; publicKey: Uint8Array } {
  if (authorization.length > VAPID_HEADER_CHARS_MAX) throw syntax("header over the limit");
  const scheme = /^[ \t]*vapid[ \t]+/i.exec(authorization);
  if (scheme === null) throw syntax("not the vapid scheme");
  const parameters = (parseParameterLists(authorization.slice(scheme[0].length)) ?? []).flatMap((list) => [
    ...list,
  ]);
  const tokens = parameters.filter(([name]) => name === "t");
  const keys = parameters.filter(([name]) => name === "k");
  const token = tokens[0]?.[1];
  const key = keys[0]?.[1];
  if (token === undefined || key === undefined || tokens.length + keys.length !== 2) {
    throw syntax("not one t and one k parameter");
  }
  try {
    return { token, publicKey: base64urlDecodeLenient(key) };
  } catch {
    throw new GodwitError("ERR_VAPID_KEY", "k is not base64");
  }
}

/**
 * The claims of a good ES256 token signed by `publicKey` (65 bytes). Checked in this order:
 *
 * @throws {GodwitError} ERR_VAPID_KEY no point on P-256, or not `expectedKey`
 * @throws {GodwitError} ERR_VAPID_SYNTAX not three parts of base64url, header and claims not JSON objects, `alg` not ES256
 * @throws {GodwitError} ERR_VAPID_SIGNATURE the signature is not by `publicKey`
 * @throws {GodwitError} ERR_VAPID_AUDIENCE `aud` is not exactly `audience`
 * @throws {GodwitError} ERR_VAPID_SYNTAX `exp` is not a JSON number
 * @throws {GodwitError} ERR_VAPID_EXPIRED `exp` is more than 60 s past
 * @throws {GodwitError} ERR_VAPID_EXPIRY_TOO_FAR `exp` is more than 24 h ahead
 * @throws {GodwitError} ERR_VAPID_SUBJECT `sub` is there and no text; what it should be (§2.1) is for whoever wants to write to it
 */
export function verifyVapidToken(
  token: string,
  publicKey: Uint8Array,
  expected: VapidExpectation,
): VapidClaims {
  const { audience, nowS, expectedKey, provider = nobleSigningProvider } = expected;
  if (!provider.isPublicKey(publicKey)) throw new GodwitError("ERR_VAPID_KEY", "k is not a point on P-256");
  if (expectedKey !== undefined && !bytesEqual(publicKey, expectedKey)) {
    throw new GodwitError("ERR_VAPID_KEY", "k is not the key of the subscription");
  }
  const { header, claims, signed, signature } = splitToken(token);
  if (header.alg !== "ES256") throw syntax("alg is not ES256");
  if (!provider.verify(publicKey, utf8Encode(signed), signature)) {
    throw new GodwitError("ERR_VAPID_SIGNATURE", "the token is not signed by k");
  }
  checkClaims(claims, audience, nowS);
  return claims as VapidClaims;
}

function checkClaims(claims: Readonly<Record<string, unknown>>, audience: string, nowS: number): void {
  const { aud, exp, sub } = claims;
  if (aud !== audience)
    throw new GodwitError("ERR_VAPID_AUDIENCE", "aud is not the origin of the push service");
  if (typeof exp !== "number" || !Number.isFinite(exp)) throw syntax("exp is not a number");
  if (exp < nowS - VAPID_EXPIRY_LEEWAY_S) throw new GodwitError("ERR_VAPID_EXPIRED", "exp is past");
  if (exp > nowS + VAPID_EXPIRY_AHEAD_S_MAX) {
    throw new GodwitError("ERR_VAPID_EXPIRY_TOO_FAR", `exp is more than ${VAPID_EXPIRY_AHEAD_S_MAX} s ahead`);
  }
  if (sub !== undefined && typeof sub !== "string") {
    throw new GodwitError("ERR_VAPID_SUBJECT", "sub is not a text");
  }
}

function splitToken(token: string) {
  const [header = "", claims = "", signature, ...more] = token.split(".", 4);
  if (signature === undefined || more.length > 0) throw syntax("the token has not three parts");
  return {
    header: decodeJson(header),
    claims: decodeJson(claims),
    signed: `${header}.${claims}`,
    signature: decodePart(signature),
  };
}

function decodeJson(part: string): Readonly<Record<string, unknown>> {
  const text = utf8Decode(decodePart(part));
  // Counted before parsing, since a parser may recurse.
  if (jsonNesting(text) > VAPID_JSON_DEPTH_MAX) throw syntax("the token is nested too deeply");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw syntax("the token holds no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw syntax("not a JSON object");
  return value as Record<string, unknown>;
}

function decodePart(part: string): Uint8Array {
  try {
    return base64urlDecode(part);
  } catch {
    throw syntax("a part of the token is not base64url");
  }
}

function encodeJson(value: object): string {
  return base64urlEncode(utf8Encode(JSON.stringify(value)));
}

function syntax(message: string): GodwitError {
  return new GodwitError("ERR_VAPID_SYNTAX", message);
}
