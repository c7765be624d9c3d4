// SPDX-License-Identifier: MIT
/** An application server's key pair in a file (RFC 8292), as `web-push` writes it. */

import { existsSync, writeFileSync } from "node:fs";
import webPush from "web-push";
import { CommandError, EXIT } from "../configuration/exit.ts";
import { readSecretFile } from "../configuration/options.ts";
import { nodeSurroundings } from "./surroundings.ts";

/**
 * The pair in `path`, made there (mode 0600) when the file is missing.
 *
 * @throws {CommandError} 78 when others can read the file or it holds no pair
 */
export function readVapidKeys(path: string): webPush.VapidKeys {
  if (!existsSync(path)) {
    writeFileSync(path, `${JSON.stringify(webPush.generateVAPIDKeys())}\n`, { mode: 0o600 });
  }
  const text = readSecretFile(path, nodeSurroundings());
  try {
    const { publicKey, privateKey } = JSON.parse(text);
    if (typeof publicKey === "string" && typeof privateKey === "string") return { publicKey, privateKey };
  } catch {
    // The parser's message would quote the key.
  }
  throw new CommandError(EXIT.config, `${path} does not hold a key pair as JSON`);
}
