/* SPDX-License-Identifier: MIT */

/*
 * pages: see pages.h.
 *
 * The engine keeps what is small in arenas of about 4 KB, two thirds of its heap. In malloc's heap each lies across two pages,
 * with what lives longer in between, so a page seldom is free as a whole when arenas are: 10,000 messages left 60 KB there.
 * Here an arena is a page; one that is free is used again first, and goes back to the system when the heap is trimmed.
 */

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pages.h"

/* As many as a word has bits. */
#define BRIDGE__SLAB_PAGES 64
#define BRIDGE__SLAB_BYTES (BRIDGE__SLAB_PAGES * BRIDGE_PAGE_BYTES)

/* Pages side by side; bit n of each word stands for page n. */
struct bridge__slab {
    struct bridge__slab *next;
    unsigned char *pages;
    uint64_t used;
    /* Were used since the system got them back: in use, or to be used first. */
    uint64_t touched;
};

bool bridge_pages_are_usable(void)
{
    return sysconf(_SC_PAGESIZE) == (long) BRIDGE_PAGE_BYTES;
}

static struct bridge__slab *bridge__slab_of(const struct bridge_pages *pages, const void *at)
{
    const uintptr_t address = (uintptr_t) at;

    /* Most blocks of malloc are told by this alone. */
    if (address % BRIDGE_PAGE_BYTES != 0)
        return NULL;
    for (struct bridge__slab *slab = pages->slabs; slab != NULL; slab = slab->next) {
        if (address - (uintptr_t) slab->pages < BRIDGE__SLAB_BYTES)
            return slab;
    }
    return NULL;
}

/* One with nothing in use, the first of `pages` from now on, or NULL. */
static struct bridge__slab *bridge__slab_new(struct bridge_pages *pages)
{
    struct bridge__slab *slab = calloc(1, sizeof *slab);
    void *at;

    if (slab == NULL)
        return NULL;
    at = mmap(NULL, BRIDGE__SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        free(slab);
        return NULL;
    }
#if defined(MADV_NOHUGEPAGE)
    /* Slabs join, and a huge page would fill what is not in use. */
    (void) madvise(at, BRIDGE__SLAB_BYTES, MADV_NOHUGEPAGE);
#endif
    slab->pages = at;
    slab->next = pages->slabs;
    pages->slabs = slab;
    return slab;
}

void *bridge_pages_take(struct bridge_pages *pages)
{
    struct bridge__slab *best = NULL;
    uint64_t free_pages;
    int page;

    for (struct bridge__slab *slab = pages->slabs; slab != NULL; slab = slab->next) {
        if ((slab->touched & ~slab->used) != 0) {
            best = slab;
            break;
        }
        if (~slab->used != 0)
            best = slab;
    }
    if (best == NULL)
        best = bridge__slab_new(pages);
    if (best == NULL)
        return NULL;
    free_pages = best->touched & ~best->used;
    if (free_pages == 0)
        free_pages = ~best->used;
    page = __builtin_ctzll(free_pages);
    best->used |= UINT64_C(1) << page;
    best->touched |= UINT64_C(1) << page;
    return best->pages + (size_t) page * BRIDGE_PAGE_BYTES;
}

bool bridge_pages_have(const struct bridge_pages *pages, const void *at)
{
    return bridge__slab_of(pages, at) != NULL;
}

void bridge_pages_give(struct bridge_pages *pages, void *at)
{
    struct bridge__slab *slab = bridge__slab_of(pages, at);

    if (slab != NULL)
        slab->used &= ~(UINT64_C(1) << ((size_t) ((unsigned char *) at - slab->pages) / BRIDGE_PAGE_BYTES));
}

void bridge_pages_trim(struct bridge_pages *pages)
{
    for (struct bridge__slab *slab = pages->slabs; slab != NULL; slab = slab->next) {
        for (int page = 0; (slab->touched & ~slab->used) != 0 && page < BRIDGE__SLAB_PAGES; page++) {
            if ((slab->touched & ~slab->used & UINT64_C(1) << page) == 0)
                continue;
            slab->touched &= ~(UINT64_C(1) << page);
            /* Refused where a program locks its memory: it is free all the same. */
            (void) madvise(slab->pages + (size_t) page * BRIDGE_PAGE_BYTES, BRIDGE_PAGE_BYTES, MADV_DONTNEED);
        }
    }
}

void bridge_pages_close(struct bridge_pages *pages)
{
    while (pages->slabs != NULL) {
        struct bridge__slab *slab = pages->slabs;

        pages->slabs = slab->next;
        (void) munmap(slab->pages, BRIDGE__SLAB_BYTES);
        free(slab);
    }
}
