/* SPDX-License-Identifier: MIT */

/* What engine.c, its memory and the object it lends the script share. */
#ifndef BRIDGE_ENGINE_PARTS_H
#define BRIDGE_ENGINE_PARTS_H

#include "bridge.h"
#include "pages.h"

struct bridge__event {
    struct bridge__event *next;
    const char *name;
    int argc;
    JSValue argv[];
};

/*
 * JS_NewContextRaw of QuickJS-ng 0.17 allocates twice before its context is whole, and when the second fails it leaves the
 * freed context in a list of the runtime. Both can fall back on blocks that were there before.
 */
#define BRIDGE__RESERVES 2
#define BRIDGE__RESERVE_BYTES 8192

struct bridge_engine {
    struct bridge *b;
    /* NULL but while the context is made. */
    void *reserves[BRIDGE__RESERVES];
    /* The engine was refused memory since the script was entered: whatever it throws then, that is why. And: ever. */
    bool ran_out;
    bool ever_ran_out;
    /* Of the engine's arenas. */
    struct bridge_pages pages;
    /* What the engine holds, held at most since pages went back to the system, and may. */
    size_t heap_bytes;
    size_t heap_bytes_peak;
    size_t heap_bytes_max;
#if defined(BRIDGE_GC_STRESS)
    /* Every so many allocations garbage is collected; and how many there were. */
    uint64_t gc_period;
    uint64_t allocations;
#endif
    /* True while the script, or one of its jobs, runs. */
    bool is_running;
    bool is_closing;
    int64_t cpu_deadline_us;
    /* What the engine was told last; it chooses another one whenever it has collected. */
    size_t gc_threshold;
    struct bridge__event *first;
    struct bridge__event **last;
    int queued;
    /* Promises that were rejected and nobody handles yet. */
    JSValue *rejected;
    int rejected_count;
};

/* engine_memory.c: what the engine allocates with; `opaque` is its struct bridge_engine. */
extern const JSMallocFunctions bridge_engine_memory;

/* Between events: gives the system back what a burst or a rewritten journal took. */
void bridge_engine_trim(struct bridge_engine *engine);

/* engine_object.c: puts the object `bridge` on the script's globalThis, with what needs no module. 0 or BRIDGE_E_NOMEM. */
int bridge_engine_add_object(struct bridge *b);

#endif
