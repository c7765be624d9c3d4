// SPDX-License-Identifier: MIT
/** What a host gives its agent at the start. Types only. */

import type { ActivationPolicy } from "../declarative/index.ts";
import type { JournalRecovery, Sealer } from "../journal/index.ts";
import type { CryptoProvider, RandomFill } from "../webpush/crypto.ts";
import type { DeviceEnd, Urgency } from "../wire/dialect.ts";
import type { Jitter } from "./backoff.ts";

export interface AgentOptions {
  /** https URL of the push service, without path. */
  readonly serviceUrl: string;
  /** Where MQTT is to be had when WebSocket is not, in the order to try them: mqtts or mqtt, with host and port. */
  readonly mqttUrls: readonly string[];
  readonly dialect: DeviceEnd;
  /** What the host's journal held; must not be locked. The agent owns its state from here on. */
  readonly recovery: JournalRecovery;
  readonly sealer: Sealer;
  /** 16 bytes: a hash of the host's device id. */
  readonly deviceBinding: Uint8Array;
  readonly provider: CryptoProvider;
  /** CSPRNG, for keys and tokens. */
  readonly randomFill: RandomFill;
  /** Seedable, for delays. */
  readonly jitter: Jitter;
  /** Ms between signs of life on an idle connection; null: learned from each network. */
  readonly heartbeatMs: number | null;
  /** Low-urgency messages may wait this long at the service, s. */
  readonly windowS: number;
  readonly leastUrgency: Urgency;
  /** Plain http URL that answers 204 unless a captive portal is in between; null: a dial finds out. */
  readonly portalProbeUrl: string | null;
  /** Keep a connection even without a subscription. */
  readonly keepConnected: boolean;
  readonly navigation: Omit<ActivationPolicy, "baseUrl">;
  /** Messages of an owner that may show nothing (SILENT_PUSHES_MAX for web origins by default); null: any number. */
  readonly silentPushMax?: (owner: string) => number | null;
}
