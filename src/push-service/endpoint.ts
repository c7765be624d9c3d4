// SPDX-License-Identifier: MIT
/**
 * The application servers' side (RFC 8030): publish to an endpoint, withdraw a message, revoke a subscription. Knows HTTP
 * semantics, not sockets: `server.ts` routes to it.
 */

import type { IncomingHttpHeaders } from "node:http";
import { GodwitError } from "../errors.ts";
import { AUTOPUSH_BODY_BYTES_MAX, MESSAGE_BODY_BYTES_MAX } from "../limits.ts";
import type { DeviceDialect } from "../wire/dialect.ts";
import { deviceKey } from "./device-key.ts";
import { addressGroup } from "./enrolment.ts";
import type { Fleet } from "./fleet.ts";
import { emptyReply, HttpError, type HttpErrorName, type Reply } from "./http-errors.ts";
import { deviceName, type Log } from "./log.ts";
import type { PublishAuth } from "./publish-auth.ts";
import { parsePushMessage } from "./push-message.ts";
import type { RateLimit } from "./rate-limit.ts";
import type { Series } from "./seal.ts";
import type { NewMessage, Store } from "./store/store.ts";
import type { EndpointClaims, Tokens } from "./tokens.ts";

/** Path prefixes of push resources and of messages. */
export const ENDPOINT_PATH = "/p/";
export const MESSAGE_PATH = "/m/";

/** Of a message, by what its device takes. */
const BODY_BYTES_MAX: Readonly<Record<DeviceDialect, number>> = {
  "godwit.v1": MESSAGE_BODY_BYTES_MAX,
  autopush: AUTOPUSH_BODY_BYTES_MAX,
};

/** A page may publish and withdraw too, as with autopush. */
export const CORS_HEADERS = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers": "Location, Retry-After, TTL, WWW-Authenticate",
} as const;
/** What a browser asks for before it sends (Fetch §3.2.3); besides those of every answer. */
export const PREFLIGHT_HEADERS = {
  "Access-Control-Allow-Methods": "DELETE, GET, POST, PUT",
  "Access-Control-Allow-Headers":
    "Authorization, Content-Encoding, Content-Type, Crypto-Key, Encryption, TTL, Topic, Urgency",
} as const;

/** Wall clock for TTL and VAPID, monotonic for rates. */
export interface Clock {
  readonly epochMs: () => number;
  readonly monotonicMs: () => number;
}

export interface PublishingOptions {
  readonly store: Store;
  readonly tokens: Tokens;
  readonly fleet: Fleet;
  readonly auth: PublishAuth;
  readonly posts: { readonly endpoint: RateLimit; readonly device: RateLimit };
  /** By address: requests whose endpoint, Location or authorization was no good. */
  readonly refusals: RateLimit;
  /** scheme://host[:port], what endpoints start with. */
  readonly publicOrigin: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Who sends a request; asked only when something has to be proved or was refused. */
export type AddressOf = () => string;

export interface PublishRequest {
  readonly addressOf: AddressOf;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** Called once, after the request was allowed: the whole body, or HttpError bodyTooLarge. */
  readonly readBody: (bytesMax: number) => Promise<Uint8Array>;
}

/** What each POST to an endpoint needs that follows from the endpoint. */
interface PushResource {
  /** Of its device, for the log. */
  readonly deviceName: string;
  /** For the rates. */
  readonly device: string;
  readonly endpoint: string;
  /** Ids of its messages, for Locations. */
  readonly messages: Series;
}

export class Publishing {
  readonly #options: PublishingOptions;
  /** As long as the claims are remembered. */
  readonly #resources = new WeakMap<EndpointClaims, PushResource>();

  constructor(options: PublishingOptions) {
    this.#options = options;
  }

