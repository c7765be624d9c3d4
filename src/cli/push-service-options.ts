// SPDX-License-Identifier: MIT
/** The options of `godwit push-service`, and what the service takes that they say. */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { CommandError, EXIT } from "../configuration/exit.ts";
import {
  type OptionSpec,
  type OptionSpecs,
  type Options,
  readCertificates,
  readSecretFile,
} from "../configuration/options.ts";
import * as limits from "../limits.ts";
import { LOOPBACK_HOSTS } from "../push-service/admin.ts";
import {
  type AdminOptions,
  loadDevCertificate,
  type PushServiceOptions,
  type PushServiceReload,
  type RateOptions,
  readKeyring,
} from "../push-service/index.ts";
import { DEFAULT_RATES, type RateName } from "../push-service/rates.ts";
import type { Keyring } from "../push-service/seal.ts";
import type { Output } from "./output.ts";
import { STORE_OPTIONS } from "./push-service-store.ts";
import { nodeSurroundings } from "./surroundings.ts";

/** In the state directory. */
export const KEYRING_FILE = "keys.json";

export const PUSH_SERVICE_OPTIONS: OptionSpecs = {
  host: { kind: "text", value: "ADDRESS", help: "address to listen on", fallback: "127.0.0.1" },
  port: { kind: "number", value: "N", max: 65_535, help: "port to listen on", fallback: 8443 },
  origin: { kind: "text", value: "URL", help: "public origin that endpoints start with" },
  state: {
    kind: "text",
    value: "DIR",
    help: "where messages and sealing keys are kept (default ~/.local/state/godwit/push-service)",
  },
  ...STORE_OPTIONS,
  tlsCert: {
    kind: "text",
    value: "FILE",
    help: "PEM certificate chain; without one a development certificate is made",
  },
  tlsKey: { kind: "text", value: "FILE", help: "its PEM key (mode 0600)" },
  noTls: { kind: "flag", help: "plain HTTP, for a proxy in front that speaks TLS" },
  mqttPort: {
    kind: "number",
    value: "N",
    max: 65_535,
    help: "take devices over MQTT too, on this port (8883 is MQTT's) and on the TLS port by ALPN",
  },
  mqttBroker: {
    kind: "text",
    value: "URL",
    help: "take devices over this Mosquitto with the dynamic-security plugin instead, for example mqtts://broker.example:8883",
  },
  mqttUser: { kind: "text", value: "NAME", help: "our user there, which may administer the plugin" },
  mqttPasswordFile: { kind: "text", value: "FILE", help: "its password (mode 0600)" },
  mqttCa: { kind: "text", value: "FILE", help: "PEM certificates to trust there besides the system's" },
  behindProxy: { kind: "flag", help: "client addresses come from X-Forwarded-For" },
  enrolmentFile: {
    kind: "text",
    value: "FILE",
    help: "secrets, one a line, of which a new device needs one (mode 0600)",
  },
  enrolmentCa: {
    kind: "text",
    value: "FILE",
    help: "PEM certificates: a device whose own chains to one of them needs no secret",
  },
  deviceLinks: {
    kind: "number",
    value: "N",
    min: 1,
    fallback: limits.DEVICE_LINKS_MAX,
    help: "devices and canaries connected at once",
  },
  connectionsPerAddress: {
    kind: "number",
    value: "N",
    min: 1,
    fallback: limits.CONNECTIONS_PER_ADDRESS_MAX,
    help: "open connections of one address",
  },
  connectionRate: rate("connectionRate", "new connections of one address"),
  upgradeRate: rate("upgradeRate", "WebSocket upgrades of one address"),
  tokenRate: rate("tokenRate", "tokens for one address without secret or certificate"),
  refusalRate: rate("refusalRate", "endpoints and signatures of one address that may be no good"),
  endpointRate: rate("endpointRate", "messages to one endpoint"),
  deviceRate: rate("deviceRate", "messages to one device"),
  adminListen: {
    kind: "text",
    value: "ADDRESS:PORT",
    help: "metrics, health and administration there, for example 127.0.0.1:9464",
  },
  adminTokenFile: {
    kind: "text",
    value: "FILE",
    help: "the administrator's token (mode 0600); without one there are no commands",
  },
  drainDelay: {
    kind: "number",
    value: "S",
    max: 3_600,
    fallback: 0,
    help: "when stopping, not ready for so long before the first link ends",
  },
  drainSpread: {
    kind: "number",
    value: "S",
    max: 3_600,
    fallback: 0,
    help: "when stopping, links end over so long",
  },
  reconnectSpread: {
    kind: "number",
    value: "S",
    max: 3_600,
    fallback: limits.RECONNECT_SPREAD_S,
    help: "devices come back spread over so long when the service went away",
  },
  logFormat: {
    kind: "text",
    value: "WORD",
    oneOf: ["text", "json"],
    fallback: "text",
    help: "lines on stderr",
  },
  idleLimit: {
    kind: "number",
    value: "S",
    min: 10,
    max: 86_400,
    help: "what a balancer in front allows a silent link",
  },
  quiet: { kind: "flag", help: "no log on stderr" },
};

