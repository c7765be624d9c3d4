/* SPDX-License-Identifier: MIT */

/* lines: what a person types, read by a thread of its own and handed to the thread of the agent. */
#ifndef LINES_H
#define LINES_H

#include <pthread.h>
#include <stdbool.h>

#include "godwit.h"

#define LINES_WAITING_MAX 16
#define LINE_BYTES_MAX 1024

struct lines {
    struct godwit *agent;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t has_room;
    char waiting[LINES_WAITING_MAX][LINE_BYTES_MAX];
    int count;
    bool is_over;
};

/* Starts to read stdin, and wakes `agent` for each line. 0, or -1. */
int lines_open(struct lines *lines, struct godwit *agent);
/* The next line, copied into `line`. False when there is none yet, or with *is_over no more. */
bool lines_take(struct lines *lines, char line[LINE_BYTES_MAX], bool *is_over);
/* No more lines are wanted: to be called before `agent` is destroyed, which the thread would wake. */
void lines_close(struct lines *lines);

#endif
