// SPDX-License-Identifier: MIT
/** Whether a TLS peer proved to hold a certificate of the fleet. */

import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/**
 * True for a connection whose client certificate chains to the server's `ca`. `authorized` alone does not say so: it is true as
 * well for a resumed TLS 1.3 session of a client that never showed a certificate.
 */
export function hasClientCertificate(socket: Socket): boolean {
  return socket instanceof TLSSocket && socket.authorized && socket.getPeerCertificate().raw !== undefined;
}
