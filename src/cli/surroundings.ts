// SPDX-License-Identifier: MIT
/** What options are read from on Node. */

import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, resolve } from "node:path";
import type { Surroundings } from "../configuration/options.ts";

/** @param environment default: the process's */
export function nodeSurroundings(environment: NodeJS.ProcessEnv = process.env): Surroundings {
  return {
    environment,
    home: homedir(),
    readFile: (path) => ({ text: readFileSync(path, "utf8"), mode: modeOf(path, environment) }),
    exists: existsSync,
    isCertificate,
  };
}

/** Permission bits, which Windows has none of. */
function modeOf(path: string, { CREDENTIALS_DIRECTORY: credentials }: NodeJS.ProcessEnv): number {
  if (process.platform === "win32") return 0o600;
  const mode = statSync(path).mode & 0o7777;
  // What systemd hands over is root's, and our user is in its access list: the bits of the group are the mask of that.
  const isHandedOver = credentials !== undefined && dirname(resolve(path)) === resolve(credentials);
  return isHandedOver ? mode & ~0o070 : mode;
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
