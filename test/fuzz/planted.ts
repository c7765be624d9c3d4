// SPDX-License-Identifier: MIT
/** What no product should do, for a look at whether the fuzzer finds it: no target of `all`. No tests here. */

import { utf8Decode, utf8Encode } from "../../src/bytes.ts";
import { mutateJson } from "./json.ts";
import type { Target } from "./target.ts";

export const target: Target = {
  name: "planted",
  covers: ["test/fuzz/planted.ts"],
  inputBytesMax: 4096,
  inputMsMax: 1000,
  words: ["door", "key", "open", "loop"],
  seeds: () => [utf8Encode('{"door":1,"key":"no"}')],
  mutate(input, random) {
    return mutateJson(input, this.words, random);
  },
  run(input) {
    const { door, key, loop } = members(utf8Decode(input));
    if (door !== "open") return "closed";
    // Each step is only reached by what reached the one before it.
    if (typeof key !== "number") return "no number";
    if (key <= 4096) return "small";
    if (key % 2 === 1) throw new RangeError(`an odd key: ${key}`);
    if (loop !== undefined) for (;;);
    return "even";
  },
};

interface Planted {
  readonly door?: unknown;
  readonly key?: unknown;
  readonly loop?: unknown;
}

function members(text: string): Planted {
  try {
    return Object(JSON.parse(text)) as Planted;
  } catch {
    return {};
  }
}
