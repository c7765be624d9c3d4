// SPDX-License-Identifier: MIT
/** `pushManager` for pages, where the platform has none (W3C Push API, `window.pushManager`). */

import { type AppClient, connect } from "./client.ts";
import { PushManager } from "./push-manager.ts";

/**
 * Offers `window.pushManager` and `navigator.pushManager`, and the interface object `PushManager`, each only where there is none,
 * own or inherited. True when something was added. Without a client one is made of what the shell injected, which connects when
 * the page first asks for something; without that nothing happens.
 */
export function install(client?: AppClient): boolean {
  const { navigator } = globalThis as { navigator?: object };
  const places = [globalThis, navigator].filter(
    (place): place is object => place !== undefined && !("pushManager" in place),
  );
  if (places.length === 0 || (client === undefined && !("godwit" in globalThis))) return false;
  const { pushManager } = client ?? connect({ isLazy: true });
  for (const place of places)
    Object.defineProperty(place, "pushManager", { value: pushManager, enumerable: true, configurable: true });
  if (!("PushManager" in globalThis))
    Object.defineProperty(globalThis, "PushManager", {
      value: PushManager,
      writable: true,
      configurable: true,
    });
  return true;
}