  /**
   * POST to an endpoint. 201 with `Location` and `TTL` once the message is durable. Checks in autopush's order:
   * endpoint, authorization, subscription, rate, body size, TTL, encoding, the other headers, quota.
   *
   * @throws {HttpError}
   */
  async post(token: string, request: PublishRequest): Promise<Reply> {
    const { store, auth, clock } = this.#options;
    const endpoint = this.#admit(request.addressOf, (beforeProof) => {
      const opened = this.#openEndpoint(token);
      auth.checkPublish(opened, request.headers, clock.epochMs() / 1000, beforeProof);
      return opened;
    });
    const { uaid, channel, dialect } = endpoint;
    const record = await stored(() => store.getChannel(uaid, channel), this.#options.log);
    if (record === null || record.revoked !== null) throw new HttpError("subscriptionGone");
    const resource = this.#resource(endpoint);
    this.#checkRate(resource);
    const body = await request.readBody(BODY_BYTES_MAX[dialect]);
    const message = parsePushMessage(request.headers, body, dialect, clock.epochMs());
    const id = await this.#accept(endpoint, message);
    this.#options.log({
      event: "message-accepted",
      device: resource.deviceName,
      channel,
      id,
      bodyBytes: body.length,
    });
    return emptyReply(201, {
      Location: `${this.#options.publicOrigin}${MESSAGE_PATH}${resource.messages.seal(id)}`,
      TTL: String(message.ttlS),
    });
  }

  /** DELETE of a Location: 204, also when the message is gone already. */
  async withdraw(token: string, addressOf: AddressOf): Promise<Reply> {
    const { tokens, fleet, log } = this.#options;
    const { uaid, channel, id } = this.#admit(addressOf, () =>
      open(() => tokens.openMessage(token), "messageId"),
    );
    if (await stored(() => fleet.withdraw(uaid, channel, id), log)) {
      log({ event: "message-withdrawn", device: deviceName(uaid), channel, id });
    }
    return emptyReply(204);
  }

  /** DELETE of an endpoint with a revoke token: 204 once that is durable. */
  async revoke(token: string, authorization: string | undefined, addressOf: AddressOf): Promise<Reply> {
    const { fleet, auth, clock, log, publicOrigin } = this.#options;
    const url = `${publicOrigin}${ENDPOINT_PATH}${token}`;
    const { uaid, channel, used } = this.#admit(addressOf, (beforeProof) => {
      const endpoint = this.#openEndpoint(token);
      const nowS = clock.epochMs() / 1000;
      return { ...endpoint, used: auth.useRevokeToken(endpoint, url, authorization, nowS, beforeProof) };
    });
    let isRevoked: boolean;
    try {
      isRevoked = await stored(() => fleet.revoke(uaid, channel, "application-server"), log);
    } catch (error) {
      auth.giveBack(used);
      throw error;
    }
    if (!isRevoked) throw new HttpError("subscriptionGone");
    log({ event: "revoked", device: deviceName(uaid), channel, by: "application-server" });
    return emptyReply(204);
  }

  /**
   * Runs what decides whether a request is anybody's. Refusals count against the address: after too many of them it gets no
   * signature checked, which costs much more than making one up. What was proved before needs no check.
   */
  #admit<T>(addressOf: AddressOf, check: (beforeProof: () => void) => T): T {
    const { refusals, clock } = this.#options;
    try {
      return check(() => requireRate(refusals.waitS(addressGroup(addressOf()), clock.monotonicMs())));
    } catch (error) {
      if (!(error instanceof HttpError) || error.httpErrorName === "addressRate") throw error;
      requireRate(refusals.take(addressGroup(addressOf()), clock.monotonicMs()));
      throw error;
    }
  }

  /** The message's id; 0 for one with TTL 0 and no device to take it. */
  async #accept({ uaid, channel }: EndpointClaims, message: NewMessage): Promise<number> {
    const { fleet, log } = this.#options;
    const put = await stored(() => fleet.putMessage(uaid, channel, message), log);
    if (put.outcome === "gone") throw new HttpError("subscriptionGone");
    if (put.outcome === "quota") throw new HttpError("quota");
    return put.id;
  }

  #resource(claims: EndpointClaims): PushResource {
    const known = this.#resources.get(claims);
    if (known !== undefined) return known;
    const device = deviceKey(claims.uaid);
    const resource = {
      deviceName: deviceName(claims.uaid),
      device,
      endpoint: `${device}/${claims.channel}`,
      messages: this.#options.tokens.messages(claims),
    };
    this.#resources.set(claims, resource);
    return resource;
  }

  #checkRate({ endpoint, device }: PushResource): void {
    const { posts, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const retryAfterS = posts.endpoint.take(endpoint, nowMs) || posts.device.take(device, nowMs);
    if (retryAfterS > 0) throw new HttpError("endpointRate", { "Retry-After": String(retryAfterS) });
  }

  #openEndpoint(token: string): EndpointClaims {
    return open(() => this.#options.tokens.openEndpoint(token), "endpointInvalid");
  }
}

/** @throws {HttpError} addressRate unless there is nothing to wait for */
function requireRate(waitS: number): void {
  if (waitS > 0) throw new HttpError("addressRate", { "Retry-After": String(waitS) });
}

/** What a sealed text holds; whatever is wrong with it, the answer is the same. */
function open<T>(unseal: () => T, refusal: HttpErrorName): T {
  try {
    return unseal();
  } catch (error) {
    if (error instanceof GodwitError) throw new HttpError(refusal);
    throw error;
  }
}

/** Runs one store operation; a failure of the store becomes 503 and a log line. */
export async function stored<T>(operation: () => Promise<T>, log: Log): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (!(error instanceof GodwitError)) throw error;
    log({ event: "store-failed", error: error.message });
    throw new HttpError("storage");
  }
}
