/* SPDX-License-Identifier: MIT */

/*
 * Goal: native cryptography refuses what it must, whichever library it is on, wipes what it does not give out, and
 * fails without a crash when memory does. That it agrees with noble is the business of the specs that run over it.
 * Method: published vectors and the edges of every range through the script; signatures are checked by OpenSSL's EVP.
 */

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto_backend.h"
#include "memory_faults.h"
#include "support.h"

#define PRELUDE \
    "const c = bridge.crypto; const code = (f) => { try { const v = f(); return v === null ? 'null' : String(v); }" \
    "  catch (e) { return e.name; } };" \
    "const hex = (t) => Uint8Array.fromHex(t); const zeros = (n) => new Uint8Array(n);" \
    "const scalar = (n) => hex(n.toString(16).padStart(64, '0'));" \
    "const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;" \
    "const FIELD = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;"

static void run(const char *body, const char *expected)
{
    char source[8192];
    struct bridge *b;

    CHECK(snprintf(source, sizeof source, PRELUDE "bridge.listen({}); %s", body) < (int) sizeof source);
    CHECK_INT(test_create(&b, source, NULL), 0);
    CHECK_TEXT(test_said(), expected);
    bridge_destroy(b);
}

static void hashes_are_those_of_the_standards(void)
{
    run("const ascii = (t) => bridge.utf8Encode(t); say(c.sha256(ascii('abc')).toHex());"
        "const into = zeros(33); c.hmac(ascii('Jefe'), ascii('what do ya want for nothing?'), into); say(into.toHex());"
        /* RFC 4231 case 6: a key longer than a block. */
        "c.hmac(zeros(131).fill(0xaa), ascii('Test Using Larger Than Block-Size Key - Hash Key First'), into); "
        "say(into.toHex());"
        /* Of nothing, with nothing; and the key of before is not the key of now. */
        "c.hmac(zeros(0), zeros(0), into); say(into.toHex()); const data = zeros(32).fill(5), other = zeros(32);"
        "c.hmac(data, data, other); c.hmac(data, data, data); say(data.toHex() === other.toHex());"
        "say(code(() => c.hmac(data, data, zeros(31)))); say(code(() => c.hmac('key', data, into))); say(code(() => "
        "c.sha256()));",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec384300\n"
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f5400\n"
        "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad00\n"
        "true\nRangeError\nTypeError\nTypeError\n");
}

static void ciphers_are_those_of_the_standard(void)
{
    /* McGrew and Viega, test cases 1, 2, 13, 14. */
    run("for (const bytes of [16, 32]) { const key = zeros(bytes), nonce = zeros(12); for (const n of [0, 16]) {"
        "  const sealed = c.gcmSeal(key, nonce, zeros(n), null); say(sealed.toHex());"
        "  say(c.gcmOpen(key, nonce, sealed, null).toHex() === '00'.repeat(n));"
        "  sealed[n + 15] ^= 1; say(c.gcmOpen(key, nonce, sealed, null)); sealed[n + 15] ^= 1;"
        "  say(c.gcmOpen(key, nonce, sealed, zeros(1))); say(c.gcmOpen(key, nonce, sealed, zeros(0)) !== null); } }"
        "say(c.gcmOpen(zeros(16), zeros(12), zeros(15), null)); say(code(() => c.gcmOpen(zeros(24), zeros(12), "
        "zeros(16), null)));"
        "say(code(() => c.gcmSeal(zeros(16), zeros(13), zeros(16), null))); say(code(() => c.gcmSeal(zeros(16), "
        "zeros(12), 'text', null)));"
        "const big = zeros(1 << 20).fill(3), sealed = c.gcmSeal(zeros(16), zeros(12), big, big);"
        "say(c.gcmOpen(zeros(16), zeros(12), sealed, big).every((v) => v === 3)); sealed[5] ^= 128;"
        "say(c.gcmOpen(zeros(16), zeros(12), sealed, big));",
        "58e2fccefa7e3061367f1d57a4e7455a\ntrue\nnull\nnull\ntrue\n"
        "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf\ntrue\nnull\nnull\ntrue\n"
        "530f8afbc74536b9a963b4f1c4cb738b\ntrue\nnull\nnull\ntrue\n"
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919\ntrue\nnull\nnull\ntrue\n"
        "null\nRangeError\nRangeError\nTypeError\ntrue\nnull\n");
}

