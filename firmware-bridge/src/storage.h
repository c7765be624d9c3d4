/* SPDX-License-Identifier: MIT */

/* storage: what storage.c and storage_names.c share. */
#ifndef BRIDGE_STORAGE_H
#define BRIDGE_STORAGE_H

#include "bridge.h"
#include "quota.h"

/* Files the script has open at once: a segment, the one being written, a directory; the rest is room for mistakes. */
#define BRIDGE_FILES_OPEN_MAX 16
/* The lock of the directory, and what it is taken over with. */
#define BRIDGE_LINKS_MAX 4
/* Permission bits the script may ask for. */
#define BRIDGE_MODE_MAX 0777

struct bridge__file {
    /* Never used twice, so that a descriptor closed twice is an error and not another file. 0: free. */
    int64_t id;
    int fd;
    /* Regular, and below the state directory. */
    bool is_counted;
};

/* A symbolic link the script made and did not remove: a lock. */
struct bridge__link {
    /* Owned; NULL: free. */
    char *path;
    char *target;
};

struct bridge_storage {
    struct bridge__file files[BRIDGE_FILES_OPEN_MAX];
    struct bridge__link links[BRIDGE_LINKS_MAX];
    int64_t last_id;
    struct bridge_quota quota;
};

/* Repeats `call` while a signal interrupts it. */
#define BRIDGE_RETRY(result, call) \
    do {                            \
        (result) = (call);          \
    } while ((result) < 0 && errno == EINTR)

/*
 * Borrows the absolute path in `value`; free with JS_FreeCString. NULL with an exception pending: TypeError for what is
 * no text, Error with EINVAL or ENAMETOOLONG for what is no absolute path, or leaves the state directory through "..".
 */
const char *bridge_arg_path(JSContext *ctx, const struct bridge_storage *storage, JSValueConst value);
/* Opens for reading, or returns -1 with errno. Never waits for the other end of a pipe; a directory is allowed. */
int bridge_storage_open_read(const char *path, int more_flags);
/*
 * Removes the links that are still there: the process goes on, and would hold the lock of an agent that is gone. After a
 * SIGKILL they stay, and name a process that is none any more.
 */
void bridge_storage_remove_links(struct bridge_storage *storage);
/* Adds the functions that deal with names to the script's `fs`. Negative with an exception pending. */
int bridge_storage_add_names(JSContext *ctx, JSValueConst fs);

#endif
