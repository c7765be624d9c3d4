/* SPDX-License-Identifier: MIT */

/*
 * crypto_mbedtls: the backend on libmbedcrypto, 2.28 or 3.x. Multiplications are blinded with bytes of the system.
 */
#include <limits.h>
#include <string.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/gcm.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>

#include "bridge.h"
#include "crypto_backend.h"

const char bridge_backend_name[] = "mbedtls";

/* SEC 1: the first octet of an uncompressed point. */
#define BRIDGE__UNCOMPRESSED 0x04

struct bridge_backend {
    const mbedtls_md_info_t *sha256;
    mbedtls_md_context_t hmac;
    mbedtls_gcm_context gcm;
    mbedtls_ecp_group group;
    /* Scratch. */
    mbedtls_mpi scalar;
    mbedtls_ecp_point point;
    mbedtls_ecp_point product;
};

/* What an error of the library means for us. */
static int bridge__failure(int error)
{
    switch (error) {
    case MBEDTLS_ERR_MPI_ALLOC_FAILED:
    case MBEDTLS_ERR_ECP_ALLOC_FAILED:
    case MBEDTLS_ERR_MD_ALLOC_FAILED:
        return BRIDGE_E_NOMEM;
    default:
        return BRIDGE_E_SYSTEM;
    }
}

static int bridge__random(void *unused, unsigned char *target, size_t bytes)
{
    (void) unused;
    return bridge_random_fill(target, bytes) == 0 ? 0 : MBEDTLS_ERR_ECP_RANDOM_FAILED;
}

int bridge_backend_open(struct bridge_backend **out)
{
    struct bridge_backend *backend = bridge_calloc(1, sizeof *backend);
    int error;

    *out = NULL;
    if (backend == NULL)
        return BRIDGE_E_NOMEM;
    mbedtls_md_init(&backend->hmac);
    mbedtls_gcm_init(&backend->gcm);
    mbedtls_ecp_group_init(&backend->group);
    mbedtls_mpi_init(&backend->scalar);
    mbedtls_ecp_point_init(&backend->point);
    mbedtls_ecp_point_init(&backend->product);
    backend->sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    error = backend->sha256 == NULL ? MBEDTLS_ERR_MD_FEATURE_UNAVAILABLE
                                    : mbedtls_md_setup(&backend->hmac, backend->sha256, 1);
    if (error == 0)
        error = mbedtls_ecp_group_load(&backend->group, MBEDTLS_ECP_DP_SECP256R1);
    if (error != 0) {
        bridge_backend_close(backend);
        return bridge__failure(error);
    }
    *out = backend;
    return 0;
}

void bridge_backend_close(struct bridge_backend *backend)
{
    if (backend == NULL)
        return;
    mbedtls_ecp_point_free(&backend->product);
    mbedtls_ecp_point_free(&backend->point);
    mbedtls_mpi_free(&backend->scalar);
    mbedtls_ecp_group_free(&backend->group);
    mbedtls_gcm_free(&backend->gcm);
    mbedtls_md_free(&backend->hmac);
    bridge_free(backend);
}

int bridge_backend_sha256(struct bridge_backend *backend, const uint8_t *data, size_t bytes,
                          uint8_t digest[BRIDGE_SHA256_BYTES])
{
    int error = mbedtls_md(backend->sha256, data, bytes, digest);

    return error == 0 ? 1 : bridge__failure(error);
}

int bridge_backend_hmac(struct bridge_backend *backend, const uint8_t *key, size_t key_bytes, const uint8_t *data,
                        size_t bytes,
                        uint8_t code[BRIDGE_SHA256_BYTES])
{
    static const uint8_t no_key[1];
    int error, wiped;

    error = mbedtls_md_hmac_starts(&backend->hmac, key_bytes == 0 ? no_key : key, key_bytes);
    if (error == 0)
        error = mbedtls_md_hmac_update(&backend->hmac, data, bytes);
    if (error == 0)
        error = mbedtls_md_hmac_finish(&backend->hmac, code);
    /* Overwrites what is kept of the key, without making the context anew. */
    wiped = mbedtls_md_hmac_starts(&backend->hmac, no_key, 0);
    if (error == 0)
        error = wiped;
    return error == 0 ? 1 : bridge__failure(error);
}

/* 0 or the library's error. The context is freed after each message, which wipes the key. */
static int bridge__gcm_begin(struct bridge_backend *backend, const struct bridge_gcm *gcm)
{
    return mbedtls_gcm_setkey(&backend->gcm, MBEDTLS_CIPHER_ID_AES, gcm->key, (unsigned int) gcm->key_bytes * CHAR_BIT);
}

static void bridge__gcm_end(struct bridge_backend *backend)
{
    mbedtls_gcm_free(&backend->gcm);
    mbedtls_gcm_init(&backend->gcm);
}

int bridge_backend_gcm_open(struct bridge_backend *backend, const struct bridge_gcm *gcm,
                            const uint8_t tag[BRIDGE_GCM_TAG_BYTES], uint8_t *plaintext)
{
    int error = bridge__gcm_begin(backend, gcm);

    if (error == 0)
        error = mbedtls_gcm_auth_decrypt(&backend->gcm, gcm->bytes, gcm->nonce, BRIDGE_GCM_NONCE_BYTES, gcm->associated,
                                         gcm->associated_bytes, tag, BRIDGE_GCM_TAG_BYTES, gcm->from, plaintext);
    bridge__gcm_end(backend);
    if (error != 0)
        mbedtls_platform_zeroize(plaintext, gcm->bytes);
    if (error == MBEDTLS_ERR_GCM_AUTH_FAILED)
        return 0;
    return error == 0 ? 1 : bridge__failure(error);
}