static void scalars_have_a_range(void)
{
    run("for (const n of [0n, 1n, ORDER - 1n, ORDER, ORDER + 1n, (1n << 256n) - 1n]) { const s = scalar(n);"
        "  say([c.publicKeyOf(s) !== null, c.importPrivate(s) !== null, c.sign(s, zeros(3)) !== null]); }"
        "for (const n of [0, 31, 33]) say([c.publicKeyOf(zeros(n).fill(1)), c.importPrivate(zeros(n).fill(1)), "
        "c.sign(zeros(n).fill(1), zeros(1))]);"
        "say(c.publicKeyOf(scalar(1n)).toHex().slice(0, 18)); say(code(() => c.publicKeyOf('00'))); say(code(() => "
        "c.importPrivate()));",
        "false,false,false\ntrue,true,true\ntrue,true,true\nfalse,false,false\nfalse,false,false\n"
        "false,false,false\n,,\n,,\n,,\n"
        "046b17d1f2e12c4247\nTypeError\nTypeError\n");
}

static void points_are_uncompressed_and_on_the_curve(void)
{
    run("const g = c.publicKeyOf(scalar(7n)), parity = g[64] & 1, key = c.importPrivate(scalar(5n));"
        "const with_ = (at, value) => { const copy = g.slice(); copy[at] = value; return copy; };"
        /* x = 5 is the least with a point: x + p still fits. */
        "const y = 0x459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbccn, point = (x, y) => {"
        "  const p = zeros(65); p[0] = 4; p.set(scalar(x), 1); p.set(scalar(y), 33); return p; };"
        "const into = zeros(32); for (const p of [g, point(5n, y), point(5n, FIELD - y), point(5n + FIELD, y), "
        "with_(64, g[64] ^ 1), with_(0, 6 + parity),"
        "  with_(0, 7 - parity), with_(0, 2 + parity), with_(0, 0), zeros(65), zeros(1), zeros(0), point(0n, 0n), "
        "point(FIELD, 0n),"
        "  Uint8Array.of(2 + parity, ...g.subarray(1, 33)), Uint8Array.of(...g, 0), g.subarray(1), "
        "zeros(65).fill(255)])"
        "  say([c.isPublicKey(p), key.agree(p, into)]);"
        "say(code(() => key.agree(g, zeros(31)))); say(code(() => key.agree(g, zeros(32).subarray(1)))); say(code(() "
        "=> key.agree('04', into)));"
        "say(code(() => key.agree.call({}, g, into))); say(code(() => key.agree.call(null, g, into)));",
        "true,true\ntrue,true\ntrue,true\nfalse,false\nfalse,false\nfalse,false\nfalse,false\nfalse,false\n"
        "false,false\nfalse,false\n"
        "false,false\nfalse,false\nfalse,false\nfalse,false\nfalse,false\nfalse,false\nfalse,false\nfalse,false\n"
        "RangeError\nRangeError\nTypeError\nTypeError\nTypeError\n");
}

static void both_sides_agree_and_leading_zeros_stay(void)
{
    run("const a = zeros(32), b = zeros(32), key = c.importPrivate(scalar(ORDER - 2n)), point = "
        "c.publicKeyOf(scalar(ORDER - 2n));"
        "let short = 0; for (let n = 1n; n < 1500n; n++) { const other = scalar(n); key.agree(c.publicKeyOf(other), "
        "a.fill(9));"
        "  c.importPrivate(other).agree(point, b.fill(8)); if (a.toHex() !== b.toHex()) say(`differ at ${n}`); if "
        "(a[0] === 0) short++; }"
        "say(short > 0);",
        "true\n");
}

