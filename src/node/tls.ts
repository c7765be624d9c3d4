// SPDX-License-Identifier: MIT
/** Which certificates the Node host trusts. */

import { rootCertificates } from "node:tls";

/** The system's roots and, besides them, the PEM certificates given. Passing `ca` alone would replace the roots. */
export function trustedCertificates(ca: string): string[] {
  return [...rootCertificates, ca];
}