/** Everything the options say, but for the store and who hears the log. What cannot work is said before anything is opened. */
export async function readPushService(
  options: Options,
  directory: string,
  output: Output,
  newRing: Keyring | null,
): Promise<Omit<PushServiceOptions, "store" | "log">> {
  const files = await readReloadable(options, directory, output, newRing);
  return {
    ...files,
    host: options.required("host"),
    port: options.requiredNumber("port"),
    isBehindProxy: options.flag("behindProxy"),
    idleLimitS: options.number("idleLimit"),
    reconnectSpreadS: options.requiredNumber("reconnectSpread"),
    deviceLinksMax: options.requiredNumber("deviceLinks"),
    connectionsPerAddressMax: options.requiredNumber("connectionsPerAddress"),
    ...readRates(options),
    drain: { delayS: options.requiredNumber("drainDelay"), spreadS: options.requiredNumber("drainSpread") },
    ...readPublicOrigin(options),
    ...readMqtt(options),
  };
}

/**
 * What is read again at SIGHUP.
 *
 * @param newRing in place of one that is not on disk yet
 */
export async function readReloadable(
  options: Options,
  directory: string,
  output: Output,
  newRing: Keyring | null = null,
): Promise<PushServiceReload> {
  const caFile = options.text("enrolmentCa");
  if (caFile !== null && options.flag("noTls"))
    throw new CommandError(EXIT.config, "--enrolment-ca needs TLS here, and --no-tls leaves that to a proxy");
  return {
    tls: await readTls(options, directory, output),
    keyring: newRing ?? readKeyring(join(directory, KEYRING_FILE)),
    enrolmentSecrets: readEnrolment(options),
    enrolmentCa: caFile === null ? null : readCertificates(caFile, nodeSurroundings()),
  };
}

/** @throws {CommandError} 78 no address, a token that could be guessed, or one that would travel in the clear */
export function readAdmin(options: Options, onDrain: () => void): AdminOptions | null {
  const where = options.text("adminListen");
  const tokenFile = options.text("adminTokenFile");
  if (where === null) {
    if (tokenFile === null) return null;
    throw new CommandError(EXIT.config, "--admin-token-file says something only with --admin-listen");
  }
  const [, bracketed, plain, port] = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(where) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535)
    throw new CommandError(EXIT.config, "--admin-listen must be like 127.0.0.1:9464 or [::1]:9464");
  if (tokenFile === null) return { host, port: Number(port), token: null, onDrain };
  if (!LOOPBACK_HOSTS.includes(host))
    throw new CommandError(
      EXIT.config,
      "with --admin-token-file --admin-listen must be on loopback: it has no TLS",
    );
  const token = readSecretFile(tokenFile, nodeSurroundings()).trim();
  if (token.length < limits.ADMIN_TOKEN_CHARS_MIN || !/^[A-Za-z0-9_-]+$/.test(token))
    throw new CommandError(
      EXIT.config,
      `${tokenFile} must hold at least ${limits.ADMIN_TOKEN_CHARS_MIN} characters of base64url`,
    );
  return { host, port: Number(port), token, onDrain };
}

/** What a rate may burst to stays in proportion to it. */
function readRates(options: Options): Record<RateName, RateOptions> {
  const entries = Object.entries(DEFAULT_RATES).map(([name, { burstMax, perMinute: usual }]) => {
    const perMinute = options.requiredNumber(name);
    return [name, { perMinute, burstMax: Math.ceil((burstMax * perMinute) / usual) }];
  });
  return Object.fromEntries(entries) as Record<RateName, RateOptions>;
}

