// SPDX-License-Identifier: MIT
/**
 * URLs of a message: resolved by the engine's `URL` where there is one, else by the resolver in url-portable.ts, which
 * gives the same result or none. Also reads scheme, host and origin off a resolved URL.
 */

import { resolvePortable } from "./url-portable.ts";

/** What is used of the WHATWG `URL` class. */
export type UrlConstructor = new (text: string, base?: string) => { readonly href: string };

export interface ResolveOptions {
  /** The `URL` class to use; null means the portable resolver. Default: the engine's, if it has one. */
  readonly platform?: UrlConstructor | null;
}

const ENGINE: ResolveOptions = {
  platform: (globalThis as unknown as { URL?: UrlConstructor }).URL ?? null,
};

/**
 * Absolute URL of `text`, serialised, or null when it does not parse, or when only a full implementation could tell
 * (then there is no engine `URL`). Never throws.
 *
 * @param text any string; lone surrogates count as U+FFFD
 * @param base an absolute URL, or null: relative text then does not parse
 */
export function resolveUrl(
  text: string,
  base: string | null,
  options: ResolveOptions = ENGINE,
): string | null {
  const { platform = ENGINE.platform } = options;
  if (platform === null || platform === undefined) return resolvePortable(text, base).href;
  try {
    // Text that brings its own host has no use for the base, which the engine would parse all the same.
    const isAbsolute = base === null || text.startsWith("https://") || text.startsWith("http://");
    return (isAbsolute ? new platform(text) : new platform(text, base)).href;
  } catch {
    return null;
  }
}

/** Scheme of the absolute URL `url`, in lower case and without colon. */
export function schemeOf(url: string): string {
  return url.slice(0, Math.max(0, url.indexOf(":"))).toLowerCase();
}

/**
 * Origin of the resolved URL `url`, such as `https://app.example:8443`, or null when it is opaque (every scheme but
 * http, https, ws, wss and ftp).
 */
export function originOf(url: string): string | null {
  const match = /^(https?|wss?|ftp):\/\/(?:[^/?#@]*@)?([^/?#@]+)/.exec(url);
  return match === null ? null : `${match[1]}://${match[2]}`;
}

/** Host and port of the resolved URL `url` as shown to a person, without user info; null when it has no host. */
export function hostOf(url: string): string | null {
  return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#@]+)/.exec(url)?.[1] ?? null;
}
