// SPDX-License-Identifier: MIT
/**
 * The administrator's listener, apart from the public port: metrics and health for whoever reaches it, commands for whoever has the
 * token. Commands name devices and endpoints in bodies, never in paths, which proxies log.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, isIP } from "node:net";
import { hexDecode } from "../bytes.ts";
import * as limits from "../limits.ts";
import type { Administration } from "./administration.ts";
import { isSameSecret } from "./enrolment.ts";
import { errorReply, HttpError, jsonReply, type Reply } from "./http-errors.ts";
import type { Metrics } from "./metrics.ts";
import { readBody, writeReply } from "./request.ts";
import { UAID_BYTES } from "./tokens.ts";
import { parseBearer } from "./upgrade.ts";

/** Where the listener needs no more than its token: nobody else's network leads there. */
export const LOOPBACK_HOSTS: readonly string[] = ["localhost", "127.0.0.1", "::1"];

export interface AdminOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0, any free one. */
  readonly port?: number;
  /** Bearer of the commands; null: metrics and health only. */
  readonly token: string | null;
  /** The administrator wants the process to end as it does at SIGTERM. Default: nothing happens. */
  readonly onDrain?: () => void;
}

export interface AdminListenerOptions extends AdminOptions {
  readonly metrics: Metrics;
  readonly administration: Administration;
  /** Rejects when the service cannot take messages, or is about to leave. */
  readonly checkReady: () => Promise<void>;
}

export class AdminListener {
  readonly #options: AdminListenerOptions;
  readonly #server: Server;

  constructor(options: AdminListenerOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        maxHeaderSize: limits.HTTP_HEADER_BYTES_MAX,
        headersTimeout: limits.HTTP_HEADERS_TIMEOUT_MS,
        requestTimeout: limits.HTTP_REQUEST_TIMEOUT_MS,
        keepAliveTimeout: limits.HTTP_KEEP_ALIVE_MS,
      },
      (request, response) => void this.#answer(request, response),
    );
    // As on the public port: all headers count, and their bytes are bounded.
    this.#server.maxHeadersCount = 0;
    this.#server.maxConnections = limits.ADMIN_CONNECTIONS_MAX;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** @throws {NodeJS.ErrnoException} as `net.Server.listen` */
  async listen(): Promise<void> {
    const { host = "127.0.0.1", port = 0 } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let reply: Reply;
    try {
      reply = await this.#route(request);
    } catch (error) {
      reply = errorReply(error);
    }
    await writeReply(request, response, {
      ...reply,
      headers: { ...reply.headers, "Cache-Control": "no-store" },
    });
  }

  async #route(request: IncomingMessage): Promise<Reply> {
    const path = request.url?.split("?", 1)[0] ?? "";
    const { metrics, checkReady, host = "127.0.0.1" } = this.#options;
    if (LOOPBACK_HOSTS.includes(host) && !isFixedName(nameOf(request))) throw new HttpError("adminHost");
    switch (path) {
      case "/metrics": {
        requireMethod(request, "GET");
        const { contentType, body } = await metrics.read();
        return { status: 200, headers: { "Content-Type": contentType }, body };
      }
      case "/healthz":
        requireMethod(request, "GET");
        return jsonReply(200, { status: "ok" });
      case "/readyz":
        requireMethod(request, "GET");
        await checkReady();
        return jsonReply(200, { status: "ready" });
      default:
        return this.#command(path, request);
    }
  }

  async #command(path: string, request: IncomingMessage): Promise<Reply> {
    const { administration, token, onDrain } = this.#options;
    // What there is, too, is for the administrator alone.
    const presented = parseBearer(request.headers);
    if (token === null || presented === null || !isSameSecret(token, presented))
      throw new HttpError("adminToken");
    switch (path) {
      case "/v1/devices":
        requireMethod(request, "GET");
        return jsonReply(200, await administration.count());
      case "/v1/device":
        return jsonReply(200, await administration.describe(await this.#device(request)));
      case "/v1/revoke": {
        const { uaid, channel } = await this.#channel(request);
        await administration.revoke(uaid, channel);
        return jsonReply(200, {});
      }
      case "/v1/forget":
        await administration.forget(await this.#device(request));
        return jsonReply(200, {});
      case "/v1/drain":
        requireMethod(request, "POST");
        onDrain?.();
        return jsonReply(202, {});
      default:
        throw new HttpError("notFound");
    }
  }

  /** Of `{"uaid"}` or `{"endpoint"}`. */
  async #device(request: IncomingMessage): Promise<Uint8Array> {
    const body = await readObject(request);
    if ("endpoint" in body) return this.#ofEndpoint(body, ["endpoint"]).uaid;
    return uaidOf(body, ["uaid"]);
  }

  /** Of `{"uaid", "channel"}` or `{"endpoint"}`. */
  async #channel(request: IncomingMessage): Promise<{ uaid: Uint8Array; channel: number }> {
    const body = await readObject(request);
    if ("endpoint" in body) return this.#ofEndpoint(body, ["endpoint"]);
    const { channel } = body;
    if (typeof channel !== "number" || !Number.isSafeInteger(channel) || channel < 1)
      throw new HttpError("request", {}, "channel is a number from 1");
    return { uaid: uaidOf(body, ["uaid", "channel"]), channel };
  }

  #ofEndpoint(body: Readonly<Record<string, unknown>>, names: readonly string[]) {
    requireMembers(body, names);
    if (typeof body.endpoint !== "string") throw new HttpError("request", {}, "endpoint is a URL");
    return this.#options.administration.channelOf(body.endpoint);
  }
}

/** The name of the request's `Host`, without port and brackets. */
function nameOf({ headers }: IncomingMessage): string {
  const { host = "" } = headers;
  return host.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1");
}

/** False for a name that a stranger's page could have led here (DNS rebinding); an address leads nowhere else. */
function isFixedName(name: string): boolean {
  return name.toLowerCase() === "localhost" || isIP(name) !== 0;
}

function uaidOf(body: Readonly<Record<string, unknown>>, names: readonly string[]): Uint8Array {
  requireMembers(body, names);
  const uaid = typeof body.uaid === "string" ? hexDecode(body.uaid) : null;
  if (uaid?.length !== UAID_BYTES) throw new HttpError("request", {}, `uaid is ${UAID_BYTES * 2} hex digits`);
  return uaid;
}

/** A member that does nothing would leave somebody believing that it did. */
function requireMembers(body: Readonly<Record<string, unknown>>, names: readonly string[]): void {
  const unknown = Object.keys(body).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new HttpError("request", {}, "unknown member in the body");
}

async function readObject(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  requireMethod(request, "POST");
  const bytes = await readBody(request, limits.ADMIN_BODY_BYTES_MAX);
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // The parser's message would quote what it read.
  }
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new HttpError("request", {}, "the body is not a JSON object");
  return body as Readonly<Record<string, unknown>>;
}

function requireMethod(request: IncomingMessage, method: "GET" | "POST"): void {
  if (request.method !== method) throw new HttpError("method", { Allow: method });
}
