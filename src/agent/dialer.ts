// SPDX-License-Identifier: MIT
/** Everything that goes into opening a link: address, credential, what the service should know from the start. Pure. */

import { hexEncode } from "../bytes.ts";
import { base64urlEncode } from "../webpush/base64url.ts";
import type { Conditions, DeviceEnd, Upstream } from "../wire/dialect.ts";
import type { CanaryRequest } from "./canaries.ts";
import type { Emit } from "./events.ts";
import type { Registry } from "./registry.ts";
import type { Transports } from "./transports.ts";

export interface DialerOptions {
  readonly dialect: DeviceEnd;
  readonly transports: Transports;
  readonly emit: Emit;
  /** A number no link has had. */
  readonly nextLinkId: () => number;
  /** What the device is known by, or null when it is not yet. */
  readonly identity: () => { readonly uaid: Uint8Array; readonly uaToken: string } | null;
  readonly registry: Registry;
}

const WEBSOCKET_PATH = "/v1/ws";

export class Dialer {
  readonly #options: DialerOptions;

  constructor(options: DialerOptions) {
    this.#options = options;
  }

  /** The service gives no tokens: who the device is, the first frame says. */
  get isPlain(): boolean {
    return this.#options.dialect.isPlain === true;
  }

  /** Nothing has to be fetched before a dial. */
  get hasToken(): boolean {
    return this.isPlain || this.#options.identity() !== null;
  }

  /** Opens a link by the transport whose turn it is and returns its id. */
  dial(conditions: Conditions): number {
    const { transports, emit, nextLinkId, identity } = this.#options;
    if (!transports.isMqtt) return this.dialWebSocket(transports.url, conditions);
    const linkId = nextLinkId();
    const { uaid, uaToken } = identity() ?? NOBODY;
    const username = hexEncode(uaid);
    const mqtt = { username, topic: `godwit/v1/${username}` };
    emit({
      type: "openLink",
      linkId,
      url: transports.url,
      subprotocol: "",
      bearer: uaToken,
      headers: {},
      mqtt,
    });
    return linkId;
  }

  /** @param url ws or wss, without path */
  dialWebSocket(url: string, conditions: Conditions): number {
    const { dialect, emit, nextLinkId, registry } = this.#options;
    const linkId = nextLinkId();
    if (this.isPlain) {
      const plain = { bearer: null, headers: {}, mqtt: null, isText: true } as const;
      emit({ type: "openLink", linkId, url: `${url}/`, subprotocol: dialect.name, ...plain });
      return linkId;
    }
    const { heartbeatS, windowS, leastUrgency } = conditions;
    // The conditions go into the upgrade, so that the right stored messages follow right behind the 101.
    const headers = {
      "Godwit-Conditions": `heartbeat=${heartbeatS}, window=${windowS}, urgency=${leastUrgency}`,
      "Godwit-Channels": base64urlEncode(registry.channelsDigest()),
    };
    emit({ type: "openLink", linkId, ...this.#request(url + WEBSOCKET_PATH), headers });
    return linkId;
  }

  /** Opens a canary beside a WebSocket link; null on MQTT, which has none. */
  canaryRequest(path: string | null): CanaryRequest | null {
    const { transports } = this.#options;
    return path === null || transports.isMqtt ? null : this.#request(transports.url + path);
  }

  /** What a WebSocket's upgrade says, as the first frame over MQTT. */
  registration(conditions: Conditions): Upstream {
    const { uaToken } = this.#options.identity() ?? NOBODY;
    return {
      type: "registerUa",
      uaToken,
      conditions,
      channelsDigest: this.#options.registry.channelsDigest(),
    };
  }

  #request(url: string): CanaryRequest {
    const { dialect, identity } = this.#options;
    return { url, subprotocol: dialect.name, bearer: identity()?.uaToken ?? "", mqtt: null };
  }
}

const NOBODY = { uaid: new Uint8Array(16), uaToken: "" };
