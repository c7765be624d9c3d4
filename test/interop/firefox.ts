// SPDX-License-Identifier: MIT
/**
 * A real Firefox ESR, with its windows on a desktop nobody sees, a profile of its own, and a push service of our choice. It
 * meets nobody but on loopback. No tests here.
 */

import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Exit, Program, ServiceProcess, Stage } from "../end-to-end/stage.ts";
import { type Desktop, desktopProblem, isInstalled } from "../node/desktop.ts";
import { BidiSession } from "./bidi.ts";

const run = promisify(execFile);
const PROGRAMS = ["firefox-esr", "certutil"];

/** Until Firefox answers: a cold disk, two cores, and others at work on them. */
const START_MS_MAX = 90_000;

/** A port of loopback where nobody listens (discard). */
const NOWHERE_PORT = 9;

const missing = [
  ...PROGRAMS.filter((program) => !isInstalled(program)),
  ...(desktopProblem === null ? [] : [desktopProblem]),
];

/** What is missing for {@link Firefox}, and what to do; or null. */
export const firefoxProblem: string | null =
  missing.length === 0
    ? null
    : `no ${missing.join(", ")}; on Debian, as root: apt-get install -y --no-install-recommends firefox-esr libnss3-tools dbus dunst xvfb`;

type Preferences = Readonly<Record<string, string | number | boolean>>;

/** Of push, for tests. */
const PUSH: Preferences = {
  // Firefox takes push down while it is driven, unless its preferences for that are left out.
  "remote.prefs.recommended": false,
  "permissions.default.desktop-notification": 1,
  // Notifications go to the desktop's server.
  "alerts.useSystemBackend": true,
  // The first wait after a lost connection; it doubles.
  "dom.push.retryBaseInterval": 2000,
};

/** Nothing of its own accord: no services, no questions, no first pages, no look at what other tabs did. */
const QUIET: Preferences = {
  // Whoever wants out all the same is sent to a port where nobody is, and looks up no name. Loopback goes by no proxy.
  "network.proxy.type": 1,
  "network.proxy.http": "127.0.0.1",
  "network.proxy.http_port": NOWHERE_PORT,
  "network.proxy.ssl": "127.0.0.1",
  "network.proxy.ssl_port": NOWHERE_PORT,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "app.normandy.enabled": false,
  "app.shield.optoutstudies.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.discovery.enabled": false,
  "browser.ml.enable": false,
  "browser.newtabpage.enabled": false,
  "browser.newtabpage.activity-stream.feeds.system.topstories": false,
  "browser.newtabpage.activity-stream.telemetry": false,
  "browser.pagethumbnails.capturing_disabled": true,
  "browser.region.network.url": "",
  "browser.region.update.enabled": false,
  "browser.safebrowsing.blockedURIs.enabled": false,
  "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.safebrowsing.provider.mozilla.updateURL": "",
  "browser.search.suggest.enabled": false,
  "browser.search.update": false,
  "browser.sessionstore.resume_from_crash": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "browser.startup.page": 0,
  "browser.topsites.contile.enabled": false,
  "browser.translations.enable": false,
  "browser.urlbar.quicksuggest.enabled": false,
  "browser.urlbar.suggest.searches": false,
  "browser.warnOnQuit": false,
  "datareporting.healthreport.uploadEnabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "datareporting.policy.dataSubmissionPolicyBypassNotification": true,
  "datareporting.usage.uploadEnabled": false,
  "doh-rollout.disable-heuristics": true,
  "network.trr.mode": 5,
  "extensions.blocklist.enabled": false,
  "extensions.formautofill.addresses.enabled": false,
  "extensions.formautofill.creditCards.enabled": false,
  "extensions.getAddons.cache.enabled": false,
  "extensions.systemAddon.update.enabled": false,
  "extensions.update.enabled": false,
  "geo.enabled": false,
  "identity.fxaccounts.enabled": false,
  "media.gmp-manager.updateEnabled": false,
  "media.gmp-provider.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "network.dns.disablePrefetch": true,
  "network.http.speculative-parallel-limit": 0,
  "network.prefetch-next": false,
  "nimbus.rollouts.enabled": false,
  "places.semanticHistory.featureGate": false,
  "security.OCSP.enabled": 0,
  "security.certerrors.mitm.priming.enabled": false,
  "security.remote_settings.intermediates.enabled": false,
  "signon.rememberSignons": false,
  "termsofuse.bypassNotification": true,
  "toolkit.telemetry.enabled": false,
  "toolkit.telemetry.server": "",
  "toolkit.telemetry.unified": false,
  "widget.use-xdg-desktop-portal.settings": 0,
};

/** The user's directory of one Firefox, for a push service whose development certificate it trusts. */
export async function makeProfile(stage: Stage, service: ServiceProcess): Promise<string> {
  const directory = stage.newDirectory();
  const url = `${service.origin.replace("https:", "wss:")}/`;
  const lines = Object.entries({ ...QUIET, ...PUSH, "dom.push.serverURL": url }).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  );
  writeFileSync(join(directory, "user.js"), lines.join(""));
  const database = ["-d", `sql:${directory}`];
  await run("certutil", ["-N", ...database, "--empty-password"]);
  await run("certutil", ["-A", ...database, "-n", "development", "-t", "C,,", "-i", service.caFile]);
  return directory;
}

/** The uaid of a Firefox that has ended: its one credential at the push service. */
export function uaidOf(profile: string): string {
  const preferences = readFileSync(join(profile, "prefs.js"), "utf8");
  const uaid = /^user_pref\("dom\.push\.userAgentID", "([0-9a-f]{32})"\);$/m.exec(preferences)?.[1];
  if (uaid === undefined) throw new Error("this Firefox has no uaid");
  return uaid;
}

/** A running Firefox with one page. */
export class Firefox {
  readonly #program: Program;
  readonly #session: BidiSession;

  private constructor(program: Program, session: BidiSession) {
    this.#program = program;
    this.#session = session;
  }

  /** @param profile of {@link makeProfile}; may have been used before */
  static async start(stage: Stage, desktop: Desktop, profile: string): Promise<Firefox> {
    const command = ["firefox-esr", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"];
    const program = stage.start("firefox-esr", [...command, "about:blank"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...desktop.environment,
        DISPLAY: desktop.display,
        TMPDIR: stage.newDirectory(),
        LANG: "C.UTF-8",
        // It crashes rather than talk to anybody who is not on loopback.
        MOZ_DISABLE_NONLOCAL_CONNECTIONS: "1",
        MOZ_CRASHREPORTER_DISABLE: "1",
        // After a kill it would ask.
        MOZ_DISABLE_AUTO_SAFE_MODE: "1",
        // No settings and no readers of the desktop's, of which there are none.
        GSETTINGS_BACKEND: "memory",
        NO_AT_BRIDGE: "1",
      },
    });
    const url = await program.stderr.until(
      "Firefox listens",
      (lines) =>
        lines.map((line) => /WebDriver BiDi listening on (ws:\S+)/.exec(line)?.[1]).find(Boolean) ?? null,
      START_MS_MAX,
    );
    return new Firefox(program, await BidiSession.start(url));
  }

  open(url: string): Promise<void> {
    return this.#session.open(url);
  }

  /** See {@link BidiSession.call}. */
  call(source: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.#session.call(source, ...args);
  }

  /** Ends in order, as if a person had closed it. */
  async close(): Promise<Exit> {
    await this.#session.closeBrowser();
    return this.#program.exited;
  }
}
