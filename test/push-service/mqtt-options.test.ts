// SPDX-License-Identifier: MIT
// Goal: `godwit push-service` refuses MQTT options that would say nothing or send a password in clear, and leaves nothing open
// when the MQTT port is taken, so that the program ends. Method: the command in this process.

import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Output } from "../../src/cli/output.ts";
import { pushServiceCommand } from "../../src/cli/push-service.ts";
import { nodeSurroundings } from "../../src/cli/surroundings.ts";
import { EXIT } from "../../src/configuration/exit.ts";
import { readOptions } from "../../src/configuration/options.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "godwit-mqtt-options-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const SILENT: Output = {
  isJson: false,
  closed: new Promise(() => {}),
  line: () => {},
  json: () => {},
  log: () => {},
};

function run(...args: string[]): Promise<void> {
  const { options } = pushServiceCommand;
  const config = join(directory, "config.json");
  writeFileSync(config, "{}");
  const environment = { GODWIT_CONFIG: config };
  const all = ["--state", join(directory, "state"), "--port", "0", "--no-tls", ...args];
  return pushServiceCommand.run(readOptions(all, options, options, nodeSurroundings(environment)), SILENT);
}

const BROKER = ["--mqtt-user", "name", "--mqtt-password-file", "/nowhere"];

test.each([
  [["--mqtt-broker", "mqtt://broker.example", ...BROKER], /loopback only/],
  [["--mqtt-broker", "mqtt://127.0.0.1.example", ...BROKER], /loopback only/],
  [["--mqtt-broker", "https://broker.example", ...BROKER], /must be like mqtts/],
  [["--mqtt-user", "name"], /--mqtt-user says something only with --mqtt-broker/],
  [["--mqtt-password-file", "/nowhere", "--mqtt-port", "0"], /--mqtt-password-file says something only/],
  [["--mqtt-ca", "/nowhere"], /--mqtt-ca says something only/],
])("%j is a configuration error", async (args, message) => {
  await expect(run(...args)).rejects.toMatchObject({
    exitCode: EXIT.config,
    message: expect.stringMatching(message),
  });
});

test("when the MQTT port is taken the command fails and nothing stays open", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as { port: number };
  const servers = () => process.getActiveResourcesInfo().filter((name) => name === "TCPServerWrap").length;
  const before = servers();
  await expect(run("--mqtt-port", String(port))).rejects.toThrow(/EADDRINUSE/);
  expect(servers()).toBe(before);
  taken.close();
});
