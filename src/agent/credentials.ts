// SPDX-License-Identifier: MIT
/**
 * The UA token: fetched from the push service, renewed when refused, kept only after it is durable.
 * Pure. The token is a secret: it never goes into a report.
 */

import { hexDecode } from "../bytes.ts";
import { RETRY_AFTER_S_MAX, TOKEN_TIMEOUT_MS, UA_TOKEN_CHARS_MAX } from "../limits.ts";
import type { AgentEvent, Emit, Report } from "./events.ts";

export interface UaIdentity {
  readonly uaToken: string;
  /** 16 bytes. */
  readonly uaid: Uint8Array;
}

export type TokenOutcome =
  | { readonly type: "token"; readonly identity: UaIdentity }
  | { readonly type: "failed"; readonly retryAfterS: number | null };

type HttpResponse = Extract<AgentEvent, { type: "httpResponse" }>;

/** A refusal that asking again soon will not change. */
const REFUSED_RETRY_S = 600;

export class Credentials {
  readonly #serviceUrl: string;
  readonly #emit: Emit;
  #lastRequestId = 0;
  #pendingRequestId: number | null = null;

  constructor(serviceUrl: string, emit: Emit) {
    this.#serviceUrl = serviceUrl;
    this.#emit = emit;
  }

  /** @param oldToken presented so that the service can give a fresh token for the same uaid; null for a new device */
  fetch(oldToken: string | null): void {
    this.#pendingRequestId = ++this.#lastRequestId;
    this.#emit({
      type: "httpRequest",
      requestId: this.#pendingRequestId,
      method: "POST",
      url: `${this.#serviceUrl}/v1/token`,
      bearer: oldToken,
      timeoutMs: TOKEN_TIMEOUT_MS,
    });
  }

  /** The answer to {@link fetch}; null when it belongs to an abandoned request. */
  handleResponse(response: HttpResponse): TokenOutcome | null {
    if (response.requestId !== this.#pendingRequestId) return null;
    this.#pendingRequestId = null;
    const identity = response.status === 200 || response.status === 201 ? parseIdentity(response.body) : null;
    if (identity !== null) return { type: "token", identity };
    if (response.status === 0 || response.status >= 500)
      return { type: "failed", retryAfterS: response.retryAfterS };
    const retryAfterS = Math.min(response.retryAfterS ?? REFUSED_RETRY_S, RETRY_AFTER_S_MAX);
    return { type: "failed", retryAfterS };
  }

  /** The link no longer waits for a token. */
  abandon(): void {
    this.#pendingRequestId = null;
  }
}

/** What people are told about a token that was not given. */
export function tokenFault({ status, cause }: HttpResponse): Report {
  if (status !== 0)
    return { type: "fault", code: "ERR_TOKEN_REFUSED", text: `no UA token: the push service says ${status}` };
  const why =
    cause === "tls"
      ? "its certificate is not trusted (a development service needs its CA)"
      : `it does not answer (${cause})`;
  return {
    type: "fault",
    code: "ERR_SERVICE_UNREACHABLE",
    text: `no UA token from the push service: ${why}`,
  };
}

/** `{"uaToken": text, "uaid": 32 hex digits}`, or null. A captive portal's page ends here. */
function parseIdentity(body: string | null): UaIdentity | null {
  let value: unknown;
  try {
    value = JSON.parse(body ?? "");
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { uaToken, uaid } = value as { uaToken?: unknown; uaid?: unknown };
  // Visible ASCII only: the token goes into a header line.
  if (typeof uaToken !== "string" || uaToken.length > UA_TOKEN_CHARS_MAX || !/^[!-~]+$/.test(uaToken))
    return null;
  const uaidBytes = typeof uaid === "string" ? hexDecode(uaid) : null;
  return uaidBytes?.length === 16 ? { uaToken, uaid: uaidBytes } : null;
}
