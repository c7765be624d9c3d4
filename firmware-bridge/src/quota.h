/* SPDX-License-Identifier: MIT */

/*
 * quota: how many bytes the files below one directory hold together, and how many they may.
 *
 * Counted once by walking, at the first write, then kept: the directory belongs to one process. What others change
 * there is found by walking again, before a write is refused.
 */
#ifndef BRIDGE_QUOTA_H
#define BRIDGE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bridge_quota {
    /* Without a slash at the end; NULL for none, and then nothing is below it. Owned. */
    char *directory;
    size_t directory_bytes;
    /* 0: no limit. */
    uint64_t bytes_max;
    /* Negative before the first walk. */
    int64_t bytes_used;
};

/* `directory` is copied; NULL is allowed. 0, BRIDGE_E_NOMEM, or BRIDGE_E_ARGUMENT for what is no absolute path. */
int bridge_quota_open(struct bridge_quota *quota, const char *directory, uint64_t bytes_max);
void bridge_quota_close(struct bridge_quota *quota);
/* True for a name below the directory, false for the directory itself. */
bool bridge_quota_covers(const struct bridge_quota *quota, const char *path);
/* True when `path` begins below the directory and has a "." or ".." in the rest. */
bool bridge_quota_escapes(const struct bridge_quota *quota, const char *path);
/* Length of the regular file at `path` when it counts, else 0. Links count nothing. */
int64_t bridge_quota_bytes_of(const struct bridge_quota *quota, const char *path);
/* What a quota of `directory` counts there now. What cannot be read counts as nothing. */
int64_t bridge_quota_count(const char *directory);
/* Whether the files may grow by `growth_bytes`. */
bool bridge_quota_allows(struct bridge_quota *quota, int64_t growth_bytes);
void bridge_quota_grown(struct bridge_quota *quota, int64_t bytes);
void bridge_quota_freed(struct bridge_quota *quota, int64_t bytes);

#endif
