// SPDX-License-Identifier: MIT
/** mosquitto_sub over TLS, as small as a message receiver in C is: what the agent is held against. */

import { type ChildProcess, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import type { Stages } from "../footprint.ts";
import { memoryOf } from "./memory.ts";
import { type FootprintStage, within } from "./stage.ts";

/** Where Debian puts what is not for everybody. */
export const PATH_MORE = "PATH=$PATH:/usr/sbin";

export function hasMosquitto(): boolean {
  const names = ["mosquitto", "mosquitto_sub", "mosquitto_pub"];
  return names.every((name) => spawnSync("sh", ["-c", `${PATH_MORE} command -v ${name}`]).status === 0);
}

/** With one topic, connected, and after `messages` of QoS 1 when there are any. */
export async function measureMosquitto(
  stage: FootprintStage,
  messages: number,
  payloadBytes: number,
): Promise<Stages> {
  const port = await freePort();
  const broker = stage.spawn(["sh", "-c", `${PATH_MORE} exec mosquitto -v -c ${configFile(stage, port)}`]);
  await saidTimes(broker, /mosquitto version .* running/, 1);
  const at = ["-h", "localhost", "-p", String(port), "--cafile", stage.caFile, "-t", "bench", "-q", "1"];
  const subscribed = saidTimes(broker, /Sending SUBACK/, 1);
  const subscriber = stage.spawn(["mosquitto_sub", ...at]);
  await subscribed;
  const pid = subscriber.pid ?? 0;
  const start = memoryOf(pid);
  let after = {};
  if (messages > 0) {
    const acknowledged = saidTimes(broker, /Received PUBACK from/, messages);
    const lines = `yes ${"a".repeat(payloadBytes)} | head -n ${messages}`;
    stage.spawn(["sh", "-c", `${lines} | mosquitto_pub ${at.join(" ")} -l`]);
    await acknowledged;
    after = { "10000msgs": memoryOf(pid) };
  }
  subscriber.kill("SIGTERM");
  broker.kill("SIGTERM");
  await once(broker, "exit");
  return { start, connected: start, ...after };
}

function configFile(stage: FootprintStage, port: number): string {
  const path = join(stage.newDirectory(), "mosquitto.conf");
  const pem = (name: string) => join(stage.tlsDirectory, name);
  const lines = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    `certfile ${pem("cert.pem")}`,
    `keyfile ${pem("key.pem")}`,
    "max_queued_messages 0",
    // It would give up root, and could not read the key then.
    ...(process.getuid?.() === 0 ? ["user root"] : []),
  ];
  writeFileSync(path, `${lines.join("\n")}\n`);
  return path;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Resolves once so many lines of stderr matched. */
function saidTimes(child: ChildProcess, pattern: RegExp, times: number): Promise<void> {
  const seen = new Promise<void>((resolve, reject) => {
    let rest = "";
    let count = 0;
    child.stderr?.on("data", (data) => {
      const lines = (rest + String(data)).split("\n");
      rest = lines.pop() ?? "";
      count += lines.filter((line) => pattern.test(line)).length;
      if (count >= times) resolve();
    });
    child.once("exit", () => reject(new Error(`it ended before ${pattern}`)));
  });
  return within(`${times} × ${pattern}`, seen);
}
