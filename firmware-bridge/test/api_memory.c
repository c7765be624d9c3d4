/* SPDX-License-Identifier: MIT */

/*
 * Goal: memory that runs out anywhere ends in an error code and a handle that can be destroyed; what a request's `done`
 * was promised is kept, and nothing leaks. Method: each API call, with the turn of the loop behind it, runs once for
 * each of its allocations, which then fails; the start likewise. By sample, or with GODWIT_TEST_ALL in the environment
 * all of them; GODWIT_TEST_CALL names one call.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory_faults.h"
#include "shell.h"

/* Of a call's allocations, so many spread over all fail; each costs a start. Likewise of the start's. */
#define EACH_MAX 8
#define START_SAMPLES 24

static struct shell shell;
static int taken;

static bool is_all(void)
{
    return getenv("GODWIT_TEST_ALL") != NULL;
}

/* ---- the calls ---- */

static int subscribe(void)
{
    static const uint8_t no_point[GODWIT_PUBLIC_KEY_BYTES] = {4};
    const struct godwit_subscribe_options options = {
        .struct_size = sizeof options, .application_server_key = no_point, .wa_token = "token"};

    return godwit_app_subscribe(shell.agent, "mail", &options, shell_subscription, &shell);
}

static int get_subscription(void)
{
    return godwit_app_get_subscription(shell.agent, "mail", NULL, shell_subscription, &shell);
}

static int unsubscribe(void)
{
    return godwit_app_unsubscribe(shell.agent, "mail", 7, shell_unsubscribed, &shell);
}

static int attach(void)
{
    return godwit_app_attach(shell.agent, "news", 1);
}

static int detach(void)
{
    return godwit_app_detach(shell.agent, "news");
}

static int permission(void)
{
    int value;

    return godwit_app_permission(shell.agent, "mail", &value);
}

static int request_permission(void)
{
    return godwit_app_request_permission(shell.agent, "mail", shell_permission, &shell);
}

static int show_notification(void)
{
    const struct godwit_action_options action = {.struct_size = sizeof action, .action = "a", .title = "A"};
    const struct godwit_action_options *const actions[] = {&action};
    const struct godwit_notification_options options = {.struct_size = sizeof options,
                                                        .body = "body",
                                                        .tag = "same",
                                                        .actions = actions,
                                                        .actions_count = 1,
                                                        .data_json = "{\"a\":[1,2]}"};

    return godwit_app_show_notification(shell.agent, "mail", 0, "Title", &options, shell_done, &shell);
}

static int set_badge(void)
{
    return godwit_app_set_badge(shell.agent, "mail", 0, GODWIT_BADGE_NUMBER, 7, shell_done, &shell);
}

static int get_notifications(void)
{
    return godwit_app_get_notifications(shell.agent, "mail", NULL, shell_notifications, &shell);
}

static int close_notification(void)
{
    return godwit_app_close_notification(shell.agent, "mail", shell.last_id, shell_done, &shell);
}

static int activate(void)
{
    return godwit_activate(shell.agent, shell.last_id, 0);
}

static int dismiss(void)
{
    return godwit_dismiss(shell.agent, shell.last_id);
}

static int displayed(void)
{
    return godwit_displayed(shell.agent, shell.last_id);
}

static int handled(void)
{
    return godwit_delivery_handled(shell.agent, 1);
}

static int answer_permission(void)
{
    return godwit_answer_permission(shell.agent, "mail", GODWIT_PERMISSION_GRANTED);
}

static int answer_navigation(void)
{
    return godwit_answer_navigation(shell.agent, 1, 1);
}

static int set_permission(void)
{
    return godwit_set_permission(shell.agent, "mail", GODWIT_PERMISSION_GRANTED, shell_done, &shell);
}

static int set_paused(void)
{
    return godwit_set_paused(shell.agent, "mail", 1, shell_done, &shell);
}

static int set_opted_out(void)
{
    return godwit_set_opted_out(shell.agent, "news", 1, shell_done, &shell);
}

static int install(void)
{
    return godwit_install(shell.agent, "clock", 1, shell_done, &shell);
}

static int clear_data(void)
{
    return godwit_clear_data(shell.agent, "clock", shell_done, &shell);
}

static int uninstall(void)
{
    return godwit_uninstall(shell.agent, "clock", shell_done, &shell);
}

