// SPDX-License-Identifier: MIT
/**
 * The MQTT links of the Node host, on MQTT.js (3.1.1): clean session, keep-alive 0, no reconnecting of its own. The library is
 * loaded with the first link. Decides nothing: the agent says when to open, send and close. A proxy that the
 * environment names speaks HTTP and is not used.
 */

import { connect as connectTcp, isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { MqttClient } from "mqtt";
import type { AgentEvent, LinkCause, MqttAddress } from "../agent/events.ts";
import type { EffectOf } from "../host/host.ts";
import { LINK_QUEUED_BYTES_MAX, MQTT_CLOSE_MS, MQTT_PACKET_BYTES_MAX, OPEN_TIMEOUT_MS } from "../limits.ts";
import { BoundedMqttStream, MQTT_PACKET, MQTT_QOS_OVER_1 } from "./bounded-mqtt-stream.ts";
import { tlsOptions } from "./tls.ts";
import { causeOf } from "./websocket.ts";

type OpenRequest = EffectOf<"openLink">;

export interface MqttLinksOptions {
  /** PEM certificates trusted besides the system's, or null. */
  readonly ca: string | null;
  readonly dispatch: (event: AgentEvent) => void;
}

interface Link {
  readonly topic: string;
  /** Null while the library is being loaded. */
  client: MqttClient | null;
  /** Frames sent and not yet taken by the broker. */
  queuedBytes: number;
  closed(cause: LinkCause, httpStatus?: number | null): void;
}

/** What a refused CONNECT (MQTT 3.1.1 §3.2.2.3) counts as. */
const HTTP_STATUS_OF_CONNACK: Readonly<Record<number, number>> = { 3: 503, 4: 401, 5: 401 };
const MQTT_ALPN_PORT = "443";

export class MqttLinks {
  readonly #options: MqttLinksOptions;
  readonly #links = new Map<number, Link>();
  /** TLS session of the last connection per host. */
  readonly #sessions = new Map<string, Buffer>();

  constructor(options: MqttLinksOptions) {
    this.#options = options;
  }

  open(request: OpenRequest, address: MqttAddress): void {
    const { linkId } = request;
    const closed = (cause: LinkCause, httpStatus: number | null = null): void => {
      if (!this.#links.delete(linkId)) return;
      link.client?.end(true);
      this.#options.dispatch({ type: "linkClosed", linkId, cause, httpStatus, retryAfterS: null });
    };
    const link: Link = { topic: address.topic, client: null, queuedBytes: 0, closed };
    this.#links.set(linkId, link);
    import("mqtt").then(
      ({ MqttClient }) => {
        // The agent may have changed its mind meanwhile.
        if (this.#links.get(linkId) !== link) return;
        const options = {
          protocolVersion: 4,
          clientId: address.username,
          username: address.username,
          password: request.bearer ?? "",
          clean: true,
          keepalive: 0,
          reconnectPeriod: 0,
          connectTimeout: OPEN_TIMEOUT_MS,
          resubscribe: false,
          queueQoSZero: false,
          will: { topic: `${address.topic}/up`, payload: Buffer.alloc(0), qos: 1, retain: false },
        } as const;
        link.client = new MqttClient(() => this.#connect(request.url, link), options);
        this.#listen(linkId, link, link.client);
      },
      () => closed("local"),
    );
  }

  send(linkId: number, frame: Uint8Array, qos: 0 | 1): void {
    const link = this.#links.get(linkId);
    if (link?.client?.connected !== true) return;
    link.queuedBytes += frame.length;
    if (link.queuedBytes > LINK_QUEUED_BYTES_MAX) return link.closed("overflow");
    const payload = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
    link.client.publish(`${link.topic}/up`, payload, { qos }, () => {
      link.queuedBytes -= frame.length;
    });
  }

  /** Says goodbye, waits shortly for what is under way, and forgets at once: the agent expects no event any more. */
  close(linkId: number): void {
    const link = this.#links.get(linkId);
    if (link === undefined) return;
    this.#links.delete(linkId);
    const { client } = link;
    if (client?.connected !== true) {
      client?.end(true);
      return;
    }
    // A DISCONNECT takes the last will back, so its message is sent in its place.
    client.publish(`${link.topic}/up`, Buffer.alloc(0), { qos: 0 });
    // A forced end does nothing while the library waits for a PUBACK.
    const cut = setTimeout(() => client.stream.destroy(), MQTT_CLOSE_MS);
    client.once("close", () => clearTimeout(cut));
    client.end(false, {}, () => clearTimeout(cut));
  }

  has(linkId: number): boolean {
    return this.#links.has(linkId);
  }

  closeAll(): void {
    for (const linkId of [...this.#links.keys()]) this.close(linkId);
  }

  #listen(linkId: number, link: Link, client: MqttClient): void {
    const { dispatch } = this.#options;
    client.on("connect", () => {
      client.subscribe(`${link.topic}/down`, { qos: 1 }, (error, granted) => {
        if (!this.#links.has(linkId)) return;
        if (error || granted?.some(({ qos }) => Number(qos) > 2)) link.closed("refused", 403);
        else dispatch({ type: "linkOpened", linkId });
      });
    });
    client.on("message", (topic, payload) => {
      if (!this.#links.has(linkId) || topic !== `${link.topic}/down`) return;
      const frame = new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
      dispatch({ type: "linkMessage", linkId, frame });
    });
    client.on("error", (error) => {
      const code = "code" in error && typeof error.code === "number" ? error.code : null;
      if (code === null) link.closed(causeOf(error as NodeJS.ErrnoException));
      else link.closed("refused", HTTP_STATUS_OF_CONNACK[code] ?? 403);
    });
    client.on("close", () => link.closed("closed"));
  }

  /** Called by the library, which swallows some errors of its stream: they are told here. */
  #connect(address: string, link: Link): Duplex {
    const url = new URL(address);
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const port = Number(url.port || (url.protocol === "mqtts:" ? 8883 : 1883));
    const socket =
      url.protocol === "mqtts:"
        ? this.#connectTls(url, host, port)
        : connectTcp({ host, port }).setNoDelay(true);
    socket.on("error", (error: NodeJS.ErrnoException) => link.closed(causeOf(error)));
    // A message of QoS 2, which nobody subscribed to, would be kept for as long as it pleases the broker.
    const takes = (type: number, _bytes: number, flags: number): boolean =>
      type !== MQTT_PACKET.publish || (flags & MQTT_QOS_OVER_1) === 0;
    const stream = new BoundedMqttStream(socket, MQTT_PACKET_BYTES_MAX, takes);
    stream.on("error", () => link.closed("protocol"));
    return stream;
  }

  #connectTls(url: URL, host: string, port: number): Duplex {
    const session = this.#sessions.get(url.host);
    const socket = connectTls({
      host,
      port,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...tlsOptions(this.#options.ca),
      ...(session === undefined ? {} : { session }),
      ...(url.port === MQTT_ALPN_PORT ? { ALPNProtocols: ["mqtt"] } : {}),
    });
    socket.on("session", (fresh) => this.#sessions.set(url.host, fresh));
    return socket;
  }
}
