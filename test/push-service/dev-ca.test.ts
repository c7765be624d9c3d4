// SPDX-License-Identifier: MIT
// Goal: a development certificate that TLS clients take once they trust its CA, kept until shortly before it ends. Method:
// make one in a fresh directory, look at it with node:crypto, ask again at later times.

import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadDevCertificate } from "../../src/push-service/dev-ca.ts";

const DAY_MS = 24 * 3600 * 1000;
const NOW_MS = Date.UTC(2030, 0, 1);

describe("development certificate", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "godwit-ca-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test("is signed by its CA and covers the local names", async () => {
    const { ca, cert } = await loadDevCertificate({ directory, nowMs: NOW_MS, hosts: ["push.local"] });
    const [authority, leaf] = [new X509Certificate(ca), new X509Certificate(cert)];
    expect(authority.ca).toBe(true);
    expect(leaf.ca).toBe(false);
    expect(leaf.checkIssued(authority) && leaf.verify(authority.publicKey)).toBe(true);
    expect([leaf.checkHost("localhost"), leaf.checkHost("push.local")]).toEqual(["localhost", "push.local"]);
    expect(leaf.checkIP("127.0.0.1")).toBeDefined();
    expect(leaf.checkIP("::1")).toBeDefined();
    expect(leaf.checkHost("elsewhere.example")).toBeUndefined();
    expect(Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)).toBeLessThanOrEqual(825 * DAY_MS);
  });

  test("keeps its key to its owner, and stores no key of the CA", async () => {
    await loadDevCertificate({ directory, nowMs: NOW_MS });
    expect(readdirSync(directory).sort()).toEqual(["ca.pem", "cert.pem", "key.pem"]);
    expect(statSync(join(directory, "key.pem")).mode & 0o777).toBe(0o600);
  });

  test("is kept until a week before it ends, or until another host is wanted", async () => {
    const first = await loadDevCertificate({ directory, nowMs: NOW_MS });
    expect(await loadDevCertificate({ directory, nowMs: NOW_MS + 810 * DAY_MS })).toEqual(first);
    const other = await loadDevCertificate({ directory, nowMs: NOW_MS, hosts: ["push.local"] });
    expect(other.cert).not.toBe(first.cert);
    const later = await loadDevCertificate({ directory, nowMs: NOW_MS + 820 * DAY_MS });
    expect(later.cert).not.toBe(other.cert);
  });
});
