// SPDX-License-Identifier: MIT
/**
 * From ECDH secret, auth secret and salt to content key and nonce (RFC 8291 §3.4), in a provider's scratch space. The
 * legacy derivation is in aesgcm.ts.
 */
import type { CryptoProvider, HmacKey, Scratch } from "./crypto.ts";

/** Where the two public keys stand in {@link Scratch.keyInfo}. */
const UA_PUBLIC_AT = 14;
const AS_PUBLIC_AT = 79;
/** "Content-Encoding: aes128gcm", a zero octet and the HKDF counter 1 (RFC 8188 §2.2). */
const CEK_INFO = /* @__PURE__ */ hkdfInfo("Content-Encoding: aes128gcm");
/** "Content-Encoding: nonce", a zero octet and the HKDF counter 1 (RFC 8188 §2.3). */
const NONCE_INFO = /* @__PURE__ */ hkdfInfo("Content-Encoding: nonce");

/**
 * Derives `scratch.cek` (16 bytes) and `scratch.nonce` (12 bytes) from `scratch.ecdhSecret` (RFC 8291 §3.4). Both stay
 * there until {@link Scratch.wipe}. Each HKDF output is at most one hash long, so HKDF is two HMACs and no loop.
 *
 * @param authHmac keyed with the auth secret
 * @param uaPublicKey 65 bytes, the receiver's
 * @param asPublicKey 65 bytes, the sender's
 * @param salt 16 bytes
 */
export function deriveContentKey(
  provider: CryptoProvider,
  authHmac: HmacKey,
  uaPublicKey: Uint8Array,
  asPublicKey: Uint8Array,
  salt: Uint8Array,
): void {
  const { scratch } = provider;
  const { chain } = scratch;
  scratch.keyInfo.set(uaPublicKey, UA_PUBLIC_AT);
  scratch.keyInfo.set(asPublicKey, AS_PUBLIC_AT);
  authHmac.mac(scratch.ecdhSecret, chain); // PRK_key
  provider.hmac(chain).mac(scratch.keyInfo, chain); // IKM
  provider.hmac(salt).mac(chain, chain); // PRK
  const prk = provider.hmac(chain);
  prk.mac(CEK_INFO, scratch.cekBlock);
  prk.mac(NONCE_INFO, scratch.nonceBlock);
}

/** ASCII `text`, a zero octet, `context`, and the counter of HKDF's only block (RFC 5869 §2.3). */
export function hkdfInfo(text: string, context: Uint8Array = new Uint8Array(0)): Uint8Array {
  const info = new Uint8Array(text.length + 1 + context.length + 1);
  for (let i = 0; i < text.length; i++) info[i] = text.charCodeAt(i);
  info.set(context, text.length + 1);
  info[info.length - 1] = 1;
  return info;
}