/* OpenSSL's opinion of a signature r, s over `data`. */
static bool is_signed(const uint8_t *point, const uint8_t *data, size_t bytes, const uint8_t *signature)
{
    char group[] = SN_X9_62_prime256v1;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *) (uintptr_t) point, BRIDGE_POINT_BYTES),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *importer = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_MD_CTX *verifier = EVP_MD_CTX_new();
    EVP_PKEY *key = NULL;
    uint8_t der[80] = {0x30, 0};
    size_t at = 2;
    bool is_good;

    CHECK(EVP_PKEY_fromdata_init(importer) > 0 && EVP_PKEY_fromdata(importer, &key, EVP_PKEY_PUBLIC_KEY,
          parameters) > 0);
    for (size_t half = 0; half < 2; half++) {
        const uint8_t *number = signature + 32 * half;
        size_t zeros = 0;

        while (zeros < 31 && number[zeros] == 0)
            zeros++;
        der[at++] = 2;
        der[at++] = (uint8_t) (32 - zeros + (number[zeros] >> 7));
        if (number[zeros] >> 7)
            der[at++] = 0;
        memcpy(der + at, number + zeros, 32 - zeros);
        at += 32 - zeros;
    }
    der[1] = (uint8_t) (at - 2);
    CHECK(EVP_DigestVerifyInit_ex(verifier, NULL, "SHA256", NULL, NULL, key, NULL) > 0);
    is_good = EVP_DigestVerify(verifier, der, at, data, bytes) == 1;
    EVP_MD_CTX_free(verifier);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(importer);
    return is_good;
}

static void signatures_are_good_and_of_fixed_length(void)
{
    uint8_t scalar[BRIDGE_SCALAR_BYTES], point[BRIDGE_POINT_BYTES], signature[BRIDGE_SIGNATURE_BYTES];
    struct bridge_backend *backend;

    CHECK_INT(bridge_backend_open(&backend), 0);
    /* Enough for numbers with leading zeros. */
    for (uint8_t i = 1; i != 0; i++) {
        memset(scalar, i, sizeof scalar);
        if (bridge_backend_public_key(backend, scalar, point) == 0)
            continue;
        CHECK_INT(bridge_backend_sign(backend, scalar, &i, 1, signature), 1);
        CHECK(is_signed(point, &i, 1, signature));
        signature[63] ^= 1;
        CHECK(!is_signed(point, &i, 1, signature));
    }
    bridge_backend_close(backend);
}

static void a_bad_tag_leaves_nothing_of_the_plaintext(void)
{
    uint8_t key[16] = {1}, nonce[12] = {2}, secret[64], sealed[80], out[64], zeros[64] = {0};
    struct bridge_gcm gcm = {.key = key, .key_bytes = 16, .nonce = nonce, .from = secret, .bytes = sizeof secret};
    struct bridge_backend *backend;

    memset(secret, 0x5a, sizeof secret);
    memset(out, 0xff, sizeof out);
    CHECK_INT(bridge_backend_open(&backend), 0);
    CHECK_INT(bridge_backend_gcm_seal(backend, &gcm, sealed), 1);
    gcm.from = sealed;
    CHECK_INT(bridge_backend_gcm_open(backend, &gcm, sealed + 64, out), 1);
    CHECK(memcmp(out, secret, sizeof out) == 0);
    sealed[70] ^= 1;
    CHECK_INT(bridge_backend_gcm_open(backend, &gcm, sealed + 64, out), 0);
    CHECK(memcmp(out, zeros, sizeof out) == 0);
    bridge_backend_close(backend);
}

/* The allocation of OpenSSL that fails, counted down; 0: none. */
static uint64_t library_fault_in;
static uint64_t library_allocations;

static bool library_fails(void)
{
    library_allocations++;
    return library_fault_in > 0 && --library_fault_in == 0;
}

static void *library_malloc(size_t bytes, const char *file, int line)
{
    (void) file;
    (void) line;
    return library_fails() ? NULL : malloc(bytes);
}

static void *library_realloc(void *at, size_t bytes, const char *file, int line)
{
    (void) file;
    (void) line;
    return library_fails() ? NULL : realloc(at, bytes);
}

static void library_free(void *at, const char *file, int line)
{
    (void) file;
    (void) line;
    free(at);
}

