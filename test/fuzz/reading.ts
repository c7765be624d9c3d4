// SPDX-License-Identifier: MIT
/**
 * What our readers make of bytes, as a text: the same function on Node and inside QuickJS (targets/engines.ts), which has neither text
 * codecs nor, as bundled here, any of Node's. No tests here.
 */

import { utf8Decode } from "../../src/bytes.ts";
import { parseJson } from "../../src/declarative/json.ts";
import { GodwitError } from "../../src/errors.ts";
import { JournalState, plainSealer, recoverJournal } from "../../src/journal/index.ts";
import { base64urlDecode } from "../../src/webpush/base64url.ts";
import { parseAutopushDownstream } from "../../src/wire/autopush.ts";
import { decodeCbor } from "../../src/wire/cbor.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";

const READERS: readonly ((bytes: Uint8Array) => unknown)[] = [
  utf8Decode,
  (bytes) => decodeCbor(bytes, { depthMax: 16, itemsMax: 20_000 }),
  godwitDialect.parseUpstream,
  godwitDialect.parseDownstream,
  (bytes) => parseAutopushDownstream(utf8Decode(bytes)),
  parseJson,
  (bytes) => base64urlDecode(utf8Decode(bytes)),
  (bytes) => {
    const { report, state } = recoverJournal([bytes], {
      deviceBinding: new Uint8Array(16),
      sealer: plainSealer(),
    });
    return [report, state instanceof JournalState];
  },
];

/** One line for each reader: the value, or the code of the error; what is no error of ours is said in full. */
export function readingsOf(bytes: Uint8Array): string {
  return READERS.map((read) => {
    try {
      return text(read(bytes));
    } catch (error) {
      return error instanceof GodwitError ? error.code : String(error);
    }
  }).join("\n");
}

/** JSON of any value; byte arrays and maps as arrays. */
function text(value: unknown): string {
  return JSON.stringify(value, (_, inner) => {
    if (inner instanceof Uint8Array) return ["bytes", ...inner];
    return inner instanceof Map ? [...inner] : inner;
  });
}
