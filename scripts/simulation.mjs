// SPDX-License-Identifier: MIT
/**
 * Bundles the simulation (test/simulation) into one script for a process of its own. Time, timers, randomness and WebSockets of
 * the sources become those of the simulated world here, so that the sources stay as they are; so do the defects of a mutation.
 */

import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const at = (/** @type {string} */ path) =>
  fileURLToPath(new URL(`../test/simulation/${path}`, import.meta.url));

/**
 * @param {string} outfile
 * @param {import("./simulation.mjs").Mutation | null} mutation
 */
export async function bundleSimulation(outfile, mutation = null) {
  await build({
    entryPoints: [at("main.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    inject: [at("surroundings.ts")],
    define: { "Math.random": "simulatedRandom" },
    plugins: [simulatedModules, ...(mutation === null ? [] : [mutate(mutation)])],
    // They find their packages from the repository, wherever the script lies.
    nodePaths: [`${root}node_modules`],
    logLevel: "error",
  });
}

/** `ws` is the simulated network's; of node:crypto, what is random comes from the seed. */
const simulatedModules = {
  name: "simulated-modules",
  setup(/** @type {import("esbuild").PluginBuild} */ { onResolve }) {
    onResolve({ filter: /^ws$/ }, () => ({ path: at("web-socket.ts") }));
    onResolve({ filter: /^node:crypto$/ }, ({ importer }) =>
      importer === at("seeded-crypto.ts") ? undefined : { path: at("seeded-crypto.ts") },
    );
  },
};

/** @param {import("./simulation.mjs").Mutation} mutation */
export function mutate({ name, file, find, replace }) {
  return {
    name: "mutation",
    setup(/** @type {import("esbuild").PluginBuild} */ { onLoad }) {
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        if (relative(root, path) !== file) return undefined;
        const source = await readFile(path, "utf8");
        if (source.split(find).length !== 2)
          throw new Error(`mutation ${name}: not exactly once in ${file}: ${find}`);
        return { contents: source.replace(find, () => replace), loader: /** @type {const} */ ("ts") };
      });
    },
  };
}
