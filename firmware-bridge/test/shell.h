/* SPDX-License-Identifier: MIT */

/*
 * What tests of godwit.h share: a program around an agent that notes each callback as a line, in a state directory of
 * its own.
 */
#ifndef TEST_SHELL_H
#define TEST_SHELL_H

#include "api.h"
#include "support.h"

struct shell {
    struct godwit *agent;
    /* Set before shell_start, which fills in what is required. */
    struct godwit_config config;
    struct godwit_callbacks callbacks;
    struct godwit_failure failure;
    char directory[64];
    /* Lines: what was called back. */
    char told[16384];
    /* What `show` and `open_url` answer. */
    int shows;
    int opens;
    /* Called, once, from within the next callback. */
    void (*within)(struct shell *shell);
    uint64_t last_id;
    int done_count;
};

/* Defaults: every callback, permission granted, a service nobody listens at. Makes the directory. */
void shell_init(struct shell *shell);
/* godwit_create of it; also again, after shell_stop. */
int shell_start(struct shell *shell);
/* The same with a script of the test's own. */
int shell_start_script(struct shell *shell, const char *source);
/* Destroys the agent, if there is one. */
void shell_stop(struct shell *shell);
/* And removes the directory. */
void shell_end(struct shell *shell);
/* Steps until `line` has been told, or fails the test; then forgets all lines. */
void shell_await(struct shell *shell, const char *line);
/* Steps until nothing happens. */
void shell_settle(struct shell *shell);

/* A `done` of each kind; `user` is the shell. */
void shell_done(void *user, int result, const struct godwit_failure *failure);
void shell_subscription(void *user, int result, const struct godwit_failure *failure,
                        const struct godwit_subscription *subscription);
void shell_permission(void *user, int result, const struct godwit_failure *failure, int permission);
void shell_unsubscribed(void *user, int result, const struct godwit_failure *failure, int existed);
void shell_notifications(void *user, int result, const struct godwit_failure *failure,
                         const struct godwit_notification *const *notifications, size_t count);

#endif