static int remove_subscription(void)
{
    return godwit_remove_subscription(shell.agent, 9, shell_done, &shell);
}

static int set_network(void)
{
    static bool is_wifi;
    struct godwit_network network = {.struct_size = sizeof network, .label = is_wifi ? "home" : "away"};

    is_wifi = !is_wifi;
    network.kind = is_wifi ? GODWIT_KIND_WIFI : GODWIT_KIND_CELLULAR;
    return godwit_set_network(shell.agent, &network);
}

static int set_power(void)
{
    static int is_charging;

    is_charging = !is_charging;
    return godwit_set_power(shell.agent, is_charging, 1);
}

static int resumed(void)
{
    return godwit_resumed(shell.agent);
}

static int get_stats(void)
{
    struct godwit_stats stats = {.struct_size = sizeof stats};

    return godwit_get_stats(shell.agent, &stats);
}

static int status_json(void)
{
    char *text = NULL;
    int result = godwit_status_json(shell.agent, &text);

    CHECK((text != NULL) == (result == GODWIT_OK));
    godwit_free(text);
    return result;
}

static int stats_json(void)
{
    char *text = NULL;
    int result = godwit_stats_json(shell.agent, &text);

    CHECK((text != NULL) == (result == GODWIT_OK));
    godwit_free(text);
    return result;
}

static int factory_reset(void)
{
    return godwit_factory_reset(shell.agent, shell_done, &shell);
}

static int stop(void)
{
    return godwit_stop(shell.agent, 5000);
}

static const struct {
    const char *name;
    int (*call)(void);
    /* It has a `done`. */
    bool is_request;
} CALLS[] = {
    {"set_permission", set_permission, true},
    {"subscribe", subscribe, true},
    {"get_subscription", get_subscription, true},
    {"unsubscribe", unsubscribe, true},
    {"attach", attach, false},
    {"detach", detach, false},
    {"permission", permission, false},
    {"request_permission", request_permission, true},
    {"show_notification", show_notification, true},
    {"get_notifications", get_notifications, true},
    {"set_badge", set_badge, true},
    {"activate", activate, false},
    {"close_notification", close_notification, true},
    {"dismiss", dismiss, false},
    {"displayed", displayed, false},
    {"handled", handled, false},
    {"answer_permission", answer_permission, false},
    {"answer_navigation", answer_navigation, false},
    {"set_paused", set_paused, true},
    {"set_opted_out", set_opted_out, true},
    {"install", install, true},
    {"clear_data", clear_data, true},
    {"uninstall", uninstall, true},
    {"remove_subscription", remove_subscription, true},
    {"set_network", set_network, false},
    {"set_power", set_power, false},
    {"resumed", resumed, false},
    {"get_stats", get_stats, false},
    {"status_json", status_json, false},
    {"stats_json", stats_json, false},
    {"factory_reset", factory_reset, true},
    {"stop", stop, false},
};

/* ---- one run ---- */

/* An agent with a notification on its screen. */
static void start(void)
{
    shell_init(&shell);
    shell.last_id = 1;
    shell.config.network = GODWIT_NETWORK_TOLD;
    shell.config.least_urgency_by_power = 1;
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    CHECK_INT(set_permission(), GODWIT_OK);
    CHECK_INT(show_notification(), GODWIT_OK);
    CHECK_INT(install(), GODWIT_OK);
    shell_settle(&shell);
    taken = shell.done_count;
}

/* Everything promised was kept, nothing is left. */
static void end(void)
{
    shell_end(&shell);
    CHECK_INT(shell.done_count, taken);
    CHECK_INT((int64_t) bridge_memory_blocks(), 0);
}

static bool is_alive(void)
{
    struct godwit_stats stats = {.struct_size = sizeof stats};

    return godwit_get_stats(shell.agent, &stats) == GODWIT_OK;
}

/* The call, and turns until nothing is left to be told. */
static void call_and_turn(size_t which)
{
    int result = CALLS[which].call();
    int64_t in_ms = 0;

    if (result == GODWIT_OK && CALLS[which].is_request)
        taken++;
    CHECK(result == GODWIT_OK || result == GODWIT_E_NOMEM || result == GODWIT_E_FAILED || result == GODWIT_E_STATE ||
          result == GODWIT_E_REFUSED);
    while (result == GODWIT_OK || result == GODWIT_E_STATE) {
        result = godwit_step(shell.agent, 0);
        CHECK(result == GODWIT_OK || result == GODWIT_E_FAILED || result == GODWIT_STOPPED);
        if (result == GODWIT_OK && godwit_next_deadline(shell.agent, &in_ms) == GODWIT_OK && in_ms != 0)
            break;
    }
}

