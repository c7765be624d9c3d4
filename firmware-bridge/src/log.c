/* SPDX-License-Identifier: MIT */

/* log: one line at a time to whoever embeds us, without anything that could pass for another line or move a cursor. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bridge.h"
#include "bridge_limits.h"

#define BRIDGE__PRIORITY_ERROR 3
#define BRIDGE__PRIORITY_DEBUG 7

/* Blanks out C0, DEL, C1 and the two line separators of Unicode. Takes UTF-8 that may end in the middle of a character. */
static void bridge__clean(char *text)
{
    for (unsigned char *at = (unsigned char *) text; *at != '\0'; at++) {
        if (*at < 0x20 || *at == 0x7f) {
            *at = ' ';
        } else if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f) {
            at[0] = at[1] = ' ';
        } else if (at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9)) {
            at[0] = at[1] = at[2] = ' ';
        }
    }
}

/* Cuts a character that is not whole off the end of `text`. */
static void bridge__trim(char *text, size_t bytes)
{
    size_t start = bytes;
    size_t needs = 1;

    while (start > 0 && bytes - start < 4 && ((unsigned char) text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    start--;
    if ((unsigned char) text[start] >= 0xf0)
        needs = 4;
    else if ((unsigned char) text[start] >= 0xe0)
        needs = 3;
    else if ((unsigned char) text[start] >= 0xc0)
        needs = 2;
    if (bytes - start < needs)
        text[start] = '\0';
}

void bridge_log(struct bridge *b, int priority, const char *format, ...)
{
    char line[BRIDGE_LOG_BYTES_MAX];
    va_list arguments;
    int length;

    if (b->log == NULL)
        return;
    va_start(arguments, format);
    length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    if ((size_t) length >= sizeof line)
        bridge__trim(line, sizeof line - 1);
    bridge__clean(line);
    b->log(b->user, priority, line);
}

/* log(priority, text) -> undefined. Longer lines are cut. */
static JSValue bridge__log_text(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    int64_t priority;
    const char *text;

    (void) this_val;
    (void) argc;
    if (bridge_arg_int64(ctx, argv[0], BRIDGE__PRIORITY_ERROR, BRIDGE__PRIORITY_DEBUG, &priority))
        return JS_EXCEPTION;
    text = JS_ToCString(ctx, argv[1]);
    if (text == NULL)
        return JS_EXCEPTION;
    bridge_log(bridge_of(ctx), (int) priority, "%s", text);
    JS_FreeCString(ctx, text);
    return JS_UNDEFINED;
}

int bridge_log_open(struct bridge *b)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF("log", 2, bridge__log_text),
    };

    return bridge_add_functions(b, functions, 1);
}
