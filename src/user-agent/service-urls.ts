// SPDX-License-Identifier: MIT
/** URLs of a push service, as a configuration names them: read and checked without an engine's `URL`. */

import { resolveUrl } from "../declarative/url.ts";
import { GodwitError } from "../errors.ts";
import type { DeviceDialect } from "../wire/dialect.ts";

/** IANA's ports of MQTT, by scheme. */
const MQTT_PORTS = { mqtt: "1883", mqtts: "8883" } as const;

interface UrlParts {
  /** Lower case, without colon. */
  readonly scheme: string;
  readonly hasUser: boolean;
  readonly hostname: string;
  /** "" for the scheme's own. */
  readonly port: string;
  /** There is more than a host: a path, a query or a fragment. */
  readonly hasMore: boolean;
}

/** What a service's address says it speaks: those of dialect autopush are known by their WebSocket's. */
const SCHEMES = {
  https: { scheme: "https", dialect: "godwit.v1" },
  http: { scheme: "http", dialect: "godwit.v1" },
  wss: { scheme: "https", dialect: "autopush" },
  ws: { scheme: "http", dialect: "autopush" },
} as const;

/**
 * The origin of a push service, with scheme https or http, whatever it speaks.
 *
 * @throws {GodwitError} ERR_CONFIG when it cannot be one
 */
export function readServiceUrl(serviceUrl: string): string {
  const url = partsOf(serviceUrl);
  const kind = kindOf(url);
  if (url === null || kind === null)
    throw new GodwitError("ERR_CONFIG", "serviceUrl must be an https URL, or a wss URL for dialect autopush");
  // The token is a bearer secret; in clear it may go to this machine and nowhere else.
  if (kind.scheme === "http" && !isLoopback(url.hostname))
    throw new GodwitError("ERR_CONFIG", "http is for loopback only: use an https serviceUrl");
  if (url.hasMore || url.hasUser)
    throw new GodwitError("ERR_CONFIG", "serviceUrl must have no path, query or user");
  return `${kind.scheme}://${url.hostname}${url.port === "" ? "" : `:${url.port}`}`;
}

/** What to speak with a push service: what was said, else what the scheme of its URL says. Nobody in between has a word in it. */
export function dialectOf(service: {
  readonly serviceUrl: string;
  readonly dialect?: DeviceDialect;
}): DeviceDialect {
  return service.dialect ?? kindOf(partsOf(service.serviceUrl))?.dialect ?? "godwit.v1";
}

function kindOf(url: UrlParts | null) {
  return url !== null && Object.hasOwn(SCHEMES, url.scheme)
    ? SCHEMES[url.scheme as keyof typeof SCHEMES]
    : null;
}

/** Scheme, host and port. @throws {GodwitError} ERR_CONFIG */
export function readMqttUrl(mqttUrl: string): string {
  const url = partsOf(mqttUrl);
  if (url === null || (url.scheme !== "mqtts" && url.scheme !== "mqtt") || url.hostname === "")
    throw new GodwitError("ERR_CONFIG", "an MQTT URL is like mqtts://push.example:8883");
  if (url.scheme === "mqtt" && !isLoopback(url.hostname))
    throw new GodwitError("ERR_CONFIG", "mqtt is for loopback only: use an mqtts URL");
  if (url.hasMore || url.hasUser)
    throw new GodwitError("ERR_CONFIG", "an MQTT URL has no path, query or user");
  return `${url.scheme}://${url.hostname}:${url.port || MQTT_PORTS[url.scheme]}`;
}

/** For a service on its scheme's own port: MQTT's port, then the one that is open everywhere. @param serviceUrl its origin */
export function defaultMqttUrls(serviceUrl: string): string[] {
  const [, host = null] = /^https:\/\/(\[[^\]]*\]|[^:]*)$/.exec(serviceUrl) ?? [];
  return host === null ? [] : [`mqtts://${host}:8883`, `mqtts://${host}:443`];
}

/** The host of an origin is this machine itself. */
export function isLoopback(hostname: string): boolean {
  return ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
}

/** True for the origin of a service on this machine, which needs no network. */
export function isLoopbackOrigin(origin: string): boolean {
  const url = partsOf(origin);
  return url !== null && isLoopback(url.hostname);
}

function partsOf(text: string): UrlParts | null {
  const href = resolveUrl(text, null);
  // With `s`: whatever follows the host, it is read to its end.
  const match =
    href === null
      ? null
      : /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d+))?([/?#].*)?$/s.exec(href);
  if (match === null) return null;
  const [, scheme = "", user, hostname = "", port = "", more = ""] = match;
  return { scheme, hasUser: user !== undefined, hostname, port, hasMore: !/^\/?\??#?$/.test(more) };
}
