// SPDX-License-Identifier: MIT
/**
 * A local certificate authority and server certificate for development, since senders only talk HTTPS. Not for anything
 * people rely on: a public service gets its certificate from a public authority.
 */

import { createPrivateKey, webcrypto, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { DEV_CA_DAYS, DEV_CERTIFICATE_DAYS_MAX, DEV_CERTIFICATE_RENEW_DAYS } from "../limits.ts";

const DAY_MS = 24 * 3600 * 1000;
const HOSTS_DEFAULT = ["localhost", "127.0.0.1", "::1"];
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

export interface DevCertificateOptions {
  /** Holds ca.pem, cert.pem and key.pem (mode 0600); made when it is not there. */
  readonly directory: string;
  /** Names and addresses besides localhost, 127.0.0.1 and ::1. */
  readonly hosts?: readonly string[];
  /** ms since 1970. */
  readonly nowMs: number;
}

/** PEM texts. */
export interface DevCertificate {
  /** What clients have to trust. */
  readonly ca: string;
  readonly cert: string;
  /** Secret. */
  readonly key: string;
}

/**
 * The certificate in `directory`, made anew when it is missing, damaged, for other hosts, or about to expire. The CA's private
 * key is never stored: whoever trusts this CA trusts this one certificate and nothing that could be signed later.
 */
export async function loadDevCertificate(options: DevCertificateOptions): Promise<DevCertificate> {
  const hosts = [...HOSTS_DEFAULT, ...(options.hosts ?? [])];
  const stored = read(options.directory);
  if (stored !== null && isUsable(stored, hosts, options.nowMs)) return stored;
  const made = await make(hosts, options.nowMs);
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(options.directory, "key.pem"), made.key, { mode: 0o600 });
  writeFileSync(join(options.directory, "cert.pem"), made.cert);
  writeFileSync(join(options.directory, "ca.pem"), made.ca);
  return made;
}

function read(directory: string): DevCertificate | null {
  const paths = ["ca.pem", "cert.pem", "key.pem"].map((name) => join(directory, name));
  if (!paths.every((path) => existsSync(path))) return null;
  const [ca = "", cert = "", key = ""] = paths.map((path) => readFileSync(path, "utf8"));
  return { ca, cert, key };
}

function isUsable({ ca, cert, key }: DevCertificate, hosts: readonly string[], nowMs: number): boolean {
  try {
    const leaf = new X509Certificate(cert);
    const covers = (host: string) =>
      (isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host)) !== undefined;
    return (
      leaf.verify(new X509Certificate(ca).publicKey) &&
      leaf.checkPrivateKey(createPrivateKey(key)) &&
      hosts.every(covers) &&
      Date.parse(leaf.validTo) > nowMs + DEV_CERTIFICATE_RENEW_DAYS * DAY_MS
    );
  } catch {
    return false;
  }
}

async function make(hosts: readonly string[], nowMs: number): Promise<DevCertificate> {
  const x509 = await loadX509();
  const authority = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const server = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  // An hour back, for clocks that differ.
  const notBefore = new Date(nowMs - 3600 * 1000);
  const name = `CN=Godwit development CA ${new Date(nowMs).toISOString().slice(0, 10)}`;
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name,
    notBefore,
    notAfter: new Date(nowMs + DEV_CA_DAYS * DAY_MS),
    keys: authority,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(authority.publicKey),
    ],
  });
  const leaf = await x509.X509CertificateGenerator.create({
    subject: "CN=Godwit development push service",
    issuer: name,
    notBefore,
    notAfter: new Date(notBefore.getTime() + DEV_CERTIFICATE_DAYS_MAX * DAY_MS),
    publicKey: server.publicKey,
    signingKey: authority.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const), value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(authority.publicKey),
    ],
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", server.privateKey);
  const key = x509.PemConverter.encode(pkcs8, "PRIVATE KEY");
  return { ca: `${ca.toString("pem")}\n`, cert: `${leaf.toString("pem")}\n`, key: `${key}\n` };
}

/** Loaded only here: nothing else of the push service needs it. */
async function loadX509(): Promise<typeof import("@peculiar/x509")> {
  provideMetadata();
  return await import("@peculiar/x509");
}

/** The part of the old Reflect metadata proposal that tsyringe, under @peculiar/x509, insists on. */
function provideMetadata(): void {
  type Metadata = Map<unknown, unknown>;
  const stored = new WeakMap<object, Metadata>();
  const reflect = Reflect as unknown as Record<string, unknown>;
  if (reflect.getMetadata !== undefined) return;
  const own = (key: unknown, target: object): unknown => stored.get(target)?.get(key);
  reflect.defineMetadata = (key: unknown, value: unknown, target: object): void => {
    stored.set(target, (stored.get(target) ?? new Map<unknown, unknown>()).set(key, value));
  };
  reflect.getOwnMetadata = own;
  reflect.getMetadata = (key: unknown, target: object): unknown => {
    for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at) as object | null) {
      const value = own(key, at);
      if (value !== undefined) return value;
    }
    return undefined;
  };
}
