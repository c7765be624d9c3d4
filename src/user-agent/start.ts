// SPDX-License-Identifier: MIT
/** Starting a user agent: options checked, the journal read, the agent made of it. The same on every runtime. */

import { Agent, type AgentOptions } from "../agent/agent.ts";
import type { Report } from "../agent/events.ts";
import { TEST_ORIGIN } from "../apps/protocol.ts";
import { utf8Encode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import {
  DEVICE_BINDING_BYTES,
  type JournalState,
  keySealer,
  plainSealer,
  recoverJournal,
} from "../journal/index.ts";
import { HEARTBEAT_MS_MAX, HEARTBEAT_MS_MIN, MQTT_URLS_MAX } from "../limits.ts";
import type { CryptoProvider, RandomFill } from "../webpush/crypto.ts";
import { autopushDevice } from "../wire/autopush-device.ts";
import type { DeviceDialect, DeviceEnd, Urgency } from "../wire/dialect.ts";
import { godwitDevice } from "../wire/godwit.ts";
import type { Display } from "./display.ts";
import type { JournalStorage } from "./journal-directory.ts";
import type { MakeMachine, Platform } from "./platform.ts";
import type { PermissionPolicy } from "./questions.ts";
import { defaultMqttUrls, dialectOf, isLoopbackOrigin, readMqttUrl, readServiceUrl } from "./service-urls.ts";
import { UserAgent, type UserAgentParts } from "./user-agent.ts";

/** What a user agent is told at its start, whatever it runs on. */
export interface StartOptions {
  /**
   * URL of the push service, without path: `https://push.example` for one like ours, `wss://push.example` for one that speaks
   * dialect autopush, such as Mozilla's.
   */
  readonly serviceUrl: string;
  /** What the push service speaks. Default: what the scheme of its URL says. */
  readonly dialect?: DeviceDialect;
  /** Names the device, so that a copied journal is recognised. */
  readonly deviceId: string;
  /** Who may subscribe: "ask" puts the question to shells and administrators. Default: nobody may. */
  readonly permission?: PermissionPolicy;
  /** Where notifications go, besides what {@link UserAgent.addDisplay} adds; null (default) for nowhere. */
  readonly display?: Display | null;
  /** 32 bytes that seal the journal's secrets; without it they lie in a file of mode 0600. */
  readonly deviceKey?: Uint8Array | null;
  /** ms between signs of life on an idle connection. Default: learned from each network. */
  readonly heartbeatMs?: number;
  /**
   * Where MQTT is to be had when WebSocket is not, in the order to try them: `mqtts://push.example:8883`. Default for a
   * service on port 443: its ports 8883 and 443 (ALPN `mqtt`); else none.
   */
  readonly mqttUrls?: readonly string[];
  /** Plain http URL that answers 204 unless a captive portal is in between. Default: a dial finds out. */
  readonly portalProbeUrl?: string;
  /** Low-urgency messages may wait at the service this long, s. Default 0. */
  readonly windowS?: number;
  /** Messages below this stay at the service. Default: all come. */
  readonly leastUrgency?: Urgency;
  /** Keep a connection even without a subscription. Default false. */
  readonly keepConnected?: boolean;
  /** Open http links of other origins. Default false. */
  readonly httpAllowed?: boolean;
  /** Origins whose links open without asking. */
  readonly originsAllowed?: readonly string[];
  /**
   * Messages of an owner that its app may handle without showing a notification before they wait; null: any number.
   * Default: 12 for a web origin, one back every 2 h; any number for an app id.
   */
  readonly silentPushMax?: (owner: string) => number | null;
  /**
   * Follow the system's networks: learning by network, reconnecting at once, silence without one. Default true; a service on
   * loopback needs no network and is never watched for.
   */
  readonly watchNetwork?: boolean;
  /** A number in [0, 1) that spreads reconnects and renewals; default: the system's randomness. */
  readonly jitter?: () => number;
  /** What happens, without secrets. */
  readonly onReport?: (report: Report) => void;
  /** An app that is not attached has something waiting. */
  readonly startApp?: (owner: string) => void;
  /** What an app's handler threw. Default: nothing but the report ERR_APP_HANDLER. */
  readonly onAppError?: (error: unknown, owner: string) => void;
  /** Makes the agent, for whoever looks on. Default: an {@link Agent}. */
  readonly makeAgent?: (options: AgentOptions) => Agent;
}

/** Opens the journal. Called once the options are known to be good; whoever called {@link startUserAgent} does not close it. */
export type OpenJournal = () => JournalStorage | Promise<JournalStorage>;

/**
 * Starts a user agent.
 *
 * @throws {GodwitError} ERR_CONFIG for options that cannot work, ERR_JOURNAL_SEAL for a journal under another device key, and
 *   what opening and reading the journal throws
 */
export function startUserAgent(
  options: StartOptions,
  platform: Platform,
  makeMachine: MakeMachine,
  openJournal: OpenJournal,
): Promise<UserAgent> {
  return startUserAgentAs(UserAgent, options, platform, makeMachine, openJournal);
}

/** The same, of a class of one's own. */
export async function startUserAgentAs<Kind extends UserAgent>(
  Class: new (parts: UserAgentParts) => Kind,
  options: StartOptions,
  platform: Platform,
  makeMachine: MakeMachine,
  openJournal: OpenJournal,
): Promise<Kind> {
  const serviceUrl = readServiceUrl(options.serviceUrl);
  checkOptions(options);
  const journal = await openJournal();
  try {
    const agent = await createAgent(options, serviceUrl, platform, journal);
    const { onReport, startApp } = options;
    const userAgent = new Class({
      agent,
      journal,
      platform,
      makeMachine,
      permission: options.permission ?? (() => "denied"),
      display: options.display ?? null,
      listener: {
        ...(onReport === undefined ? {} : { handleReport: onReport }),
        ...(startApp === undefined ? {} : { handleStartApp: startApp }),
      },
      onAppError: options.onAppError ?? (() => {}),
    });
    await userAgent.start((options.watchNetwork ?? true) && !isLoopbackOrigin(serviceUrl));
    return userAgent;
  } catch (error) {
    await journal.close();
    throw error;
  }
}

/** 16 bytes that bind a journal to its device. */
export function bindingOf(deviceId: string, provider: CryptoProvider): Uint8Array {
  return provider.sha256(utf8Encode(`godwit journal\0${deviceId}`)).slice(0, DEVICE_BINDING_BYTES);
}

async function createAgent(
  options: StartOptions,
  serviceUrl: string,
  { provider, randomFill }: Platform,
  journal: JournalStorage,
): Promise<Agent> {
  const sealer = options.deviceKey ? keySealer(options.deviceKey, randomFill) : plainSealer();
  const deviceBinding = bindingOf(options.deviceId, provider);
  const recovery = recoverJournal(await journal.read(), { deviceBinding, sealer });
  // The right key could still open what is there; a checkpoint under this one would end that.
  if (recovery.report.wrongKey)
    throw new GodwitError(
      "ERR_JOURNAL_SEAL",
      "the journal was sealed under another device key, or there is none now: give the right one, or remove the state directory",
    );
  const dialect = dialectOf(options);
  const { makeAgent = (made) => new Agent(made) } = options;
  return makeAgent({
    serviceUrl,
    // Frames of the other dialects travel over WebSocket alone.
    mqttUrls:
      dialect === "godwit.v1" ? (options.mqttUrls?.map(readMqttUrl) ?? defaultMqttUrls(serviceUrl)) : [],
    dialect: deviceEnd(dialect, recovery.state),
    recovery,
    sealer,
    deviceBinding,
    provider,
    randomFill,
    jitter: options.jitter ?? (() => fractionFrom(randomFill)),
    heartbeatMs: options.heartbeatMs ?? null,
    portalProbeUrl: options.portalProbeUrl ?? null,
    windowS: options.windowS ?? 0,
    leastUrgency: options.leastUrgency ?? "very-low",
    keepConnected: options.keepConnected ?? false,
    navigation: {
      httpAllowed: options.httpAllowed ?? false,
      originsAllowed: [...(options.originsAllowed ?? []), TEST_ORIGIN],
    },
    ...(options.silentPushMax === undefined ? {} : { silentPushMax: options.silentPushMax }),
  });
}

/** What a device in this state speaks. */
export function deviceEnd(dialect: DeviceDialect, state: JournalState): DeviceEnd {
  if (dialect === "godwit.v1") return godwitDevice;
  return autopushDevice(() => [...channelsOf(state), ...state.pendingUnregisters]);
}

function channelsOf({ subscriptions }: JournalState): number[] {
  return [...subscriptions.values()].flatMap(({ channel }) => (channel === null ? [] : [channel]));
}

/** In [0, 1). Devices that boot at the same moment must not draw alike, as engines that seed by the clock would have them. */
function fractionFrom(randomFill: RandomFill): number {
  const bits = new Uint32Array(1);
  randomFill(new Uint8Array(bits.buffer));
  return (bits[0] ?? 0) / 2 ** 32;
}

/** What TypeScript cannot see, and JavaScript would only notice much later. */
function checkOptions({ heartbeatMs, portalProbeUrl, mqttUrls }: StartOptions): void {
  const problem =
    heartbeatMs !== undefined && !(heartbeatMs >= HEARTBEAT_MS_MIN && heartbeatMs <= HEARTBEAT_MS_MAX)
      ? `heartbeatMs must be from ${HEARTBEAT_MS_MIN} to ${HEARTBEAT_MS_MAX}`
      : portalProbeUrl !== undefined && !/^http:\/\/./.test(portalProbeUrl)
        ? "portalProbeUrl must be a plain http URL"
        : (mqttUrls?.length ?? 0) > MQTT_URLS_MAX
          ? `mqttUrls must be at most ${MQTT_URLS_MAX}`
          : null;
  if (problem !== null) throw new GodwitError("ERR_CONFIG", problem);
}
