// SPDX-License-Identifier: MIT
/** How a page proves a secret without telling it: who listens at the agent's port may be somebody else. */

import { base64urlEncode } from "./codecs.ts";

/**
 * base64url of HMAC-SHA-256 by `secret` over `challenge`, a zero byte and `agentOrigin`, `http://HOST:PORT` of the socket that
 * was dialled: what one port is told is of no use at another.
 *
 * @throws {TypeError} in a page that is no secure context
 */
export async function proofOf(secret: string, challenge: string, agentOrigin: string): Promise<string> {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytes(secret), algorithm, false, ["sign"]);
  const proof = await crypto.subtle.sign("HMAC", key, bytes(`${challenge}\0${agentOrigin}`));
  return base64urlEncode(new Uint8Array(proof));
}
