// SPDX-License-Identifier: MIT
/**
 * What the push service tells its log, as one closed union: no event has a field that could carry a token, an endpoint,
 * a key or a payload.
 */

import type { AckCode, ByeReason, RevokeReason } from "../wire/dialect.ts";

/** `device`, here: {@link deviceName}. */
export type LogEvent =
  | { readonly event: "listening"; readonly port: number; readonly isTls: boolean }
  | { readonly event: "admin-listening"; readonly port: number }
  /** Readiness is 503 from now on; links end after `delayS`, over `spreadS`. */
  | { readonly event: "draining"; readonly links: number; readonly delayS: number; readonly spreadS: number }
  /** The keys of the ring, current one included. */
  | { readonly event: "reloaded"; readonly keys: number }
  | { readonly event: "stopped" }
  | { readonly event: "device-created"; readonly device: string }
  | { readonly event: "device-connected"; readonly device: string }
  | { readonly event: "device-disconnected"; readonly device: string; readonly reason: ByeReason | "link" }
  | { readonly event: "device-forgotten"; readonly device: string; readonly by: "device" | "administrator" }
  | { readonly event: "registered"; readonly device: string; readonly channel: number }
  | { readonly event: "unregistered"; readonly device: string; readonly channel: number }
  | {
      readonly event: "revoked";
      readonly device: string;
      readonly channel: number;
      readonly by: Extract<RevokeReason, "application-server" | "administrator">;
    }
  | {
      readonly event: "message-accepted";
      readonly device: string;
      readonly channel: number;
      /** 0 for one that was dropped: TTL 0 and nobody connected. */
      readonly id: number;
      readonly bodyBytes: number;
    }
  | {
      readonly event: "message-withdrawn";
      readonly device: string;
      readonly channel: number;
      readonly id: number;
    }
  | {
      readonly event: "acknowledged";
      readonly device: string;
      readonly code: AckCode;
      readonly messages: number;
    }
  | { readonly event: "refused"; readonly route: string; readonly status: number; readonly errno: number }
  | { readonly event: "expired"; readonly messages: number; readonly devices: number }
  | { readonly event: "broker-connected" }
  /** `error`: one of a few fixed sentences. */
  | { readonly event: "broker-failed"; readonly error: string }
  /** The store may lose what was accepted, or accept nothing. `reason`: one of a few sentences, which name nodes of Redis at most. */
  | { readonly event: "store-unsafe"; readonly reason: string }
  /** A node of several hears of what the others store, or does not any more. */
  | { readonly event: "fleet-joined" }
  | { readonly event: "fleet-lost"; readonly error: string }
  /** `error` is the message of a GodwitError, which never holds a secret, or the name of any other error. */
  | { readonly event: "store-failed"; readonly error: string }
  | { readonly event: "unexpected"; readonly error: string };

export type Log = (event: LogEvent) => void;

export { deviceName } from "../wire/digest.ts";
