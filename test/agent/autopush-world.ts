// SPDX-License-Identifier: MIT
/**
 * A device that speaks dialect autopush, and the service it speaks with: stored messages in batches of ten behind acknowledgements,
 * live ones at once, as Mozilla's does. What the service says passes through a hook, where specs bend it. Pure.
 */

import { hexDecode, utf8Decode, utf8Encode } from "../../src/bytes.ts";
import type { JournalState } from "../../src/journal/index.ts";
import {
  type AutopushDownstream,
  type AutopushUpstream,
  encodeAutopushDownstream,
  formatUuid,
  parseAutopushUpstream,
} from "../../src/wire/autopush.ts";
import { autopushDevice, type KnownChannels } from "../../src/wire/autopush-device.ts";
import { Device, type DeviceOptions } from "./world.ts";

export const BATCH_MESSAGES_MAX = 10;

export interface StoredMessage {
  readonly channelId: string;
  readonly version: string;
  readonly body: Uint8Array | null;
  readonly headers: { encoding: string; encryption: string | null; cryptoKey: string | null } | null;
}

interface Account {
  /** By channelID. */
  readonly channels: Set<string>;
  stored: StoredMessage[];
}

/** One service, over all links and restarts of its device. */
export class PlayedAutopush {
  readonly accounts = new Map<string, Account>();
  readonly said: AutopushUpstream[] = [];
  /** Versions acknowledged, with their codes. */
  readonly acknowledged: [version: string, code: number | null][] = [];
  /** Sent and not acknowledged on the present link, by version. */
  readonly sent = new Map<string, StoredMessage>();
  uaid: string | null = null;
  status = 200;
  unregisterStatus = 200;
  /** Everything for the device goes through here. */
  deliver: (frame: Uint8Array) => void = () => {};
  #lastUaid = 0;
  #lastVersion = 0;

  get account(): Account | undefined {
    return this.accounts.get(this.uaid ?? "");
  }

  receive(frame: Uint8Array): void {
    const message = parseAutopushUpstream(utf8Decode(frame));
    this.said.push(message);
    switch (message.type) {
      case "hello": {
        const known = message.uaid !== null && this.accounts.has(message.uaid);
        this.uaid = known ? message.uaid : String(++this.#lastUaid).padStart(32, "0");
        this.sent.clear();
        this.say({
          type: "hello",
          status: 200,
          uaid: this.uaid ?? "",
          usesWebPush: true,
          broadcasts: { versions: new Map(), errors: new Map() },
        });
        return this.#nextBatch();
      }
      case "register": {
        const id = formatUuid(message.channelId);
        const { status } = this;
        if (status === 200) {
          const account = this.account ?? { channels: new Set(), stored: [] };
          this.accounts.set(this.uaid ?? "", account);
          account.channels.add(id);
        }
        const pushEndpoint = status === 200 ? `https://push.example/wpush/v2/${this.uaid}/${id}` : "";
        return this.say({ type: "register", channelId: message.channelId, status, pushEndpoint });
      }
      case "unregister": {
        const { channelId } = message;
        const status = this.unregisterStatus;
        if (status === 200) this.account?.channels.delete(formatUuid(channelId));
        return this.say({ type: "unregister", channelId, status });
      }
      case "ack": {
        for (const { version, code } of message.updates) {
          this.acknowledged.push([version, code]);
          this.sent.delete(version);
          const { account } = this;
          if (account) account.stored = account.stored.filter((stored) => stored.version !== version);
        }
        if (this.sent.size === 0) this.#nextBatch();
        return;
      }
      default:
        return;
    }
  }

  /** One application server's message: sent at once where there is a link and nothing stored before it. */
  post(
    endpoint: string,
    body: Uint8Array | null,
    isConnected: boolean,
    headers: StoredMessage["headers"] = null,
  ): string | null {
    const [, uaid = "", channelId = ""] = /v2\/([^/]*)\/(.*)$/.exec(endpoint) ?? [];
    const account = this.accounts.get(uaid);
    if (account?.channels.has(channelId) !== true) return null;
    const version = `v${++this.#lastVersion}`;
    const message = { channelId, version, body, headers };
    const isNext = account.stored.length === this.sent.size;
    account.stored.push(message);
    if (isConnected && uaid === this.uaid && isNext) this.#send(message);
    return version;
  }

  /** The service drops the record of its device. */
  forget(): void {
    this.accounts.clear();
    this.sent.clear();
  }

  say(message: AutopushDownstream): void {
    this.deliver(utf8Encode(encodeAutopushDownstream(message)));
  }

  #nextBatch(): void {
    for (const message of (this.account?.stored ?? []).slice(0, BATCH_MESSAGES_MAX)) this.#send(message);
  }

