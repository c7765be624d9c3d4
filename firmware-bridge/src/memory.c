/* SPDX-License-Identifier: MIT */

/* memory: the one place allocations of ours and of the engine come from. Tests make any of them fail (memory_faults.h). */

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "bridge.h"
#include "pages.h"

#if defined(BRIDGE_MEMORY_FAULTS)

#include <stdatomic.h>

#include "memory_faults.h"

static _Atomic uint64_t bridge__seen;
static _Atomic uint64_t bridge__fail_at;
static _Atomic bool bridge__fails_after;
static _Atomic bool bridge__was_hit;
static _Atomic size_t bridge__blocks;

void bridge_memory_faults_set(uint64_t nth, bool and_all_after)
{
    atomic_store(&bridge__seen, 0);
    atomic_store(&bridge__was_hit, false);
    atomic_store(&bridge__fails_after, and_all_after);
    atomic_store(&bridge__fail_at, nth);
}

uint64_t bridge_memory_faults_seen(void)
{
    return atomic_load(&bridge__seen);
}

bool bridge_memory_faults_hit(void)
{
    return atomic_load(&bridge__was_hit);
}

size_t bridge_memory_blocks(void)
{
    return atomic_load(&bridge__blocks);
}

/* Counts one allocation; true when it has to fail. */
static bool bridge__fails(void)
{
    uint64_t number = atomic_fetch_add(&bridge__seen, 1) + 1;
    uint64_t fail_at = atomic_load(&bridge__fail_at);
    bool fails = fail_at > 0 && (number == fail_at || (atomic_load(&bridge__fails_after) && number > fail_at));

    if (fails)
        atomic_store(&bridge__was_hit, true);
    return fails;
}

#define BRIDGE_FAILS() bridge__fails()
#define BRIDGE_COUNT(at, blocks) ((void) ((at) != NULL && atomic_fetch_add(&bridge__blocks, (size_t) (blocks))))

#else

#define BRIDGE_FAILS() false
#define BRIDGE_COUNT(at, blocks) ((void) 0)

#endif

void *bridge_malloc(size_t bytes)
{
    void *at = BRIDGE_FAILS() ? NULL : malloc(bytes > 0 ? bytes : 1);

    BRIDGE_COUNT(at, 1);
    return at;
}

void *bridge_calloc(size_t count, size_t bytes)
{
    void *at = BRIDGE_FAILS() ? NULL : calloc(count > 0 ? count : 1, bytes > 0 ? bytes : 1);

    BRIDGE_COUNT(at, 1);
    return at;
}

/* What is smaller always has room: the engine relies on it in places where it cannot go back. */
void *bridge_realloc(void *at, size_t bytes)
{
    bool is_smaller = at != NULL && bytes <= malloc_usable_size(at);
    void *moved = !is_smaller && BRIDGE_FAILS() ? NULL : realloc(at, bytes > 0 ? bytes : 1);

    if (at == NULL)
        BRIDGE_COUNT(moved, 1);
    return moved == NULL && is_smaller ? at : moved;
}

char *bridge_strdup(const char *text)
{
    return bridge_strndup(text, strlen(text));
}

char *bridge_strndup(const char *text, size_t bytes)
{
    size_t length = strnlen(text, bytes);
    char *copy = bridge_malloc(length + 1);

    if (copy == NULL)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

void bridge_free(void *at)
{
    BRIDGE_COUNT(at, -1);
    free(at);
}

void *bridge_page_malloc(struct bridge_pages *pages)
{
    void *at = BRIDGE_FAILS() ? NULL : bridge_pages_take(pages);

    BRIDGE_COUNT(at, 1);
    return at;
}

void bridge_page_free(struct bridge_pages *pages, void *at)
{
    BRIDGE_COUNT(at, -1);
    bridge_pages_give(pages, at);
}
