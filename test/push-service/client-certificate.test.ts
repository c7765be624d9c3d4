// SPDX-License-Identifier: MIT
// Goal: a device with a certificate of the fleet gets a token without a secret, and nobody else does, however their TLS session
// began. Method: a running service with TLS, clients with certificates of two authorities, resumed sessions.

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type DevCertificate, loadDevCertificate } from "../../src/push-service/dev-ca.ts";
import { TestBench } from "./bench.ts";
import { type FleetAuthority, makeFleetAuthority } from "./certificates.ts";

let tls: DevCertificate;
let fleet: FleetAuthority;
let bench: TestBench;

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), "godwit-tls-"));
  tls = await loadDevCertificate({ directory, nowMs: Date.now() }).finally(() =>
    rmSync(directory, { recursive: true }),
  );
  fleet = await makeFleetAuthority("A fleet");
  bench = await TestBench.start({
    tls,
    enrolmentCa: fleet.ca,
    enrolmentSecrets: ["the secret of the fleet"],
  });
});
afterAll(() => bench.stop());

interface Answer {
  readonly status: number;
  readonly errno: number | undefined;
  readonly isReused: boolean;
  /** To resume with; null when the server gave none. */
  readonly session: Buffer | null;
}

/** Asks for a token over a connection of its own. */
async function askForToken(options: ConnectionOptions = {}, headers = ""): Promise<Answer> {
  const { port } = bench.service;
  const socket: TLSSocket = connect({
    port,
    host: "127.0.0.1",
    servername: "localhost",
    ca: tls.ca,
    ...options,
  });
  let session: Buffer | null = null;
  socket.on("session", (ticket: Buffer) => {
    session = ticket;
  });
  socket.write(
    `POST /v1/token HTTP/1.1\r\nHost: localhost\r\n${headers}Connection: close\r\nContent-Length: 0\r\n\r\n`,
  );
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "end");
  const isReused = socket.isSessionReused();
  socket.destroy();
  const [head = "", body = "{}"] = Buffer.concat(chunks).toString().split("\r\n\r\n");
  const { errno } = JSON.parse(body) as { errno?: number };
  return { status: Number(head.split(" ")[1]), errno, isReused, session };
}

test("a certificate of the fleet is as good as its secret", async () => {
  expect(await askForToken(await fleet.issue("clientAuth"))).toMatchObject({ status: 200 });
  expect(await askForToken({}, "Godwit-Enrolment: the secret of the fleet\r\n")).toMatchObject({
    status: 200,
  });
});

test("who has neither is answered all the same, but gets no token", async () => {
  expect(await askForToken()).toMatchObject({ status: 401, errno: 311 });
});

test.each([
  ["of another authority", async () => (await makeFleetAuthority("Another fleet")).issue("clientAuth")],
  [
    "of another authority with the same name",
    async () => (await makeFleetAuthority("A fleet")).issue("clientAuth"),
  ],
  ["that is for servers", () => fleet.issue("serverAuth")],
  ["that has expired", () => fleet.issue("clientAuth", -1)],
])("a certificate %s gets no token", async (_what, issue) => {
  expect(await askForToken(await issue())).toMatchObject({ status: 401, errno: 311 });
});

test.each(["TLSv1.2", "TLSv1.3"] as const)(
  "a resumed %s session is worth what the first one was",
  async (version) => {
    const versions = { minVersion: version, maxVersion: version } as const;
    const without = await askForToken(versions);
    expect(without.session).not.toBeNull();
    const again = await askForToken({ ...versions, session: without.session as Buffer });
    expect(again).toMatchObject({ isReused: true, status: 401, errno: 311 });
    const device = await fleet.issue("clientAuth");
    const withOne = await askForToken({ ...versions, ...device });
    const resumed = await askForToken({ ...versions, ...device, session: withOne.session as Buffer });
    expect(resumed).toMatchObject({ isReused: true, status: 200 });
  },
);

test("a reload changes the authorities, and one without any keeps them", async () => {
  const other = await makeFleetAuthority("A later fleet");
  const statuses = async () => [
    (await askForToken(await fleet.issue("clientAuth"))).status,
    (await askForToken(await other.issue("clientAuth"))).status,
  ];
  const reload = (enrolmentCa: string | null) =>
    bench.service.reload({
      keyring: bench.keyring,
      tls,
      enrolmentSecrets: ["the secret of the fleet"],
      enrolmentCa,
    });
  expect(await statuses()).toEqual([200, 401]);
  const device = await fleet.issue("clientAuth");
  const { session } = await askForToken(device);
  expect(await askForToken({ ...device, session: session as Buffer })).toMatchObject({
    status: 200,
    isReused: true,
  });
  reload(other.ca);
  expect(await statuses()).toEqual([401, 200]);
  // Nor does a session begun before count.
  expect(await askForToken({ ...device, session: session as Buffer })).toMatchObject({
    status: 401,
    isReused: false,
  });
  reload(null);
  expect(await statuses()).toEqual([401, 200]);
});
