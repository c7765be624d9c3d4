/* SPDX-License-Identifier: MIT */

/* fuzz_support: see fuzz_support.h. */

#include "fuzz_support.h"

#include <sanitizer/lsan_interface.h>

struct bridge *fuzz_bridge(const char *source, const struct bridge_options *options)
{
    struct bridge *b;

    /* The engine hides pointers where LeakSanitizer does not look. */
    __lsan_disable();
    CHECK_INT(test_create(&b, source, options), 0);
    __lsan_enable();
    return b;
}
