// SPDX-License-Identifier: MIT
/**
 * Who may publish to an endpoint, and who may end it: VAPID (RFC 8292) held against the key hash sealed in the endpoint,
 * and the revoke token made for one endpoint.
 */

import { createHash } from "node:crypto";
import { GodwitError } from "../errors.ts";
import { REVOKE_EXPIRY_AHEAD_S_MAX, REVOKE_TOKENS_REMEMBERED_MAX, VAPID_EXPIRY_LEEWAY_S } from "../limits.ts";
import type { SigningProvider } from "../webpush/crypto.ts";
import { parseVapidHeader, type VapidClaims, verifyVapidToken } from "../webpush/vapid.ts";
import { HttpError } from "./http-errors.ts";
import { type EndpointClaims, isEndpointKey } from "./tokens.ts";

/** Verified tokens remembered: a sender uses one for hours, and a look-up costs a hundredth of the signature. */
const VERIFIED_MAX = 4_096;

export interface PublishAuthOptions {
  /** What `aud` must be: the service's public origin. */
  readonly audience: string;
  readonly provider: SigningProvider;
}

interface Verified {
  readonly claims: VapidClaims;
  readonly publicKey: Uint8Array;
}

export class PublishAuth {
  readonly #options: PublishAuthOptions;
  /** SHA-256 of the header → what it proved; the oldest first. */
  readonly #verified = new Map<string, Verified>();
  /** SHA-256 of what was signed → `exp`, of revoke tokens used. */
  readonly #used = new Map<string, number>();

  constructor(options: PublishAuthOptions) {
    this.#options = options;
  }

  /**
   * Checks a POST. An endpoint without a key takes anybody, but no false claim.
   *
   * @param authorization the header, or undefined
   * @param nowS wall-clock seconds since 1970
   * @throws {HttpError} vapid
   */
  checkPublish(endpoint: EndpointClaims, authorization: string | undefined, nowS: number): void {
    if (authorization === undefined && endpoint.keyHash === null) return;
    this.#verify(endpoint, authorization, nowS);
  }

  /**
   * Checks and uses up a revoke token. Call {@link giveBack} when the revocation could not be stored.
   *
   * @param url the whole endpoint, which `sub` must be
   * @throws {HttpError} revokeKeyless, vapid, revokeToken, revokeUsed
   */
  useRevokeToken(
    endpoint: EndpointClaims,
    url: string,
    authorization: string | undefined,
    nowS: number,
  ): string {
    if (endpoint.keyHash === null) throw new HttpError("revokeKeyless");
    const { act, sub, exp } = this.#verify(endpoint, authorization, nowS);
    if (act !== "revoke" || sub !== url || exp > nowS + REVOKE_EXPIRY_AHEAD_S_MAX) {
      throw new HttpError("revokeToken");
    }
    const name = signedPartHash(authorization ?? "");
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

  #verify(endpoint: EndpointClaims, authorization: string | undefined, nowS: number): VapidClaims {
    if (authorization === undefined) throw new HttpError("vapid");
    const { claims, publicKey } = this.#remembered(authorization, nowS) ?? this.#prove(authorization, nowS);
    if (endpoint.keyHash !== null && !isEndpointKey(endpoint, publicKey)) {
      throw new HttpError("vapid", {}, "the token is not by the key of the subscription");
    }
    return claims;
  }

  #prove(authorization: string, nowS: number): Verified {
    const { audience, provider } = this.#options;
    try {
      const { token, publicKey } = parseVapidHeader(authorization);
      const verified = {
        claims: verifyVapidToken(token, publicKey, { audience, nowS, provider }),
        publicKey,
      };
      this.#verified.set(hash(authorization), verified);
      if (this.#verified.size > VERIFIED_MAX) dropFirst(this.#verified);
      return verified;
    } catch (error) {
      if (!(error instanceof GodwitError)) throw error;
      throw new HttpError("vapid", {}, error.message);
    }
  }

  /** Only `exp` can turn a token that was good into a bad one. */
  #remembered(authorization: string, nowS: number): Verified | undefined {
    const verified = this.#verified.get(hash(authorization));
    return verified !== undefined && verified.claims.exp >= nowS - VAPID_EXPIRY_LEEWAY_S
      ? verified
      : undefined;
  }

  #forgetExpired(nowS: number): void {
    for (const [name, exp] of this.#used) if (exp < nowS - VAPID_EXPIRY_LEEWAY_S) this.#used.delete(name);
  }
}

/**
 * Names a token by what was signed, not by its signature: of an ECDSA signature anybody can make a second one that is
 * as good (s → n − s), which would let a used token pass again.
 */
function signedPartHash(authorization: string): string {
  const { token } = parseVapidHeader(authorization);
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
