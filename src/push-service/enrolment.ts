// SPDX-License-Identifier: MIT
/**
 * uaTokens: issuing, refreshing, and checking them against the device's record.
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { hexEncode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { type Clock, stored } from "./endpoint.ts";
import { HttpError, jsonReply, type Reply } from "./http-errors.ts";
import { deviceName, type Log } from "./log.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { DeviceCredentials } from "./session-host.ts";
import type { Store } from "./store/store.ts";
import { isUaTokenOld, type Tokens, UAID_BYTES, type UaTokenClaims } from "./tokens.ts";
import { parseBearer } from "./upgrade.ts";

/** Carries the enrolment secret of a fleet; who knows it is not counted by address. */
export const ENROLMENT_HEADER = "godwit-enrolment";

/** Who asks for a token. */
export interface Applicant {
  readonly headers: IncomingHttpHeaders;
  readonly address: string;
  /** Its TLS certificate is one of the fleet's. */
  readonly isCertified: boolean;
}

export interface EnrolmentOptions {
  readonly store: Store;
  readonly tokens: Tokens;
  readonly rate: RateLimit;
  /** With any, or with certificates, a new device needs one of them. */
  readonly secrets: readonly string[];
  /** The fleet's devices may come with a certificate. */
  readonly takesCertificates: boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** Told of every token that is issued, before its device has it. */
  readonly credentials: DeviceCredentials | null;
}

/** A device whose token was good. */
export interface KnownDevice {
  /** 16 bytes. */
  readonly uaid: Uint8Array;
  /** To be used from the next connection on, or null. */
  readonly freshUaToken: string | null;
}

export class Enrolment {
  readonly #options: EnrolmentOptions;

  #secrets: readonly string[];

  constructor(options: EnrolmentOptions) {
    this.#options = options;
    this.#secrets = options.secrets;
  }

  /** Other secrets count from now on. */
  useSecrets(secrets: readonly string[]): void {
    this.#secrets = secrets;
  }

  /**
   * POST or GET /v1/token: `{"uaToken", "uaid"}`, uaid as 32 hex digits. With a good token as bearer a fresh one for the
   * same uaid; with a token that is void, as without, a new device.
   *
   * @throws {HttpError} enrolment, tokenRate, storage
   */
  async issue(applicant: Applicant): Promise<Reply> {
    const { store, tokens, clock, log } = this.#options;
    const old = await this.#find(parseBearer(applicant.headers));
    this.admit(applicant, old !== null);
    const issuedMs = clock.epochMs();
    let claims: UaTokenClaims;
    if (old === null) {
      const uaid = new Uint8Array(randomBytes(UAID_BYTES));
      await stored(() => store.createDevice(uaid, issuedMs), log);
      log({ event: "device-created", device: deviceName(uaid) });
      claims = { uaid, issuedMs, generation: 0 };
    } else {
      claims = { uaid: old.uaid, issuedMs, generation: old.generation + 1 };
    }
    const uaToken = tokens.sealUaToken(claims);
    await this.#options.credentials?.grant(claims.uaid, uaToken);
    const body = { uaToken, uaid: hexEncode(claims.uaid) };
    return jsonReply(200, body, { "Cache-Control": "no-store" });
  }

  /**
   * The device of a connection. Its first use makes a fresh token the only one: older generations are refused from then on.
   *
   * @param uaToken as presented, or null
   * @throws {HttpError} uaToken, storage
   */
  async authenticate(uaToken: string | null): Promise<KnownDevice> {
    const { store, tokens, clock, log } = this.#options;
    const claims = await this.#find(uaToken);
    if (claims === null) throw new HttpError("uaToken");
    const { uaid, generation } = claims;
    if (claims.isFirstUse) await stored(() => store.raiseTokenGeneration(uaid, generation), log);
    const issuedMs = clock.epochMs();
    const freshUaToken = isUaTokenOld(claims, issuedMs)
      ? tokens.sealUaToken({ uaid, issuedMs, generation: generation + 1 })
      : null;
    return { uaid, freshUaToken };
  }

