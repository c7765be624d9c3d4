// SPDX-License-Identifier: MIT
// Goal: sealing keys, certificates and secrets change while the service runs, and no endpoint, token or link suffers. Method: running
// services with one store and their own rings, as nodes of a fleet, reloaded one after the other.

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { hexEncode } from "../../src/bytes.ts";
import { loadDevCertificate } from "../../src/push-service/dev-ca.ts";
import { addKey, newKeyring, rotateKeyring, useKey } from "../../src/push-service/keyring.ts";
import type { Keyring } from "../../src/push-service/seal.ts";
import { TestBench } from "./bench.ts";

const benches: TestBench[] = [];
const directories: string[] = [];
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.stop();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

async function start(options: ConstructorParameters<typeof TestBench>[0]): Promise<TestBench> {
  const bench = await TestBench.start(options);
  benches.push(bench);
  return bench;
}

function reload(bench: TestBench, keyring: Keyring): void {
  bench.service.reload({ keyring, tls: null, enrolmentSecrets: [], enrolmentCa: null });
}

/** The id of the key that sealed an endpoint or token: its first 4 bytes. */
function keyOf(text: string): string {
  return Buffer.from(text.slice(text.lastIndexOf("/") + 1), "base64url")
    .subarray(0, 4)
    .toString("hex");
}

describe("rotating the keys", () => {
  test("leaves links, tokens and endpoints as they are, and seals with the new key", async () => {
    const bench = await start({});
    const { device, endpoint, uaToken, channel } = await bench.subscribed();
    const rotated = rotateKeyring(bench.keyring);
    reload(bench, rotated);
    expect((await bench.post(endpoint)).status).toBe(201);
    await device.next("notification");
    await (await bench.connect(uaToken, [channel])).next("registered");
    const later = await bench.subscribed();
    const [current, old] = [rotated.current, bench.keyring.current].map(({ id }) => hexEncode(id));
    expect([keyOf(endpoint), keyOf(uaToken)]).toEqual([old, old]);
    expect([keyOf(later.endpoint), keyOf(later.uaToken)]).toEqual([current, current]);
    expect(bench.log).toContainEqual({ event: "reloaded", keys: 2 });
  });

  test("in a fleet: whatever node has read what, every endpoint and token is good at every node", async () => {
    const before = newKeyring();
    const nodes = [await start({ keyring: before })];
    const [first] = nodes as [TestBench];
    const second = await start({ keyring: before, store: first.store });
    nodes.push(second);
    const added = addKey(before);
    const [next] = added.older.slice(-1);
    const used = useKey(added, hexEncode(next?.id ?? new Uint8Array(0)));
    const made: { endpoint: string; uaToken: string }[] = [];
    // One node at a time, and between any two steps devices come to both.
    for (const [node, keyring] of [
      [0, before],
      [0, added],
      [1, added],
      [0, used],
      [1, used],
    ] as const) {
      reload(nodes[node] as TestBench, keyring);
      for (const bench of nodes) made.push(await bench.subscribed());
      for (const { endpoint, uaToken } of made) {
        for (const bench of nodes) {
          expect((await bench.post(endpoint)).status).toBe(201);
          expect((await bench.token({ Authorization: `Bearer ${uaToken}` })).uaid).toHaveLength(32);
        }
      }
    }
    expect(await first.store.countDevices()).toBe(made.length);
    expect(new Set(made.map(({ endpoint }) => keyOf(endpoint))).size).toBe(2);
  });

  test("a key that is not in the ring cannot be used", () => {
    expect(() => useKey(newKeyring(), "00000000")).toThrow(expect.objectContaining({ code: "ERR_KEYRING" }));
  });
});

test("enrolment secrets change", async () => {
  const bench = await start({ enrolmentSecrets: ["one"] });
  const tls = null;
  bench.service.reload({ keyring: bench.keyring, tls, enrolmentSecrets: ["two"], enrolmentCa: null });
  const ask = async (secret: string) =>
    (await bench.fetch("/v1/token", { method: "POST", headers: { "Godwit-Enrolment": secret } })).status;
  expect([await ask("one"), await ask("two")]).toEqual([401, 200]);
});

test("a certificate changes for new connections", async () => {
  const certificates = [0, 1].map(() => {
    const directory = mkdtempSync(join(tmpdir(), "godwit-tls-"));
    directories.push(directory);
    return loadDevCertificate({ directory, nowMs: Date.now() });
  });
  const [old, renewed] = await Promise.all(certificates);
  const bench = await start({ tls: old ?? null });
  const fingerprint = async () => {
    const { port } = bench.service;
    const socket = connect({
      port,
      host: "127.0.0.1",
      servername: "localhost",
      ca: [old?.ca ?? "", renewed?.ca ?? ""],
    });
    await once(socket, "secureConnect");
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  const before = await fingerprint();
  bench.service.reload({
    keyring: bench.keyring,
    tls: renewed ?? null,
    enrolmentSecrets: [],
    enrolmentCa: null,
  });
  expect(await fingerprint()).not.toBe(before);
});
