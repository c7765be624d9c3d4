// SPDX-License-Identifier: MIT
// Goal: godwitd shows on a desktop over sd-bus, hears the person's click, and carries libsystemd only where it does. Method: the real
// daemon, `web-push`, a session bus and dunst of the test's own.

import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { declared } from "../end-to-end/receiver.ts";
import { RunningAgent } from "../end-to-end/running-agent.ts";
import { GODWITD, Sender, type ServiceProcess, Stage } from "../end-to-end/stage.ts";
import { Desktop, desktopProblem } from "../node/desktop.ts";

const OWNER = "https://tide.example";

describe.skipIf(!existsSync(GODWITD) || desktopProblem !== null)(
  "desktop (needs npm run firmware, dunst)",
  () => {
    let stage: Stage;
    let service: ServiceProcess;
    let desktop: Desktop;
    beforeAll(async () => {
      stage = new Stage();
      desktop = await Desktop.start();
      stage.defer(() => desktop.close());
      service = await stage.service();
    });
    afterAll(() => stage.close());

    const start = (args: readonly string[]) =>
      RunningAgent.start(stage, {
        ...{ service, command: [GODWITD], policy: { permission: "granted" }, args },
        environment: desktop.environment,
      });
    const libraries = (agent: RunningAgent) => readFileSync(`/proc/${agent.program.child.pid}/maps`, "utf8");

    test("a message is shown, and dismissed there is gone here", async () => {
      const sender = new Sender(service);
      const agent = await start(["--desktop"]);
      const admin = await agent.enterAdmin();
      await admin.ask("watch");
      const applicationServerKey = sender.keys.publicKey;
      const subscription = await admin.ask("subscribe", {
        owner: OWNER,
        applicationServerKey,
        freshness: null,
      });
      await sender.send(
        subscription as unknown as Parameters<Sender["send"]>[0],
        declared({ title: "High water" }),
      );
      expect((await desktop.printed(1)).title).toContain("High water");
      expect(libraries(agent)).toContain("libsystemd.so");
      await desktop.dismiss();
      await admin.event(
        "changed",
        ({ status }) => (status as { notifications: number }).notifications === 0,
        2,
      );
      expect(await agent.program.end("SIGTERM")).toMatchObject({ code: 0 });
    });

    test("without a session bus it ends at the start, as godwit agent does", async () => {
      const where = ["--service", service.origin, "--ca", service.caFile, "--state", stage.newDirectory()];
      const args = [...where, "--quiet", "--desktop"];
      const nowhere = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${stage.newDirectory()}/bus` };
      const refusal = { code: 69, stderr: expect.stringMatching(/no desktop notifications: .*session bus/) };
      const env = stage.environment(nowhere);
      const daemon = stage.start("godwitd", [GODWITD, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
      expect(await stage.ended(daemon)).toMatchObject(refusal);
      expect(await stage.run(["agent", ...args], nowhere)).toMatchObject(refusal);
    });

    test("without a desktop the library is not even loaded", async () => {
      const agent = await start([]);
      expect(libraries(agent)).not.toContain("libsystemd.so");
    });
  },
);
