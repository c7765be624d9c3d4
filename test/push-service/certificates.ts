// SPDX-License-Identifier: MIT
// Certificates of a fleet for tests: an authority, and device certificates that it signed. No tests here.

import { webcrypto } from "node:crypto";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** PEM texts. */
export interface DeviceCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface FleetAuthority {
  readonly ca: string;
  /** @param usage what the certificate is for; null: it does not say, and names 127.0.0.1 */
  issue(usage: "clientAuth" | "serverAuth" | null, days?: number): Promise<DeviceCertificate>;
}

/** Call it after `loadDevCertificate`, which makes the library loadable. */
export async function makeFleetAuthority(name: string): Promise<FleetAuthority> {
  const x509 = await import("@peculiar/x509");
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const day = (days: number) => new Date(Date.now() + days * 24 * 3600_000);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    notBefore: day(-10),
    notAfter: day(10),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  return {
    ca: ca.toString("pem"),
    async issue(usage, days = 1) {
      const device = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
      const leaf = await x509.X509CertificateGenerator.create({
        subject: "CN=device",
        issuer: ca.subject,
        notBefore: day(-9),
        notAfter: day(days),
        publicKey: device.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        extensions: [
          usage === null
            ? new x509.SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])
            : new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[usage]]),
        ],
      });
      const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", device.privateKey);
      return { cert: leaf.toString("pem"), key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY") };
    },
  };
}
