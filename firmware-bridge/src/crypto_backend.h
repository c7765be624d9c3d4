/* SPDX-License-Identifier: MIT */

/*
 * crypto_backend: what crypto.c needs of a cryptography library, implemented by crypto_openssl.c and crypto_mbedtls.c.
 *
 * Bytes only, nothing of the script. Scalars are 32 bytes and points 65 (0x04, x, y), both big-endian with their
 * leading zeros. Functions return 1 for yes, 0 for what the input deserves (a bad scalar, point or tag) and
 * BRIDGE_E_NOMEM or BRIDGE_E_SYSTEM for what it does not. Every intermediate secret is wiped before they return. A
 * backend belongs to one thread.
 */
#ifndef BRIDGE_CRYPTO_BACKEND_H
#define BRIDGE_CRYPTO_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#define BRIDGE_SHA256_BYTES 32
#define BRIDGE_SCALAR_BYTES 32
#define BRIDGE_POINT_BYTES 65
#define BRIDGE_SIGNATURE_BYTES 64
#define BRIDGE_GCM_NONCE_BYTES 12
#define BRIDGE_GCM_TAG_BYTES 16

struct bridge_backend;

/* What the script sees as `bridge.crypto.name`. */
extern const char bridge_backend_name[];

/* Fetches every algorithm once. 0, BRIDGE_E_NOMEM, or BRIDGE_E_SYSTEM when the library lacks one; *out is NULL then. */
int bridge_backend_open(struct bridge_backend **out);
/* NULL is allowed. */
void bridge_backend_close(struct bridge_backend *backend);

/* 1 or a BRIDGE_E. */
int bridge_backend_sha256(struct bridge_backend *backend, const uint8_t *data, size_t bytes,
                          uint8_t digest[BRIDGE_SHA256_BYTES]);
int bridge_backend_hmac(struct bridge_backend *backend, const uint8_t *key, size_t key_bytes, const uint8_t *data,
                        size_t bytes,
                        uint8_t code[BRIDGE_SHA256_BYTES]);

/*
 * One AES-GCM message. `key_bytes` is 16 or 32; neither `associated` nor `from` has to be there when its length is 0.
 */
struct bridge_gcm {
    const uint8_t *key;
    size_t key_bytes;
    const uint8_t *nonce;
    const uint8_t *associated;
    size_t associated_bytes;
    const uint8_t *from;
    size_t bytes;
};

/*
 * `from` is the ciphertext without its tag. `plaintext` gets as many bytes, and is wiped when the tag does not match
 * (0).
 */
int bridge_backend_gcm_open(struct bridge_backend *backend, const struct bridge_gcm *gcm,
                            const uint8_t tag[BRIDGE_GCM_TAG_BYTES], uint8_t *plaintext);
/* `from` is the plaintext. `sealed` gets `bytes` + BRIDGE_GCM_TAG_BYTES. */
int bridge_backend_gcm_seal(struct bridge_backend *backend, const struct bridge_gcm *gcm, uint8_t *sealed);

/* 0 for a scalar that is 0 or not below the group order. */
int bridge_backend_is_scalar(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES]);
int bridge_backend_public_key(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES],
                              uint8_t point[BRIDGE_POINT_BYTES]);
/* 0 for another first byte than 0x04, a coordinate that is not below p, and a point off the curve. */
int bridge_backend_is_point(struct bridge_backend *backend, const uint8_t point[BRIDGE_POINT_BYTES]);
/* x of the product. 0 for a bad scalar or point. */
int bridge_backend_agree(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES],
                         const uint8_t point[BRIDGE_POINT_BYTES], uint8_t secret[BRIDGE_SCALAR_BYTES]);
/* ECDSA over SHA-256 of `data`: r, then s. 0 for a bad scalar. */
int bridge_backend_sign(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES],
                        const uint8_t *data, size_t bytes,
                        uint8_t signature[BRIDGE_SIGNATURE_BYTES]);
/* Zeroes, also where the compiler sees no reader. */
void bridge_backend_wipe(void *at, size_t bytes);

#endif
