// SPDX-License-Identifier: MIT
/** Which names and origins may reach a loopback port: what keeps other web pages, and DNS rebinding, away. */

import { baseUrlOf, isOwner } from "../agent/owner.ts";
import { GodwitError } from "../errors.ts";

export const LOOPBACK_NAMES = ["127.0.0.1", "localhost", "[::1]"] as const;

/** True for the `Host` of a request that was meant for `port` of loopback. */
export function isLoopbackHost(host: string | null, port: number): boolean {
  return LOOPBACK_NAMES.some((name) => host === `${name}:${port}` || (port === 80 && host === name));
}

/** A serialised https origin, or an http one of loopback. */
export function isOrigin(origin: string): boolean {
  return isOwner(origin) && baseUrlOf(origin) !== null;
}

/** Origins a configuration lists. @throws {GodwitError} ERR_CONFIG */
export function checkOrigins(origins: readonly string[], what: string): ReadonlySet<string> {
  const wrong = origins.find((origin) => !isOrigin(origin));
  if (wrong !== undefined)
    throw new GodwitError(
      "ERR_CONFIG",
      `${what}: "${wrong}" is no https origin, and none of http://localhost or http://127.0.0.1 with a port`,
    );
  return new Set(origins);
}
