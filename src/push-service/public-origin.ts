// SPDX-License-Identifier: MIT
/** The origin endpoints start with, spelled as application servers spell it in `aud` (RFC 8292 §2). */

import { GodwitError } from "../errors.ts";

/**
 * Origin of `url`: scheme, host in lower case, and the port unless it is the default one.
 *
 * @throws {GodwitError} ERR_CONFIG no http or https URL
 */
export function publicOriginOf(url: string): string {
  if (!/^https?:/i.test(url) || !URL.canParse(url)) {
    throw new GodwitError("ERR_CONFIG", `the public origin ${url} is no http or https URL`);
  }
  return new URL(url).origin;
}
