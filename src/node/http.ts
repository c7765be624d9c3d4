// SPDX-License-Identifier: MIT
/** The short HTTP requests on Node (UA token, test messages): one answer, bounded in size and time, no redirects. */

import { request as httpRequest } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import type { AgentEvent, LinkCause } from "../agent/events.ts";
import type { EffectOf } from "../host/host.ts";
import { HTTP_RESPONSE_BYTES_MAX, REQUEST_TIMEOUT_MS } from "../limits.ts";
import { proxyAgent } from "./proxy.ts";
import { tlsOptions } from "./tls.ts";
import { causeOf, parseRetryAfter } from "./websocket.ts";

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
  const finish = (answer: Answer): void => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    outgoing.destroy();
    dispatch({ type: "httpResponse", requestId, ...answer });
  };
  const start = request.url.startsWith("https:") ? httpsRequest : httpRequest;
  const options = requestOptions(request, ca, () => finish(noAnswer("unreachable")));
  const outgoing = start(request.url, options, (response) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > HTTP_RESPONSE_BYTES_MAX) finish(noAnswer("overflow"));
      else chunks.push(chunk);
    });
    response.on("error", (error: NodeJS.ErrnoException) => finish(noAnswer(causeOf(error))));
    response.on("end", () => {
      const retryAfterS = parseRetryAfter(response.headers["retry-after"]);
      const body = Buffer.concat(chunks).toString("utf8");
      finish({ status: response.statusCode ?? 0, cause: null, retryAfterS, body });
    });
  });
  const timer = setTimeout(() => finish(noAnswer("unreachable")), request.timeoutMs);
  outgoing.on("error", (error: NodeJS.ErrnoException) => finish(noAnswer(causeOf(error))));
  outgoing.end();
  return () => {
    isDone = true;
    clearTimeout(timer);
    outgoing.destroy();
  };
}

export interface PostOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** PEM certificates trusted besides the system's, or null. */
  readonly ca: string | null;
  /** Ends it, without an answer. */
  readonly signal: AbortSignal;
}

/** Resolves with the status of the answer, whose body is not read, or 0 when there is none. */
export function performPost({ url, headers, body, ca, signal }: PostOptions): Promise<number> {
  return new Promise((resolve) => {
    const fail = () => resolve(0);
    const tls = tlsOptions(ca);
    const agent = proxyAgent(url, tls, fail) ?? false;
    const start = url.startsWith("https:") ? httpsRequest : httpRequest;
    const length = { "Content-Length": body.length };
    const options = { method: "POST", headers: { ...headers, ...length }, ...tls, agent, signal };
    const request = start(url, { ...options, timeout: REQUEST_TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", fail);
    request.end(body);
  });
}

type Answer = Omit<Extract<AgentEvent, { type: "httpResponse" }>, "type" | "requestId">;

function noAnswer(cause: LinkCause): Answer {
  return { status: 0, cause, retryAfterS: null, body: null };
}

function requestOptions(request: HttpRequest, ca: string | null, refused: () => void): RequestOptions {
  const tls = tlsOptions(ca);
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
