// SPDX-License-Identifier: MIT
/**
 * The same bytes for our readers on Node and inside QuickJS, the engine of the firmware: frames of both dialects, CBOR, JSON, UTF-8, base64url, journal
 * images come out alike, values and error codes. No tests here.
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { QuickJS } from "quickjs-wasi";
import { utf8Encode } from "../../../src/bytes.ts";
import { mutateJson } from "../json.ts";
import { readingsOf } from "../reading.ts";
import { same, type Target } from "../target.ts";
import { target as autopush } from "./autopush.ts";
import { target as declarative } from "./declarative.ts";
import { target as frames } from "./frames.ts";

const { outputFiles } = await build({
  stdin: {
    contents: `
      import { readingsOf } from "./test/fuzz/reading.ts";
      globalThis.readingsOfHex = (hex) => {
        const bytes = new Uint8Array(hex.length / 2);
        for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
        return readingsOf(bytes);
      };`,
    resolveDir: process.cwd(),
    loader: "ts",
  },
  ...{ bundle: true, format: "iife", target: "es2023", write: false, logLevel: "error" },
});
const wasm = readFileSync(fileURLToPath(import.meta.resolve("quickjs-wasi/quickjs.wasm")));
const engine = await QuickJS.create({ wasm, maxStackSize: 262_144 });
const evaluate = (code: string): string => engine.evalCode(code).consume((value) => value.toString());
evaluate(`${outputFiles[0]?.text ?? ""};""`);

export const target: Target = {
  name: "engines",
  covers: [
    "src/wire/cbor.ts",
    "src/wire/godwit.ts",
    "src/wire/fields.ts",
    "src/wire/autopush.ts",
    "src/declarative/json.ts",
  ],
  inputBytesMax: 4096,
  inputMsMax: 1000,
  words: [
    ...autopush.words,
    ...declarative.words,
    "1e400",
    "-0",
    "1E+2",
    "0.1",
    "9007199254740993",
    "\\ud800",
    "\\u0000",
    "__proto__",
  ],
  seeds: () => [...frames.seeds(), ...autopush.seeds(), ...declarative.seeds(), ...NUMBERS.map(utf8Encode)],
  mutate(input, random) {
    return mutateJson(input, this.words, random) ?? frames.mutate?.(input, random) ?? null;
  },
  run(input) {
    const readings = readingsOf(input);
    const elsewhere = evaluate(`readingsOfHex("${Buffer.from(input).toString("hex")}")`);
    same("what QuickJS reads", elsewhere.split("\n"), readings.split("\n"));
    const lines = readings.split("\n");
    return lines.map((line) => (line.startsWith("ERR_") ? line : "")).join(" ");
  },
  close: async () => {
    engine.dispose();
  },
};

const NUMBERS = [
  "[0.1,1e21,5e-324,1.7976931348623157e308,123456789012345680,-0,1E2,1e400]",
  '"\\ud83d\\ude00\\ud800\\u0000"',
];
