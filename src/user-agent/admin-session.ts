// SPDX-License-Identifier: MIT
/** What the administrator may do at the app socket: everything people decide, for every owner. */

import type { AdminEvent } from "../apps/protocol.ts";
import { GodwitError } from "../errors.ts";
import { START_ARGUMENT_CHARS_MAX, START_ARGUMENTS_MAX } from "../limits.ts";
import { parseStatsOptions, statsOf } from "../stats.ts";
import { base64urlEncode } from "../webpush/base64url.ts";
import type { AppConnection, Session, Verbs } from "./app-connection.ts";
import { FRESHNESS_WORDS, readApplicationServerKey } from "./app-session.ts";
import { subscribe, unsubscribe } from "./default-subscription.ts";
import type { Installations } from "./installations.ts";
import type { Platform } from "./platform.ts";
import type { RequestMembers } from "./request-members.ts";
import { type PageSecrets, PERMISSIONS, personVerbs } from "./shell-session.ts";
import type { TestPush } from "./test-push.ts";
import type { UserAgent } from "./user-agent.ts";
import { Watcher } from "./watcher.ts";

export interface AdminSessionOptions {
  readonly userAgent: UserAgent;
  readonly platform: Platform;
  readonly installations: Installations;
  readonly pages: PageSecrets;
  readonly testPush: TestPush;
  /** @throws {GodwitError} ERR_OPTION when no loopback port is open */
  readonly dashboardLink: () => string;
  readonly connection: Pick<AppConnection, "send">;
  readonly greeting: object;
  readonly endEpochMs: number | null;
  readonly handleClosed: () => void;
}

export class AdminSession implements Session {
  readonly greeting: object;
  readonly bucket = null;
  readonly endEpochMs: number | null;
  readonly verbs: Verbs;
  readonly #options: AdminSessionOptions;
  #watcher: Watcher | null = null;

  constructor(options: AdminSessionOptions) {
    const { userAgent, platform, pages, testPush, connection } = options;
    this.#options = options;
    this.greeting = options.greeting;
    this.endEpochMs = options.endEpochMs;
    this.verbs = {
      ...personVerbs(userAgent),
      ...choiceVerbs(options),
      ...installationVerbs(options.installations),
      pageSecret: (members) => pages.pageSecret(members.owner("owner")),
      status: () => userAgent.status(),
      stats: (members) => statsOf(userAgent.status(), parseStatsOptions(members.raw)),
      notifications: () => userAgent.notifications(),
      subscribe: (members) => subscribed(userAgent, members),
      unsubscribe: async (members) => ({ existed: await unsubscribe(userAgent, members.owner("owner")) }),
      dashboardLink: () => ({ url: options.dashboardLink() }),
      testPush: async () => ({ statusCode: await testPush.send() }),
      watch: () => {
        this.#watcher ??= new Watcher(userAgent, platform, (event: AdminEvent) => connection.send(event));
        return {};
      },
    };
  }

  handleClosed(): void {
    this.#watcher?.close();
    this.#options.handleClosed();
  }
}

function choiceVerbs({ userAgent, installations }: AdminSessionOptions): Verbs {
  return {
    setPermission: async (members) => {
      const permission = members.oneOf("permission", PERMISSIONS);
      await userAgent.choose({ type: "setPermission", owner: members.owner("owner"), permission });
      return {};
    },
    setPaused: async (members) => {
      const paused = members.boolean("paused");
      await userAgent.choose({ type: "setPaused", owner: members.ownerOrNull("owner"), paused });
      return {};
    },
    setOptedOut: async (members) => {
      const optedOut = members.boolean("optedOut");
      await userAgent.choose({ type: "setOptedOut", owner: members.ownerOrNull("owner"), optedOut });
      return {};
    },
    clearData: async (members) => {
      await userAgent.choose({ type: "clearData", owner: members.owner("owner") });
      return {};
    },
    removeSubscription: async (members) => {
      const subscriptionId = members.integer("subscriptionId");
      await userAgent.choose({ type: "removeSubscription", subscriptionId });
      return {};
    },
    factoryReset: async () => {
      await installations.factoryReset();
      return {};
    },
  };
}

function installationVerbs(installations: Installations): Verbs {
  return {
    installed: () => installations.list(),
    installApp: async (members) => {
      const owner = members.owner("owner");
      const start = members.textsOrNull("start", START_ARGUMENTS_MAX, START_ARGUMENT_CHARS_MAX);
      const tokenFile = members.textOrNull("tokenFile", START_ARGUMENT_CHARS_MAX);
      if (tokenFile !== null && !tokenFile.startsWith("/"))
        throw new GodwitError("ERR_OPTION", "tokenFile must be an absolute path");
      return { token: await installations.install({ owner, start, tokenFile }) };
    },
    uninstallApp: async (members) => {
      await installations.uninstall(members.owner("owner"));
      return {};
    },
  };
}

/** For the owner's default subscription; answered as application servers take it. */
async function subscribed(userAgent: UserAgent, members: RequestMembers): Promise<object> {
  const owner = members.owner("owner");
  const freshness = members.oneOfOrNull("freshness", FRESHNESS_WORDS);
  const subscription = await subscribe(userAgent, owner, {
    applicationServerKey: readApplicationServerKey(members),
    ...(freshness === null ? {} : { freshness }),
  });
  const { endpoint, expirationTime, p256dh, auth } = subscription;
  return { endpoint, expirationTime, keys: { p256dh: base64urlEncode(p256dh), auth: base64urlEncode(auth) } };
}
