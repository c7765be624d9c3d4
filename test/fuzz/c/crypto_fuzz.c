/* SPDX-License-Identifier: MIT */

/*
 * Keys, points and sealed messages of strangers: crypto_openssl.c and crypto_mbedtls.c, which share no code, say the same of every
 * one; what either signs is good to OpenSSL. An input is a private key, another one, 65 bytes by which its public key is changed,
 * and a message.
 */

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "crypto_backend.h"
#include "fuzz_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define MESSAGE_BYTES_MAX 4096
#define HEAD_BYTES (2 * BRIDGE_SCALAR_BYTES + BRIDGE_POINT_BYTES)

/* crypto_mbedtls.c, whose names CMakeLists.txt changes. */
extern const char other_backend_name[];
int other_backend_open(struct bridge_backend **out);
int other_backend_sha256(struct bridge_backend *backend, const uint8_t *data, size_t bytes, uint8_t *digest);
int other_backend_hmac(struct bridge_backend *backend, const uint8_t *key, size_t key_bytes, const uint8_t *data, size_t bytes,
                       uint8_t *code);
int other_backend_gcm_open(struct bridge_backend *backend, const struct bridge_gcm *gcm, const uint8_t *tag, uint8_t *plaintext);
int other_backend_gcm_seal(struct bridge_backend *backend, const struct bridge_gcm *gcm, uint8_t *sealed);
int other_backend_is_scalar(struct bridge_backend *backend, const uint8_t *scalar);
int other_backend_public_key(struct bridge_backend *backend, const uint8_t *scalar, uint8_t *point);
int other_backend_is_point(struct bridge_backend *backend, const uint8_t *point);
int other_backend_agree(struct bridge_backend *backend, const uint8_t *scalar, const uint8_t *point, uint8_t *secret);
int other_backend_sign(struct bridge_backend *backend, const uint8_t *scalar, const uint8_t *data, size_t bytes,
                       uint8_t *signature);

/* Of this process: each fetches its algorithms once. */
static struct bridge_backend *ours;
static struct bridge_backend *other;

/* Both results are the same, and so are the bytes that came of it. */
static void check_same(int result, int other_result, const uint8_t *got, const uint8_t *other_got, size_t bytes)
{
    CHECK_INT(result, other_result);
    CHECK(result == 0 || result == 1);
    CHECK(result == 0 || memcmp(got, other_got, bytes) == 0);
}

/* By OpenSSL's own interface for signatures, of which the backend uses another part. */
static bool is_signed(const uint8_t *point, const uint8_t *data, size_t bytes, const uint8_t *signature)
{
    OSSL_PARAM_BLD *parameters = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *making = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    ECDSA_SIG *parts = ECDSA_SIG_new();
    EVP_PKEY *key = NULL;
    unsigned char *encoded = NULL;
    OSSL_PARAM *built;
    int length;
    bool is_good;

    CHECK(OSSL_PARAM_BLD_push_utf8_string(parameters, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0));
    CHECK(OSSL_PARAM_BLD_push_octet_string(parameters, OSSL_PKEY_PARAM_PUB_KEY, point, BRIDGE_POINT_BYTES));
    built = OSSL_PARAM_BLD_to_param(parameters);
    CHECK(EVP_PKEY_fromdata_init(making) == 1);
    CHECK(EVP_PKEY_fromdata(making, &key, EVP_PKEY_PUBLIC_KEY, built) == 1);
    CHECK(ECDSA_SIG_set0(parts, BN_bin2bn(signature, 32, NULL), BN_bin2bn(signature + 32, 32, NULL)));
    length = i2d_ECDSA_SIG(parts, &encoded);
    CHECK(length > 0);
    CHECK(EVP_DigestVerifyInit(digest, NULL, EVP_sha256(), NULL, key) == 1);
    is_good = EVP_DigestVerify(digest, encoded, (size_t) length, data, bytes) == 1;
    OPENSSL_free(encoded);
    EVP_PKEY_free(key);
    ECDSA_SIG_free(parts);
    EVP_MD_CTX_free(digest);
    EVP_PKEY_CTX_free(making);
    OSSL_PARAM_free(built);
    OSSL_PARAM_BLD_free(parameters);
    return is_good;
}

/* The point the second key has, changed where the input has other bytes than zero. */
static void point_of(const uint8_t *key, const uint8_t *change, uint8_t point[BRIDGE_POINT_BYTES])
{
    if (bridge_backend_public_key(ours, key, point) == 0)
        memset(point, 0, BRIDGE_POINT_BYTES);
    for (int i = 0; i < BRIDGE_POINT_BYTES; i++)
        point[i] = (uint8_t) (point[i] ^ change[i]);
}

