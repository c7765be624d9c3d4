// SPDX-License-Identifier: MIT
/**
 * A way in to the app socket, whoever listens there: refuses what no `hello` could make good (path, `Host`, `Origin`,
 * subprotocol), says what a plain request is answered with, and ends what proves nothing. Parses no HTTP.
 */

import { APP_PATH, APP_SUBPROTOCOL } from "../apps/protocol.ts";
import { utf8Encode } from "../bytes.ts";
import { APP_CONNECTIONS_PENDING_MAX, APP_HELLO_TIMEOUT_MS } from "../limits.ts";
import { isLoopbackHost, isOrigin } from "./loopback.ts";
import type { Platform } from "./platform.ts";

/** What lies at a path of the loopback port ("/", "/app.js"), or null. */
export type ServeFile = (path: string) => ServedFile | null;

export interface ServedFile {
  /** Its Content-Type. */
  readonly type: string;
  readonly body: Uint8Array | string;
  /** Besides the usual ones, or instead. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Header fields of a request that asks to become a WebSocket; null for one that is not there. */
export interface UpgradeRequest {
  /** As it came, query and all. */
  readonly path: string;
  readonly host: string | null;
  readonly origin: string | null;
  /** Sec-WebSocket-Protocol. */
  readonly subprotocols: string | null;
}

/** A request that asks for a file. */
export interface FileRequest {
  readonly method: string;
  /** As it came, query and all. */
  readonly path: string;
  readonly host: string | null;
}

/** Nothing of a request's body is read, so the connection ends with it. */
export interface HttpAnswer {
  readonly status: number;
  /** All but Connection and Content-Length. */
  readonly headers: Readonly<Record<string, string>>;
  /** To a HEAD it is not sent, but its length is. */
  readonly body: Uint8Array;
}

/** Where a connection came in. */
export interface Place {
  /** The request's `Origin`, or null. */
  readonly origin: string | null;
  /** The origin under which this connection reached the loopback port; null on the Unix socket. */
  readonly ownOrigin: string | null;
}

export interface AppDoorOptions {
  readonly platform: Pick<Platform, "after">;
  /** http origins of loopback whose pages may come. */
  readonly origins: ReadonlySet<string>;
  /** What the loopback port serves; null for nothing. */
  readonly files: ServeFile | null;
}

export class AppDoor {
  readonly #options: AppDoorOptions;
  /** Connections that have proved nothing, the oldest first. */
  readonly #pending = new Set<Pending>();
  #port: number | null = null;

  constructor(options: AppDoorOptions) {
    this.#options = options;
  }

  /** The loopback port this is the door of; null: a Unix socket. */
  get port(): number | null {
    return this.#port;
  }

  /** Said as soon as it is known, before anybody comes. */
  handleListening(port: number): void {
    this.#port = port;
  }

  /** Status a request to become a WebSocket is refused with; null: it may. */
  refusal({ path, host, origin, subprotocols }: UpgradeRequest): number | null {
    if (path !== APP_PATH) return 404;
    if (this.#port !== null && !isLoopbackHost(host, this.#port)) return 403;
    if (!this.#isOriginAllowed(origin, host)) return 403;
    const offered = (subprotocols ?? "").split(",").map((name) => name.trim());
    return offered.includes(APP_SUBPROTOCOL) ? null : 400;
  }

  /** Of a request that was not refused. */
  placeOf({ host, origin }: UpgradeRequest): Place {
    return { origin, ownOrigin: this.#port === null ? null : `http://${host}` };
  }

  /** What a request for a file is answered with. */
  answer({ method, path, host }: FileRequest): HttpAnswer {
    const { files } = this.#options;
    if (this.#port === null) return bare(426);
    if (!isLoopbackHost(host, this.#port)) return bare(403);
    if (files === null) return bare(426);
    if (method !== "GET" && method !== "HEAD") return bare(405, { Allow: "GET, HEAD" });
    let file: ServedFile | null;
    try {
      file = files(path.replace(/\?.*$/s, ""));
    } catch {
      return bare(500);
    }
    if (file === null) return bare(404);
    return {
      status: 200,
      headers: { ...securityHeaders(`ws://${host}`), "Content-Type": file.type, ...file.headers },
      body: typeof file.body === "string" ? utf8Encode(file.body) : file.body,
    };
  }

  /**
   * A connection came: `end` cuts it off when it proves nothing in time, or keeps others from coming. The function returned says
   * that it has proved who it is, or is gone.
   */
  await(end: () => void): () => void {
    const cancel = this.#options.platform.after(APP_HELLO_TIMEOUT_MS, end);
    const pending: Pending = { end, cancel };
    this.#pending.add(pending);
    for (const oldest of this.#pending) {
      if (this.#pending.size <= APP_CONNECTIONS_PENDING_MAX) break;
      this.#settle(oldest);
      oldest.end();
    }
    return () => this.#settle(pending);
  }

  /** Ends all that proved nothing. */
  close(): void {
    for (const pending of [...this.#pending]) {
      this.#settle(pending);
      pending.end();
    }
  }

  #settle(pending: Pending): void {
    pending.cancel();
    this.#pending.delete(pending);
  }

  /** Without one it is no browser. "null", which any sandboxed or local page can have, is nobody's. */
  #isOriginAllowed(origin: string | null, host: string | null): boolean {
    if (origin === null) return true;
    if (origin.startsWith("https:")) return isOrigin(origin);
    return this.#options.origins.has(origin) || (this.#port !== null && origin === `http://${host}`);
  }
}

interface Pending {
  readonly end: () => void;
  readonly cancel: () => void;
}

function bare(status: number, headers: Readonly<Record<string, string>> = {}): HttpAnswer {
  return { status, headers, body: new Uint8Array(0) };
}

/** The page may load its own files and talk to its own socket; nobody may frame it, and it runs nothing inline. */
function securityHeaders(socketOrigin: string): Record<string, string> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    `connect-src 'self' ${socketOrigin}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    // Nothing is ever made markup or script of a string.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ];
  return {
    "Content-Security-Policy": policy.join("; "),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
  };
}
