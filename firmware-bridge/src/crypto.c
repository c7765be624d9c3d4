/* SPDX-License-Identifier: MIT */

/*
 * crypto: native cryptography for the script (`bridge.crypto`, BridgeCrypto in src/quickjs/bridge.d.ts).
 *
 * Checks lengths and moves bytes between arrays and the backend, which the build chooses. A private key is an object
 * whose 32 bytes are wiped when the script lets go of it.
 */
#include <string.h>

#include "bridge.h"
#include "crypto_backend.h"

struct bridge_crypto {
    struct bridge_backend *backend;
    JSClassID key_class;
};

/* Opaque of a BridgePrivateKey; from js_malloc, so that the engine's bound counts it. A scalar in [1, n - 1]. */
struct bridge__key {
    uint8_t scalar[BRIDGE_SCALAR_BYTES];
};

/* The exception for what the backend could not do. */
static JSValue bridge__throw_backend(JSContext *ctx, int error)
{
    if (error == BRIDGE_E_NOMEM)
        return bridge_throw_memory(ctx);
    return JS_ThrowInternalError(ctx, "the cryptography library failed");
}

/* Bytes of exactly this length. 0, or -1 with a RangeError pending. */
static int bridge__arg_exactly(JSContext *ctx, JSValueConst value, const char *what, size_t wanted,
                               const uint8_t **bytes)
{
    size_t count;

    if (bridge_arg_bytes(ctx, value, bytes, &count))
        return -1;
    if (count != wanted) {
        JS_ThrowRangeError(ctx, "%s of %zu bytes", what, count);
        return -1;
    }
    return 0;
}

/* sha256(data) -> 32 bytes */
static JSValue bridge__js_sha256(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    uint8_t digest[BRIDGE_SHA256_BYTES];
    const uint8_t *data;
    size_t bytes;
    int result;

    (void) this_val;
    (void) argc;
    if (bridge_arg_bytes(ctx, argv[0], &data, &bytes))
        return JS_EXCEPTION;
    result = bridge_backend_sha256(bridge_of(ctx)->crypto->backend, data, bytes, digest);
    return result < 0 ? bridge__throw_backend(ctx, result) : JS_NewUint8ArrayCopy(ctx, digest, sizeof digest);
}

/* hmac(key, data, into): `into` may be `data`. */
static JSValue bridge__js_hmac(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    uint8_t code[BRIDGE_SHA256_BYTES];
    const uint8_t *key, *data;
    size_t key_bytes, bytes;
    uint8_t *into;
    int result;

    (void) this_val;
    (void) argc;
    if (bridge_arg_bytes(ctx, argv[0], &key, &key_bytes) || bridge_arg_bytes(ctx, argv[1], &data, &bytes)
        || bridge_arg_target(ctx, argv[2], sizeof code, &into))
        return JS_EXCEPTION;
    result = bridge_backend_hmac(bridge_of(ctx)->crypto->backend, key, key_bytes, data, bytes, code);
    if (result > 0)
        memcpy(into, code, sizeof code);
    /* Codes are keys of the next step. */
    bridge_backend_wipe(code, sizeof code);
    return result < 0 ? bridge__throw_backend(ctx, result) : JS_UNDEFINED;
}

/* key, nonce, text, associated | null of gcmOpen and gcmSeal. 0, or -1 with an exception pending. */
static int bridge__arg_gcm(JSContext *ctx, JSValueConst *argv, struct bridge_gcm *gcm)
{
    *gcm = (struct bridge_gcm){ .associated_bytes = 0 };
    if (bridge_arg_bytes(ctx, argv[0], &gcm->key, &gcm->key_bytes))
        return -1;
    if (gcm->key_bytes != 16 && gcm->key_bytes != 32) {
        JS_ThrowRangeError(ctx, "AES key of %zu bytes", gcm->key_bytes);
        return -1;
    }
    if (bridge__arg_exactly(ctx, argv[1], "GCM nonce", BRIDGE_GCM_NONCE_BYTES, &gcm->nonce)
        || bridge_arg_bytes(ctx, argv[2], &gcm->from, &gcm->bytes))
        return -1;
    if (JS_IsNull(argv[3]) || JS_IsUndefined(argv[3]))
        return 0;
    return bridge_arg_bytes(ctx, argv[3], &gcm->associated, &gcm->associated_bytes);
}