  #send(message: StoredMessage): void {
    this.sent.set(message.version, message);
    this.say(notificationOf(message));
  }
}

export function notificationOf({ channelId, version, body, headers }: StoredMessage): AutopushDownstream {
  return {
    type: "notification",
    channelId: hexDecode(channelId.replaceAll("-", "")) ?? new Uint8Array(16),
    version,
    data: body,
    headers: body === null ? null : (headers ?? { encoding: "aes128gcm", encryption: null, cryptoKey: null }),
  };
}

export const knownChannelsOf =
  (state: JournalState): KnownChannels =>
  () => [
    ...[...state.subscriptions.values()].flatMap(({ channel }) => (channel === null ? [] : [channel])),
    ...state.pendingUnregisters,
  ];

/** A device at `service`, with its link opened whenever it dials. */
export class AutopushWorld {
  readonly service: PlayedAutopush;
  device: Device;
  /** Frames that are on their way to the device. */
  readonly #frames: Uint8Array[] = [];
  readonly #options: Omit<DeviceOptions, "dialect">;

  constructor(options: Omit<DeviceOptions, "dialect"> = {}, service = new PlayedAutopush()) {
    this.service = service;
    this.#options = options;
    this.device = new Device(this.#complete(options));
    service.deliver = (frame) => void this.#frames.push(frame);
  }

  /** Frames the device has not got yet. */
  get frames(): Uint8Array[] {
    return this.#frames;
  }

  /** Opens the link that is being dialed, and hands over what comes until nothing more does. */
  connect(): void {
    if (this.device.status.link === "dialing") this.device.openLink();
    this.flush();
  }

  flush(): void {
    for (let frame = this.#frames.shift(); frame !== undefined; frame = this.#frames.shift())
      this.hand(frame);
  }

  hand(frame: Uint8Array): void {
    const { linkId } = this.device;
    this.device.dispatch({ type: "linkMessage", linkId, frame });
  }

  /** A subscription of `owner`, through the whole exchange. */
  subscribe(owner: string, waToken: string | null = null, allowAesgcm = false) {
    this.device.dispatch({ type: "appAttached", owner, handlesPush: true });
    const requestId = this.device.ask(owner, {
      type: "subscribe",
      applicationServerKey: null,
      userVisibleOnly: false,
      waToken,
      declarative: "auto",
      allowAesgcm,
    });
    this.connect();
    const reply = this.device.replies.get(requestId);
    if (reply?.type !== "subscription" || reply.subscription === null)
      throw new Error(`not subscribed: ${JSON.stringify(reply)}`);
    return { reply, endpoint: reply.subscription.endpoint, id: reply.subscription.subscriptionId };
  }

  lose(): void {
    this.#frames.length = 0;
    this.device.closeLink();
  }

  /** The link is lost, and the next one there. */
  reconnect(): void {
    this.lose();
    this.device.passUntil(600_000, () => this.device.status.link === "dialing");
    this.connect();
  }

  /** Power cut: another device starts with what was durable. */
  restart(): void {
    this.#frames.length = 0;
    const { delivered, onDeliver } = this.device;
    const options = { ...this.#options, seed: this.device.nowMs, atMs: this.device.nowMs + 1000 };
    this.device = new Device(this.#complete({ ...options, segments: [this.device.segment] }));
    this.device.delivered.push(...delivered);
    this.device.onDeliver = onDeliver;
  }

  #complete(options: Omit<DeviceOptions, "dialect">): DeviceOptions {
    return {
      ...options,
      dialect: {
        make: (state) => autopushDevice(knownChannelsOf(state)),
        take: (frame) => this.service.receive(frame),
      },
    };
  }
}
