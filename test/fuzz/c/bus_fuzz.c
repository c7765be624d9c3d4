/* SPDX-License-Identifier: MIT */

/*
 * The desktop's bus: what a notification server answers, as sd-bus hands it over, with any types, nested in any way; and what the
 * script says there, whose texts come from senders. What is read is an array of the values the message has, or an empty one where
 * there is something nobody here reads; what is written is read as the same, or refused with a reason. An input is values.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <systemd/sd-bus.h>

#include "bus_values.h"
#include "fuzz_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define VALUES_MAX 70
#define DEPTH_MAX 4
/* Of the protocol. */
#define SIGNATURE_CHARS_MAX 255

struct input {
    const uint8_t *at;
    size_t left;
};

static uint8_t take_byte(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

/* A NUL-terminated copy of so many bytes as the next one says; the caller frees it. `count` has them too, NUL bytes counted. */
static char *take_text(struct input *input, size_t *count)
{
    char *text;

    *count = take_byte(input);
    if (*count > input->left)
        *count = input->left;
    text = malloc(*count + 1);
    CHECK(text != NULL);
    memcpy(text, input->at, *count);
    text[*count] = '\0';
    input->at += *count;
    input->left -= *count;
    return text;
}

/* A bus nobody is at: its messages are made and read, and go nowhere. */
static sd_bus *lonely_bus(void)
{
    static int ends[2];
    sd_bus *bus;

    CHECK_INT(daemon_sd_bus_load(), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    CHECK(sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, ends[0], ends[0]) >= 0 && sd_bus_start(bus) >= 0);
    return bus;
}

static sd_bus_message *new_message(sd_bus *bus)
{
    sd_bus_message *message = NULL;

    CHECK(sd_bus_message_new_signal(bus, &message, "/a", "a.b", "C") >= 0);
    return message;
}

/* What its reader gets. Returns new; JS_UNDEFINED for what cannot be sent, such as more types than a signature has room for. */
static JSValue received(JSContext *ctx, sd_bus_message *message)
{
    if (sd_bus_message_seal(message, 1, 0) < 0)
        return JS_UNDEFINED;
    CHECK(sd_bus_message_rewind(message, 1) >= 0);
    return daemon_bus_read(ctx, message);
}

static int64_t length_of(JSContext *ctx, JSValueConst array)
{
    int64_t length = -1;

    CHECK(JS_IsArray(array));
    CHECK(JS_GetLength(ctx, array, &length) == 0);
    return length;
}

/* ---- what comes ---- */

/* One value of any type; false where sd-bus does not take it. */
static bool append_any(struct input *input, sd_bus_message *message, int depth);

static bool append_number_or_text(struct input *input, sd_bus_message *message, char type)
{
    uint64_t number = 0;
    size_t count;
    char *text;
    bool is_taken;

    if (strchr("sog", type) != NULL) {
        text = take_text(input, &count);
        is_taken = sd_bus_message_append_basic(message, type, text) >= 0;
        free(text);
        return is_taken;
    }
    for (int i = 0; i < 4; i++)
        number = number << 8 | take_byte(input);
    /* A flag is an int of 0 or 1. */
    return sd_bus_message_append_basic(message, type, &number) >= 0;
}

static bool append_container(struct input *input, sd_bus_message *message, char kind, int depth)
{
    static const char *const contents[] = {"s", "u", "as", "{sv}", "v", "(su)", "y", "av"};
    const char *types = contents[take_byte(input) % 8];

    if (sd_bus_message_open_container(message, kind, types) < 0)
        return false;
    for (int count = take_byte(input) & 3; count > 0; count--)
        if (!append_any(input, message, depth + 1))
            return false;
    return sd_bus_message_close_container(message) >= 0;
}

static bool append_any(struct input *input, sd_bus_message *message, int depth)
{
    const char type = "ybiusognqxtdavre"[take_byte(input) & 15];

    if (strchr("avre", type) == NULL)
        return append_number_or_text(input, message, type);
    return depth < DEPTH_MAX && append_container(input, message, type, depth);
}

/* How many values a reader gets of these types: all, or none. */
static int64_t readable(const char *signature)
{
    int64_t count = 0;

    for (const char *at = signature; *at != '\0'; at++, count++) {
        if (*at == 'a' && at[1] == 's')
            at++;
        else if (strchr("ybiusog", *at) == NULL)
            return 0;
    }
    return count <= 64 ? count : 0;
}

static void check_read(JSContext *ctx, sd_bus *bus, struct input *input)
{
    sd_bus_message *message = new_message(bus);
    bool is_taken = true;
    JSValue body;

    for (int i = 0; is_taken && input->left > 0 && i < VALUES_MAX; i++)
        is_taken = append_any(input, message, 0);
    if (is_taken) {
        body = received(ctx, message);
        if (!JS_IsUndefined(body))
            CHECK_INT(length_of(ctx, body), readable(sd_bus_message_get_signature(message, 1)));
        JS_FreeValue(ctx, body);
    }
    sd_bus_message_unref(message);
}

/* ---- what is said ---- */

/* A text as the script has it. Bytes that are no UTF-8, and lone surrogates, come to be in it as the engine has them. */
static JSValue new_text(JSContext *ctx, struct input *input)
{
    size_t count;
    char *text = take_text(input, &count);
    JSValue value = JS_NewStringLen(ctx, text, count);

    free(text);
    return value;
}

static JSValue new_texts(JSContext *ctx, struct input *input)
{
    JSValue texts = JS_NewArray(ctx);

    for (uint32_t i = 0, count = take_byte(input) & 3; i < count; i++)
        CHECK(JS_SetPropertyUint32(ctx, texts, i, new_text(ctx, input)) >= 0);
    return texts;
}

static JSValue new_pair(JSContext *ctx, const char *type, JSValue value)
{
    JSValue pair = JS_NewArray(ctx);

    CHECK(JS_SetPropertyUint32(ctx, pair, 0, JS_NewString(ctx, type)) >= 0 && JS_SetPropertyUint32(ctx, pair, 1, value) >= 0);
    return pair;
}

static JSValue new_number(JSContext *ctx, const char *type, uint32_t number)
{
    if (strcmp(type, "y") == 0)
        return JS_NewInt32(ctx, (uint8_t) number);
    if (strcmp(type, "b") == 0)
        return JS_NewInt32(ctx, number & 1);
    return strcmp(type, "i") == 0 ? JS_NewInt32(ctx, (int32_t) number) : JS_NewUint32(ctx, number);
}

/* What the script hands over, each [type, value], and what of it is expected back. */
static JSValue new_values(JSContext *ctx, struct input *input, JSValue expected, bool *has_dictionary)
{
    static const char *const types[] = {"y", "b", "i", "u", "s", "o", "g", "as", "a{sv}", "v", ""};
    JSValue values = JS_NewArray(ctx);

    for (uint32_t i = 0; input->left > 0 && i < VALUES_MAX; i++) {
        const char *type = types[take_byte(input) % 11];
        JSValue value;

        if (strcmp(type, "a{sv}") == 0) {
            value = JS_NewObject(ctx);
            *has_dictionary = true;
            CHECK(JS_SetPropertyStr(ctx, value, "hint", new_pair(ctx, types[take_byte(input) % 11], new_text(ctx, input))) >= 0);
        } else if (strcmp(type, "as") == 0) {
            value = new_texts(ctx, input);
        } else if (*type != '\0' && strchr("ybiu", *type) != NULL) {
            uint32_t number = take_byte(input);

            for (int more = 0; more < 3; more++)
                number = number << 8 | take_byte(input);
            value = new_number(ctx, type, number);
        } else {
            value = new_text(ctx, input);
        }
        CHECK(JS_SetPropertyUint32(ctx, expected, i, JS_DupValue(ctx, value)) >= 0);
        CHECK(JS_SetPropertyUint32(ctx, values, i, new_pair(ctx, type, value)) >= 0);
    }
    return values;
}

static void check_same(JSContext *ctx, JSValueConst got, JSValueConst expected)
{
    JSValue texts[2] = {JS_JSONStringify(ctx, got, JS_UNDEFINED, JS_UNDEFINED),
                        JS_JSONStringify(ctx, expected, JS_UNDEFINED, JS_UNDEFINED)};
    const char *shown[2] = {JS_ToCString(ctx, texts[0]), JS_ToCString(ctx, texts[1])};

    /* The bus has no texts with a zero in them: it ends there. */
    if (strstr(shown[1], "\\u0000") == NULL)
        CHECK_TEXT(shown[0], shown[1]);
    for (int i = 0; i < 2; i++) {
        JS_FreeCString(ctx, shown[i]);
        JS_FreeValue(ctx, texts[i]);
    }
}

static void check_said(JSContext *ctx, sd_bus *bus, struct input *input)
{
    sd_bus_message *message = new_message(bus);
    JSValue expected = JS_NewArray(ctx);
    bool has_dictionary = false;
    JSValue values = new_values(ctx, input, expected, &has_dictionary);
    const int result = daemon_bus_append(ctx, message, values);

    CHECK((result == -EPROTO) == JS_HasException(ctx));
    JS_FreeValue(ctx, JS_GetException(ctx));
    CHECK(result == 0 || result == -EPROTO || result == -EINVAL);
    if (result == 0) {
        JSValue body = received(ctx, message);

        if (JS_IsUndefined(body))
            CHECK(strlen(sd_bus_message_get_signature(message, 1)) > SIGNATURE_CHARS_MAX);
        else if (has_dictionary)
            CHECK_INT(length_of(ctx, body), 0);
        else
            check_same(ctx, body, expected);
        JS_FreeValue(ctx, body);
    }
    JS_FreeValue(ctx, values);
    JS_FreeValue(ctx, expected);
    sd_bus_message_unref(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct bridge *b;
    static sd_bus *bus;
    struct input input = {data, bytes};

    if (b == NULL) {
        b = fuzz_bridge("bridge.listen({ look() {} });", NULL);
        bus = lonely_bus();
    }
    if ((take_byte(&input) & 1) == 0)
        check_read(b->ctx, bus, &input);
    else
        check_said(b->ctx, bus, &input);
    return 0;
}
