// SPDX-License-Identifier: MIT
/**
 * What QuickJS lacks and the firmware scripts use: TextEncoder and TextDecoder (UTF-8 only) over the bridge, tens of times
 * faster than what src/bytes.ts does without them. To be imported before everything else, which looks for them once.
 */

import { bridge } from "./lent-bridge.ts";

const { utf8Encode, utf8Decode } = bridge;

Object.assign(globalThis, {
  TextEncoder: class {
    encode(text: string): Uint8Array {
      return utf8Encode(text);
    }
  },
  TextDecoder: class {
    decode(bytes: Uint8Array): string {
      return utf8Decode(bytes);
    }
  },
});
