// SPDX-License-Identifier: MIT
/** The part of http_ece the tests and benchmarks use; the package ships no types. */
declare module "http_ece" {
  import type { ECDH } from "node:crypto";

  interface EceParameters {
    readonly version: "aes128gcm" | "aesgcm";
    readonly privateKey: ECDH;
    readonly authSecret: Uint8Array | string;
    readonly salt?: Uint8Array | string;
    /** The other side's public key. */
    readonly dh?: Uint8Array | string;
    readonly rs?: number;
    readonly pad?: number;
  }

  const ece: {
    encrypt(plaintext: Buffer, parameters: EceParameters): Buffer;
    decrypt(body: Buffer, parameters: EceParameters): Buffer;
  };
  export default ece;
}
