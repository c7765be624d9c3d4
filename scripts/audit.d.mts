// SPDX-License-Identifier: MIT

/** Of package-lock.json, what is read here. */
export interface Lock {
  lockfileVersion: number;
  packages: Record<string, Record<string, unknown>>;
}

/** Of package.json likewise. */
export interface Manifest {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

/** scripts/audit.json. */
export interface Allowed {
  licences: readonly string[];
  installScripts: Readonly<Record<string, string>>;
  runtime: readonly string[];
  development: readonly string[];
}

/** What is wrong with a lock file, in sentences. */
export function lockFindings(manifest: Manifest, lock: Lock, allowed: Allowed): string[];

/** What is wrong with the packages installed in `directory`, in sentences. */
export function installedFindings(directory: string, lock: Lock, allowed: Allowed): string[];
