// SPDX-License-Identifier: MIT
/** What options are read from on Node. */

import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import type { Surroundings } from "../configuration/options.ts";

/** @param environment default: the process's */
export function nodeSurroundings(environment: NodeJS.ProcessEnv = process.env): Surroundings {
  return {
    environment,
    home: homedir(),
    // Windows has no permission bits.
    readFile: (path) => ({
      text: readFileSync(path, "utf8"),
      mode: process.platform === "win32" ? 0o600 : statSync(path).mode & 0o7777,
    }),
    exists: existsSync,
    isCertificate,
  };
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
