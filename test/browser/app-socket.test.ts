// SPDX-License-Identifier: MIT
// Goal: a browser's own pages get at the app socket with their origin and secret, and at nothing else of it, whatever name they use for
// this machine. Method: the real agent as a process; pages of several origins in a real Chromium, whose resolver a stranger controls.

import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { SocketClient } from "../end-to-end/socket-client.ts";
import { Stage } from "../end-to-end/stage.ts";
import { BROWSER_TEST_MS_MAX, CHROMIUM, launchChromium, newPage, type TestBrowser } from "./chromium.ts";

const REFUSAL =
  '{"id":1,"error":{"code":"ERR_APP_AUTH","name":"NotAllowedError","message":"not authorised"}}';
const REFUSED = { isOpened: true, heard: [REFUSAL], code: 4401 };
/** All that a page learns of an upgrade that failed. */
const NOT_OPENED = { isOpened: false, heard: [], code: 1006 };

/** Opens the socket, says hello with the proof of the secret, if there is one, and closes at the answer, unless the agent is faster. */
const SAY = `({ url, hello, secret }) => new Promise((resolve) => {
  const heard = [];
  let isOpened = false;
  const socket = new WebSocket(url, "godwit.app.v1");
  const say = (request) => socket.send(JSON.stringify(request));
  const prove = async (challenge) => {
    const bytes = (text) => new TextEncoder().encode(text);
    const key = await crypto.subtle.importKey("raw", bytes(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    const proof = await crypto.subtle.sign("HMAC", key, bytes(challenge + "\\0http://" + new URL(url).host));
    return btoa(String.fromCharCode(...new Uint8Array(proof))).replaceAll("+", "-").replaceAll("/", "_").replace("=", "");
  };
  socket.onopen = () => {
    isOpened = true;
    say(secret === undefined ? { id: 1, type: "hello", ...hello } : { id: 0, type: "challenge" });
  };
  socket.onmessage = async ({ data }) => {
    const { id, result } = JSON.parse(data);
    if (id === 0) return say({ id: 1, type: "hello", ...hello, proof: await prove(result.challenge) });
    heard.push(data);
    if (result !== undefined) socket.close();
  };
  socket.onclose = ({ code }) => resolve({ isOpened, heard, code });
})`;

