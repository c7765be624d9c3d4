// SPDX-License-Identifier: MIT
// Goal: the administrator's listener shows metrics that name nobody, and obeys whoever has the token and nobody else. Method: a
// running service with its listener; devices and messages on one side, plain HTTP on the other.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hexEncode } from "../../src/bytes.ts";
import { HTTP_ERRORS } from "../../src/push-service/http-errors.ts";
import { rotateKeyring } from "../../src/push-service/keyring.ts";
import { SEAL_KINDS, type SealingKey } from "../../src/push-service/seal.ts";
import { autopushSubscribed } from "./autopush-device.ts";
import { TestBench } from "./bench.ts";

const TOKEN = "a-token-of-the-administrator-_0123456789";
let bench: TestBench;
let drains = 0;
beforeEach(async () => {
  drains = 0;
  bench = await TestBench.start({ admin: { token: TOKEN, onDrain: () => drains++ } });
});
afterEach(() => bench.stop());

function url(path: string, of = bench): string {
  return `http://127.0.0.1:${of.service.adminPort}${path}`;
}

async function metrics(): Promise<string> {
  const response = await fetch(url("/metrics"));
  expect([response.status, response.headers.get("content-type")]).toEqual([
    200,
    "text/plain; version=0.0.4; charset=utf-8",
  ]);
  return response.text();
}

/** Value of one series, as it stands in the text; null when it is not there. */
function sampleOf(text: string, series: string): number | null {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? null : Number(line.slice(series.length + 1));
}

async function command(
  path: string,
  body: unknown,
  headers: Record<string, string> = { Authorization: `Bearer ${TOKEN}` },
) {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(url(path), { ...init, headers });
  const json = (await response.json()) as Record<string, unknown>;
  return { status: response.status, errno: json.errno, json };
}

