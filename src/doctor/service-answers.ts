// SPDX-License-Identifier: MIT
/** What a doctor makes of a push service's answers to requests that carry no secret. */

import { EXIT } from "../configuration/exit.ts";
import { type Finding, fail, ok } from "./finding.ts";

/** errno of a method that a path does not have, and of a WebSocket path asked for something else (SPEC.md, "HTTP errors"). */
export const ERRNO_METHOD = 321;
export const ERRNO_UPGRADE = 313;

/** To a request that a push service refuses with `refusal`, and issues nothing. */
export function checkRefusal(status: number, errno: number | null, refusal: number): Finding {
  if (status >= 400 && errno === refusal) return ok("http", "a push service answers");
  if (errno !== null)
    return fail(
      "http",
      EXIT.unreachable,
      `the push service answers ${status}/${errno}`,
      "see its log, and the meaning of the number in SPEC.md",
    );
  return fail(
    "http",
    EXIT.unreachable,
    `something else answers (status ${status})`,
    "see whether --service is right; on a network with a log-in page, log in first",
  );
}

/** To GET /readyz. */
export function checkReadyAnswer(status: number): Finding {
  if (status === 200) return ok("ready", "the push service can store messages");
  return fail(
    "ready",
    EXIT.unreachable,
    `the push service cannot store messages (status ${status})`,
    "see its log and its free disk",
  );
}

/** `errno` of a JSON error, or null when it is none. */
export function errnoOf(text: string): number | null {
  try {
    const { errno } = JSON.parse(text);
    return typeof errno === "number" ? errno : null;
  } catch {
    return null;
  }
}
