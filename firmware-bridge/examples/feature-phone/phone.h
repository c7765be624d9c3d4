/* SPDX-License-Identifier: MIT */

/* phone: what the little shell knows: its agent, the notifications on its screen, what it was asked. */
#ifndef PHONE_H
#define PHONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "godwit.h"

#define PHONE_NOTIFICATIONS_MAX 16
#define PHONE_TEXT_BYTES_MAX 512

/* A line of the list. Everything of it is a copy: what a callback gets is gone when it returns. */
struct phone_notification {
    uint64_t notification_id;
    char text[PHONE_TEXT_BYTES_MAX];
    char keys[2][64];
    size_t keys_count;
};

struct phone {
    struct godwit *agent;
    struct phone_notification notifications[PHONE_NOTIFICATIONS_MAX];
    size_t notifications_count;
    /* The app that lives in this program counts its messages. */
    uint64_t messages;
    bool is_leaving;
};

/* The callbacks, for godwit_create with a `struct phone` as its user. */
void phone_callbacks(struct godwit_callbacks *callbacks);
/* Carries out one line a person typed. Tells what is wrong with it on stdout. */
void phone_command(struct phone *phone, char *line);
/* Prints a line at once: whoever reads a pipe waits for it. */
void phone_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
