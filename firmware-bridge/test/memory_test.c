/* SPDX-License-Identifier: MIT */

/*
 * Goal: whichever allocation fails while a bridge is made, or while it serves an event, the caller gets BRIDGE_E_NOMEM and
 * everything is given back. Method: each allocation in turn is made to fail, alone and with all that follow.
 */

#include <stdlib.h>

#include "memory_faults.h"
#include "support.h"

#define SCRIPT                                                                                                                   \
    "let kept = null; bridge.listen({ go(text) { kept = { text, bytes: bridge.utf8Encode(text) };"                               \
    "  bridge.setTimer(bridge.monotonicMs() + 1000); Promise.resolve().then(() => { kept = bridge.utf8Decode(kept.bytes); }); } });"

static void every_function_fails_and_gives_back(void)
{
    size_t before = bridge_memory_blocks();
    void *at;
    void *moved;

    bridge_memory_faults_set(1, true);
    CHECK(bridge_malloc(8) == NULL);
    CHECK(bridge_calloc(8, 8) == NULL);
    CHECK(bridge_realloc(NULL, 8) == NULL);
    CHECK(bridge_strdup("text") == NULL);
    CHECK(bridge_strndup("text", 2) == NULL);
    CHECK_INT((int64_t) bridge_memory_faults_seen(), 5);
    CHECK(bridge_memory_faults_hit());

    bridge_memory_faults_set(2, false);
    at = bridge_malloc(0);
    CHECK(at != NULL);
    /* More than any allocator gives for nothing. */
    CHECK(bridge_realloc(at, 4096) == NULL);
    moved = bridge_realloc(at, 4096);
    CHECK(moved != NULL);
    CHECK_INT((int64_t) (bridge_memory_blocks() - before), 1);
    bridge_free(moved);
    bridge_free(NULL);

    bridge_memory_faults_set(0, false);
    at = bridge_strndup("text", 2);
    CHECK_TEXT(at, "te");
    bridge_free(at);
    CHECK(!bridge_memory_faults_hit());
    CHECK_INT((int64_t) bridge_memory_blocks(), (int64_t) before);
}

/* More promises than one of the engine's arenas has jobs for. */
#define PROMISES                                                                                                                 \
    "let left = 0; const later = async () => { await null; throw new Error('no'); };"                                            \
    "bridge.listen({ go() { for (let i = 0; i < 40; i++) { left++; later().catch(() => { left--; }); } },"                      \
    "  look() { if (left !== 0) throw new Error(`${left} wait for ever`); } });"

/* Makes a bridge with the `nth` allocation failing. */
static int create(const struct bridge_script *script, uint64_t nth, bool and_all_after, struct bridge **b)
{
    const struct bridge_options options = {.script = script, .options_json = "{}", .ca_file = "/nowhere"};

    bridge_memory_faults_set(nth, and_all_after);
    return bridge_create(b, &options);
}

static void a_bridge_is_made_whole_or_not_at_all(void)
{
    struct bridge_script script = test_compile(SCRIPT);
    size_t before = bridge_memory_blocks();
    struct bridge *b;
    uint64_t needed;

    CHECK_INT(create(&script, 0, false, &b), 0);
    needed = bridge_memory_faults_seen();
    bridge_destroy(b);
    CHECK_INT((int64_t) bridge_memory_blocks(), (int64_t) before);
    CHECK(needed > 30);
    for (int and_all_after = 0; and_all_after < 2; and_all_after++) {
        uint64_t refusals = 0;

        for (uint64_t nth = 1; nth <= needed; nth++) {
            int error = create(&script, nth, and_all_after != 0, &b);

            /* The engine can do without a few of them, such as blocks that only shrink. */
            if (error != 0)
                CHECK_INT(error, BRIDGE_E_NOMEM);
            refusals += error != 0;
            bridge_memory_faults_set(0, false);
            bridge_destroy(error == 0 ? b : NULL);
            CHECK_INT((int64_t) bridge_memory_blocks(), (int64_t) before);
        }
        CHECK(refusals > (and_all_after ? needed * 9 / 10 : 0));
    }
    free((void *) (uintptr_t) script.bytecode);
}

static void an_event_without_memory_ends_the_agent(void)
{
    struct bridge_script script = test_compile(SCRIPT);
    size_t before = bridge_memory_blocks();
    uint64_t needed = 1;

    for (uint64_t nth = 0; nth <= needed; nth++) {
        struct bridge *b;
        JSValue text;
        int error;

        CHECK_INT(create(&script, 0, false, &b), 0);
        bridge_memory_faults_set(nth, false);
        text = JS_NewString(b->ctx, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac");
        error = bridge_emit(b, "go", 1, &text);
        if (nth == 0)
            needed = bridge_memory_faults_seen();
        CHECK(error == 0 || error == BRIDGE_E_NOMEM);
        CHECK(error == 0 || bridge_memory_faults_hit());
        bridge_memory_faults_set(0, false);
        bridge_destroy(b);
        CHECK_INT((int64_t) bridge_memory_blocks(), (int64_t) before);
    }
    CHECK(needed > 3);
    free((void *) (uintptr_t) script.bytecode);
}

static void whoever_awaits_is_told_or_the_agent_ends(void)
{
    struct bridge_script script = test_compile(PROMISES);
    uint64_t needed = 1;
    uint64_t ended = 0;

    /* By sample, where each small block is one of malloc's (ASan). */
    for (uint64_t nth = 0; nth <= needed; nth += needed > 300 ? 7 : 1) {
        struct bridge *b;
        int error;

        CHECK_INT(create(&script, 0, false, &b), 0);
        bridge_memory_faults_set(nth, true);
        error = bridge_emit(b, "go", 0, NULL);
        if (nth == 0)
            needed = bridge_memory_faults_seen();
        bridge_memory_faults_set(0, false);
        if (error != 0)
            CHECK_INT(error, BRIDGE_E_NOMEM);
        else
            CHECK_INT(bridge_emit(b, "look", 0, NULL), 0);
        ended += error != 0;
        bridge_destroy(b);
    }
    CHECK(ended > 0 && ended < needed + 1);
    free((void *) (uintptr_t) script.bytecode);
}

int main(void)
{
    RUN(every_function_fails_and_gives_back);
    RUN(a_bridge_is_made_whole_or_not_at_all);
    RUN(an_event_without_memory_ends_the_agent);
    RUN(whoever_awaits_is_told_or_the_agent_ends);
    return 0;
}
