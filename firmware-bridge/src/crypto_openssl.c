/* SPDX-License-Identifier: MIT */

/*
 * crypto_openssl: the backend on libcrypto of OpenSSL 3.
 *
 * Algorithms are fetched once, for a fetch costs more than a short hash. Curve arithmetic goes through EC_POINT, which
 * is not deprecated: an EVP_PKEY holds a copy of the whole group, several KB for each of a device's subscriptions,
 * where 32 bytes do.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>

#include <limits.h>
#include <string.h>

#include "bridge.h"
#include "crypto_backend.h"

const char bridge_backend_name[] = "openssl";

/* SEC 1: the first octet of an uncompressed point. */
#define BRIDGE__UNCOMPRESSED 0x04

struct bridge_backend {
    EVP_MD *sha256;
    EVP_MD_CTX *hash;
    EVP_MAC *hmac;
    /* Told its digest once; keyed anew for each code. */
    EVP_MAC_CTX *mac;
    EVP_CIPHER *aes128;
    EVP_CIPHER *aes256;
    EVP_CIPHER_CTX *cipher;
    EC_GROUP *group;
    /* Scratch. */
    BN_CTX *numbers;
    BIGNUM *scalar;
    BIGNUM *x;
    EC_POINT *point;
    EC_POINT *product;
};

/*
 * What a failed call of the library means for us: 0 when it says that a point is none, else BRIDGE_E_NOMEM or
 * BRIDGE_E_SYSTEM. Empties its queue of errors, which would grow and show up elsewhere.
 */
static int bridge__failure(void)
{
    int result = BRIDGE_E_SYSTEM;
    unsigned long error;

    while ((error = ERR_get_error()) != 0) {
        int reason = ERR_GET_REASON(error);
        bool is_about_point = reason == EC_R_INVALID_ENCODING || reason == EC_R_POINT_IS_NOT_ON_CURVE;

        if (reason == ERR_R_MALLOC_FAILURE)
            result = BRIDGE_E_NOMEM;
        else if (ERR_GET_LIB(error) == ERR_LIB_EC && is_about_point && result != BRIDGE_E_NOMEM)
            result = 0;
    }
    return result;
}