describe.skipIf(CHROMIUM === null)("pages", { timeout: BROWSER_TEST_MS_MAX }, () => {
  let stage: Stage;
  let servers: Server[];
  let browser: TestBrowser;
  let port: number;
  let page: Page;
  /** Origins of pages: two that are configured. */
  let [mine, other]: string[] = [];
  const secrets = new Map<string, string>();

  beforeAll(async () => {
    stage = new Stage();
    servers = await Promise.all([servePage(), servePage()]);
    [mine, other] = servers.map((server) => `http://127.0.0.1:${portOf(server)}`);
    const service = await stage.service();
    const state = stage.newDirectory();
    const policy = stage.file("policy.json", { permission: "granted", pageOrigins: [mine, other] });
    const args = ["--service", service.origin, "--ca", service.caFile, "--state", state, "--policy", policy];
    const agent = stage.godwit(["agent", ...args, "--app-port", "0"]);
    port = Number(/127\.0\.0\.1:(\d+)$/.exec(await agent.stderr.match(/^agent ready/))?.[1]);
    const token = readFileSync(join(state, "admin.token"), "utf8").trim();
    const admin = await SocketClient.enter({ at: join(state, "app.sock") }, { role: "admin", token });
    for (const owner of [mine ?? "", other ?? ""])
      secrets.set(owner, String((await admin.ask("pageSecret", { owner })).secret));
    await admin.ask("subscribe", { owner: mine, applicationServerKey: null, freshness: null });
    await admin.close();
    // Chromium has a guard of its own against pages that reach for this machine; older ones, and other browsers, have not.
    const flags = [
      "--host-resolver-rules=MAP *.example 127.0.0.1",
      "--disable-features=LocalNetworkAccessChecks",
    ];
    browser = await launchChromium(flags);
  }, BROWSER_TEST_MS_MAX);
  afterEach(() => page?.context().close());
  afterAll(async () => {
    await browser?.close();
    for (const server of servers ?? []) server.close();
    await stage?.close();
  });

  async function say(
    origin: string,
    said: { readonly hello: object; readonly secret?: string | undefined },
    host = `127.0.0.1:${port}`,
  ) {
    page = await newPage(browser.browser);
    await page.goto(origin);
    const argument = JSON.stringify({ url: `ws://${host}/v1/app`, ...said });
    return page.evaluate(`(${SAY})(${argument})`);
  }
  const asPage = (owner: string | undefined, secret = secrets.get(owner ?? "")) => ({
    hello: { role: "page", owner },
    secret,
  });

  test("the page the secret was made for is let in", async () => {
    expect(await say(mine ?? "", asPage(mine))).toEqual({
      isOpened: true,
      heard: [JSON.stringify({ id: 1, result: { owner: mine, permission: "granted" } })],
      code: 1005,
    });
  });

  test("the secret itself lets nobody in, nor does no proof", async () => {
    const secret = secrets.get(mine ?? "");
    expect(await say(mine ?? "", { hello: { role: "page", owner: mine, token: secret } })).toEqual(REFUSED);
    expect(await say(mine ?? "", { hello: { role: "page", owner: mine, proof: secret } })).toEqual(REFUSED);
    expect(await say(mine ?? "", { hello: { role: "page", owner: mine } })).toEqual(REFUSED);
  });

  test("a page of another origin is not, whichever secret it has, and hears the same of owners that are not there", async () => {
    const nobody = "https://nobody.example";
    expect(await say(other ?? "", asPage(mine))).toEqual(REFUSED);
    expect(await say(other ?? "", asPage(mine, secrets.get(other ?? "")))).toEqual(REFUSED);
    expect(await say(other ?? "", asPage(nobody, secrets.get(other ?? "")))).toEqual(REFUSED);
    expect(await say(mine ?? "", { hello: { role: "admin", session: "" } })).toEqual(REFUSED);
  });

  test.each(["evil.example", "localhost"])(
    "a page of %s, which is not configured, does not even get a socket",
    async (name) => {
      const origin = `http://${name}:${new URL(mine ?? "").port}`;
      expect(await say(origin, asPage(mine))).toEqual(NOT_OPENED);
    },
  );

  test("nor does one without an origin of its own", async () => {
    const frame = `data:text/html,<!doctype html>`;
    expect(await say(frame, asPage(mine))).toEqual(NOT_OPENED);
  });

  test("a name that somebody's DNS points at this machine gets neither files nor a socket", async () => {
    const rebound = `evil.example:${port}`;
    page = await newPage(browser.browser);
    // What was served before the name moved: a page of that very origin.
    await page.route(`http://${rebound}/`, (route) =>
      route.fulfill({ contentType: "text/html", body: "<!doctype html>" }),
    );
    await page.goto(`http://${rebound}/`);
    const statuses = ["/dashboard.js", "/v1/app"].map((path) =>
      page.evaluate(`fetch("${path}").then(({ status }) => status)`),
    );
    expect(await Promise.all(statuses)).toEqual([403, 403]);
    const argument = JSON.stringify({ url: `ws://${rebound}/v1/app`, ...asPage(mine) });
    expect(await page.evaluate(`(${SAY})(${argument})`)).toEqual(NOT_OPENED);
    await page.context().close();
    expect(await say(mine ?? "", asPage(mine), rebound)).toEqual(NOT_OPENED);
  });

  test("no other page can read or frame the dashboard", async () => {
    page = await newPage(browser.browser);
    await page.goto(mine ?? "");
    const dashboard = `http://127.0.0.1:${port}/`;
    expect(await page.evaluate(`fetch("${dashboard}").then(() => "read", ({ name }) => name)`)).toBe(
      "TypeError",
    );
    expect(
      await page.evaluate(
        `fetch("${dashboard}", { mode: "no-cors" }).then(() => "read", ({ name }) => name)`,
      ),
    ).toBe("TypeError");
    await page.evaluate(`new Promise((resolve) => {
      const frame = document.createElement("iframe");
      frame.onload = resolve;
      frame.src = "${dashboard}";
      document.body.append(frame);
    })`);
    expect(page.frames().map((frame) => frame.url())).toEqual([`${mine}/`, "chrome-error://chromewebdata/"]);
  });
});

async function servePage(): Promise<Server> {
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html").end("<!doctype html><title>A page</title>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
