// SPDX-License-Identifier: MIT
/** Which path and method does what. Every other one is a JSON error. */

import type { IncomingMessage } from "node:http";
import { ENDPOINT_PATH, MESSAGE_PATH, PREFLIGHT_HEADERS, type Publishing } from "./endpoint.ts";
import type { Applicant, Enrolment } from "./enrolment.ts";
import { emptyReply, HttpError, jsonReply, type Reply } from "./http-errors.ts";
import { readBody } from "./request.ts";
import { CANARY_PATH, WEBSOCKET_PATH } from "./websocket.ts";

export const TOKEN_PATH = "/v1/token";

export interface RoutesOptions {
  readonly publishing: Publishing;
  readonly enrolment: Enrolment;
  /** Rejects when the service cannot take messages now. */
  readonly checkReady: () => Promise<void>;
  /** Who sent it, as far as that can be told. */
  readonly applicantOf: (request: IncomingMessage) => Applicant;
}

/** Answers one request; refusals are thrown as HttpError. */
export async function route(options: RoutesOptions, request: IncomingMessage): Promise<Reply> {
  const path = request.url?.split("?", 1)[0] ?? "";
  if (path.startsWith(ENDPOINT_PATH)) return pushResource(options, request, path.slice(ENDPOINT_PATH.length));
  if (path.startsWith(MESSAGE_PATH))
    return messageResource(options, request, path.slice(MESSAGE_PATH.length));
  switch (path) {
    case TOKEN_PATH:
      requireMethod(request, ["GET", "POST"]);
      return options.enrolment.issue(options.applicantOf(request));
    case "/healthz":
      requireMethod(request, ["GET", "HEAD"]);
      return jsonReply(200, { status: "ok" });
    case "/readyz":
      requireMethod(request, ["GET", "HEAD"]);
      await options.checkReady();
      return jsonReply(200, { status: "ready" });
    case WEBSOCKET_PATH:
    case CANARY_PATH:
      throw new HttpError("subprotocol");
    default:
      throw new HttpError("notFound");
  }
}

/** Path of a request for the log: the route only, never the capability behind it. */
export function routeName(request: IncomingMessage): string {
  const path = request.url?.split("?", 1)[0] ?? "";
  for (const prefix of [ENDPOINT_PATH, MESSAGE_PATH]) if (path.startsWith(prefix)) return prefix;
  return [TOKEN_PATH, "/healthz", "/readyz", WEBSOCKET_PATH, CANARY_PATH].includes(path) ? path : "other";
}

/** True when a page of any origin may see the answer. */
export function isCrossOriginRoute({ url = "" }: IncomingMessage): boolean {
  return url.startsWith(ENDPOINT_PATH) || url.startsWith(MESSAGE_PATH);
}

async function pushResource(options: RoutesOptions, request: IncomingMessage, token: string): Promise<Reply> {
  requireMethod(request, ["POST", "DELETE", "OPTIONS"]);
  if (request.method === "OPTIONS") return emptyReply(204, PREFLIGHT_HEADERS);
  const addressOf = () => options.applicantOf(request).address;
  if (request.method === "DELETE")
    return options.publishing.revoke(token, request.headers.authorization, addressOf);
  return options.publishing.post(token, {
    addressOf,
    headers: request.headers,
    readBody: (bytesMax) => readBody(request, bytesMax),
  });
}

async function messageResource(
  options: RoutesOptions,
  request: IncomingMessage,
  token: string,
): Promise<Reply> {
  requireMethod(request, ["DELETE", "OPTIONS"]);
  if (request.method === "OPTIONS") return emptyReply(204, PREFLIGHT_HEADERS);
  return options.publishing.withdraw(token, () => options.applicantOf(request).address);
}

function requireMethod(request: IncomingMessage, methods: readonly string[]): void {
  if (!methods.includes(request.method ?? "")) throw new HttpError("method", { Allow: methods.join(", ") });
}