/* gcmOpen(key, nonce, sealed, associated) -> plaintext, or null for a tag that does not match */
static JSValue bridge__js_gcm_open(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_gcm gcm;
    uint8_t *plaintext;
    JSValue array;
    int result;

    (void) this_val;
    (void) argc;
    if (bridge__arg_gcm(ctx, argv, &gcm))
        return JS_EXCEPTION;
    if (gcm.bytes < BRIDGE_GCM_TAG_BYTES)
        return JS_NULL;
    gcm.bytes -= BRIDGE_GCM_TAG_BYTES;
    array = bridge_new_bytes(ctx, gcm.bytes, &plaintext);
    if (JS_IsException(array))
        return array;
    result = bridge_backend_gcm_open(bridge_of(ctx)->crypto->backend, &gcm, gcm.from + gcm.bytes, plaintext);
    if (result > 0)
        return array;
    JS_FreeValue(ctx, array);
    return result < 0 ? bridge__throw_backend(ctx, result) : JS_NULL;
}

/* gcmSeal(key, nonce, plaintext, associated) -> ciphertext and tag */
static JSValue bridge__js_gcm_seal(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_gcm gcm;
    uint8_t *sealed;
    JSValue array;
    int result;

    (void) this_val;
    (void) argc;
    if (bridge__arg_gcm(ctx, argv, &gcm))
        return JS_EXCEPTION;
    array = bridge_new_bytes(ctx, gcm.bytes + BRIDGE_GCM_TAG_BYTES, &sealed);
    if (JS_IsException(array))
        return array;
    result = bridge_backend_gcm_seal(bridge_of(ctx)->crypto->backend, &gcm, sealed);
    if (result > 0)
        return array;
    JS_FreeValue(ctx, array);
    return bridge__throw_backend(ctx, result);
}

/* publicKeyOf(privateKey) -> 65 bytes or null */
static JSValue bridge__js_public_key_of(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    uint8_t point[BRIDGE_POINT_BYTES];
    const uint8_t *scalar;
    size_t count;
    int result;

    (void) this_val;
    (void) argc;
    if (bridge_arg_bytes(ctx, argv[0], &scalar, &count))
        return JS_EXCEPTION;
    if (count != BRIDGE_SCALAR_BYTES)
        return JS_NULL;
    result = bridge_backend_public_key(bridge_of(ctx)->crypto->backend, scalar, point);
    if (result <= 0)
        return result < 0 ? bridge__throw_backend(ctx, result) : JS_NULL;
    return JS_NewUint8ArrayCopy(ctx, point, sizeof point);
}

/* isPublicKey(publicKey) -> boolean, of any bytes */
static JSValue bridge__js_is_public_key(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const uint8_t *point;
    size_t count;
    int result;

    (void) this_val;
    (void) argc;
    if (bridge_arg_bytes(ctx, argv[0], &point, &count))
        return JS_EXCEPTION;
    if (count != BRIDGE_POINT_BYTES)
        return JS_FALSE;
    result = bridge_backend_is_point(bridge_of(ctx)->crypto->backend, point);
    return result < 0 ? bridge__throw_backend(ctx, result) : JS_NewBool(ctx, result);
}

/* sign(privateKey, data) -> 64 bytes or null */
static JSValue bridge__js_sign(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    uint8_t signature[BRIDGE_SIGNATURE_BYTES];
    const uint8_t *scalar, *data;
    size_t count, bytes;
    int result;

    (void) this_val;
    (void) argc;
    if (bridge_arg_bytes(ctx, argv[0], &scalar, &count) || bridge_arg_bytes(ctx, argv[1], &data, &bytes))
        return JS_EXCEPTION;
    if (count != BRIDGE_SCALAR_BYTES)
        return JS_NULL;
    result = bridge_backend_sign(bridge_of(ctx)->crypto->backend, scalar, data, bytes, signature);
    if (result <= 0)
        return result < 0 ? bridge__throw_backend(ctx, result) : JS_NULL;
    return JS_NewUint8ArrayCopy(ctx, signature, sizeof signature);
}

/* importPrivate(privateKey) -> BridgePrivateKey or null */
static JSValue bridge__js_import_private(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_crypto *crypto = bridge_of(ctx)->crypto;
    struct bridge__key *key;
    const uint8_t *scalar;
    JSValue object;
    size_t count;
    int result;

    (void) this_val;
    (void) argc;
    if (bridge_arg_bytes(ctx, argv[0], &scalar, &count))
        return JS_EXCEPTION;
    if (count != BRIDGE_SCALAR_BYTES)
        return JS_NULL;
    result = bridge_backend_is_scalar(crypto->backend, scalar);
    if (result <= 0)
        return result < 0 ? bridge__throw_backend(ctx, result) : JS_NULL;
    object = JS_NewObjectClass(ctx, crypto->key_class);
    if (JS_IsException(object))
        return object;
    key = js_malloc(ctx, sizeof *key);
    if (key == NULL) {
        JS_FreeValue(ctx, object);
        return JS_EXCEPTION;
    }
    memcpy(key->scalar, scalar, sizeof key->scalar);
    JS_SetOpaque(object, key);
    return object;
}

