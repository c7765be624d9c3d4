// SPDX-License-Identifier: MIT
/**
 * Serves the kiosk's page and the shell around it, each from an origin of its own on loopback: files, nothing secret. Also takes
 * the page's subscription, as the server of the page's application would.
 */

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const PAGE = new URL("page/", import.meta.url);
const SHELL = new URL("shell/", import.meta.url);
const GODWIT = import.meta.resolve("godwit/package.json");
/** Another site than the page's, so that Chromium keeps the two in processes of their own; and no name that could resolve to else. */
const SHELL_HOST = "127.0.0.2";
const PAGE_HOST = "127.0.0.1";
const SUBSCRIPTION_BYTES_MAX = 4_096;

const PAGE_FILES = new Map([
  ["/kiosk.js", { url: new URL("kiosk.js", PAGE), type: "text/javascript" }],
  ["/kiosk.css", { url: new URL("kiosk.css", PAGE), type: "text/css" }],
  ["/godwit-apps.js", { url: new URL("dist/apps.browser.js", GODWIT), type: "text/javascript" }],
]);
/** Every other path without a dot is a place in the page. */
const PAGE_INDEX = { url: new URL("index.html", PAGE), type: "text/html" };
const SHELL_FILES = new Map([
  ["/", { url: new URL("index.html", SHELL), type: "text/html" }],
  ["/shell.js", { url: new URL("shell.js", SHELL), type: "text/javascript" }],
  ["/shell.css", { url: new URL("shell.css", SHELL), type: "text/css" }],
]);

/** What both have: no inline script, no form, nothing from elsewhere. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
];

/** @typedef {{origin: string, close: () => void}} Served */

/**
 * The page. Only the shell may frame it.
 *
 * @param {object} options
 * @param {number} options.port 0 for a free one
 * @param {string} options.shellOrigin
 * @param {object} options.settings what the page may know: served as /settings.json
 * @param {(subscription: object | null) => void} options.handleSubscription the page has one, or none any more
 * @returns {Promise<Served>}
 */
export async function servePage({ port, shellOrigin, settings, handleSubscription }) {
  // Its only connection but to its own server is to the agent on this device.
  const own = ["connect-src 'self' ws://127.0.0.1:*", `frame-ancestors ${shellOrigin}`];
  const policy = [...POLICY, ...own].join("; ");
  const served = await serve(PAGE_HOST, port, async (request, pathname) => {
    if (request.method === "PUT" && pathname === "/subscription") {
      // Other pages can send such a request, but not in our name.
      if (request.headers.origin !== served.origin) return { status: 403 };
      const subscription = await readJson(request);
      if (subscription === undefined) return { status: 400 };
      handleSubscription(subscription);
      return { status: 204 };
    }
    if (pathname === "/settings.json")
      return { status: 200, type: "application/json", body: JSON.stringify(settings), policy };
    const file = PAGE_FILES.get(pathname) ?? (pathname.includes(".") ? undefined : PAGE_INDEX);
    return answerFile(file, policy);
  });
  return served;
}

/**
 * The shell.
 *
 * @param {() => string} frameSource what it may frame right now, as a source of its content security policy
 * @returns {Promise<Served>}
 */
export function serveShell(frameSource) {
  return serve(SHELL_HOST, 0, async (_, pathname) => {
    const policy = [...POLICY, "frame-ancestors 'none'", `frame-src ${frameSource()}`].join("; ");
    return answerFile(SHELL_FILES.get(pathname), policy);
  });
}

function answerFile(file, policy) {
  if (file === undefined) return { status: 404 };
  return { status: 200, type: file.type, body: readFileSync(fileURLToPath(file.url)), policy };
}

/** @returns {Promise<Served>} */
async function serve(host, port, answer) {
  const server = createServer(async (request, response) => {
    const { status, type = "text/plain", body = "", policy = POLICY.join("; ") } = await find(request);
    response.writeHead(status, {
      "Content-Type": `${type}; charset=utf-8`,
      "Content-Security-Policy": policy,
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      "Cache-Control": "no-store",
    });
    response.end(request.method === "HEAD" ? undefined : body);
  });
  const find = async (request) => {
    // A name that somebody's DNS points here is not ours (DNS rebinding).
    if (`http://${request.headers.host}` !== served.origin) return { status: 403 };
    if (!["GET", "HEAD", "PUT"].includes(request.method)) return { status: 405 };
    try {
      return await answer(request, new URL(request.url, served.origin).pathname);
    } catch {
      // A URL that is none, or a file that is not there or full.
      return { status: 500 };
    }
  };
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  const served = { origin: `http://${host}:${server.address().port}`, close };
  return served;
}

/** undefined for what is no JSON, or too long. */
async function readJson(request) {
  const chunks = [];
  let bytes = 0;
  try {
    for await (const chunk of request) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > SUBSCRIPTION_BYTES_MAX) return undefined;
    }
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return undefined;
  }
}