int bridge_backend_open(struct bridge_backend **out)
{
    char digest[] = "SHA256";
    OSSL_PARAM with_sha256[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    struct bridge_backend *backend = bridge_calloc(1, sizeof *backend);
    int error;

    *out = NULL;
    if (backend == NULL)
        return BRIDGE_E_NOMEM;
    backend->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    backend->hash = EVP_MD_CTX_new();
    backend->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    backend->mac = backend->hmac == NULL ? NULL : EVP_MAC_CTX_new(backend->hmac);
    backend->aes128 = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    backend->aes256 = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    backend->cipher = EVP_CIPHER_CTX_new();
    backend->group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    backend->numbers = BN_CTX_secure_new();
    backend->scalar = BN_secure_new();
    backend->x = BN_secure_new();
    if (backend->sha256 == NULL || backend->hash == NULL || backend->mac == NULL || backend->aes128 == NULL
        || backend->aes256 == NULL || backend->cipher == NULL || backend->group == NULL || backend->numbers == NULL
        || backend->scalar == NULL || backend->x == NULL || !EVP_MAC_CTX_set_params(backend->mac, with_sha256))
        goto fail;
    BN_set_flags(backend->scalar, BN_FLG_CONSTTIME);
    backend->point = EC_POINT_new(backend->group);
    backend->product = EC_POINT_new(backend->group);
    if (backend->point == NULL || backend->product == NULL)
        goto fail;
    *out = backend;
    return 0;
fail:
    error = bridge__failure() == BRIDGE_E_NOMEM ? BRIDGE_E_NOMEM : BRIDGE_E_SYSTEM;
    bridge_backend_close(backend);
    return error;
}

void bridge_backend_close(struct bridge_backend *backend)
{
    if (backend == NULL)
        return;
    EC_POINT_clear_free(backend->product);
    EC_POINT_free(backend->point);
    BN_clear_free(backend->x);
    BN_clear_free(backend->scalar);
    BN_CTX_free(backend->numbers);
    EC_GROUP_free(backend->group);
    EVP_CIPHER_CTX_free(backend->cipher);
    EVP_CIPHER_free(backend->aes256);
    EVP_CIPHER_free(backend->aes128);
    EVP_MAC_CTX_free(backend->mac);
    EVP_MAC_free(backend->hmac);
    EVP_MD_CTX_free(backend->hash);
    EVP_MD_free(backend->sha256);
    bridge_free(backend);
}

int bridge_backend_sha256(struct bridge_backend *backend, const uint8_t *data, size_t bytes,
                          uint8_t digest[BRIDGE_SHA256_BYTES])
{
    int is_done = EVP_DigestInit_ex2(backend->hash, backend->sha256, NULL) && EVP_DigestUpdate(backend->hash, data,
                                     bytes)
                  && EVP_DigestFinal_ex(backend->hash, digest, NULL);

    return is_done ? 1 : bridge__failure();
}

int bridge_backend_hmac(struct bridge_backend *backend, const uint8_t *key, size_t key_bytes, const uint8_t *data,
                        size_t bytes,
                        uint8_t code[BRIDGE_SHA256_BYTES])
{
    static const uint8_t no_key[BRIDGE_SHA256_BYTES];
    size_t code_bytes;
    int result;

    /* A key that is NULL would mean the one before. */
    result = EVP_MAC_init(backend->mac, key_bytes == 0 ? no_key : key, key_bytes, NULL)
             && EVP_MAC_update(backend->mac, data, bytes)
             && EVP_MAC_final(backend->mac, code, &code_bytes, BRIDGE_SHA256_BYTES);
    result = result ? 1 : bridge__failure();
    /* Keying it with nothing wipes what it kept of the key, without making it anew. */
    if (!EVP_MAC_init(backend->mac, no_key, sizeof no_key, NULL) && result > 0)
        result = bridge__failure();
    return result;
}

/* Keys the cipher and absorbs what is only authenticated. False with the library's error. */
static int bridge__gcm_begin(struct bridge_backend *backend, const struct bridge_gcm *gcm, int is_sealing)
{
    const EVP_CIPHER *aes = gcm->key_bytes == 16 ? backend->aes128 : backend->aes256;
    int written;

    if (gcm->bytes > INT_MAX || gcm->associated_bytes > INT_MAX)
        return 0;
    if (!EVP_CipherInit_ex2(backend->cipher, aes, gcm->key, gcm->nonce, is_sealing, NULL))
        return 0;
    return gcm->associated_bytes == 0
           || EVP_CipherUpdate(backend->cipher, NULL, &written, gcm->associated, (int) gcm->associated_bytes);
}

int bridge_backend_gcm_open(struct bridge_backend *backend, const struct bridge_gcm *gcm,
                            const uint8_t tag[BRIDGE_GCM_TAG_BYTES], uint8_t *plaintext)
{
    uint8_t expected[BRIDGE_GCM_TAG_BYTES], rest[BRIDGE_GCM_TAG_BYTES];
    int written, result;

    memcpy(expected, tag, sizeof expected);
    result = bridge__gcm_begin(backend, gcm, 0)
             && (gcm->bytes == 0
                 || EVP_CipherUpdate(backend->cipher, plaintext, &written, gcm->from, (int) gcm->bytes))
             && EVP_CIPHER_CTX_ctrl(backend->cipher, EVP_CTRL_AEAD_SET_TAG, sizeof expected, expected);
    if (!result) {
        result = bridge__failure();
    } else if (EVP_CipherFinal_ex(backend->cipher, rest, &written)) {
        result = 1;
    } else {
        ERR_clear_error();
        result = 0;
    }
    if (result <= 0)
        OPENSSL_cleanse(plaintext, gcm->bytes);
    /* Wipes the key schedule. */
    EVP_CIPHER_CTX_reset(backend->cipher);
    return result;
}

int bridge_backend_gcm_seal(struct bridge_backend *backend, const struct bridge_gcm *gcm, uint8_t *sealed)
{
    int written, result;

    result = bridge__gcm_begin(backend, gcm, 1)
             && (gcm->bytes == 0 || EVP_CipherUpdate(backend->cipher, sealed, &written, gcm->from, (int) gcm->bytes))
             && EVP_CipherFinal_ex(backend->cipher, sealed + gcm->bytes, &written)
             && EVP_CIPHER_CTX_ctrl(backend->cipher, EVP_CTRL_AEAD_GET_TAG, BRIDGE_GCM_TAG_BYTES, sealed + gcm->bytes);
    result = result ? 1 : bridge__failure();
    EVP_CIPHER_CTX_reset(backend->cipher);
    return result;
}

/* Reads the scalar into scratch. 0 when it is out of range. To be wiped with BN_clear. */
static int bridge__read_scalar(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES])
{
    if (BN_bin2bn(scalar, BRIDGE_SCALAR_BYTES, backend->scalar) == NULL)
        return bridge__failure();
    return !BN_is_zero(backend->scalar) && BN_cmp(backend->scalar, EC_GROUP_get0_order(backend->group)) < 0;
}

int bridge_backend_is_scalar(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES])
{
    int result = bridge__read_scalar(backend, scalar);

    BN_clear(backend->scalar);
    return result;
}

