/* SPDX-License-Identifier: MIT */

/* What the fuzzers share besides support.h of the bridge's own tests. */
#ifndef FUZZ_SUPPORT_H
#define FUZZ_SUPPORT_H

#include "support.h"

/* A bridge for all inputs of this process, with a script of the fuzzer's own. Its memory is no leak: it is never given back. */
struct bridge *fuzz_bridge(const char *source, const struct bridge_options *options);

#endif
