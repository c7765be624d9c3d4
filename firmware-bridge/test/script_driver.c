/* SPDX-License-Identifier: MIT */

/*
 * script_driver: a bridge around a script given as a file, for tests on Node that drive the C host. Each line of stdin
 * becomes the script's event `line`, what it says with `say` a line of stdout. Ends with 0 at the end of stdin.
 *
 *   script_driver <script.js> [--options JSON] [--ca-file path] [--ca-pem path] [--state directory]
 *                 [--epoch-floor-ms ms]
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

#define LINE_BYTES_MAX (8 * 1024 * 1024)

struct driver {
    struct bridge *b;
    struct bridge_watch *input;
    char *line;
    size_t bytes;
    bool has_ended;
};

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    long bytes;

    CHECK(file != NULL);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    bytes = ftell(file);
    CHECK(bytes >= 0);
    rewind(file);
    text = malloc((size_t) bytes + 1);
    CHECK(text != NULL);
    CHECK(fread(text, 1, (size_t) bytes, file) == (size_t) bytes);
    text[bytes] = '\0';
    (void) fclose(file);
    return text;
}

static JSValue say(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *text = JS_ToCString(ctx, argv[0]);

    (void) this_val;
    (void) argc;
    if (text == NULL)
        return JS_EXCEPTION;
    (void) puts(text);
    (void) fflush(stdout);
    JS_FreeCString(ctx, text);
    return JS_UNDEFINED;
}

static int extend(struct bridge *b, void *user)
{
    static const JSCFunctionListEntry functions[] = {JS_CFUNC_DEF("say", 1, say)};

    (void) user;
    return bridge_add_functions(b, functions, 1);
}

static void log_line(void *user, int priority, const char *text)
{
    (void) user;
    (void) fprintf(stderr, "<%d> %s\n", priority, text);
}

/* Whole lines become events. */
static void take_lines(struct driver *driver)
{
    char *end;

    while ((end = memchr(driver->line, '\n', driver->bytes)) != NULL) {
        size_t bytes = (size_t) (end - driver->line);
        JSValue line = JS_NewStringLen(driver->b->ctx, driver->line, bytes);

        driver->bytes -= bytes + 1;
        memmove(driver->line, end + 1, driver->bytes);
        (void) bridge_emit(driver->b, "line", 1, &line);
    }
}

static void input_readable(void *user)
{
    struct driver *driver = user;
    ssize_t bytes = read(STDIN_FILENO, driver->line + driver->bytes, LINE_BYTES_MAX - driver->bytes);

    if (bytes > 0) {
        driver->bytes += (size_t) bytes;
        take_lines(driver);
    } else if (bytes == 0 || errno != EAGAIN) {
        driver->has_ended = true;
    }
}

int main(int argc, char **argv)
{
    struct bridge_options options = {.epoch_trusted = true, .log = log_line, .extend = extend};
    struct driver driver = {0};
    struct bridge_script script;
    char *source, *pem = NULL;
    int error = 0;

    CHECK(argc >= 2);
    for (int i = 2; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--options"))
            options.options_json = argv[i + 1];
        else if (!strcmp(argv[i], "--ca-file"))
            options.ca_file = argv[i + 1];
        else if (!strcmp(argv[i], "--ca-pem"))
            options.ca_pem = pem = read_file(argv[i + 1]);
        else if (!strcmp(argv[i], "--state"))
            options.state_directory = argv[i + 1];
        else if (!strcmp(argv[i], "--epoch-floor-ms"))
            options.epoch_floor_ms = strtoll(argv[i + 1], NULL, 10);
        else
            CHECK(!"an option this program has");
    }
    source = read_file(argv[1]);
    script = test_compile(source);
    free(source);
    options.script = &script;
    error = bridge_create(&driver.b, &options);
    if (error)
        (void) fprintf(stderr, "bridge_create: %d\n", error);
    CHECK(error == 0);

    driver.line = malloc(LINE_BYTES_MAX);
    CHECK(driver.line != NULL);
    CHECK(fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) == 0);
    driver.input = bridge_watch_add(driver.b, STDIN_FILENO, input_readable, NULL, &driver);
    CHECK(driver.input != NULL);
    while (!driver.has_ended && !error)
        error = bridge_loop_step(driver.b, -1);
    bridge_watch_remove(driver.input);
    bridge_destroy(driver.b);
    free((void *) (uintptr_t) script.bytecode);
    free(driver.line);
    free(pem);
    return error ? 1 : 0;
}