int bridge_backend_public_key(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES],
                              uint8_t point[BRIDGE_POINT_BYTES])
{
    int result = bridge__read_scalar(backend, scalar);

    if (result > 0
        && (!EC_POINT_mul(backend->group, backend->product, backend->scalar, NULL, NULL, backend->numbers)
            || EC_POINT_point2oct(backend->group, backend->product, POINT_CONVERSION_UNCOMPRESSED, point,
                                  BRIDGE_POINT_BYTES,
                                  backend->numbers) != BRIDGE_POINT_BYTES))
        result = bridge__failure();
    BN_clear(backend->scalar);
    return result;
}

int bridge_backend_is_point(struct bridge_backend *backend, const uint8_t point[BRIDGE_POINT_BYTES])
{
    /* The library would take hybrid forms, too. It refuses coordinates of p or more and what is off the curve. */
    if (point[0] != BRIDGE__UNCOMPRESSED)
        return 0;
    if (EC_POINT_oct2point(backend->group, backend->point, point, BRIDGE_POINT_BYTES, backend->numbers))
        return 1;
    return bridge__failure();
}

int bridge_backend_agree(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES],
                         const uint8_t point[BRIDGE_POINT_BYTES], uint8_t secret[BRIDGE_SCALAR_BYTES])
{
    int result = bridge_backend_is_point(backend, point);

    if (result > 0)
        result = bridge__read_scalar(backend, scalar);
    /* One point and no multiple of the base: the library's constant-time path. */
    if (result > 0
        && (!EC_POINT_mul(backend->group, backend->product, NULL, backend->point, backend->scalar, backend->numbers)
            || !EC_POINT_get_affine_coordinates(backend->group, backend->product, backend->x, NULL, backend->numbers)
            || BN_bn2binpad(backend->x, secret, BRIDGE_SCALAR_BYTES) != BRIDGE_SCALAR_BYTES))
        result = bridge__failure();
    BN_clear(backend->scalar);
    BN_clear(backend->x);
    return result;
}

/* A key for EVP of a pair that belongs together; free with EVP_PKEY_free. NULL with the library's error. */
static EVP_PKEY *bridge__import_pair(const BIGNUM *scalar, const uint8_t point[BRIDGE_POINT_BYTES])
{
    EVP_PKEY_CTX *importer = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *parameters = NULL;
    EVP_PKEY *key = NULL;

    if (importer != NULL && builder != NULL
        && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1, 0)
        && OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, BRIDGE_POINT_BYTES)
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, scalar))
        parameters = OSSL_PARAM_BLD_to_param(builder);
    if (parameters != NULL && EVP_PKEY_fromdata_init(importer) > 0
        && EVP_PKEY_fromdata(importer, &key, EVP_PKEY_KEYPAIR, parameters) <= 0)
        key = NULL;
    /* Wipes the scalar, which lies in secure memory as that of `scalar` does. */
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(importer);
    return key;
}

int bridge_backend_sign(struct bridge_backend *backend, const uint8_t scalar[BRIDGE_SCALAR_BYTES],
                        const uint8_t *data, size_t bytes,
                        uint8_t signature[BRIDGE_SIGNATURE_BYTES])
{
    /* A sequence of two integers of at most 33 bytes. */
    uint8_t point[BRIDGE_POINT_BYTES], der[2 + 2 * (2 + 33)];
    size_t der_bytes = sizeof der;
    const uint8_t *at = der;
    EVP_MD_CTX *signer = NULL;
    EVP_PKEY *key = NULL;
    ECDSA_SIG *numbers = NULL;
    int result = bridge_backend_public_key(backend, scalar, point);

    if (result > 0)
        result = bridge__read_scalar(backend, scalar);
    if (result <= 0)
        goto out;
    key = bridge__import_pair(backend->scalar, point);
    signer = EVP_MD_CTX_new();
    if (key == NULL || signer == NULL || EVP_DigestSignInit_ex(signer, NULL, "SHA256", NULL, NULL, key, NULL) <= 0
        || EVP_DigestSign(signer, der, &der_bytes, data, bytes) <= 0
        /* OpenSSL 3.0 calls a signature it had no memory to encode good, and its length -1 of 32 bits. */
        || der_bytes == 0 || der_bytes > sizeof der
        || (numbers = d2i_ECDSA_SIG(NULL, &at, (long) der_bytes)) == NULL
        || BN_bn2binpad(ECDSA_SIG_get0_r(numbers), signature, 32) != 32
        || BN_bn2binpad(ECDSA_SIG_get0_s(numbers), signature + 32, 32) != 32)
        result = bridge__failure();
out:
    BN_clear(backend->scalar);
    ECDSA_SIG_free(numbers);
    EVP_MD_CTX_free(signer);
    EVP_PKEY_free(key);
    return result;
}

void bridge_backend_wipe(void *at, size_t bytes)
{
    OPENSSL_cleanse(at, bytes);
}
