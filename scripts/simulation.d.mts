// SPDX-License-Identifier: MIT

import type { Plugin } from "esbuild";

/** A deliberate defect: `find`, which stands exactly once in `file`, becomes `replace`. */
export interface Mutation {
  readonly name: string;
  /** From the repository's root. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Bundles test/simulation into one script, with a defect or none. */
export function bundleSimulation(outfile: string, mutation?: Mutation | null): Promise<void>;

/** Puts the defect into what esbuild bundles. */
export function mutate(mutation: Mutation): Plugin;
