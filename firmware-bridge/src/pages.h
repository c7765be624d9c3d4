/* SPDX-License-Identifier: MIT */

/* pages: blocks of one page each, apart from malloc's heap. Internal. */
#ifndef BRIDGE_PAGES_H
#define BRIDGE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

/* Of one block: the only size there is. */
#define BRIDGE_PAGE_BYTES ((size_t) 4096)

/* All zero: none yet. */
struct bridge_pages {
    struct bridge__slab *slabs;
};

/* False where the system's pages have another size: then none may be taken. */
bool bridge_pages_are_usable(void);
/* A block of BRIDGE_PAGE_BYTES at a multiple of that, of any content, or NULL. From memory.c only, which counts them. */
void *bridge_pages_take(struct bridge_pages *pages);
/* Whether `at` is a block of these. */
bool bridge_pages_have(const struct bridge_pages *pages, const void *at);
/* Takes a block back. */
void bridge_pages_give(struct bridge_pages *pages, void *at);
/* Gives what is not in use back to the system. */
void bridge_pages_trim(struct bridge_pages *pages);
/* Gives everything back, blocks in use too. */
void bridge_pages_close(struct bridge_pages *pages);

#endif
