// SPDX-License-Identifier: MIT
/** The HTTP proxy that the environment names (HTTPS_PROXY, NO_PROXY and their kin), for one connection. */

import type { ConnectionOptions } from "node:tls";
import { HttpsProxyAgent } from "https-proxy-agent";
import { getProxyForUrl } from "proxy-from-env";
import { GodwitError } from "../errors.ts";

/** False when the environment names a proxy for `url` that is no URL. */
export function isProxyUsable(url: string): boolean {
  const proxyUrl = getProxyForUrl(url);
  return proxyUrl === "" || URL.canParse(proxyUrl);
}

/**
 * Such a proxy is not quoted, since it may hold a password.
 *
 * @throws {GodwitError} ERR_CONFIG unless {@link isProxyUsable}
 */
export function checkProxy(url: string): void {
  if (!isProxyUsable(url)) throw new GodwitError("ERR_CONFIG", "the proxy in the environment is not a URL");
}

/**
 * An agent that makes a tunnel to `url` (http or https), or null when the way is direct.
 *
 * @param refused called when the proxy makes no tunnel. Its answer to CONNECT comes up as the answer to the request inside
 *   it, in clear and by nobody the certificate stands for: the caller has to give the request up here and then
 */
export function proxyAgent(
  url: string,
  tls: ConnectionOptions,
  refused: () => void,
): HttpsProxyAgent<string> | null {
  const proxyUrl = getProxyForUrl(url);
  if (proxyUrl === "") return null;
  const agent = new HttpsProxyAgent(proxyUrl, tls);
  agent.on("proxyConnect", ({ statusCode }: { readonly statusCode: number }) => {
    if (statusCode !== 200) refused();
  });
  return agent;
}
