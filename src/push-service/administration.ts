// SPDX-License-Identifier: MIT
/** What the administrator may do to devices and subscriptions. Knows no HTTP; `admin.ts` asks. */

import { hexEncode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { stored } from "./endpoint.ts";
import { HttpError } from "./http-errors.ts";
import { deviceName } from "./log.ts";
import type { SessionServices } from "./session-host.ts";
import type { Tokens } from "./tokens.ts";

export type AdministrationOptions = Pick<
  SessionServices,
  "store" | "hub" | "fleet" | "log" | "credentials"
> & {
  readonly tokens: Tokens;
};

/** One device as the administrator sees it. */
export interface DeviceDescription {
  /** 32 hex digits. */
  readonly uaid: string;
  /** What the log calls it. */
  readonly device: string;
  readonly dialect: string;
  readonly createdMs: number;
  /** To a day. */
  readonly seenMs: number;
  /** To the process that answers. */
  readonly isConnected: boolean;
  readonly messages: number;
  readonly messageBytes: number;
  readonly channels: readonly {
    readonly channel: number;
    readonly createdMs: number;
    readonly revoked: string | null;
  }[];
}

export class Administration {
  readonly #options: AdministrationOptions;

  constructor(options: AdministrationOptions) {
    this.#options = options;
  }

  /** Devices known to the store, and connected to this process. */
  async count(): Promise<{ registered: number; connected: number }> {
    const { store, hub, log } = this.#options;
    return { registered: await stored(() => store.countDevices(), log), connected: hub.size };
  }

  /** @throws {HttpError} deviceUnknown, storage */
  async describe(uaid: Uint8Array): Promise<DeviceDescription> {
    const { store, hub, log } = this.#options;
    const record = await stored(() => store.getDevice(uaid), log);
    if (record === null) throw new HttpError("deviceUnknown");
    const { createdMs, seenMs, dialect, messages, messageBytes } = record;
    const channels = await stored(() => store.channels(uaid), log);
    return {
      uaid: hexEncode(uaid),
      device: deviceName(uaid),
      dialect,
      createdMs,
      seenMs,
      isConnected: hub.isConnected(uaid),
      messages,
      messageBytes,
      channels: channels.map(({ channel, createdMs, revoked }) => ({ channel, createdMs, revoked })),
    };
  }

  /**
   * Ends a subscription: its device is told, POSTs are 410 from now on.
   *
   * @throws {HttpError} deviceUnknown no such live subscription; storage
   */
  async revoke(uaid: Uint8Array, channel: number): Promise<void> {
    const { fleet, log } = this.#options;
    const isRevoked = await stored(() => fleet.revoke(uaid, channel, "administrator"), log);
    if (!isRevoked) throw new HttpError("deviceUnknown");
    log({ event: "revoked", device: deviceName(uaid), channel, by: "administrator" });
  }

  /**
   * Forgets a device with everything it had: its token is void, and so are its endpoints. While it is connected it hears that its
   * subscriptions ended; should it come again, it is a new one.
   *
   * @throws {HttpError} deviceUnknown, storage
   */
  async forget(uaid: Uint8Array): Promise<void> {
    const { store, hub, fleet, log, credentials } = this.#options;
    if ((await stored(() => store.getDevice(uaid), log)) === null) throw new HttpError("deviceUnknown");
    for (const { channel, revoked } of await stored(() => store.channels(uaid), log)) {
      if (revoked === null) await stored(() => fleet.revoke(uaid, channel, "administrator"), log);
    }
    // Whoever claims a device ends its link on any other node.
    const held = await stored(() => fleet.claim(uaid), log);
    await stored(() => held.removeDevice(), log).finally(() => held.release());
    hub.notify(uaid, { type: "goodbye", reason: "unregistered", retryAfterS: 0 });
    hub.forget(uaid);
    log({ event: "device-forgotten", device: deviceName(uaid), by: "administrator" });
    credentials?.withdraw(uaid);
  }

  /**
   * The subscription of an endpoint, whatever path its dialect gives it.
   *
   * @throws {HttpError} endpointInvalid
   */
  channelOf(endpoint: string): { uaid: Uint8Array; channel: number } {
    try {
      const { uaid, channel } = this.#options.tokens.openEndpoint(
        endpoint.slice(endpoint.lastIndexOf("/") + 1),
      );
      return { uaid, channel };
    } catch (error) {
      if (error instanceof GodwitError) throw new HttpError("endpointInvalid");
      throw error;
    }
  }
}