/* BridgePrivateKey.agree(peerPublicKey, into) -> false for a point that is none */
static JSValue bridge__js_agree(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct bridge_crypto *crypto = bridge_of(ctx)->crypto;
    const struct bridge__key *key = JS_GetOpaque2(ctx, this_val, crypto->key_class);
    const uint8_t *point;
    uint8_t *into;
    size_t count;
    int result;

    (void) argc;
    if (key == NULL || bridge_arg_bytes(ctx, argv[0], &point, &count)
        || bridge_arg_target(ctx, argv[1], BRIDGE_SCALAR_BYTES, &into))
        return JS_EXCEPTION;
    if (count != BRIDGE_POINT_BYTES)
        return JS_FALSE;
    result = bridge_backend_agree(crypto->backend, key->scalar, point, into);
    return result < 0 ? bridge__throw_backend(ctx, result) : JS_NewBool(ctx, result);
}

/* The script let go of a key. Also at the end of the runtime, when the backend is closed already. */
static void bridge__finalize_key(JSRuntime *rt, JSValueConst value)
{
    JSClassID class_id;
    struct bridge__key *key = JS_GetAnyOpaque(value, &class_id);

    if (key != NULL)
        bridge_backend_wipe(key, sizeof *key);
    js_free_rt(rt, key);
}

static const JSCFunctionListEntry bridge__key_functions[] = {
    JS_CFUNC_DEF("agree", 2, bridge__js_agree),
};

static const JSCFunctionListEntry bridge__library_functions[] = {
    JS_PROP_STRING_DEF("name", bridge_backend_name, JS_PROP_ENUMERABLE),
    JS_CFUNC_DEF("sha256", 1, bridge__js_sha256),
    JS_CFUNC_DEF("hmac", 3, bridge__js_hmac),
    JS_CFUNC_DEF("gcmOpen", 4, bridge__js_gcm_open),
    JS_CFUNC_DEF("gcmSeal", 4, bridge__js_gcm_seal),
    JS_CFUNC_DEF("publicKeyOf", 1, bridge__js_public_key_of),
    JS_CFUNC_DEF("isPublicKey", 1, bridge__js_is_public_key),
    JS_CFUNC_DEF("importPrivate", 1, bridge__js_import_private),
    JS_CFUNC_DEF("sign", 2, bridge__js_sign),
};

/* Registers the class of private keys. 0 or BRIDGE_E_NOMEM. */
static int bridge__open_class(struct bridge *b, struct bridge_crypto *crypto)
{
    static const JSClassDef definition = { .class_name = "BridgePrivateKey", .finalizer = bridge__finalize_key };
    JSValue prototype;

    JS_NewClassID(b->rt, &crypto->key_class);
    if (JS_NewClass(b->rt, crypto->key_class, &definition) < 0)
        return BRIDGE_E_NOMEM;
    prototype = JS_NewObject(b->ctx);
    if (JS_IsException(prototype))
        return BRIDGE_E_NOMEM;
    if (JS_SetPropertyFunctionList(b->ctx, prototype, bridge__key_functions, 1) < 0) {
        JS_FreeValue(b->ctx, prototype);
        return BRIDGE_E_NOMEM;
    }
    /* Takes it. */
    JS_SetClassProto(b->ctx, crypto->key_class, prototype);
    return 0;
}

/* Makes the script's `crypto` object. 0 or BRIDGE_E_NOMEM. */
static int bridge__lend(struct bridge *b)
{
    int count = (int) (sizeof bridge__library_functions / sizeof bridge__library_functions[0]);
    JSValue object = JS_NewObject(b->ctx);

    if (JS_IsException(object))
        return BRIDGE_E_NOMEM;
    if (JS_SetPropertyFunctionList(b->ctx, object, bridge__library_functions, count) < 0) {
        JS_FreeValue(b->ctx, object);
        return BRIDGE_E_NOMEM;
    }
    /* Takes it. */
    return bridge_set_member(b, "crypto", object);
}

/* Lends the script the library's cryptography. 0 or a BRIDGE_E. */
int bridge_crypto_open(struct bridge *b)
{
    struct bridge_crypto *crypto = bridge_calloc(1, sizeof *crypto);
    int result;

    if (crypto == NULL)
        return BRIDGE_E_NOMEM;
    result = bridge_backend_open(&crypto->backend);
    if (result == 0)
        result = bridge__open_class(b, crypto);
    if (result == 0)
        result = bridge__lend(b);
    if (result < 0) {
        bridge_backend_close(crypto->backend);
        bridge_free(crypto);
        return result;
    }
    b->crypto = crypto;
    return 0;
}

/* Keys the script holds live on until the engine ends. */
void bridge_crypto_close(struct bridge *b)
{
    if (b->crypto == NULL)
        return;
    bridge_backend_close(b->crypto->backend);
    bridge_free(b->crypto);
    b->crypto = NULL;
}
