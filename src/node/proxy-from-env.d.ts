// SPDX-License-Identifier: MIT
declare module "proxy-from-env" {
  /** Proxy URL for `url` by the *_PROXY and NO_PROXY variables, or "" for a direct connection. */
  export function getProxyForUrl(url: string): string;
}