describe("metrics", () => {
  test("count what happened", async () => {
    const { device, endpoint, channel } = await bench.subscribed();
    await bench.post(endpoint, {}, new Uint8Array(40));
    const { id } = await device.next("notification");
    device.send({ type: "ack", ranges: [[id, id]], code: "ok" });
    await device.quiet();
    await bench.post(endpoint, { TTL: "soon" });
    expect(channel).toBe(1);
    const text = await metrics();
    const values = [
      "devices_connected",
      "devices_created_total",
      "connects_total",
      "registrations_total",
      "messages_accepted_total",
      "message_body_bytes_total",
      'messages_acknowledged_total{code="ok"}',
      'refusals_total{route="/p/",status="400",errno="111"}',
      'request_seconds_count{route="/p/"}',
      "draining",
      "device_links_max",
    ].map((series) => sampleOf(text, `godwit_push_${series}`));
    expect(values).toEqual([1, 1, 1, 1, 1, 40, 1, 1, 2, 0, 100_000]);
    expect(sampleOf(text, "process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
    expect(sampleOf(text, "godwit_push_event_loop_active_seconds_total")).toBeGreaterThan(0);
  });

  test("tell how long messages took to be acknowledged, in both dialects", async () => {
    const native = await bench.subscribed();
    await bench.post(native.endpoint);
    await bench.post(native.endpoint, { TTL: "0" });
    const ids = [
      (await native.device.next("notification")).id,
      (await native.device.next("notification")).id,
    ];
    const autopush = await autopushSubscribed(bench);
    await bench.post(autopush.endpoint);
    const { version } = await autopush.device.next("notification");
    bench.epochMs += 40;
    autopush.device.ack(autopush.channelId, version);
    await autopush.device.quiet();
    bench.epochMs += 1_960;
    // What is acknowledged twice, or was never sent, took no time at all.
    for (const id of [...ids, ...ids, 77])
      native.device.send({ type: "ack", ranges: [[id, id]], code: "ok" });
    await native.device.quiet();
    const text = await metrics();
    const counts = [
      'bucket{le="0.025"}',
      'bucket{le="0.05"}',
      'bucket{le="1"}',
      'bucket{le="2.5"}',
      "count",
      "sum",
    ].map((what) => sampleOf(text, `godwit_push_delivery_seconds_${what}`));
    expect(counts).toEqual([0, 1, 1, 3, 3, 4.04]);
  });

  test("count by key and kind what older keys sealed, and no forgery", async () => {
    const { endpoint, uaToken } = await bench.subscribed();
    const [withdrawn, forgedEndpoint] = [
      (await bench.post(endpoint)).headers.get("location"),
      `${endpoint.slice(0, -8)}AAAAAAAA`,
    ];
    const rotated = rotateKeyring(bench.keyring);
    const uses = async (key: SealingKey | undefined) => {
      const text = await metrics();
      const id = hexEncode(key?.id ?? new Uint8Array());
      return SEAL_KINDS.map((kind) =>
        sampleOf(text, `godwit_push_older_key_uses_total{key="${id}",kind="${kind}"}`),
      );
    };
    const old = bench.keyring.current;
    expect(await uses(old)).toEqual([null, null, null]);
    bench.service.reload({ keyring: rotated, tls: null, enrolmentSecrets: [], enrolmentCa: null });
    expect(await uses(old)).toEqual([0, 0, 0]);
    // Opened once, and remembered from then on.
    for (let post = 0; post < 3; post++) expect((await bench.post(endpoint)).status).toBe(201);
    expect((await bench.post(forgedEndpoint)).status).toBe(404);
    await (await bench.connect(uaToken, [1])).next("registered");
    expect((await bench.fetch(new URL(withdrawn ?? "").pathname, { method: "DELETE" })).status).toBe(204);
    const later = await bench.subscribed();
    await bench.post(later.endpoint);
    expect(await uses(old)).toEqual([1, 3, 1]);
    expect(await uses(rotated.current)).toEqual([null, null, null]);
  });

  test("hold no device, endpoint or token, and no label that grows with them", async () => {
    const first = await metrics();
    const names = (text: string) => text.split("\n").filter((line) => /^[a-z]/.test(line)).length;
    const secrets: string[] = [];
    for (let i = 0; i < 5; i++) {
      const { endpoint, uaid, uaToken } = await bench.subscribed();
      await bench.post(endpoint);
      await bench.post(`${endpoint}x`);
      await bench.fetch(`/nowhere/${i}`);
      secrets.push(uaid, uaToken, endpoint.slice(endpoint.lastIndexOf("/") + 1));
    }
    const some = await metrics();
    await bench.subscribed();
    await bench.fetch("/nowhere/else");
    const more = await metrics();
    expect(names(some)).toBeGreaterThan(names(first));
    expect(names(more)).toBe(names(some));
    expect(secrets.filter((secret) => more.includes(secret))).toEqual([]);
    expect(more).not.toMatch(/[0-9a-f]{8}"/);
  });

  test("are those that SPEC.md lists, no more and no fewer", async () => {
    await bench.subscribed();
    const said = [...(await metrics()).matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
    const section = readFileSync("SPEC.md", "utf8").split("### Administration")[1]?.split("\n### ")[0] ?? "";
    const listed = [...section.matchAll(/`((?:godwit_push|process|nodejs)_\w+)`/g)].map(([, name]) => name);
    expect(said.sort()).toEqual(listed.sort());
  });

  test("are not on the public port, and nothing of the public port is here", async () => {
    expect((await bench.fetch("/metrics")).status).toBe(404);
    expect((await bench.fetch("/v1/devices", { headers: { Authorization: `Bearer ${TOKEN}` } })).status).toBe(
      404,
    );
    expect((await command("/v1/token", {})).errno).toBe(320);
  });
});

describe("health", () => {
  test("is told here too", async () => {
    expect((await fetch(url("/healthz"))).status).toBe(200);
    expect((await fetch(url("/readyz"))).status).toBe(200);
  });
});

describe("names", () => {
  async function status(host: string, at = bench): Promise<number> {
    const path = { host: "127.0.0.1", port: at.service.adminPort, path: "/metrics", headers: { Host: host } };
    const [response] = (await once(get(path), "response")) as [IncomingMessage];
    response.resume();
    return response.statusCode ?? 0;
  }

  test("that lead to loopback from a page are refused", async () => {
    for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1:9464", "[::1]:9464", "[::1]", "192.0.2.1"])
      expect([host, await status(host)]).toEqual([host, 200]);
    for (const host of ["rebound.example", "rebound.example:9464", "localhost.example", "1.example"])
      expect([host, await status(host)]).toEqual([host, 403]);
  });

  test("are the operator's where strangers cannot reach the listener anyway", async () => {
    const open = await TestBench.start({ admin: { host: "0.0.0.0", token: null } });
    expect(await status("push-1.internal:9464", open)).toBe(200);
    await open.stop();
  });
});

describe("commands", () => {
  test.each([
    ["no token", {}],
    ["another one", { Authorization: `Bearer ${TOKEN.replace("a", "b")}` }],
    ["a part of it", { Authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
    ["another scheme", { Authorization: `Basic ${TOKEN}` }],
  ] as const)("with %s are refused, whatever they are", async (_what, headers) => {
    const { uaid } = await bench.token();
    for (const path of ["/v1/devices", "/v1/forget", "/v1/drain", "/v1/nowhere"]) {
      expect(await command(path, { uaid }, headers)).toMatchObject({ status: 401, errno: 330 });
    }
    expect(await bench.store.countDevices()).toBe(1);
    expect(drains).toBe(0);
  });

  test("do not exist without a token configured", async () => {
    const open = await TestBench.start({ admin: { token: null } });
    const response = await fetch(url("/v1/devices", open), { headers: { Authorization: "Bearer null" } });
    expect(response.status).toBe(401);
    await open.stop();
  });

  test("count devices", async () => {
    await bench.token();
    await bench.subscribed();
    expect((await command("/v1/devices", undefined)).json).toEqual({ registered: 2, connected: 1 });
  });

  test("describe a device, by uaid or by endpoint, without its secrets", async () => {
    const { uaid, endpoint, uaToken, device } = await bench.subscribed();
    await device.close();
    await bench.post(endpoint, {}, new Uint8Array(72));
    const byUaid = await command("/v1/device", { uaid });
    expect(byUaid.json).toMatchObject({
      uaid,
      dialect: "godwit.v1",
      createdMs: bench.epochMs,
      seenMs: bench.epochMs,
      isConnected: false,
      messages: 1,
      messageBytes: 200,
      channels: [{ channel: 1, createdMs: bench.epochMs, revoked: null }],
    });
    expect((await command("/v1/device", { endpoint })).json).toEqual(byUaid.json);
    expect(JSON.stringify(byUaid.json)).not.toContain(uaToken);
  });

  test("revoke a subscription: its device hears why, and POSTs are 410", async () => {
    const { uaid, endpoint, device, channel } = await bench.subscribed();
    expect((await command("/v1/revoke", { endpoint })).status).toBe(200);
    expect(await device.next("revoked")).toMatchObject({ channel, reason: "administrator" });
    expect((await bench.post(endpoint)).status).toBe(410);
    expect(await command("/v1/revoke", { uaid, channel })).toMatchObject({ status: 404, errno: 331 });
    expect(bench.log).toContainEqual(expect.objectContaining({ event: "revoked", by: "administrator" }));
  });

  test("forget a device: it is told, sent away, and its token and endpoints are void", async () => {
    const { uaid, uaToken, endpoint, device, channel } = await bench.subscribed();
    const other = await bench.subscribed();
    const closed = once(device.webSocket, "close");
    expect((await command("/v1/forget", { uaid })).status).toBe(200);
    expect(await device.next("revoked")).toMatchObject({ channel, reason: "administrator" });
    expect(await device.next("bye")).toMatchObject({ reason: "unregistered" });
    await closed;
    expect((await bench.refusal("/v1/ws", { Authorization: `Bearer ${uaToken}` })).status).toBe(401);
    expect((await bench.post(endpoint)).status).toBe(410);
    expect(await command("/v1/forget", { uaid })).toMatchObject({ status: 404, errno: 331 });
    expect(await other.device.quiet()).toEqual([]);
  });

  test("let the process leave", async () => {
    expect((await command("/v1/drain", {})).status).toBe(202);
    expect(drains).toBe(1);
  });

  test.each([
    ["another method", "/v1/forget", undefined, 405, HTTP_ERRORS.method.errno],
    ["no object", "/v1/forget", [], 400, HTTP_ERRORS.request.errno],
    [
      "a member nobody knows",
      "/v1/forget",
      { uaid: "00".repeat(16), all: true },
      400,
      HTTP_ERRORS.request.errno,
    ],
    ["a uaid of another length", "/v1/forget", { uaid: "00" }, 400, HTTP_ERRORS.request.errno],
    [
      "a channel that is none",
      "/v1/revoke",
      { uaid: "00".repeat(16), channel: 0 },
      400,
      HTTP_ERRORS.request.errno,
    ],
    [
      "a forged endpoint",
      "/v1/revoke",
      { endpoint: "https://push.example/p/AAAA" },
      404,
      HTTP_ERRORS.endpointInvalid.errno,
    ],
    ["an unknown device", "/v1/device", { uaid: "00".repeat(16) }, 404, HTTP_ERRORS.deviceUnknown.errno],
    ["a long body", "/v1/device", { uaid: "0".repeat(5_000) }, 413, HTTP_ERRORS.bodyTooLarge.errno],
    ["a path nobody knows", "/v1/everything", {}, 404, HTTP_ERRORS.notFound.errno],
  ])("with %s are refused", async (_what, path, body, status, errno) => {
    expect(await command(path, body)).toMatchObject({ status, errno });
  });
});