static void check_keys(const uint8_t *scalar, const uint8_t *point, const uint8_t *data, size_t bytes)
{
    uint8_t got[BRIDGE_POINT_BYTES], other_got[BRIDGE_POINT_BYTES], secret[2][BRIDGE_SCALAR_BYTES];
    uint8_t signature[2][BRIDGE_SIGNATURE_BYTES];
    const int is_scalar = bridge_backend_is_scalar(ours, scalar);
    const int is_point = bridge_backend_is_point(ours, point);

    CHECK_INT(is_scalar, other_backend_is_scalar(other, scalar));
    CHECK_INT(is_point, other_backend_is_point(other, point));
    check_same(bridge_backend_public_key(ours, scalar, got), other_backend_public_key(other, scalar, other_got), got, other_got,
               sizeof got);
    check_same(bridge_backend_agree(ours, scalar, point, secret[0]), other_backend_agree(other, scalar, point, secret[1]),
               secret[0], secret[1], sizeof secret[0]);
    CHECK_INT(bridge_backend_sign(ours, scalar, data, bytes, signature[0]), is_scalar);
    CHECK_INT(other_backend_sign(other, scalar, data, bytes, signature[1]), is_scalar);
    for (int i = 0; is_scalar == 1 && i < 2; i++)
        CHECK(is_signed(got, data, bytes, signature[i]));
}

/* `key` as AES key and nonce, of either length. */
static void check_sealed(const uint8_t *key, size_t key_bytes, const uint8_t *data, size_t bytes)
{
    static uint8_t sealed[2][MESSAGE_BYTES_MAX + BRIDGE_GCM_TAG_BYTES];
    static uint8_t plaintext[2][MESSAGE_BYTES_MAX];
    const size_t associated_bytes = bytes < 32 ? bytes : 32;
    struct bridge_gcm gcm = {key, key_bytes, key + 32, data, associated_bytes, data, bytes};

    CHECK_INT(bridge_backend_gcm_seal(ours, &gcm, sealed[0]), 1);
    CHECK_INT(other_backend_gcm_seal(other, &gcm, sealed[1]), 1);
    CHECK(memcmp(sealed[0], sealed[1], bytes + BRIDGE_GCM_TAG_BYTES) == 0);
    gcm.from = sealed[0];
    check_same(bridge_backend_gcm_open(ours, &gcm, sealed[0] + bytes, plaintext[0]),
               other_backend_gcm_open(other, &gcm, sealed[0] + bytes, plaintext[1]), plaintext[0], plaintext[1], bytes);
    CHECK(memcmp(plaintext[0], data, bytes) == 0);
    /* As it comes: the end of the input for a tag. */
    if (bytes < BRIDGE_GCM_TAG_BYTES)
        return;
    gcm.from = data;
    gcm.bytes = bytes - BRIDGE_GCM_TAG_BYTES;
    check_same(bridge_backend_gcm_open(ours, &gcm, data + gcm.bytes, plaintext[0]),
               other_backend_gcm_open(other, &gcm, data + gcm.bytes, plaintext[1]), plaintext[0], plaintext[1], gcm.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *scalar = data, *second = data + BRIDGE_SCALAR_BYTES, *change = second + BRIDGE_SCALAR_BYTES;
    const uint8_t *message = data + HEAD_BYTES;
    uint8_t point[BRIDGE_POINT_BYTES], hash[2][BRIDGE_SHA256_BYTES];

    if (ours == NULL)
        CHECK(bridge_backend_open(&ours) == 0 && other_backend_open(&other) == 0);
    if (bytes < HEAD_BYTES || bytes > HEAD_BYTES + MESSAGE_BYTES_MAX)
        return 0;
    bytes -= HEAD_BYTES;
    point_of(second, change, point);
    check_keys(scalar, point, message, bytes);
    check_sealed(data, 16, message, bytes);
    check_sealed(data, 32, message, bytes);
    check_same(bridge_backend_sha256(ours, message, bytes, hash[0]), other_backend_sha256(other, message, bytes, hash[1]), hash[0],
               hash[1], sizeof hash[0]);
    check_same(bridge_backend_hmac(ours, change, bytes % BRIDGE_POINT_BYTES, message, bytes, hash[0]),
               other_backend_hmac(other, change, bytes % BRIDGE_POINT_BYTES, message, bytes, hash[1]), hash[0], hash[1],
               sizeof hash[0]);
    return 0;
}
