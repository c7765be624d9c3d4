// SPDX-License-Identifier: MIT
/** Whom the Node host trusts, and with which TLS. */

import { type ConnectionOptions, rootCertificates } from "node:tls";

/** The system's roots and, besides them, the PEM certificates given. Passing `ca` alone would replace the roots. */
export function trustedCertificates(ca: string): string[] {
  return [...rootCertificates, ca];
}

/**
 * What every TLS connection begins with. That the peer is verified, and the least version, is said here, since Node takes both from the
 * environment where it is not: NODE_TLS_REJECT_UNAUTHORIZED=0 and --tls-min-v1.0 are often forgotten there.
 *
 * @param ca PEM certificates trusted besides the system's, or null
 */
export function tlsOptions(
  ca: string | null,
): Pick<ConnectionOptions, "ca" | "minVersion" | "rejectUnauthorized"> {
  const trusted = ca === null ? {} : { ca: trustedCertificates(ca) };
  return { rejectUnauthorized: true, minVersion: "TLSv1.2", ...trusted };
}
