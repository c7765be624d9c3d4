/* SPDX-License-Identifier: MIT */

/* bus_values: see bus_values.h. */

#ifdef GODWIT_DBUS

#include "bus_values.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* More of them is no message of ours. */
#define DAEMON__VALUES_MAX 64

static int daemon__no_value(JSContext *ctx)
{
    JS_ThrowTypeError(ctx, "not a value for the bus");
    return -EPROTO;
}

/* The number of elements of an array, at most DAEMON__VALUES_MAX; -1 with an exception pending. */
static int daemon__length(JSContext *ctx, JSValueConst array)
{
    JSValue value;
    uint32_t length = DAEMON__VALUES_MAX + 1;

    if (!JS_IsArray(array))
        return daemon__no_value(ctx), -1;
    value = JS_GetPropertyStr(ctx, array, "length");
    if (JS_IsException(value) || JS_ToUint32(ctx, &length, value) || length > DAEMON__VALUES_MAX) {
        JS_FreeValue(ctx, value);
        return daemon__no_value(ctx), -1;
    }
    JS_FreeValue(ctx, value);
    return (int) length;
}

static int daemon__append_number(JSContext *ctx, sd_bus_message *message, char type, JSValueConst value)
{
    uint8_t byte;
    uint32_t number;
    int flag;

    if (type == 'b') {
        flag = JS_ToBool(ctx, value);
        return flag < 0 ? -EPROTO : sd_bus_message_append_basic(message, type, &flag);
    }
    if (JS_ToUint32(ctx, &number, value))
        return -EPROTO;
    byte = (uint8_t) number;
    /* The bits of a negative number are those of its remainder. */
    return sd_bus_message_append_basic(message, type, type == 'y' ? (const void *) &byte : (const void *) &number);
}

static int daemon__append_text(JSContext *ctx, sd_bus_message *message, char type, JSValueConst value)
{
    const char *text = JS_ToCString(ctx, value);
    int result;

    if (text == NULL)
        return -EPROTO;
    result = sd_bus_message_append_basic(message, type, text);
    JS_FreeCString(ctx, text);
    return result;
}

static int daemon__append_basic(JSContext *ctx, sd_bus_message *message, char type, JSValueConst value)
{
    if (strchr("ybiu", type) != NULL)
        return daemon__append_number(ctx, message, type, value);
    return daemon__append_text(ctx, message, type, value);
}

static int daemon__append_texts(JSContext *ctx, sd_bus_message *message, JSValueConst texts)
{
    int length = daemon__length(ctx, texts);
    int result = length < 0 ? -EPROTO : sd_bus_message_open_container(message, 'a', "s");

    for (int i = 0; result >= 0 && i < length; i++) {
        JSValue text = JS_GetPropertyUint32(ctx, texts, (uint32_t) i);

        result = JS_IsException(text) ? -EPROTO : daemon__append_text(ctx, message, 's', text);
        JS_FreeValue(ctx, text);
    }
    return result < 0 ? result : sd_bus_message_close_container(message);
}

/* One [type, value] of a basic type, as a variant under `name`. */
static int daemon__append_entry(JSContext *ctx, sd_bus_message *message, const char *name, JSValueConst pair)
{
    JSValue type_value = JS_GetPropertyUint32(ctx, pair, 0);
    JSValue value = JS_GetPropertyUint32(ctx, pair, 1);
    const char *type = JS_ToCString(ctx, type_value);
    int result = type == NULL || JS_IsException(value) ? -EPROTO : 0;

    if (result == 0 && (strlen(type) != 1 || strchr("ybiusog", type[0]) == NULL))
        result = daemon__no_value(ctx);
    if (result >= 0)
        result = sd_bus_message_open_container(message, 'e', "sv");
    if (result >= 0)
        result = sd_bus_message_append_basic(message, 's', name);
    if (result >= 0)
        result = sd_bus_message_open_container(message, 'v', type);
    if (result >= 0)
        result = daemon__append_basic(ctx, message, type[0], value);
    if (result >= 0)
        result = sd_bus_message_close_container(message);
    if (result >= 0)
        result = sd_bus_message_close_container(message);
    JS_FreeCString(ctx, type);
    JS_FreeValue(ctx, type_value);
    JS_FreeValue(ctx, value);
    return result;
}

