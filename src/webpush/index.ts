// SPDX-License-Identifier: MIT
/**
 * `godwit/webpush`: message encryption and application server identification on their own, on any engine.
 */
export { type ErrorCode, type Fault, GodwitError } from "../errors.ts";
export { base64urlDecode, base64urlDecodeLenient, base64urlEncode } from "./base64url.ts";
export {
  type CryptoProvider,
  type HmacKey,
  type ImportedKeys,
  type KeyPair,
  type RandomFill,
  Scratch,
  type SigningProvider,
  type SubscriptionKeys,
} from "./crypto.ts";
export { type DecryptOptions, decrypt } from "./decrypt.ts";
export { type EncryptOptions, encrypt, type RecipientKeys } from "./encrypt.ts";
export { generateKeyPair, generateKeys, validateKeys } from "./keys.ts";
export { createNobleProvider, nobleProvider } from "./noble.ts";
export { createNobleSigningProvider, nobleSigningProvider } from "./noble-signing.ts";
export {
  parseVapidHeader,
  type SignVapidOptions,
  signVapid,
  type VapidClaims,
  type VapidExpectation,
  type VerifyVapidOptions,
  verifyVapid,
  verifyVapidToken,
} from "./vapid.ts";
