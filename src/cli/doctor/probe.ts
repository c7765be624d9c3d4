// SPDX-License-Identifier: MIT
/**
 * One request that carries no secret, for `godwit doctor`: it is made also where the certificate is wrong, so that what is
 * wrong with it, and the service's clock, can be told.
 */

import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import { TLSSocket } from "node:tls";
import { errnoOf } from "../../doctor/service-answers.ts";
import { DOCTOR_RESPONSE_BYTES_MAX, DOCTOR_STEP_MS_MAX } from "../../limits.ts";
import { proxyAgent } from "../../node/proxy.ts";
import { trustedCertificates } from "../../node/tls.ts";

export interface Certificate {
  /** OpenSSL's or Node's name of what is wrong with it; null: it is trusted, and for this host. */
  readonly problem: string | null;
  readonly issuer: string;
  readonly validFromMs: number;
  readonly validToMs: number;
  /** TLSv1.3 */
  readonly protocol: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** `errno` of the JSON error, or null when it is none. */
  readonly errno: number | null;
  /** Null over plain http. */
  readonly certificate: Certificate | null;
  /** Wall clock halfway between request and answer, ms since 1970. */
  readonly halfwayEpochMs: number;
}

/**
 * The answer to one request.
 *
 * @param ca PEM certificates trusted besides the system's, or null
 * @throws {Error} with a system code when there is none
 */
export function probe(method: string, url: string, ca: string | null): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sentEpochMs = Date.now();
    const tls = ca === null ? {} : { ca: trustedCertificates(ca) };
    const proxyRefused = () => outgoing.destroy(new Error("the proxy makes no tunnel"));
    const isHttps = url.startsWith("https:");
    const start = isHttps ? httpsRequest : httpRequest;
    const outgoing = start(
      url,
      {
        method,
        headers: { Accept: "application/json", "Content-Length": 0 },
        ...tls,
        rejectUnauthorized: false,
        agent: proxyAgent(url, tls, proxyRefused) ?? false,
        signal: AbortSignal.timeout(DOCTOR_STEP_MS_MAX),
      },
      (response) => {
        const halfwayEpochMs = (sentEpochMs + Date.now()) / 2;
        const { socket } = response;
        const certificate = socket instanceof TLSSocket ? describeCertificate(socket) : null;
        const chunks: Buffer[] = [];
        let bytes = 0;
        const finish = (): void => {
          const text = Buffer.concat(chunks).toString("utf8");
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, errno: errnoOf(text), certificate, halfwayEpochMs });
          outgoing.destroy();
        };
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > DOCTOR_RESPONSE_BYTES_MAX) finish();
          else chunks.push(chunk);
        });
        response.on("end", finish);
        response.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end();
  });
}

/** What the system calls a failure, as the end of a sentence. */
export function whyUnreachable(error: unknown): string {
  const { code, name, message } = error as NodeJS.ErrnoException;
  if (name === "AbortError" || name === "TimeoutError" || code === "ABORT_ERR")
    return `no answer within ${DOCTOR_STEP_MS_MAX / 1000} s`;
  return code ?? message;
}

function describeCertificate(socket: TLSSocket): Certificate {
  const { issuer, valid_from, valid_to } = socket.getPeerCertificate();
  const problem = socket.authorizationError as Error | string | null | undefined;
  return {
    problem: socket.authorized ? null : String((problem as NodeJS.ErrnoException)?.code ?? problem),
    issuer: String(issuer?.CN ?? issuer?.O ?? "nobody"),
    validFromMs: Date.parse(valid_from),
    validToMs: Date.parse(valid_to),
    protocol: socket.getProtocol() ?? "TLS",
  };
}
