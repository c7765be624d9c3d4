/* SPDX-License-Identifier: MIT */

/* engine_memory: the script's heap, with its bound, and what has to be done when there is no more. */

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "bridge_limits.h"
#include "engine_parts.h"

/* Arenas of QuickJS-ng 0.17 have 3784 to 4096 bytes: up to 4096 as blocks of one size, behind 48. */
#define BRIDGE__ARENA_BYTES_MIN (BRIDGE_PAGE_BYTES - 48 - 512)

/*
 * Of what the engine asks for by itself. It knows of no pages, and a block may lie in one that only looks like an arena: where
 * it lies tells, and 0 says that nobody knows, as it may.
 */
static size_t bridge__engine_guess(const void *at)
{
    return (uintptr_t) at % BRIDGE_PAGE_BYTES == 0 ? 0 : malloc_usable_size((void *) (uintptr_t) at);
}

static size_t bridge__engine_usable(const struct bridge_engine *engine, void *at)
{
    return bridge_pages_have(&engine->pages, at) ? BRIDGE_PAGE_BYTES : malloc_usable_size(at);
}

/* An arena has a page of its own; but for ASan, which watches the ends of each block of malloc. */
static void *bridge__arena_or_block(struct bridge_engine *engine, size_t bytes)
{
#if !defined(__SANITIZE_ADDRESS__)
    if (bytes >= BRIDGE__ARENA_BYTES_MIN && bytes <= BRIDGE_PAGE_BYTES && bridge_pages_are_usable())
        return bridge_page_malloc(&engine->pages);
#else
    (void) engine;
#endif
    return bridge_malloc(bytes);
}

/*
 * In a build for it (GODWIT_GC_STRESS) garbage is collected at the next object after every so many allocations:
 * TEST_GC_PERIOD of the environment, else each.
 */
static void bridge__stress(struct bridge_engine *engine)
{
#if defined(BRIDGE_GC_STRESS)
    if (engine->gc_period == 0) {
        const char *period = getenv("TEST_GC_PERIOD");

        engine->gc_period = period != NULL ? strtoull(period, NULL, 10) : 1;
    }
    engine->allocations++;
    if (engine->allocations % engine->gc_period == 0 && engine->b->rt != NULL && !engine->ran_out)
        JS_SetGCThreshold(engine->b->rt, 0);
#else
    (void) engine;
#endif
}

/*
 * Counts `at`, which replaces a block of `before` bytes, or notes that there is none. Then nothing is collected any more in this
 * turn: QuickJS-ng 0.17 makes its error while a shape it could not grow is out of its lists, and a collection would stumble.
 */
static void *bridge__note(struct bridge_engine *engine, size_t before, void *at)
{
    if (at == NULL) {
        engine->ran_out = engine->ever_ran_out = true;
        if (engine->b->rt != NULL)
            JS_SetGCThreshold(engine->b->rt, SIZE_MAX);
        return NULL;
    }
    engine->heap_bytes += bridge__engine_usable(engine, at) - before;
    if (engine->heap_bytes > engine->heap_bytes_peak)
        engine->heap_bytes_peak = engine->heap_bytes;
    bridge__stress(engine);
    return at;
}

/* Whether the heap may grow by so much. The engine's own bound (JS_SetMemoryLimit) would pass bridge__note by. */
static bool bridge__has_room(const struct bridge_engine *engine, size_t bytes)
{
    return engine->heap_bytes <= engine->heap_bytes_max && bytes <= engine->heap_bytes_max - engine->heap_bytes;
}

static void *bridge__engine_malloc(void *opaque, size_t bytes)
{
    struct bridge_engine *engine = opaque;
    void *at = NULL;

    if (bridge__has_room(engine, bytes))
        at = bridge__arena_or_block(engine, bytes);
    for (int i = 0; at == NULL && i < BRIDGE__RESERVES && bytes <= BRIDGE__RESERVE_BYTES; i++) {
        at = engine->reserves[i];
        engine->reserves[i] = NULL;
    }
    return bridge__note(engine, 0, at);
}

static void *bridge__engine_calloc(void *opaque, size_t count, size_t bytes)
{
    struct bridge_engine *engine = opaque;
    void *at = NULL;

    if (bytes == 0 || (count <= SIZE_MAX / bytes && bridge__has_room(engine, count * bytes)))
        at = bridge_calloc(count, bytes);
    return bridge__note(engine, 0, at);
}

/* The block in a page, for one of `bytes` that needs none. */
static void *bridge__page_realloc(struct bridge_engine *engine, void *at, size_t bytes)
{
    void *moved = at;

    if (bytes > BRIDGE_PAGE_BYTES)
        moved = bridge_malloc(bytes);
    if (moved == NULL || moved == at)
        return moved;
    memcpy(moved, at, BRIDGE_PAGE_BYTES);
    bridge_page_free(&engine->pages, at);
    return moved;
}

static void *bridge__engine_realloc(void *opaque, void *at, size_t bytes)
{
    struct bridge_engine *engine = opaque;
    const bool is_page = bridge_pages_have(&engine->pages, at);
    size_t before = bridge__engine_usable(engine, at);
    void *moved = NULL;

    if (bytes <= before || bridge__has_room(engine, bytes - before))
        moved = is_page ? bridge__page_realloc(engine, at, bytes) : bridge_realloc(at, bytes);
    return bridge__note(engine, before, moved);
}

static void bridge__engine_free(void *opaque, void *at)
{
    struct bridge_engine *engine = opaque;

    engine->heap_bytes -= bridge__engine_usable(engine, at);
    if (bridge_pages_have(&engine->pages, at))
        bridge_page_free(&engine->pages, at);
    else
        bridge_free(at);
}

const JSMallocFunctions bridge_engine_memory = {
    .js_calloc = bridge__engine_calloc,
    .js_malloc = bridge__engine_malloc,
    .js_free = bridge__engine_free,
    .js_realloc = bridge__engine_realloc,
    .js_malloc_usable_size = bridge__engine_guess,
};

void bridge_engine_trim(struct bridge_engine *engine)
{
    if (engine->heap_bytes_peak - engine->heap_bytes < BRIDGE_TRIM_BYTES)
        return;
    engine->heap_bytes_peak = engine->heap_bytes;
    bridge_pages_trim(&engine->pages);
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}
