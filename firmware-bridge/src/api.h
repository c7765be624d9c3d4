/* SPDX-License-Identifier: MIT */

/*
 * What the parts of the embedding API (api*.c) share, and what a program with a script of its own (godwitd) takes of
 * it.
 */
#ifndef API_H
#define API_H

#include "bridge.h"
#include "godwit.h"

/*
 * A program that brings its own script, which calls startEmbedding() of src/quickjs/embedding.ts, and modules for it.
 */
struct api_program {
    const struct bridge_script *script;
    /* JSON: becomes the member `program` of the script's options. NULL: null. */
    const char *options_json;
    /* As in struct bridge_options: adds natives before the script is evaluated. */
    int (*extend)(struct bridge *b, void *user);
    void *extend_user;
};

/* As godwit_create, for `program`, which is borrowed for the call. */
int api_create(struct godwit **out, const struct godwit_config *config, const struct godwit_callbacks *callbacks,
               void *user, struct godwit_failure *failure, const struct api_program *program);
/* Borrowed, until godwit_destroy. */
struct bridge *api_bridge(struct godwit *agent);

#endif
