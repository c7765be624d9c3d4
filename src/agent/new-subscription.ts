// SPDX-License-Identifier: MIT
/** The record of a subscription that is about to be registered: its keys, its name, its registration id. Pure. */

import { bytesEqual, utf8Encode } from "../bytes.ts";
import type { JournalState, SubscriptionRecord } from "../journal/index.ts";
import { base64urlEncode } from "../webpush/base64url.ts";
import type { CryptoProvider, RandomFill } from "../webpush/crypto.ts";
import { generateKeys } from "../webpush/keys.ts";
import type { Instant, SubscribeRequest } from "./events.ts";

interface Sources {
  readonly state: JournalState;
  readonly provider: CryptoProvider;
  readonly randomFill: RandomFill;
}

const WA_TOKEN_BYTES = 16;
const REGISTRATION_ID_BYTES = 16;

/** A new record with fresh keys, without channel and endpoint. */
export function newSubscription(
  id: number,
  owner: string,
  request: SubscribeRequest,
  sources: Sources,
  now: Instant,
): SubscriptionRecord {
  const { provider, randomFill } = sources;
  const waToken = request.waToken ?? randomToken(randomFill);
  return {
    type: "subscription",
    id,
    owner,
    registrationId: registrationIdOf(owner, waToken, sources),
    applicationServerKey: request.applicationServerKey?.slice() ?? null,
    mode: request.declarative,
    userVisibleOnly: request.userVisibleOnly,
    allowAesgcm: request.allowAesgcm,
    generatedToken: request.waToken === null,
    channel: null,
    expirationTime: null,
    createdEpochMs: now.epochMs,
    waToken,
    endpoint: null,
    freshness: request.freshness ?? "normal",
    usedEpochMs: 0,
    ...generateKeys(randomFill, provider),
  };
}

/** True when subscribing again with `request` would give the same subscription. */
export function hasOptions(record: SubscriptionRecord, request: SubscribeRequest): boolean {
  const a = record.applicationServerKey;
  const b = request.applicationServerKey;
  const sameKey = a === null || b === null ? a === b : bytesEqual(a, b);
  return (
    sameKey &&
    record.userVisibleOnly === request.userVisibleOnly &&
    record.mode === request.declarative &&
    record.allowAesgcm === request.allowAesgcm &&
    record.freshness === (request.freshness ?? "normal")
  );
}

function randomToken(randomFill: RandomFill): string {
  const token = new Uint8Array(WA_TOKEN_BYTES);
  randomFill(token);
  return base64urlEncode(token);
}

/** HMAC under a device secret, so that apps cannot collide with or probe each other. */
function registrationIdOf(owner: string, waToken: string, { state, provider }: Sources): Uint8Array {
  if (state.device === null) throw new Error("the device secret is made at start");
  const mac = new Uint8Array(32);
  provider.hmac(state.device.deviceSecret).mac(utf8Encode(`${owner}\u0000${waToken}`), mac);
  return mac.slice(0, REGISTRATION_ID_BYTES);
}
