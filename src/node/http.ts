// SPDX-License-Identifier: MIT
/** The short HTTP requests of the Node host (UA token): one answer, bounded in size and time, no redirects. */

import { request as httpRequest } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import type { AgentEvent } from "../agent/events.ts";
import type { EffectOf } from "../host/host.ts";
import { HTTP_RESPONSE_BYTES_MAX } from "../limits.ts";
import { proxyAgent } from "./proxy.ts";
import { trustedCertificates } from "./tls.ts";
import { parseRetryAfter } from "./websocket.ts";

type HttpRequest = EffectOf<"httpRequest">;

/**
 * Performs one request and dispatches its `httpResponse`; status 0 stands for no usable answer.
 *
 * @param ca PEM certificates trusted besides the system's, or null
 * @returns aborts the request; nothing is dispatched then
 */
export function performHttpRequest(
  request: HttpRequest,
  ca: string | null,
  dispatch: (event: AgentEvent) => void,
): () => void {
  const { requestId } = request;
  let isDone = false;
  const finish = (status: number, retryAfterS: number | null, body: string | null): void => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    outgoing.destroy();
    dispatch({ type: "httpResponse", requestId, status, retryAfterS, body });
  };
  const start = request.url.startsWith("https:") ? httpsRequest : httpRequest;
  const options = requestOptions(request, ca, () => finish(0, null, null));
  const outgoing = start(request.url, options, (response) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > HTTP_RESPONSE_BYTES_MAX) finish(0, null, null);
      else chunks.push(chunk);
    });
    response.on("error", () => finish(0, null, null));
    response.on("end", () => {
      const retryAfterS = parseRetryAfter(response.headers["retry-after"]);
      finish(response.statusCode ?? 0, retryAfterS, Buffer.concat(chunks).toString("utf8"));
    });
  });
  const timer = setTimeout(() => finish(0, null, null), request.timeoutMs);
  outgoing.on("error", () => finish(0, null, null));
  outgoing.end();
  return () => {
    isDone = true;
    clearTimeout(timer);
    outgoing.destroy();
  };
}

function requestOptions(request: HttpRequest, ca: string | null, refused: () => void): RequestOptions {
  const tls = ca === null ? {} : { ca: trustedCertificates(ca) };
  return {
    method: request.method,
    headers: {
      Accept: "application/json",
      "Content-Length": 0,
      ...(request.bearer === null ? {} : { Authorization: `Bearer ${request.bearer}` }),
    },
    ...tls,
    agent: proxyAgent(request.url, tls, refused) ?? false,
  };
}