int bridge_backend_gcm_seal(struct bridge_backend *backend, const struct bridge_gcm *gcm, uint8_t *sealed)
{
    int error = bridge__gcm_begin(backend, gcm);

    if (error == 0)
        error = mbedtls_gcm_crypt_and_tag(&backend->gcm, MBEDTLS_GCM_ENCRYPT, gcm->bytes, gcm->nonce,
                                          BRIDGE_GCM_NONCE_BYTES, gcm->associated, gcm->associated_bytes, gcm->from,
                                          sealed, BRIDGE_GCM_TAG_BYTES, sealed + gcm->bytes);
    bridge__gcm_end(backend);
    return error == 0 ? 1 : bridge__failure(error);
}

/* Overwrites a number that was secret. */
static void bridge__forget(mbedtls_mpi *number)
{
    mbedtls_mpi_free(number);
    mbedtls_mpi_init(number);
}

/* Reads the scalar into scratch. 0 when it is out of range. To be wiped with bridge__forget. */
static int bridge__read_scalar(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES])
{
    int error = mbedtls_mpi_read_binary(&backend->scalar, scalar, BRIDGE_SCALAR_BYTES);

    if (error != 0)
        return bridge__failure(error);
    return mbedtls_ecp_check_privkey(&backend->group, &backend->scalar) == 0;
}

int bridge_backend_is_scalar(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES])
{
    int result = bridge__read_scalar(backend, scalar);

    bridge__forget(&backend->scalar);
    return result;
}

/* Multiplies `from` and writes the product uncompressed; 1 or a BRIDGE_E. The scalar lies in scratch. */
static int bridge__multiply(struct bridge_backend *backend, const mbedtls_ecp_point *from,
                            uint8_t point[BRIDGE_POINT_BYTES])
{
    size_t written;
    int error = mbedtls_ecp_mul(&backend->group, &backend->product, &backend->scalar, from, bridge__random, NULL);

    if (error == 0)
        error = mbedtls_ecp_point_write_binary(&backend->group, &backend->product, MBEDTLS_ECP_PF_UNCOMPRESSED,
                                               &written, point,
                                               BRIDGE_POINT_BYTES);
    return error == 0 ? 1 : bridge__failure(error);
}

int bridge_backend_public_key(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES],
                              uint8_t point[BRIDGE_POINT_BYTES])
{
    int result = bridge__read_scalar(backend, scalar);

    if (result > 0)
        result = bridge__multiply(backend, &backend->group.G, point);
    bridge__forget(&backend->scalar);
    return result;
}

int bridge_backend_is_point(struct bridge_backend *backend, const uint8_t point[BRIDGE_POINT_BYTES])
{
    int error;

    if (point[0] != BRIDGE__UNCOMPRESSED)
        return 0;
    error = mbedtls_ecp_point_read_binary(&backend->group, &backend->point, point, BRIDGE_POINT_BYTES);
    if (error == 0)
        error = mbedtls_ecp_check_pubkey(&backend->group, &backend->point);
    if (error == 0)
        return 1;
    return bridge__failure(error) == BRIDGE_E_NOMEM ? BRIDGE_E_NOMEM : 0;
}

int bridge_backend_agree(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES],
                         const uint8_t point[BRIDGE_POINT_BYTES], uint8_t secret[BRIDGE_SCALAR_BYTES])
{
    uint8_t product[BRIDGE_POINT_BYTES];
    int result = bridge_backend_is_point(backend, point);

    if (result > 0)
        result = bridge__read_scalar(backend, scalar);
    if (result > 0)
        result = bridge__multiply(backend, &backend->point, product);
    if (result > 0)
        memcpy(secret, product + 1, BRIDGE_SCALAR_BYTES);
    mbedtls_platform_zeroize(product, sizeof product);
    bridge__forget(&backend->scalar);
    mbedtls_ecp_point_free(&backend->product);
    mbedtls_ecp_point_init(&backend->product);
    return result;
}

int bridge_backend_sign(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES],
                        const uint8_t *data, size_t bytes,
                        uint8_t signature[BRIDGE_SIGNATURE_BYTES])
{
    uint8_t digest[BRIDGE_SHA256_BYTES];
    mbedtls_mpi r, s;
    int error, result;

    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    result = bridge_backend_sha256(backend, data, bytes, digest);
    if (result > 0)
        result = bridge__read_scalar(backend, scalar);
    if (result > 0) {
        error = mbedtls_ecdsa_sign(&backend->group, &r, &s, &backend->scalar, digest, sizeof digest, bridge__random,
                                   NULL);
        if (error == 0)
            error = mbedtls_mpi_write_binary(&r, signature, 32);
        if (error == 0)
            error = mbedtls_mpi_write_binary(&s, signature + 32, 32);
        if (error != 0)
            result = bridge__failure(error);
    }
    bridge__forget(&backend->scalar);
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    return result;
}

void bridge_backend_wipe(void *at, size_t bytes)
{
    mbedtls_platform_zeroize(at, bytes);
}