  /**
   * Brings a device of dialect autopush into the store, which gets no token.
   *
   * @param address null for who proved to be of the fleet
   * @throws {HttpError} tokenRate, storage
   */
  async admitAutopush(uaid: Uint8Array, address: string | null): Promise<void> {
    const { store, clock, log } = this.#options;
    if (address !== null) this.#takeRate(address);
    await stored(() => store.createDevice(uaid, clock.epochMs(), "autopush"), log);
    log({ event: "device-created", device: deviceName(uaid) });
  }

  /** Claims of a token that counts, or null: broken seal, forgotten device, or an older generation. */
  async #find(token: string | null): Promise<(UaTokenClaims & { isFirstUse: boolean }) | null> {
    const { store, tokens, log } = this.#options;
    if (token === null) return null;
    let claims: UaTokenClaims;
    try {
      claims = tokens.openUaToken(token);
    } catch (error) {
      if (error instanceof GodwitError) return null;
      throw error;
    }
    const device = await stored(() => store.getDevice(claims.uaid), log);
    if (device === null || claims.generation < device.tokenGeneration) return null;
    return { ...claims, isFirstUse: claims.generation > device.tokenGeneration };
  }

  /**
   * Lets those through who may have a token now. Who proves to be of the fleet is not counted by address.
   *
   * @param isKnown it has a good token already
   * @throws {HttpError} enrolment, tokenRate
   */
  admit(applicant: Applicant, isKnown: boolean): void {
    if (!this.requireProof(applicant, isKnown)) this.#takeRate(applicant.address);
  }

  /**
   * True for who proves to be of the fleet; where there are no proofs, nobody needs one.
   *
   * @throws {HttpError} enrolment
   */
  requireProof({ headers, isCertified }: Applicant, isKnown: boolean): boolean {
    const presented = headers[ENROLMENT_HEADER];
    const isEnrolled =
      typeof presented === "string" && this.#secrets.some((secret) => isSameSecret(secret, presented));
    if (isEnrolled || isCertified) return true;
    const isClosed = this.#secrets.length > 0 || this.#options.takesCertificates;
    if (isClosed && !isKnown) throw new HttpError("enrolment");
    return false;
  }

  #takeRate(address: string): void {
    const { rate, clock } = this.#options;
    const retryAfterS = rate.take(addressGroup(address), clock.monotonicMs());
    if (retryAfterS > 0) throw new HttpError("tokenRate", { "Retry-After": String(retryAfterS) });
  }
}

/** The address of an entry of X-Forwarded-For, brackets, port and zone left out; null when there is none. */
export function forwardedAddress(entry: string): string | null {
  const [, bracketed] = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(entry) ?? [];
  const [, beforePort] = /^([\d.]+):\d{1,5}$/.exec(entry) ?? [];
  const address = (bracketed ?? beforePort ?? entry).replace(/%.*$/s, "");
  return isIP(address) === 0 ? null : address;
}

/** Addresses that count as one, however written: an IPv4 address, or an IPv6 /64, since one host has all of that. */
export function addressGroup(address: string): string {
  if (isIP(address) !== 6) return address;
  // A URL has the one spelling of RFC 5952, but for IPv4 inside, which it gives in hexadecimal.
  const plain = new URL(`http://[${address.replace(/%.*$/s, "")}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(plain) ?? [];
  if (high !== undefined && low !== undefined) {
    const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
    return [a >> 8, a & 0xff, b >> 8, b & 0xff].join(".");
  }
  const [head = "", tail] = plain.split("::", 2);
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return `${[...before, ...Array<string>(Math.max(0, zeros)).fill("0"), ...after].slice(0, 4).join(":")}::/64`;
}

/** True when they are equal. Takes the same time whatever differs. */
export function isSameSecret(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
