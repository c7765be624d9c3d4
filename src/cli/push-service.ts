// SPDX-License-Identifier: MIT
/** `godwit push-service`: the push service as a daemon. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { CommandError, EXIT } from "../configuration/exit.ts";
import { defaultStateDirectory, type Options } from "../configuration/options.ts";
import { nodeFileSystem } from "../node/file-system.ts";
import {
  createPushService,
  type Log,
  type LogEvent,
  newKeyring,
  type PushService,
  type Store,
  saveKeyring,
} from "../push-service/index.ts";
import type { Keyring } from "../push-service/seal.ts";
import { makePrivateDirectory } from "../user-agent/file-system.ts";
import type { Command } from "./command.ts";
import type { Output } from "./output.ts";
import {
  KEYRING_FILE,
  PUSH_SERVICE_OPTIONS,
  readAdmin,
  readPushService,
  readReloadable,
} from "./push-service-options.ts";
import { openStore } from "./push-service-store.ts";
import { tellServiceManager } from "./service-manager.ts";
import { untilStopped } from "./signals.ts";
import { nodeSurroundings } from "./surroundings.ts";

export const pushServiceCommand: Command = {
  summary: "run a push service",
  positionals: "",
  options: PUSH_SERVICE_OPTIONS,
  async run(options, plain) {
    const output = logging(options, plain);
    const directory = options.text("state") ?? defaultStateDirectory(nodeSurroundings(), "push-service");
    let drain = () => {};
    const drained = new Promise<void>((resolve) => {
      drain = resolve;
    });
    const admin = readAdmin(options, () => drain());
    // Whoever could put files into it could choose the sealing keys.
    await makePrivateDirectory(nodeFileSystem, directory);
    const ringPath = join(directory, KEYRING_FILE);
    const newRing = existsSync(ringPath) ? null : newKeyring();
    const read = await readPushService(options, directory, output, newRing);
    const log = logOf(options, plain);
    const store = await openStore(options, join(directory, "store"), log);
    if (newRing !== null) await keepRing(newRing, ringPath, store);
    const service = createPushService({ ...read, admin, store, log });
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
    process.on("SIGHUP", () => void reload(service, options, directory, output));
    // Before anybody knows that it is ready, and may end it.
    const stopped = untilStopped();
    sayReady(service, output);
    tellServiceManager("READY=1");
    await Promise.race([stopped, drained]);
    tellServiceManager("STOPPING=1");
    await service.close();
  },
};

/** A ring may be made only where none can be lost: with another one every token and endpoint of a device is void. */
async function keepRing(ring: Keyring, path: string, store: Store): Promise<void> {
  if ((await store.countDevices()) === 0) return saveKeyring(path, ring);
  await store.close();
  throw new CommandError(
    EXIT.config,
    `${path} is missing, and the store has devices: put it back from the copy`,
  );
}

/** A file that cannot be read changes nothing: the service goes on with what it has. */
async function reload(
  service: PushService,
  options: Options,
  directory: string,
  output: Output,
): Promise<void> {
  try {
    service.reload(await readReloadable(options, directory, output));
  } catch (error) {
    output.log(`not reloaded: ${error instanceof Error ? error.message : "failed"}`);
  }
}

function sayReady({ origin, port, mqttPort, adminPort }: PushService, output: Output): void {
  const ports = { ...(mqttPort === 0 ? {} : { mqttPort }), ...(adminPort === 0 ? {} : { adminPort }) };
  if (output.isJson) return output.json({ origin, port, ...ports });
  const mqtt = mqttPort === 0 ? "" : `, MQTT on port ${mqttPort}`;
  const admin = adminPort === 0 ? "" : `, administration on port ${adminPort}`;
  output.line(`push service ready at ${origin}${mqtt}${admin}`);
}

/** With `--log-format json` whatever is said on stderr is a JSON object. */
function logging(options: Options, output: Output): Output {
  if (options.text("logFormat") === "text") return output;
  return { ...output, log: (text) => output.log(jsonLine({ event: "note", text })) };
}

function logOf(options: Options, output: Output): Log {
  if (options.flag("quiet")) return () => {};
  if (options.text("logFormat") === "text") return (event) => output.log(describeEvent(event));
  return (event) => output.log(jsonLine(event));
}

function jsonLine(event: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ atEpochMs: Date.now(), ...event });
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
