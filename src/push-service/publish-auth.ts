// SPDX-License-Identifier: MIT
/**
 * Who may publish to an endpoint, and who may end it: VAPID (RFC 8292, and its first draft) held against the key hash sealed in
 * the endpoint, and the revoke token made for one endpoint.
 */

import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { GodwitError } from "../errors.ts";
import {
  REVOKE_EXPIRY_AHEAD_S_MAX,
  REVOKE_TOKENS_REMEMBERED_MAX,
  VAPID_EXPIRY_LEEWAY_S,
  VAPID_HEADER_CHARS_MAX,
  VAPID_TOKENS_REMEMBERED_MAX,
} from "../limits.ts";
import { base64urlDecodeLenient } from "../webpush/base64url.ts";
import type { SigningProvider } from "../webpush/crypto.ts";
import { parseVapidHeader, type VapidClaims, verifyVapidToken } from "../webpush/vapid.ts";
import { HttpError } from "./http-errors.ts";
import { memberOf } from "./push-message.ts";
import { type EndpointClaims, isEndpointKey } from "./tokens.ts";

export interface PublishAuthOptions {
  /** What `aud` must be: the service's public origin. */
  readonly audience: string;
  readonly provider: SigningProvider;
}

/** Not verified yet. */
interface Credentials {
  readonly token: string;
  /** Any length. */
  readonly publicKey: Uint8Array;
}

interface Verified {
  readonly claims: VapidClaims;
  readonly publicKey: Uint8Array;
}

export class PublishAuth {
  readonly #options: PublishAuthOptions;
  /** SHA-256 of token and key → what they proved; the one longest unused first. */
  readonly #verified = new Map<string, Verified>();
  /** SHA-256 of what was signed → `exp`, of revoke tokens used. */
  readonly #used = new Map<string, number>();

  constructor(options: PublishAuthOptions) {
    this.#options = options;
  }

  /**
   * Checks a POST. An endpoint without a key takes anybody, but no false claim.
   *
   * @param nowS wall-clock seconds since 1970
   * @param beforeProof called before a signature is checked, which is expensive; may throw
   * @throws {HttpError} vapid
   * @throws {HttpError} encoding when a token of the first draft comes without its key in `Crypto-Key`
   */
  checkPublish(
    endpoint: EndpointClaims,
    headers: IncomingHttpHeaders,
    nowS: number,
    beforeProof: () => void,
  ): void {
    const { authorization } = headers;
    if (authorization === undefined && endpoint.keyHash === null) return;
    const presented = draftCredentials(headers) ?? credentials(authorization);
    const { act } = this.#verify(endpoint, presented, nowS, beforeProof);
    if (act !== undefined) throw new HttpError("vapid", {}, "a token made to revoke publishes nothing");
  }

  /**
   * Checks and uses up a revoke token. Call {@link giveBack} when the revocation could not be stored.
   *
   * @param url the whole endpoint, which `sub` must be
   * @param beforeProof as for {@link checkPublish}
   * @throws {HttpError} revokeKeyless, vapid, revokeToken, revokeUsed
   */
  useRevokeToken(
    endpoint: EndpointClaims,
    url: string,
    authorization: string | undefined,
    nowS: number,
    beforeProof: () => void,
  ): string {
    if (endpoint.keyHash === null) throw new HttpError("revokeKeyless");
    const presented = credentials(authorization);
    const { act, sub, exp } = this.#verify(endpoint, presented, nowS, beforeProof);
    if (act !== "revoke" || sub !== url || exp > nowS + REVOKE_EXPIRY_AHEAD_S_MAX) {
      throw new HttpError("revokeToken");
    }
    const name = signedPartHash(presented.token);
    this.#forgetExpired(nowS);
    if (this.#used.has(name)) throw new HttpError("revokeUsed");
    if (this.#used.size >= REVOKE_TOKENS_REMEMBERED_MAX) throw new HttpError("storage");
    this.#used.set(name, exp);
    return name;
  }

  /** The token named by {@link useRevokeToken} may be used again. */
  giveBack(name: string): void {
    this.#used.delete(name);
  }

  #verify(
    endpoint: EndpointClaims,
    presented: Credentials,
    nowS: number,
    beforeProof: () => void,
  ): VapidClaims {
    const name = nameOf(presented);
    let verified = this.#remembered(name, nowS);
    if (verified === undefined) {
      beforeProof();
      verified = this.#prove(presented, nowS);
    }
    this.#remember(name, verified);
    const { claims, publicKey } = verified;
    if (endpoint.keyHash !== null && !isEndpointKey(endpoint, publicKey)) {
      throw new HttpError("vapid", {}, "the token is not by the key of the subscription");
    }
    return claims;
  }

  #prove(presented: Credentials, nowS: number): Verified {
    const { audience, provider } = this.#options;
    const { token, publicKey } = presented;
    const claims = orVapidError(() => verifyVapidToken(token, publicKey, { audience, nowS, provider }));
    return { claims, publicKey };
  }

  #remember(name: string, verified: Verified): void {
    this.#verified.delete(name);
    this.#verified.set(name, verified);
    if (this.#verified.size > VAPID_TOKENS_REMEMBERED_MAX) dropFirst(this.#verified);
  }

  /** Only `exp` can turn a token that was good into a bad one. */
  #remembered(name: string, nowS: number): Verified | undefined {
    const verified = this.#verified.get(name);
    return verified !== undefined && verified.claims.exp >= nowS - VAPID_EXPIRY_LEEWAY_S
      ? verified
      : undefined;
  }

  #forgetExpired(nowS: number): void {
    for (const [name, exp] of this.#used) if (exp < nowS - VAPID_EXPIRY_LEEWAY_S) this.#used.delete(name);
  }
}

/** Token and key of `Authorization: vapid`. */
function credentials(authorization: string | undefined): Credentials {
  if (authorization === undefined) throw new HttpError("vapid");
  return orVapidError(() => parseVapidHeader(authorization));
}

/** Token of `Authorization: WebPush` (or `Bearer`) and key of `Crypto-Key`; null for another scheme. */
function draftCredentials(headers: IncomingHttpHeaders): Credentials | null {
  const match = /^[ \t]*(?:webpush|bearer)[ \t]+([^ \t]+)[ \t]*$/i.exec(headers.authorization ?? "");
  const token = match?.[1];
  if (token === undefined || token.length > VAPID_HEADER_CHARS_MAX) return null;
  const key = memberOf(headers, "crypto-key", "p256ecdsa");
  if (key === null) throw new HttpError("encoding", {}, "Crypto-Key names no p256ecdsa for the token");
  return { token, publicKey: orVapidError(() => base64urlDecodeLenient(key)) };
}

/** Whatever is wrong with a claim, the answer is 401. */
function orVapidError<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof GodwitError)) throw error;
    throw new HttpError("vapid", {}, error.message);
  }
}

/** Lengths first: no other pair gives the same input. */
function nameOf({ token, publicKey }: Credentials): string {
  return createHash("sha256").update(`${token.length} ${token}`).update(publicKey).digest("base64");
}

/**
 * Names a token by what was signed, not by its signature: of an ECDSA signature anybody can make a second one that is
 * as good (s → n − s), which would let a used token pass again.
 */
function signedPartHash(token: string): string {
  return hash(token.slice(0, token.lastIndexOf(".")));
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}

function dropFirst(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