static int daemon__append_dictionary(JSContext *ctx, sd_bus_message *message, JSValueConst object)
{
    JSPropertyEnum *names = NULL;
    uint32_t count = 0;
    int result;

    if (JS_GetOwnPropertyNames(ctx, &names, &count, object, JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY))
        return -EPROTO;
    result = count > DAEMON__VALUES_MAX ? daemon__no_value(ctx) : sd_bus_message_open_container(message, 'a', "{sv}");
    for (uint32_t i = 0; result >= 0 && i < count; i++) {
        const char *name = JS_AtomToCString(ctx, names[i].atom);
        JSValue pair = JS_GetProperty(ctx, object, names[i].atom);

        result = name == NULL || JS_IsException(pair) ? -EPROTO : daemon__append_entry(ctx, message, name, pair);
        JS_FreeCString(ctx, name);
        JS_FreeValue(ctx, pair);
    }
    JS_FreePropertyEnum(ctx, names, count);
    return result < 0 ? result : sd_bus_message_close_container(message);
}

static int daemon__append_value(JSContext *ctx, sd_bus_message *message, JSValueConst pair)
{
    JSValue type_value = JS_GetPropertyUint32(ctx, pair, 0);
    JSValue value = JS_GetPropertyUint32(ctx, pair, 1);
    const char *type = JS_ToCString(ctx, type_value);
    int result = -EPROTO;

    if (type != NULL && !JS_IsException(value)) {
        if (strcmp(type, "as") == 0)
            result = daemon__append_texts(ctx, message, value);
        else if (strcmp(type, "a{sv}") == 0)
            result = daemon__append_dictionary(ctx, message, value);
        else if (strlen(type) == 1 && strchr("ybiusog", type[0]) != NULL)
            result = daemon__append_basic(ctx, message, type[0], value);
        else
            result = daemon__no_value(ctx);
    }
    JS_FreeCString(ctx, type);
    JS_FreeValue(ctx, type_value);
    JS_FreeValue(ctx, value);
    return result;
}

int daemon_bus_append(JSContext *ctx, sd_bus_message *message, JSValueConst values)
{
    int length = daemon__length(ctx, values);
    int result = length < 0 ? -EPROTO : 0;

    for (int i = 0; result >= 0 && i < length; i++) {
        JSValue pair = JS_GetPropertyUint32(ctx, values, (uint32_t) i);

        result = JS_IsException(pair) ? -EPROTO : daemon__append_value(ctx, message, pair);
        JS_FreeValue(ctx, pair);
    }
    return result;
}

/* Returns new, or JS_UNDEFINED for what nobody here reads. */
static JSValue daemon__read_value(JSContext *ctx, sd_bus_message *message, char type)
{
    union {
        uint8_t byte;
        int flag;
        int32_t signed_number;
        uint32_t number;
        const char *text;
    } basic;

    if (strchr("ybiusog", type) == NULL || sd_bus_message_read_basic(message, type, &basic) < 0)
        return JS_UNDEFINED;
    switch (type) {
    case 'y':
        return JS_NewInt32(ctx, basic.byte);
    case 'b':
        return JS_NewInt32(ctx, basic.flag);
    case 'i':
        return JS_NewInt32(ctx, basic.signed_number);
    case 'u':
        return JS_NewUint32(ctx, basic.number);
    default:
        return JS_NewString(ctx, basic.text);
    }
}

/* Returns new. */
static JSValue daemon__read_texts(JSContext *ctx, sd_bus_message *message)
{
    JSValue texts = JS_NewArray(ctx);
    char **read = NULL;

    if (JS_IsException(texts) || sd_bus_message_read_strv(message, &read) < 0) {
        JS_FreeValue(ctx, texts);
        return JS_UNDEFINED;
    }
    for (uint32_t i = 0; read != NULL && read[i] != NULL; i++) {
        if (!JS_IsException(texts) && JS_SetPropertyUint32(ctx, texts, i, JS_NewString(ctx, read[i])) < 0) {
            JS_FreeValue(ctx, texts);
            texts = JS_EXCEPTION;
        }
        /* sd-bus hands them out as copies. */
        free(read[i]);
    }
    free(read);
    return texts;
}

JSValue daemon_bus_read(JSContext *ctx, sd_bus_message *message)
{
    JSValue body = JS_NewArray(ctx);
    const char *contents;
    char type;

    if (JS_IsException(body))
        return body;
    for (uint32_t i = 0; sd_bus_message_peek_type(message, &type, &contents) > 0; i++) {
        bool is_texts = type == 'a' && strcmp(contents, "s") == 0;
        JSValue value = is_texts ? daemon__read_texts(ctx, message) : daemon__read_value(ctx, message, type);

        if (JS_IsException(value) || JS_SetPropertyUint32(ctx, body, i, value) < 0) {
            JS_FreeValue(ctx, body);
            return JS_EXCEPTION;
        }
        if (JS_IsUndefined(value) || i == DAEMON__VALUES_MAX) {
            JS_FreeValue(ctx, body);
            return JS_NewArray(ctx);
        }
    }
    return body;
}

#else

/* A translation unit is not empty. */
typedef int daemon__no_bus;

#endif
