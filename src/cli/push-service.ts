// SPDX-License-Identifier: MIT
/** `godwit push-service`: the push service as a daemon. */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { CommandError, EXIT } from "../configuration/exit.ts";
import {
  defaultStateDirectory,
  type Options,
  readCertificates,
  readSecretFile,
} from "../configuration/options.ts";
import { DEVICE_MESSAGE_BYTES_MAX, DEVICE_MESSAGES_MAX } from "../limits.ts";
import {
  createPushService,
  type LogEvent,
  loadDevCertificate,
  loadKeyring,
  MemoryStore,
  openLmdbStore,
  type PushService,
  type PushServiceOptions,
  type Store,
} from "../push-service/index.ts";
import type { Command } from "./command.ts";
import type { Output } from "./output.ts";
import { untilStopped } from "./signals.ts";
import { nodeSurroundings } from "./surroundings.ts";

export const pushServiceCommand: Command = {
  summary: "run a push service",
  positionals: "",
  options: {
    host: { kind: "text", value: "ADDRESS", help: "address to listen on", fallback: "127.0.0.1" },
    port: { kind: "number", value: "N", max: 65_535, help: "port to listen on", fallback: 8443 },
    origin: { kind: "text", value: "URL", help: "public origin that endpoints start with" },
    state: {
      kind: "text",
      value: "DIR",
      help: "where messages and sealing keys are kept (default ~/.local/state/godwit/push-service)",
    },
    store: {
      kind: "text",
      value: "WORD",
      oneOf: ["lmdb", "memory"],
      fallback: "lmdb",
      help: "lmdb keeps messages over a restart",
    },
    deviceMessages: {
      kind: "number",
      value: "N",
      min: 1,
      max: 1_000_000,
      fallback: DEVICE_MESSAGES_MAX,
      help: "messages stored for one device; further ones get 429",
    },
    deviceBytes: {
      kind: "number",
      value: "BYTES",
      min: 8_192,
      max: 1_073_741_824,
      fallback: DEVICE_MESSAGE_BYTES_MAX,
      help: "bytes of them, 128 for each besides its body",
    },
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
    idleLimit: {
      kind: "number",
      value: "S",
      min: 10,
      max: 86_400,
      help: "what a balancer in front allows a silent link",
    },
    quiet: { kind: "flag", help: "no log on stderr" },
  },
  async run(options, output) {
    const directory = options.text("state") ?? defaultStateDirectory(nodeSurroundings(), "push-service");
    const origin = publicOrigin(options);
    const mqtt = readMqtt(options);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const service = createPushService({
      tls: await readTls(options, directory, output),
      keyring: loadKeyring(join(directory, "keys.json")),
      store: await openStore(options, join(directory, "store")),
      host: options.required("host"),
      port: options.requiredNumber("port"),
      isBehindProxy: options.flag("behindProxy"),
      idleLimitS: options.number("idleLimit"),
      enrolmentSecrets: readEnrolment(options),
      log: options.flag("quiet") ? () => {} : (event) => output.log(describeEvent(event)),
      ...origin,
      ...mqtt,
    });
    try {
      await listen(service, options.requiredNumber("port"));
    } catch (error) {
      // The store is open already, and would keep the process.
      await service.close();
      throw error;
    }
    if (["0.0.0.0", "::"].includes(options.text("host") ?? "") && options.text("origin") === null) {
      output.log("listening on all addresses, but endpoints say localhost: other machines need --origin");
    }
    const { mqttPort } = service;
    if (output.isJson)
      output.json({ origin: service.origin, port: service.port, ...(mqttPort === 0 ? {} : { mqttPort }) });
    else
      output.line(
        `push service ready at ${service.origin}${mqttPort === 0 ? "" : `, MQTT on port ${mqttPort}`}`,
      );
    await untilStopped();
    await service.close();
  },
};

function openStore(options: Options, directory: string): Promise<Store> {
  const quota = {
    messagesMax: options.requiredNumber("deviceMessages"),
    messageBytesMax: options.requiredNumber("deviceBytes"),
  };
  if (options.text("store") === "memory") return Promise.resolve(new MemoryStore(quota));
  return openLmdbStore({ directory, quota });
}

/** @throws {CommandError} 78 when the port is taken, or not ours to take */
export async function listen(service: PushService, port: number): Promise<void> {
  try {
    await service.listen();
  } catch (error) {
    const { code, port: failed = port } = error as NodeJS.ErrnoException & { readonly port?: number };
    if (code === "EADDRINUSE")
      throw new CommandError(EXIT.config, `port ${failed} is in use (${code}): name another one`);
    if (code === "EACCES")
      throw new CommandError(EXIT.config, `port ${failed} is not for this user (${code}): name another one`);
    throw error;
  }
}

/** One event as one line; events hold no secret. */
export function describeEvent(event: LogEvent): string {
  const { event: name, ...members } = event;
  return [name, ...Object.entries(members).map(([key, value]) => `${key}=${value}`)].join(" ");
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

function publicOrigin(options: Options): { publicOrigin?: string } {
  const origin = options.text("origin");
  if (origin === null) return {};
  if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
    throw new CommandError(EXIT.config, "--origin must be like https://push.example, without path");
  }
  return { publicOrigin: origin };
}