function rate(name: RateName, what: string): OptionSpec {
  return {
    kind: "number",
    value: "N",
    min: 1,
    fallback: DEFAULT_RATES[name].perMinute,
    help: `${what} in a minute`,
  };
}

async function readTls(options: Options, directory: string, output: Output) {
  const certFile = options.text("tlsCert");
  const keyFile = options.text("tlsKey");
  if (options.flag("noTls")) return null;
  if (certFile !== null && keyFile !== null) {
    const cert = readCertificates(certFile, nodeSurroundings());
    return { cert, key: readTlsKey(keyFile, cert) };
  }
  if (certFile !== null || keyFile !== null) {
    throw new CommandError(EXIT.config, "--tls-cert and --tls-key go together");
  }
  const origin = options.text("origin");
  const hosts = [options.text("host"), origin === null ? null : new URL(origin).hostname].filter(
    (host) => host !== null && !["127.0.0.1", "localhost", "0.0.0.0", "::"].includes(host),
  );
  const tlsDirectory = join(directory, "tls");
  const made = await loadDevCertificate({
    directory: tlsDirectory,
    hosts: hosts as string[],
    nowMs: Date.now(),
  });
  output.log(`development certificate; clients trust it with --ca ${join(tlsDirectory, "ca.pem")}`);
  return made;
}

/** Looked at before it is used: what OpenSSL says of it later is in its own words. */
function readTlsKey(path: string, certificates: string): string {
  const pem = readSecretFile(path, nodeSurroundings());
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new CommandError(
      EXIT.config,
      pem.includes("ENCRYPTED")
        ? `${path} has a passphrase, which nobody is there to be asked for: openssl pkey removes it`
        : `${path} does not hold a PEM private key`,
    );
  }
  if (!new X509Certificate(certificates).checkPrivateKey(key))
    throw new CommandError(EXIT.config, `${path} is not the key of the certificate`);
  return pem;
}

function readEnrolment(options: Options): string[] {
  const path = options.text("enrolmentFile");
  if (path === null) return [];
  const secrets = readSecretFile(path, nodeSurroundings())
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (secrets.length === 0) throw new CommandError(EXIT.config, `${path} holds no secret`);
  return secrets;
}

const BROKER_OPTIONS = [
  ["mqttUser", "--mqtt-user"],
  ["mqttPasswordFile", "--mqtt-password-file"],
  ["mqttCa", "--mqtt-ca"],
] as const;
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

function readMqtt(options: Options): Pick<PushServiceOptions, "mqtt"> {
  const port = options.number("mqttPort");
  const url = options.text("mqttBroker");
  if (url === null) {
    const named = BROKER_OPTIONS.find(([name]) => options.text(name) !== null);
    if (named !== undefined)
      throw new CommandError(EXIT.config, `${named[1]} says something only with --mqtt-broker`);
    return port === null ? {} : { mqtt: { port } };
  }
  if (port !== null) throw new CommandError(EXIT.config, "--mqtt-port and --mqtt-broker exclude each other");
  if (!URL.canParse(url) || !/^mqtts?:$/.test(new URL(url).protocol))
    throw new CommandError(EXIT.config, "--mqtt-broker must be like mqtts://broker.example:8883");
  const { protocol, hostname } = new URL(url);
  if (protocol === "mqtt:" && !LOOPBACK.includes(hostname))
    throw new CommandError(EXIT.config, "mqtt is for loopback only: --mqtt-broker must be an mqtts URL");
  const caFile = options.text("mqttCa");
  const broker = {
    url,
    username: options.required("mqttUser"),
    password: readSecretFile(options.required("mqttPasswordFile"), nodeSurroundings()).trim(),
    ca: caFile === null ? null : readCertificates(caFile, nodeSurroundings()),
  };
  return { mqtt: { broker } };
}

function readPublicOrigin(options: Options): { publicOrigin?: string } {
  const origin = options.text("origin");
  if (origin === null) return {};
  if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
    throw new CommandError(EXIT.config, "--origin must be like https://push.example, without path");
  }
  return { publicOrigin: origin };
}