/* Every call once; false when one of them failed. A result is right or an error, never a verdict about the input. */
static bool use_everything(struct bridge_backend *backend)
{
    static const uint8_t scalar[32] = {7}, nonce[12];
    uint8_t point[BRIDGE_POINT_BYTES], out[128], sealed[48];
    struct bridge_gcm gcm = {.key = scalar, .key_bytes = 16, .nonce = nonce, .from = scalar, .bytes = sizeof scalar};
    int results[] = {
        bridge_backend_public_key(backend, scalar, point),
        bridge_backend_is_scalar(backend, scalar),
        bridge_backend_sha256(backend, scalar, sizeof scalar, out),
        bridge_backend_hmac(backend, scalar, sizeof scalar, scalar, sizeof scalar, out),
        bridge_backend_gcm_seal(backend, &gcm, sealed),
        bridge_backend_sign(backend, scalar, scalar, sizeof scalar, out),
        1,
        1,
        1,
    };
    bool is_fine = true;

    if (results[0] > 0) {
        results[6] = bridge_backend_is_point(backend, point);
        results[7] = bridge_backend_agree(backend, scalar, point, out);
    }
    gcm.from = sealed;
    if (results[4] > 0)
        results[8] = bridge_backend_gcm_open(backend, &gcm, sealed + 32, out);
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        CHECK(results[i] == 1 || results[i] == BRIDGE_E_NOMEM || results[i] == BRIDGE_E_SYSTEM);
        is_fine = is_fine && results[i] == 1;
    }
    return is_fine;
}

/* Only with OpenSSL: mbedTLS takes its functions when it is compiled. */
static void the_library_may_run_out_of_memory(void)
{
    struct bridge_backend *backend;
    uint64_t needed, failures = 0;

    CHECK_INT(bridge_backend_open(&backend), 0);
    CHECK(use_everything(backend));
    bridge_backend_close(backend);
    library_allocations = 0;
    CHECK_INT(bridge_backend_open(&backend), 0);
    CHECK(use_everything(backend));
    needed = library_allocations;
    bridge_backend_close(backend);
    for (uint64_t nth = 1; nth <= needed; nth++) {
        library_fault_in = nth;
        if (bridge_backend_open(&backend) < 0) {
            CHECK(backend == NULL);
            failures++;
        } else if (!use_everything(backend)) {
            failures++;
        }
        library_fault_in = 0;
        if (backend != NULL)
            CHECK(use_everything(backend));
        bridge_backend_close(backend);
    }
    CHECK(needed == 0 || failures > needed / 2);
}

static void an_allocation_that_fails_is_an_error_of_the_call(void)
{
    static const char source[] =
        PRELUDE "const key = scalar(7n), point = c.publicKeyOf(scalar(9n)), into = zeros(32);"
                "bridge.listen({ go() { c.sha256(key); c.hmac(key, key, into); c.isPublicKey(point); "
                "c.publicKeyOf(key);"
                "  c.importPrivate(key).agree(point, into); c.gcmOpen(key, zeros(12), c.gcmSeal(key, zeros(12), key, "
                "null), null);"
                "  c.sign(key, key); } });";
    size_t blocks = bridge_memory_blocks();
    struct bridge *b;
    uint64_t needed;

    CHECK_INT(test_create(&b, source, NULL), 0);
    CHECK_INT(bridge_emit(b, "go", 0, NULL), 0);
    bridge_memory_faults_set(0, false);
    CHECK_INT(bridge_emit(b, "go", 0, NULL), 0);
    needed = bridge_memory_faults_seen();
    bridge_destroy(b);
    for (uint64_t nth = 1; nth <= needed; nth++) {
        CHECK_INT(test_create(&b, source, NULL), 0);
        CHECK_INT(bridge_emit(b, "go", 0, NULL), 0);
        bridge_memory_faults_set(nth, false);
        /* It may need less than before, where the engine kept a block. */
        CHECK(bridge_emit(b, "go", 0, NULL) < 0 || !bridge_memory_faults_hit());
        bridge_memory_faults_set(0, false);
        bridge_destroy(b);
    }
    CHECK_INT((int64_t) bridge_memory_blocks(), (int64_t) blocks);
}

int main(void)
{
    CHECK_INT(CRYPTO_set_mem_functions(library_malloc, library_realloc, library_free), 1);
    RUN(hashes_are_those_of_the_standards);
    RUN(ciphers_are_those_of_the_standard);
    RUN(scalars_have_a_range);
    RUN(points_are_uncompressed_and_on_the_curve);
    RUN(both_sides_agree_and_leading_zeros_stay);
    RUN(signatures_are_good_and_of_fixed_length);
    RUN(a_bad_tag_leaves_nothing_of_the_plaintext);
    RUN(the_library_may_run_out_of_memory);
    RUN(an_allocation_that_fails_is_an_error_of_the_call);
    return 0;
}
