// SPDX-License-Identifier: MIT
/** The kiosk: serves its page, opens it in Chromium inside a shell of its own, and stands between the page and the agent. See README.md. */

import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ApplicationServer } from "./application-server.mjs";
import { DevTools } from "./devtools.mjs";
import { servePage, serveShell } from "./servers.mjs";
import { Shell } from "./shell.mjs";

const USAGE = `usage: node kiosk.mjs [OPTIONS] [-- CHROMIUM'S FLAGS]

  --state DIR     the agent's state directory (default ~/.local/state/godwit/agent)
  --data DIR      browser profile, key pair and subscription (default ~/.local/state/godwit/kiosk)
  --port N        of the page, on 127.0.0.1; a part of the owner's name (default 8080)
  --chromium CMD  (default chromium)
  --window        in a window instead of the whole screen
`;

const EXIT_USAGE = 2;
const STATE = join(process.env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "godwit");

/** A browser for one page and nobody's own: no first steps, no other profile, no word to its maker, a process for each site. */
const FLAGS = [
  "--site-per-process",
  "--no-first-run",
  "--no-default-browser-check",
  "--no-service-autorun",
  "--disable-sync",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-extensions",
  "--disable-features=Translate",
  "--disable-pinch",
  "--disable-session-crashed-bubble",
  "--noerrdialogs",
  "--overscroll-history-navigation=0",
  "--password-store=basic",
];

const options = readOptions();
if (options === null) process.stderr.write(USAGE);
else if (options.help) process.stdout.write(USAGE);
process.exitCode = options === null ? EXIT_USAGE : options.help ? 0 : await run(options);

/** @returns {Promise<number>} the exit code */
async function run({ state, data, port, chromium, isWindow, flags }) {
  const asRoot = process.getuid?.() === 0;
  if (asRoot && !flags.includes("--no-sandbox")) {
    log("Chromium has no sandbox for root: run the kiosk, and the agent, as another user");
    return 1;
  }
  if (flags.includes("--no-sandbox")) log("without a sandbox: fit for tests only");
  mkdirSync(data, { recursive: true, mode: 0o700 });

  const applicationServer = new ApplicationServer(data);
  const shellServer = await serveShell(() => shell.frameSource);
  let pageServer;
  try {
    pageServer = await servePage({
      port,
      shellOrigin: shellServer.origin,
      settings: { applicationServerKey: applicationServer.publicKey },
      handleSubscription: (subscription) => {
        if (!applicationServer.keep(subscription)) return;
        if (subscription === null) log("the page has no subscription any more");
        else log(`the page has subscribed: ${applicationServer.subscriptionFile}`);
      },
    });
  } catch (error) {
    // Whoever has the port would be taken for the page.
    log(`port ${port} cannot be had: ${error.code}`);
    shellServer.close();
    return 1;
  }
  const shell = new Shell(shellServer.origin, pageServer.origin, log);

  const screen = isWindow ? "--app=about:blank" : "--kiosk";
  const profile = `--user-data-dir=${join(data, "profile")}`;
  const devTools = new DevTools(chromium, [...FLAGS, profile, screen, ...flags, "about:blank"]);
  let isStopping = false;
  const stop = () => {
    isStopping = true;
    devTools.close();
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    await shell.open(devTools, state);
    log(`page at ${pageServer.origin}`);
  } catch (error) {
    // Without the browser there is nothing else to say; it says why below.
    if (!isStopping) log(error.message);
    devTools.close();
  }
  const reason = await devTools.exited;
  if (!isStopping) log(`the browser is gone: ${reason}`);
  shell.close();
  for (const server of [pageServer, shellServer]) server.close();
  return isStopping ? 0 : 1;
}

/** null for options that cannot be meant. */
function readOptions() {
  const end = process.argv.indexOf("--");
  const [own, flags] =
    end < 0 ? [process.argv.slice(2), []] : [process.argv.slice(2, end), process.argv.slice(end + 1)];
  try {
    const { values } = parseArgs({
      args: own,
      options: {
        state: { type: "string", default: join(STATE, "agent") },
        data: { type: "string", default: join(STATE, "kiosk") },
        port: { type: "string", default: "8080" },
        chromium: { type: "string", default: "chromium" },
        window: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const { window: isWindow, port, ...rest } = values;
    const isPort = /^\d{1,5}$/.test(port) && Number(port) < 65_536;
    return isPort ? { ...rest, isWindow, port: Number(port), flags } : null;
  } catch {
    return null;
  }
}

function log(text) {
  process.stderr.write(`kiosk: ${text}\n`);
}
