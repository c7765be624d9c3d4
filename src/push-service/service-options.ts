// SPDX-License-Identifier: MIT
/** What a program gives the push service and gets from it. Types only; server.ts puts the parts together. */

import type { SigningProvider } from "../webpush/crypto.ts";
import type { AdminOptions } from "./admin.ts";
import type { DrainOptions } from "./drain.ts";
import type { Clock } from "./endpoint.ts";
import type { Log, LogEvent } from "./log.ts";
import type { MqttOptions } from "./mqtt-service.ts";
import type { RateOptions } from "./rate-limit.ts";
import type { Keyring } from "./seal.ts";
import type { Store } from "./store/store.ts";

export interface PushServiceOptions {
  /** Owned from now on: {@link PushService.close} closes it. */
  readonly store: Store;
  readonly keyring: Keyring;
  /** PEM; null for plain HTTP behind a proxy that speaks TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0, any free one. */
  readonly port?: number;
  /** scheme://host[:port] that endpoints start with and VAPID tokens name. Default: `localhost` and the port. */
  readonly publicOrigin?: string;
  /** Addresses come from the last entry of X-Forwarded-For, and connections are not counted by address. Default false. */
  readonly isBehindProxy?: boolean;
  /** With any, or with `enrolmentCa`, a device without a token needs one of them in `Godwit-Enrolment`. Default none. */
  readonly enrolmentSecrets?: readonly string[];
  /** PEM certificates: a device whose TLS certificate chains to one of them needs no secret. Everybody else connects without. */
  readonly enrolmentCa?: string | null;
  /** Devices come back spread over this long; default `RECONNECT_SPREAD_S`. */
  readonly reconnectSpreadS?: number;
  /** What a balancer in front allows a silent link; default null, no such limit. */
  readonly idleLimitS?: number | null;
  /**
   * Devices may come over MQTT: to a broker inside the service, which listens on `port` (0 for any free one; TLS when the
   * service has it) and takes connections to the service's own TLS port that negotiate ALPN `mqtt`; or to an external
   * Mosquitto with the dynamic-security plugin. Default: no MQTT.
   */
  readonly mqtt?: MqttOptions;
  /** Of devices and canaries together; default `DEVICE_LINKS_MAX`. */
  readonly deviceLinksMax?: number;
  /** Default `CONNECTIONS_PER_ADDRESS_MAX`. */
  readonly connectionsPerAddressMax?: number;
  /** New TCP connections per address; default `CONNECTIONS_PER_ADDRESS_*`. */
  readonly connectionRate?: RateOptions;
  /** WebSocket upgrades per address; default `UPGRADES_PER_ADDRESS_*`. */
  readonly upgradeRate?: RateOptions;
  /** Per address; default `TOKENS_PER_ADDRESS_*`. */
  readonly tokenRate?: RateOptions;
  /** Per endpoint; default `ENDPOINT_POSTS_*`. */
  readonly endpointRate?: RateOptions;
  /** Over all endpoints of one device; default `DEVICE_POSTS_*`. */
  readonly deviceRate?: RateOptions;
  /** Refused requests of application servers, per address; default `REFUSALS_PER_ADDRESS_*`. */
  readonly refusalRate?: RateOptions;
  /** How {@link PushService.close} takes its leave. */
  readonly drain?: DrainOptions;
  /** A listener of its own for metrics, health and the administrator's commands. Default none. */
  readonly admin?: AdminOptions | null;
  /** Default {@link nodeProvider}. */
  readonly provider?: SigningProvider;
  /** Default the system's. Fractions of a wall-clock millisecond are dropped. */
  readonly clock?: Clock;
  /** Default none. */
  readonly log?: Log;
}

/** Counts since the start, by kind of {@link LogEvent}, and what there is now. */
export interface PushServiceStats {
  readonly devicesConnected: number;
  readonly canariesConnected: number;
  readonly connections: number;
  readonly deviceLinksMax: number;
  /** {@link PushService.close} was called. */
  readonly isDraining: boolean;
  readonly events: Readonly<Partial<Record<LogEvent["event"], number>>>;
}

/** What can change while the service runs. */
export interface PushServiceReload {
  /** What a key that is not in it sealed is void from now on. */
  readonly keyring: Keyring;
  /** For new connections; ignored without TLS. */
  readonly tls: PushServiceOptions["tls"];
  readonly enrolmentSecrets: readonly string[];
  readonly enrolmentCa: string | null;
}

export interface PushService {
  /** Valid once {@link listen} resolved. */
  readonly origin: string;
  readonly port: number;
  /** Of the embedded MQTT broker; 0 without one. */
  readonly mqttPort: number;
  /** Of the administrator's listener; 0 without one. */
  readonly adminPort: number;
  /** @throws {NodeJS.ErrnoException} as `net.Server.listen` */
  listen(): Promise<void>;
  /** Takes all of it at once. Whether devices need secret or certificate at all stays as it was at the start. */
  reload(changed: PushServiceReload): void;
  /** Drains: says goodbye to every device, finishes what is under way, closes the store. Called again it hurries. */
  close(): Promise<void>;
  stats(): PushServiceStats;
}
