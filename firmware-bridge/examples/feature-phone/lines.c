/* SPDX-License-Identifier: MIT */

/*
 * lines: godwit_step has no descriptor to be polled beside stdin. So stdin has a thread of its own, which does nothing but read
 * and call godwit_wake, the one function that any thread may call.
 */

#include "lines.h"

#include <stdio.h>
#include <string.h>

static void *read_stdin(void *user)
{
    struct lines *lines = user;
    char line[LINE_BYTES_MAX];
    bool is_over = false;

    while (!is_over) {
        is_over = fgets(line, sizeof line, stdin) == NULL;
        (void) pthread_mutex_lock(&lines->mutex);
        while (!is_over && !lines->is_over && lines->count == LINES_WAITING_MAX)
            (void) pthread_cond_wait(&lines->has_room, &lines->mutex);
        is_over = is_over || lines->is_over;
        if (is_over)
            lines->is_over = true;
        else
            strcpy(lines->waiting[lines->count++], line);
        if (lines->agent != NULL)
            (void) godwit_wake(lines->agent);
        (void) pthread_mutex_unlock(&lines->mutex);
    }
    return NULL;
}

int lines_open(struct lines *lines, struct godwit *agent)
{
    memset(lines, 0, sizeof *lines);
    lines->agent = agent;
    if (pthread_mutex_init(&lines->mutex, NULL) != 0 || pthread_cond_init(&lines->has_room, NULL) != 0)
        return -1;
    if (pthread_create(&lines->thread, NULL, read_stdin, lines) != 0)
        return -1;
    /* It may be waiting for a person when the program ends. */
    return pthread_detach(lines->thread) == 0 ? 0 : -1;
}

bool lines_take(struct lines *lines, char line[LINE_BYTES_MAX], bool *is_over)
{
    bool is_there;

    (void) pthread_mutex_lock(&lines->mutex);
    is_there = lines->count > 0;
    if (is_there) {
        strcpy(line, lines->waiting[0]);
        lines->count--;
        memmove(lines->waiting[0], lines->waiting[1], (size_t) lines->count * sizeof lines->waiting[0]);
        (void) pthread_cond_signal(&lines->has_room);
    }
    *is_over = lines->is_over && lines->count == 0;
    (void) pthread_mutex_unlock(&lines->mutex);
    return is_there;
}

void lines_close(struct lines *lines)
{
    (void) pthread_mutex_lock(&lines->mutex);
    lines->agent = NULL;
    lines->is_over = true;
    (void) pthread_cond_signal(&lines->has_room);
    (void) pthread_mutex_unlock(&lines->mutex);
}
