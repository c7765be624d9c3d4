// SPDX-License-Identifier: MIT
// Goal: the door lets in what a hello could make good and nothing else, and nobody keeps others out. Method: requests as a listener
// reads them, time in the hands of the test. Runs inside QuickJS too.

import { beforeEach, describe, expect, test } from "vitest";
import { utf8Decode } from "../../src/bytes.ts";
import { APP_CONNECTIONS_PENDING_MAX, APP_HELLO_TIMEOUT_MS } from "../../src/limits.ts";
import { AppDoor, type ServeFile, type UpgradeRequest } from "../../src/user-agent/app-door.ts";

const PORT = 8080;
const HOST = `127.0.0.1:${PORT}`;
const FILES: ServeFile = (path) => {
  if (path === "/broken") throw new Error("the disk");
  return path === "/"
    ? { type: "text/html", body: "<p>\u00fc", headers: { "X-Frame-Options": "SAMEORIGIN" } }
    : null;
};

/** Waits that are open, by what they would do. */
let waits: Map<() => void, number>;
beforeEach(() => {
  waits = new Map();
});

function doorAt(port: number | null, files: ServeFile | null = FILES): AppDoor {
  const platform = {
    after(delayMs: number, action: () => void) {
      waits.set(action, delayMs);
      return () => void waits.delete(action);
    },
  };
  const door = new AppDoor({ platform, origins: new Set(["http://localhost:3000"]), files });
  if (port !== null) door.handleListening(port);
  return door;
}

const good: UpgradeRequest = { path: "/v1/app", host: HOST, origin: null, subprotocols: "godwit.app.v1" };

describe("a request to become a WebSocket", () => {
  test.each<[string, Partial<UpgradeRequest>, number | null, number | null]>([
    ["as it should be", {}, null, null],
    ["for another path", { path: "/v1/app/" }, 404, 404],
    ["with a query", { path: "/v1/app?a" }, 404, 404],
    ["for another name", { host: `push.example:${PORT}` }, 403, null],
    ["for another port", { host: "127.0.0.1:81" }, 403, null],
    ["for no host", { host: null }, 403, null],
    ["for localhost", { host: `localhost:${PORT}` }, null, null],
    ["for loopback of IPv6", { host: `[::1]:${PORT}` }, null, null],
    ["from an https page", { origin: "https://news.example" }, null, null],
    ["from what looks like one", { origin: "https://news.example/" }, 403, 403],
    ["from a page of loopback that may come", { origin: "http://localhost:3000" }, null, null],
    ["from one that may not", { origin: "http://localhost:3001" }, 403, 403],
    ["from our own page", { origin: `http://${HOST}` }, null, 403],
    ["from a sandbox", { origin: "null" }, 403, 403],
    ["from no page, in so many words", { origin: "" }, 403, 403],
    ["without a subprotocol", { subprotocols: null }, 400, 400],
    ["with another", { subprotocols: "godwit.app.v2" }, 400, 400],
    ["with several", { subprotocols: "chat,  godwit.app.v1" }, null, null],
  ])("%s", (_, change, atLoopback, atUnix) => {
    expect(doorAt(PORT).refusal({ ...good, ...change })).toBe(atLoopback);
    expect(doorAt(null).refusal({ ...good, ...change })).toBe(atUnix);
  });

  test("comes from a place that is as it was dialled, or from none", () => {
    const request = { ...good, host: `localhost:${PORT}`, origin: "https://a.example" };
    expect(doorAt(PORT).placeOf(request)).toEqual({
      origin: "https://a.example",
      ownOrigin: `http://localhost:${PORT}`,
    });
    expect(doorAt(null).placeOf(request)).toEqual({ origin: "https://a.example", ownOrigin: null });
  });
});

describe("a request for a file", () => {
  const get = { method: "GET", path: "/", host: HOST };

  test("is answered with the file, whatever its query, and headers that may be its own", () => {
    const { status, headers, body } = doorAt(PORT).answer({ ...get, path: "/?a=/b?c" });
    expect([status, utf8Decode(body)]).toEqual([200, "<p>\u00fc"]);
    expect(headers).toMatchObject({ "Content-Type": "text/html", "X-Frame-Options": "SAMEORIGIN" });
    expect(headers["Content-Security-Policy"]).toContain(`connect-src 'self' ws://${HOST};`);
    expect(doorAt(PORT).answer({ ...get, method: "HEAD" }).body).toEqual(body);
  });

  test.each([
    ["another name", { host: "push.example" }, 403],
    ["no host", { host: null }, 403],
    ["another method", { method: "POST" }, 405],
    ["what is not there", { path: "/etc/passwd" }, 404],
    ["what cannot be read", { path: "/broken" }, 500],
  ])("for %s is refused", (_, change, status) => {
    expect(doorAt(PORT).answer({ ...get, ...change })).toMatchObject({ status, body: new Uint8Array(0) });
  });

  test("finds none at a Unix socket, or where there are none", () => {
    expect(doorAt(null).answer(get).status).toBe(426);
    expect(doorAt(PORT, null).answer(get).status).toBe(426);
  });
});

describe("a connection that proves nothing", () => {
  test("is ended when its time is over, and one that proved itself is not", () => {
    const door = doorAt(null);
    const ended: string[] = [];
    door.await(() => ended.push("late"));
    const settle = door.await(() => ended.push("settled"));
    expect([...waits.values()]).toEqual([APP_HELLO_TIMEOUT_MS, APP_HELLO_TIMEOUT_MS]);
    settle();
    for (const action of waits.keys()) action();
    door.close();
    expect(ended.filter((name) => name === "settled")).toEqual([]);
    expect(ended).toContain("late");
  });

  test("goes when there are too many, the oldest first, and with the door", () => {
    const door = doorAt(null);
    const ended: number[] = [];
    for (let i = 0; i <= APP_CONNECTIONS_PENDING_MAX; i++) door.await(() => ended.push(i));
    expect(ended).toEqual([0]);
    expect(waits.size).toBe(APP_CONNECTIONS_PENDING_MAX);
    door.close();
    expect(ended).toHaveLength(APP_CONNECTIONS_PENDING_MAX + 1);
    expect(waits.size).toBe(0);
  });
});
