/* SPDX-License-Identifier: MIT */

/*
 * quota: see quota.h. Lengths, not blocks: what a file system adds is its own affair.
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge.h"
#include "quota.h"

/* Folders below the state directory that are counted. */
#define BRIDGE__FOLDERS_DEEP_MAX 4

int bridge_quota_open(struct bridge_quota *quota, const char *directory, uint64_t bytes_max)
{
    size_t bytes;

    *quota = (struct bridge_quota){ .bytes_max = bytes_max, .bytes_used = -1 };
    if (directory == NULL)
        return 0;
    bytes = strlen(directory);
    while (bytes > 1 && directory[bytes - 1] == '/')
        bytes--;
    /* The root directory would make every file one of ours. */
    if (directory[0] != '/' || bytes < 2)
        return BRIDGE_E_ARGUMENT;
    quota->directory = bridge_strndup(directory, bytes);
    if (quota->directory == NULL)
        return BRIDGE_E_NOMEM;
    quota->directory_bytes = bytes;
    return 0;
}

void bridge_quota_close(struct bridge_quota *quota)
{
    bridge_free(quota->directory);
    quota->directory = NULL;
}

bool bridge_quota_covers(const struct bridge_quota *quota, const char *path)
{
    size_t bytes = quota->directory_bytes;

    if (quota->directory == NULL || strncmp(path, quota->directory, bytes) != 0 || path[bytes] != '/')
        return false;
    return path[bytes + strspn(path + bytes, "/")] != '\0';
}

bool bridge_quota_escapes(const struct bridge_quota *quota, const char *path)
{
    if (!bridge_quota_covers(quota, path))
        return false;
    path += quota->directory_bytes;
    while (*path != '\0') {
        size_t bytes;

        path += strspn(path, "/");
        bytes = strcspn(path, "/");
        if ((bytes == 1 && path[0] == '.') || (bytes == 2 && path[0] == '.' && path[1] == '.'))
            return true;
        path += bytes;
    }
    return false;
}

int64_t bridge_quota_bytes_of(const struct bridge_quota *quota, const char *path)
{
    struct stat found;

    /* Before the first walk nothing is added up. */
    if (quota->bytes_used < 0 || !bridge_quota_covers(quota, path))
        return 0;
    if (lstat(path, &found) < 0 || !S_ISREG(found.st_mode))
        return 0;
    /* Another name keeps the bytes. */
    return found.st_nlink > 1 ? 0 : found.st_size;
}

/*
 * Bytes of the regular files below `parent_fd`/`name`; what cannot be read counts as nothing. Links are not followed.
 */
static int64_t bridge__walk(int parent_fd, const char *name, int depth_left)
{
    int fd = openat(parent_fd, name,
                    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK | (parent_fd < 0 ? 0 : O_NOFOLLOW));
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    int64_t bytes = 0;
    struct dirent *entry;
    struct stat found;

    if (entries == NULL) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    while ((entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(fd, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISREG(found.st_mode))
            bytes += found.st_size;
        else if (S_ISDIR(found.st_mode) && depth_left > 0)
            bytes += bridge__walk(fd, entry->d_name, depth_left - 1);
    }
    /* Closes fd, too. */
    closedir(entries);
    return bytes;
}

int64_t bridge_quota_count(const char *directory)
{
    return bridge__walk(AT_FDCWD, directory, BRIDGE__FOLDERS_DEEP_MAX);
}

bool bridge_quota_allows(struct bridge_quota *quota, int64_t growth_bytes)
{
    bool is_walked = false;

    if (growth_bytes <= 0 || quota->bytes_max == 0 || quota->directory == NULL)
        return true;
    for (;;) {
        if (quota->bytes_used >= 0 && (uint64_t) quota->bytes_used <= quota->bytes_max
            && (uint64_t) growth_bytes <= quota->bytes_max - (uint64_t) quota->bytes_used)
            return true;
        if (is_walked)
            return false;
        quota->bytes_used = bridge_quota_count(quota->directory);
        is_walked = true;
    }
}

void bridge_quota_grown(struct bridge_quota *quota, int64_t bytes)
{
    if (quota->bytes_used >= 0)
        quota->bytes_used += bytes;
}

void bridge_quota_freed(struct bridge_quota *quota, int64_t bytes)
{
    if (quota->bytes_used >= 0)
        quota->bytes_used = quota->bytes_used > bytes ? quota->bytes_used - bytes : 0;
}
