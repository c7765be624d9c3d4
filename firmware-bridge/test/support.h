/* SPDX-License-Identifier: MIT */

/* What tests of the C host share: checks that name their place, a bridge around a few lines of script, its log. */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "bridge.h"

/* Ends the program with 1 and says where. */
#define CHECK(condition) test_check((condition), #condition, __FILE__, __LINE__)
#define CHECK_TEXT(got, expected) test_check_text((got), (expected), __FILE__, __LINE__)
#define CHECK_INT(got, expected) test_check_int((got), (expected), #got, __FILE__, __LINE__)

void test_check(bool holds, const char *condition, const char *file, int line);
void test_check_text(const char *got, const char *expected, const char *file, int line);
void test_check_int(int64_t got, int64_t expected, const char *expression, const char *file, int line);

/* Runs `body` and prints its name; for main(). */
#define RUN(body) test_run(#body, body)
void test_run(const char *name, void (*body)(void));

/*
 * A bridge that runs `source`: a script of the engine's own language, compiled as qjsc would. It has besides `bridge` the function
 * `say(text)`, whose texts test_said() returns, each with a line break. `options` may be NULL. BRIDGE_E or 0.
 */
int test_create(struct bridge **b, const char *source, const struct bridge_options *options);
const char *test_said(void);
/* Everything logged, "<priority> text" by line. Both are forgotten with test_forget. */
const char *test_logged(void);
void test_forget(void);
/* Steps until the script said `text`, or fails the test after 30 s. */
void test_step_until_said(struct bridge *b, const char *text);
/* Bytecode of `source`; the caller frees it with free(). */
struct bridge_script test_compile(const char *source);

#endif
