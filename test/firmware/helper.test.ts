// SPDX-License-Identifier: MIT
// Goal: a helper program shows what godwitd has to show and asks what it asks, and what it says is what the person did; one that fails or
// hangs loses no notification. Method: the real daemon, `web-push`, and a shell script of the test's own as the helper.

import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { RunningAgent } from "../end-to-end/running-agent.ts";
import { AGENT, GODWITD, type Lines, Sender, Stage } from "../end-to-end/stage.ts";

const OWNER = "https://tide.example";

/**
 * Writes each event to a file, and does what the title says: "Activate" and "Dismiss" as a person, "Fail" and "Hang" as a broken
 * program. Asked for permission it says yes.
 */
const HELPER = (events: string) => `#!/bin/sh
event=$(cat)
printf '%s\\n' "$event" >> '${events}'
id=$(printf '%s' "$event" | sed -n 's/.*"notificationId":\\([0-9]*\\).*/\\1/p')
owner=$(printf '%s' "$event" | sed -n 's/.*"owner":"\\([^"]*\\)".*/\\1/p')
case "$event" in
  *'"event":"permission"'*) echo "{\\"type\\":\\"answerPermission\\",\\"owner\\":\\"$owner\\",\\"permission\\":\\"granted\\"}" ;;
  *'"event":"show"'*'"title":"Activate"'*) echo "{\\"type\\":\\"activate\\",\\"notificationId\\":$id,\\"action\\":\\"\\"}" ;;
  *'"event":"show"'*'"title":"Dismiss"'*) echo 'not JSON at all'; printf '{"type":"dismiss","notificationId":%s}' "$id" ;;
  *'"event":"show"'*'"title":"Fail"'*) exit 3 ;;
  *'"event":"show"'*'"title":"Hang"'*) exec sleep 600 ;;
esac
`;

/** godwitd whose stdout is systemd's journal: what it says there is no screen. */
const AT_JOURNAL = [
  ...["sh", "-c", 'exec 3>&1; export JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/3); exec "$0" "$@" 3>&-'],
  GODWITD,
];

describe.skipIf(AGENT !== "godwitd" || !existsSync(GODWITD))(
  "helper program (needs npm run firmware)",
  () => {
    let stage: Stage;
    let agent: RunningAgent;
    let sender: Sender;
    let subscription: PushSubscriptionJSON;
    let events: Lines;

    beforeAll(async () => {
      stage = new Stage();
      const service = await stage.service();
      sender = new Sender(service);
      const log = stage.file("events", "");
      const helper = join(stage.newDirectory(), "helper");
      writeFileSync(helper, HELPER(log));
      chmodSync(helper, 0o755);
      events = stage.start("events", ["tail", "-n", "+1", "-f", log], {
        stdio: ["ignore", "pipe", "pipe"],
      }).stdout;
      agent = await RunningAgent.start(stage, {
        service,
        command: AT_JOURNAL,
        policy: { permission: "ask" },
        args: ["--helper", helper],
      });
      const admin = await agent.enterAdmin();
      // The helper is asked, and says yes.
      const members = { owner: OWNER, applicationServerKey: sender.keys.publicKey, freshness: null };
      subscription = (await admin.ask("subscribe", members)) as unknown as PushSubscriptionJSON;
      await admin.close();
    });
    afterAll(() => stage?.close());

    const send = (title: string) =>
      sender.send(
        subscription,
        JSON.stringify({ web_push: 8030, notification: { title, body: "High water", navigate: "/today" } }),
      );
    /** The first event of that kind that has `part` in it. */
    const event = async (kind: string, part: string) =>
      JSON.parse(await events.match(new RegExp(`"event":"${kind}".*${part}`)));
    const reported = (pattern: RegExp) => agent.program.stderr.match(pattern);

    test("it was asked for permission, and told how that was settled", async () => {
      expect(await event("permission", OWNER)).toEqual({ event: "permission", owner: OWNER });
      expect(await event("permissionSettled", OWNER)).toMatchObject({ permission: "granted" });
    });

    test("it gets a notification as shells do", async () => {
      await send("Tide");
      expect(await event("show", '"title":"Tide"')).toMatchObject({
        owner: OWNER,
        title: "Tide",
        body: "High water",
        alert: true,
        replaces: null,
      });
      await reported(/^shown /);
    });

    test("what the person does there is done: the link opens, the notification goes", async () => {
      await send("Activate");
      const { notificationId } = await event("show", '"title":"Activate"');
      expect(await event("openUrl", "today")).toMatchObject({ owner: OWNER, url: `${OWNER}/today` });
      await event("close", `"notificationId":${notificationId}\\b`);
    });

    test("a line that is nothing is passed over, and the last one needs no end", async () => {
      await send("Dismiss");
      const { notificationId } = await event("show", '"title":"Dismiss"');
      await event("close", `"notificationId":${notificationId}\\b`);
    });

    test.each(["Fail", "Hang"])(
      "with a helper that does %s the notification is kept, and the next one is shown",
      async (title) => {
        await send(title);
        const { notificationId } = await event("show", `"title":"${title}"`);
        await send(`After ${title}`);
        await event("show", `"title":"After ${title}"`);
        const admin = await agent.enterAdmin();
        const kept = (await admin.ask("notifications", {})) as unknown as readonly {
          readonly notificationId: number;
        }[];
        expect(kept.map((view) => view.notificationId)).toContain(notificationId);
        await admin.close();
        await reported(new RegExp(`notification ${notificationId} is not shown, and kept for later`));
      },
    );

    test("why it failed stands in the log", async () => {
      await reported(/^fault code=ERR_DISPLAY text="the helper ended with 3"/);
      await reported(/^fault code=ERR_DISPLAY text="the helper said nothing in time"/);
    });

    test.each([
      ["is not there", "/nonexistent/helper", "ENOENT"],
      ["may not be executed", "package.json", "EACCES"],
    ])("one that %s is told of at the start, and no message counts as shown", async (_, helper, code) => {
      const kept = await RunningAgent.start(stage, {
        service: await stage.service(),
        command: AT_JOURNAL,
        policy: { permission: "granted" },
        args: ["--helper", helper],
      });
      const log = kept.program.stderr;
      await log.match(new RegExp(`^fault code=ERR_DISPLAY .*helper.* cannot be started \\(${code}\\)`));
      const admin = await kept.enterAdmin();
      await admin.ask("testPush", {});
      await log.match(/the helper could not be started/);
      await log.match(/is not shown, and kept for later/);
      expect(await admin.ask("status", {})).toMatchObject({
        notifications: 1,
        meter: { messages: { received: 1, shown: 0 } },
      });
      await admin.close();
      await kept.program.end("SIGTERM");
    });
  },
);
