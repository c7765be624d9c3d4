// SPDX-License-Identifier: MIT
// Goal: while name servers do not answer, godwitd does: people are heard, and it ends when it is told to, without taking the
// libraries' data from the thread that still waits. Method: the real daemon, whose one name server is a socket of this test that
// only listens; the dynamic linker writes down which libraries end.

import { spawnSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadDevCertificate } from "../../src/push-service/dev-ca.ts";
import { RunningAgent } from "../end-to-end/running-agent.ts";
import { GODWITD, Stage } from "../end-to-end/stage.ts";

/** Nobody else's: all of 127.0.0.0/8 is loopback. */
const NAME_SERVER = "127.53.77.1";
const DNS_PORT = 53;
/** A minute, which is longer than any test may take. */
const RESOLV_CONF = `nameserver ${NAME_SERVER}\noptions timeout:30 attempts:2\n`;

const canMount = spawnSync("unshare", ["--mount", "true"]).status === 0;

describe.skipIf(!existsSync(GODWITD) || !canMount)("names nobody resolves (needs root)", () => {
  let stage: Stage;
  let nameServer: Socket;
  let command: readonly string[];
  let caFile: string;
  beforeAll(async () => {
    stage = new Stage();
    nameServer = createSocket("udp4");
    nameServer.bind(DNS_PORT, NAME_SERVER);
    await once(nameServer, "listening");
    const resolvers = stage.file("resolv.conf", RESOLV_CONF, 0o644);
    const order = stage.file("nsswitch.conf", "hosts: files dns\n", 0o644);
    const script = `mount --bind ${resolvers} /etc/resolv.conf && mount --bind ${order} /etc/nsswitch.conf && exec "$@"`;
    caFile = stage.file(
      "ca.pem",
      (await loadDevCertificate({ directory: stage.newDirectory(), nowMs: Date.now() })).ca,
    );
    command = ["unshare", "--mount", "sh", "-c", script, "sh", GODWITD];
  });
  afterAll(async () => {
    await stage.close();
    nameServer.close();
  });

  test("keep nobody else waiting", async () => {
    const asked = once(nameServer, "message");
    const linked = join(stage.newDirectory(), "linked");
    const agent = await RunningAgent.start(stage, {
      service: { origin: "https://push.example", caFile },
      ...{ command, policy: { permission: "granted" }, args: ["--keep-connected"] },
      environment: { LD_DEBUG: "files", LD_DEBUG_OUTPUT: linked },
    });
    await asked;
    const admin = await agent.enterAdmin();
    expect(await admin.ask("status")).toHaveProperty("notifications", 0);
    const { pid } = agent.program.child;
    expect(await agent.program.end("SIGTERM")).toMatchObject({ code: 0 });
    const lines = readFileSync(`${linked}.${pid}`, "utf8");
    expect(lines).toContain("calling init: ");
    expect(lines).not.toContain("calling fini: ");
  });
});