/* How many allocations the call makes when all goes well. */
static uint64_t allocations_of(size_t which)
{
    uint64_t seen;

    start();
    bridge_memory_faults_set(0, false);
    call_and_turn(which);
    seen = bridge_memory_faults_seen();
    end();
    return seen;
}

/* Of `count`, the ones to fail: all, or as many as `most`, the first ones and others spread over the rest. */
static uint64_t next_of(uint64_t number, uint64_t count, uint64_t most)
{
    if (is_all() || count <= most || number < most / 2)
        return number + 1;
    return number + (count - most / 2) / (most / 2) + 1;
}

static void fail_each_of(size_t which)
{
    uint64_t count = allocations_of(which);
    uint64_t failed = 0;

    start();
    for (uint64_t number = 1; number <= count; number = next_of(number, count, EACH_MAX)) {
        bridge_memory_faults_set(number, number % 2 == 0);
        call_and_turn(which);
        bridge_memory_faults_set(0, false);
        failed++;
        if (!is_alive()) {
            end();
            start();
        }
    }
    end();
    (void) printf("     %s: %llu of %llu allocations\n", CALLS[which].name, (unsigned long long) failed,
           (unsigned long long) count);
}

static void every_call_survives_every_failure(void)
{
    const char *only = getenv("GODWIT_TEST_CALL");

    for (size_t i = 0; i < sizeof CALLS / sizeof CALLS[0]; i++)
        if (only == NULL || strcmp(only, CALLS[i].name) == 0)
            fail_each_of(i);
}

static void a_start_that_finds_no_memory_is_refused(void)
{
    uint64_t count;
    uint64_t refused = 0;

    shell_init(&shell);
    bridge_memory_faults_set(0, false);
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    count = bridge_memory_faults_seen();
    shell_end(&shell);
    for (uint64_t number = 1; number <= count;
         number += is_all() ? 1 : count > START_SAMPLES ? count / START_SAMPLES : 1) {
        int result;

        shell_init(&shell);
        bridge_memory_faults_set(number, number % 2 == 0);
        result = shell_start(&shell);
        bridge_memory_faults_set(0, false);
        CHECK(result == GODWIT_OK || result == GODWIT_E_NOMEM || result == GODWIT_E_FAILED || result == GODWIT_E_SYSTEM ||
              result == GODWIT_E_REFUSED);
        CHECK((shell.agent != NULL) == (result == GODWIT_OK));
        CHECK(result == GODWIT_OK || strlen(shell.failure.text) > 0);
        refused += result != GODWIT_OK;
        shell_end(&shell);
        CHECK_INT((int64_t) bridge_memory_blocks(), 0);
    }
    CHECK(refused > 0);
    printf("     %llu starts refused, of %llu allocations\n", (unsigned long long) refused, (unsigned long long) count);
}

/* After a start without memory the next one finds everything as it was: nothing is locked, nothing lost. */
static void what_was_there_is_there_with_memory_again(void)
{
    uint64_t count;

    start();
    shell_stop(&shell);
    bridge_memory_faults_set(0, false);
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    count = bridge_memory_faults_seen();
    for (uint64_t part = 1; part < 10; part++) {
        shell_stop(&shell);
        bridge_memory_faults_set(count * part / 10, true);
        CHECK(shell_start(&shell) != GODWIT_OK);
        bridge_memory_faults_set(0, false);
        CHECK_INT(shell_start(&shell), GODWIT_OK);
        shell.told[0] = '\0';
        shell_await(&shell, "show mail: Title | body [A] quietly\n");
    }
    shell_end(&shell);
    CHECK_INT((int64_t) bridge_memory_blocks(), 0);
}

int main(void)
{
    /* How far it came stands in the log, whatever happens. */
    (void) setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(every_call_survives_every_failure);
    RUN(a_start_that_finds_no_memory_is_refused);
    RUN(what_was_there_is_there_with_memory_again);
    return 0;
}
