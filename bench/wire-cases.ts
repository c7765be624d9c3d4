// SPDX-License-Identifier: MIT
/**
 * What the benchmarks of frames, of the journal and of an agent's start do on every runtime. Pure, so that it also runs inside
 * QuickJS; timing is the caller's.
 */

import { Agent } from "../src/agent/agent.ts";
import {
  type JournalRecord,
  JournalState,
  JournalWriter,
  plainSealer,
  recoverJournal,
  type SubscriptionRecord,
} from "../src/journal/index.ts";
import { base64urlEncode } from "../src/webpush/base64url.ts";
import type { CryptoProvider } from "../src/webpush/crypto.ts";
import type { Notification } from "../src/wire/dialect.ts";
import { godwitDialect } from "../src/wire/godwit.ts";

const EPOCH_MS = 1.8e12;
const DEVICE_BINDING = counting(16, 1);

/** One decoding per call, of a Notification frame with a body of `bodyBytes`; and JSON.parse of the same message as JSON. */
export function frameWork(bodyBytes: number): { decode(): void; json(): void } {
  const message: Notification = {
    type: "notification",
    id: 123_456,
    attempt: 1,
    channel: 77,
    ttlLeftS: 3600,
    urgency: "normal",
    saysNotification: false,
    topic: null,
    body: counting(bodyBytes, 5),
  };
  const frame = godwitDialect.encodeDownstream(message);
  const json = JSON.stringify({ ...message, body: base64urlEncode(counting(bodyBytes, 5)) });
  return {
    decode() {
      const parsed = godwitDialect.parseDownstream(frame);
      if (parsed.type !== "notification" || parsed.body?.length !== bodyBytes) throw new Error("not decoded");
    },
    json() {
      if (JSON.parse(json).id !== message.id) throw new Error("not parsed");
    },
  };
}

export interface JournalWork {
  /** Encodes one message with a body of 200 bytes as it is appended. */
  append(): void;
  /** Writes the state of `subscriptions` as a whole segment. */
  checkpoint(): void;
  /** Reads that segment. */
  recover(): void;
  /** Reads it and starts an agent with it, up to its first effects. */
  startAgent(): void;
}

export function journalWork(subscriptions: number, provider: CryptoProvider): JournalWork {
  const sealer = plainSealer();
  const options = { deviceBinding: DEVICE_BINDING, sealer };
  const newWriter = () =>
    new JournalWriter(recoverJournal([], options), { ...options, randomFill: countingFill });
  const state = new JournalState();
  for (let id = 1; id <= subscriptions; id++) state.apply(subscription(id));
  const segment = newWriter().checkpointBytes(state);
  const recover = () => recoverJournal([segment], options);
  if (recover().state.subscriptions.size !== subscriptions) throw new Error("not recovered");

  const appending = newWriter();
  appending.checkpointBytes(new JournalState());
  const checkpointing = newWriter();
  return {
    append: () => void appending.appendBytes([MESSAGE]),
    checkpoint() {
      // A generation later, so but for a few header bytes the same.
      if (checkpointing.checkpointBytes(state).length !== segment.length) throw new Error("another length");
    },
    recover: () => void recover(),
    startAgent() {
      const agent = new Agent({
        ...options,
        serviceUrl: "https://push.example",
        mqttUrls: [],
        dialect: godwitDialect,
        recovery: recover(),
        provider,
        randomFill: countingFill,
        jitter: () => 0.5,
        heartbeatMs: null,
        windowS: 0,
        leastUrgency: "very-low",
        portalProbeUrl: null,
        keepConnected: false,
        navigation: { httpAllowed: false },
      });
      agent.handle({ type: "start" }, { monotonicMs: 1000, epochMs: EPOCH_MS, epochTrusted: true });
      let effects = 0;
      while (agent.poll() !== undefined) effects++;
      if (effects === 0) throw new Error("not started");
    },
  };
}

const MESSAGE: JournalRecord = {
  type: "message",
  storeEpoch: 7,
  id: 123_456,
  channel: 101,
  subscriptionId: 1,
  saysNotification: false,
  urgency: "normal",
  topic: null,
  body: counting(200, 9),
  receivedEpochMs: EPOCH_MS,
  expiresEpochMs: EPOCH_MS + 3_600_000,
  attempt: 0,
  handed: false,
  isDeclared: false,
  encryption: null,
  cryptoKey: null,
};

/** As the journal has it; five of each owner. Its keys are no pair. */
export function subscription(id: number): SubscriptionRecord {
  return {
    type: "subscription",
    id,
    owner: `https://app${Math.ceil(id / 5)}.example`,
    registrationId: counting(16, id),
    applicationServerKey: counting(65, 4),
    mode: "auto",
    userVisibleOnly: true,
    allowAesgcm: false,
    generatedToken: true,
    publicKey: counting(65, 5),
    channel: id + 100,
    expirationTime: null,
    createdEpochMs: EPOCH_MS,
    waToken: `wa-token-${id}`,
    privateKey: counting(32, id),
    authSecret: counting(16, id),
    endpoint: `https://push.example/wpush/v1/${"a".repeat(120)}${id}`,
    freshness: "normal",
    usedEpochMs: EPOCH_MS,
  };
}

function counting(length: number, first: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (first + i) % 251);
}

/** No secret is made with it. */
function countingFill(target: Uint8Array): void {
  target.set(counting(target.length, 3));
}
