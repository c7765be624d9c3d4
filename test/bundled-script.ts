// SPDX-License-Identifier: MIT
// A script that imports our sources, as one text for a process of its own: on its standard input, with `--input-type=module`, in
// this directory, so that it finds its packages. No tests here.

import { build } from "esbuild";

export async function bundledScript(contents: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    write: false,
    logLevel: "error",
  });
  return outputFiles[0]?.text ?? "";
}
