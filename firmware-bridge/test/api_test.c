/* SPDX-License-Identifier: MIT */

/*
 * Goal: each function of godwit.h does what the header says, callbacks may call back, and everything bad a program can
 * hand in ends in an error code. Method: an agent without a service, so that apps and people have it to themselves;
 * test/firmware has the rest.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell.h"

static struct shell shell;

static void start(void)
{
    shell_init(&shell);
    CHECK_INT(shell_start(&shell), GODWIT_OK);
}

/* An agent in which `owner` may show notifications. */
static void start_granted(const char *owner)
{
    start();
    CHECK_INT(godwit_set_permission(shell.agent, owner, GODWIT_PERMISSION_GRANTED, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done 0");
}

static void show(const char *owner, const char *title, const struct godwit_notification_options *options)
{
    CHECK_INT(godwit_app_show_notification(shell.agent, owner, 0, title, options, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "show ");
    shell_settle(&shell);
    shell.told[0] = '\0';
}

/* ---- words ---- */

static void every_result_has_a_sentence(void)
{
    for (int result = GODWIT_E_TIMEOUT; result <= GODWIT_LATER; result++)
        CHECK(strlen(godwit_strerror(result)) > 3);
    CHECK_TEXT(godwit_strerror(GODWIT_E_TIMEOUT - 1), "there is no such result");
    CHECK_TEXT(godwit_strerror(INT32_MIN), "there is no such result");
    CHECK_TEXT(godwit_strerror(INT32_MAX), "there is no such result");
    CHECK_INT(godwit_api_version(), GODWIT_API_VERSION);
    CHECK_TEXT(godwit_version(), GODWIT_VERSION);
}

/* ---- life ---- */

static void an_agent_starts_stops_and_starts_again(void)
{
    start();
    CHECK_TEXT(shell.failure.code, "");
    CHECK_INT(godwit_stop(shell.agent, 5000), GODWIT_OK);
    CHECK_INT(godwit_run(shell.agent), GODWIT_OK);
    CHECK_INT(godwit_step(shell.agent, -1), GODWIT_STOPPED);
    CHECK_INT(godwit_stop(shell.agent, 1), GODWIT_OK);
    CHECK_INT(godwit_app_attach(shell.agent, "mail", 1), GODWIT_E_STATE);
    CHECK_INT(godwit_get_stats(shell.agent, NULL), GODWIT_E_STATE);
    shell_stop(&shell);
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    shell_end(&shell);
}

static void nothing_is_kept_of_the_configuration(void)
{
    char url[] = "http://127.0.0.1:9";
    char directory[64];

    shell_init(&shell);
    strcpy(directory, shell.directory);
    shell.config.service_url = url;
    shell.config.state_directory = directory;
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    memset(url, 'x', sizeof url);
    memset(directory, 'x', sizeof directory);
    memset(&shell.callbacks, 0, sizeof shell.callbacks);
    CHECK_INT(godwit_set_permission(shell.agent, "mail", GODWIT_PERMISSION_GRANTED, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done 0");
    show("mail", "Still there", NULL);
    shell_end(&shell);
}

static void a_second_agent_has_no_place_in_the_directory(void)
{
    struct godwit *second = (struct godwit *) &shell;

    start();
    CHECK_INT(godwit_create(&second, &shell.config, NULL, NULL, &shell.failure), GODWIT_E_REFUSED);
    CHECK(second == NULL);
    CHECK_TEXT(shell.failure.code, "ERR_JOURNAL_IN_USE");
    CHECK_INT(shell.failure.fault, GODWIT_FAULT_ENVIRONMENT);
    CHECK(strlen(shell.failure.text) > 0);
    shell_end(&shell);
}

static void another_device_key_opens_nothing(void)
{
    uint8_t key[GODWIT_DEVICE_KEY_BYTES] = {1, 2, 3};

    shell_init(&shell);
    shell.config.device_key = key;
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    shell_settle(&shell);
    shell_stop(&shell);
    key[0] = 9;
    CHECK_INT(shell_start(&shell), GODWIT_E_REFUSED);
    CHECK_TEXT(shell.failure.code, "ERR_JOURNAL_SEAL");
    key[0] = 1;
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    shell_end(&shell);
}

static void a_directory_that_cannot_be_is_an_error(void)
{
    shell_init(&shell);
    shell.config.state_directory = "/proc/self/status/godwit";
    CHECK_INT(shell_start(&shell), GODWIT_E_REFUSED);
    CHECK_TEXT(shell.failure.code, "ERR_JOURNAL_IO");
    shell_end(&shell);
}

static void what_is_open_at_the_end_is_told(void)
{
    start();
    CHECK_INT(godwit_app_subscribe(shell.agent, "mail", NULL, shell_subscription, &shell), GODWIT_OK);
    CHECK_INT(godwit_set_paused(shell.agent, NULL, 1, shell_done, &shell), GODWIT_OK);
    shell_stop(&shell);
    /* Destroyed at once, the one in the order it was asked and the other although it had been answered. */
    CHECK(strstr(shell.told, "subscription -6  none\n") != NULL);
    CHECK(strstr(shell.told, "done -6 \n") != NULL);
    CHECK_INT(shell.done_count, 2);
    shell_end(&shell);
}

static void what_is_open_when_it_stops_is_told_why(void)
{
    start();
    CHECK_INT(godwit_app_subscribe(shell.agent, "mail", NULL, shell_subscription, &shell), GODWIT_OK);
    CHECK_INT(godwit_stop(shell.agent, 5000), GODWIT_OK);
    CHECK_INT(godwit_app_subscribe(shell.agent, "mail", NULL, shell_subscription, &shell), GODWIT_E_STATE);
    CHECK_INT(godwit_run(shell.agent), GODWIT_OK);
    CHECK(strstr(shell.told, "subscription -11 ERR_SHUTDOWN none\n") != NULL);
    CHECK_INT(shell.done_count, 1);
    shell_end(&shell);
}

/* ---- apps and people ---- */

static void a_notification_is_shown_listed_and_closed(void)
{
    const struct godwit_action_options reply = {.struct_size = sizeof reply, .action = "reply", .title = "Reply"};
    const struct godwit_action_options more = {
        .struct_size = sizeof more, .action = "more", .title = "More", .navigate = "/more"};
    const struct godwit_action_options *const actions[] = {&reply, &more};
    const struct godwit_notification_options options = {
        .struct_size = sizeof options,
        .body = "line \"one\"\nline two\t\\",
        .tag = "t",
        .navigate = "/inbox",
        .actions = actions,
        .actions_count = 2,
        .data_json = "{\"deep\":[1,null,\"\\u0000\"]}",
    };

    start_granted("https://mail.example");
    CHECK_INT(godwit_app_show_notification(shell.agent, "https://mail.example", 0, "Two \xe2\x82\xac", &options,
                                           shell_done, &shell),
              GODWIT_OK);
    CHECK_TEXT(shell.told, "");
    shell_await(&shell, "show https://mail.example: Two \xe2\x82\xac | line \"one\"\nline two \\ [Reply] [More]\n");
    shell_settle(&shell);
    shell.told[0] = '\0';

    CHECK_INT(godwit_app_get_notifications(shell.agent, "https://mail.example", "t", shell_notifications, &shell),
              GODWIT_OK);
    shell_settle(&shell);
    CHECK(strstr(shell.told, "\"data\":{\"deep\":[1,null,\"\\u0000\"]}") != NULL);
    shell_await(&shell, "notifications 0  1\n");
    CHECK_INT(godwit_app_get_notifications(shell.agent, "https://mail.example", "other", shell_notifications, &shell),
              GODWIT_OK);
    shell_await(&shell, "notifications 0  0\n");
    CHECK_INT(godwit_app_get_notifications(shell.agent, "https://other.example", NULL, shell_notifications, &shell),
              GODWIT_OK);
    shell_await(&shell, "notifications 0  0\n");

    CHECK_INT(godwit_dismiss(shell.agent, shell.last_id), GODWIT_OK);
    shell_await(&shell, "close ");
    shell_end(&shell);
}

static void activating_opens_its_link_or_clicks(void)
{
    const struct godwit_action_options more = {
        .struct_size = sizeof more, .action = "more", .title = "More", .navigate = "/more"};
    const struct godwit_action_options *const actions[] = {&more};
    const struct godwit_notification_options linked = {
        .struct_size = sizeof linked, .navigate = "/inbox", .actions = actions, .actions_count = 1};
    const struct godwit_notification_options abroad = {.struct_size = sizeof abroad, .navigate = "https://else.example/"};

    start_granted("https://mail.example");
    CHECK_INT(godwit_app_attach(shell.agent, "https://mail.example", 0), GODWIT_OK);
    show("https://mail.example", "Link", &linked);
    CHECK_INT(godwit_activate(shell.agent, shell.last_id, -1), GODWIT_OK);
    shell_await(&shell, "open https://mail.example: https://mail.example/inbox\n");
    show("https://mail.example", "Link", &linked);
    /* No such action: nothing, and not the notification itself. */
    CHECK_INT(godwit_activate(shell.agent, shell.last_id, 1), GODWIT_OK);
    shell_settle(&shell);
    CHECK_TEXT(shell.told, "");
    CHECK_INT(godwit_activate(shell.agent, shell.last_id, 0), GODWIT_OK);
    shell_await(&shell, "open https://mail.example: https://mail.example/more\n");

    show("https://mail.example", "No link", NULL);
    CHECK_INT(godwit_activate(shell.agent, shell.last_id, -1), GODWIT_OK);
    shell_await(&shell, "click https://mail.example: No link \n");

    show("https://mail.example", "Abroad", &abroad);
    CHECK_INT(godwit_activate(shell.agent, shell.last_id, -1), GODWIT_OK);
    shell_await(&shell, "navigate https://mail.example: else.example\n");
    CHECK_INT(godwit_answer_navigation(shell.agent, shell.last_id, 1), GODWIT_OK);
    shell_await(&shell, "open https://mail.example: https://else.example/\n");
    CHECK_INT(godwit_answer_navigation(shell.agent, shell.last_id, 1), GODWIT_E_STATE);
    CHECK_INT(godwit_app_detach(shell.agent, "https://mail.example"), GODWIT_OK);
    CHECK_INT(godwit_app_detach(shell.agent, "https://mail.example"), GODWIT_E_STATE);
    shell_end(&shell);
}

static uint64_t shown_count(void)
{
    struct godwit_stats stats = {.struct_size = sizeof stats};

    CHECK_INT(godwit_get_stats(shell.agent, &stats), GODWIT_OK);
    return stats.notifications;
}

static void a_screen_answers_later(void)
{
    uint64_t first;

    start_granted("mail");
    shell.shows = GODWIT_LATER;
    show("mail", "One", NULL);
    first = shell.last_id;
    CHECK_INT(godwit_displayed(shell.agent, first), GODWIT_OK);
    CHECK_INT(godwit_displayed(shell.agent, first), GODWIT_E_STATE);
    show("mail", "Two", NULL);
    CHECK_INT(godwit_display_failed(shell.agent, shell.last_id), GODWIT_OK);
    CHECK_INT(godwit_display_failed(shell.agent, shell.last_id), GODWIT_E_STATE);
    CHECK_INT((int64_t) shown_count(), 2);
    /* Both are there again after a start: the one since it was not dismissed, the other since nobody saw it. */
    shell_stop(&shell);
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    shell_settle(&shell);
    CHECK(strstr(shell.told, "show mail: One |  quietly\n") != NULL);
    CHECK(strstr(shell.told, "show mail: Two | ") != NULL);
    shell_end(&shell);
}

static void badges_are_set_and_come_back(void)
{
    start_granted("mail");
    CHECK_INT(godwit_app_set_badge(shell.agent, "mail", 0, GODWIT_BADGE_NUMBER, 120, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "badge mail: 2 120 99+\n");
    CHECK_INT(godwit_stop(shell.agent, 5000), GODWIT_OK);
    CHECK_INT(godwit_run(shell.agent), GODWIT_OK);
    shell_stop(&shell);
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    shell_await(&shell, "badge mail: 2 120 99+\n");
    CHECK_INT(godwit_app_set_badge(shell.agent, "mail", 0, GODWIT_BADGE_FLAG, 0, NULL, NULL), GODWIT_OK);
    shell_await(&shell, "badge mail: 1 0 \xe2\x80\xa2\n");
    CHECK_INT(godwit_app_set_badge(shell.agent, "mail", 0, GODWIT_BADGE_NOTHING, 0, NULL, NULL), GODWIT_OK);
    shell_await(&shell, "badge mail: 0 0 \n");
    shell_end(&shell);
}

static void a_person_is_asked(void)
{
    int permission = -1;

    shell_init(&shell);
    shell.config.permission_policy = GODWIT_POLICY_ASK;
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    CHECK_INT(godwit_answer_permission(shell.agent, "mail", GODWIT_PERMISSION_GRANTED), GODWIT_E_STATE);
    CHECK_INT(godwit_app_request_permission(shell.agent, "mail", shell_permission, &shell), GODWIT_OK);
    shell_await(&shell, "ask mail\n");
    CHECK_INT(godwit_app_permission(shell.agent, "mail", &permission), GODWIT_OK);
    CHECK_INT(permission, GODWIT_PERMISSION_PROMPT);
    CHECK_INT(godwit_answer_permission(shell.agent, "mail", GODWIT_PERMISSION_GRANTED), GODWIT_OK);
    shell_settle(&shell);
    CHECK(strstr(shell.told, "settled mail: 1\n") != NULL);
    CHECK(strstr(shell.told, "permission 0  1\n") != NULL);
    CHECK_INT(godwit_app_permission(shell.agent, "mail", &permission), GODWIT_OK);
    CHECK_INT(permission, GODWIT_PERMISSION_GRANTED);
    shell_end(&shell);
}

static void what_people_decide_counts(void)
{
    int permission = -1;

    start();
    CHECK_INT(godwit_set_opted_out(shell.agent, NULL, 1, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done 0");
    CHECK_INT(godwit_app_permission(shell.agent, "mail", &permission), GODWIT_OK);
    CHECK_INT(permission, GODWIT_PERMISSION_DENIED);
    CHECK_INT(godwit_app_subscribe(shell.agent, "mail", NULL, shell_subscription, &shell), GODWIT_OK);
    shell_await(&shell, "subscription -11 ERR_SUBSCRIBE_PERMISSION none\n");
    CHECK_INT(godwit_set_opted_out(shell.agent, NULL, 0, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done 0");
    CHECK_INT(godwit_set_paused(shell.agent, "mail", 1, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done 0");
    CHECK_INT(godwit_install(shell.agent, "mail", 1, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done 0");
    CHECK_INT(godwit_clear_data(shell.agent, "mail", shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done 0");
    CHECK_INT(godwit_uninstall(shell.agent, "mail", shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done 0");
    CHECK_INT(godwit_factory_reset(shell.agent, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done 0");
    CHECK_INT(godwit_remove_subscription(shell.agent, 7, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done ");
    CHECK_INT(godwit_app_get_subscription(shell.agent, "mail", NULL, shell_subscription, &shell), GODWIT_OK);
    shell_await(&shell, "subscription 0  none\n");
    CHECK_INT(godwit_app_unsubscribe(shell.agent, "mail", 7, shell_unsubscribed, &shell), GODWIT_OK);
    shell_await(&shell, "unsubscribed 0  0\n");
    shell_end(&shell);
}

static void refusals_name_their_code(void)
{
    const struct godwit_notification_options no_json = {.struct_size = sizeof no_json, .data_json = "{"};
    const struct godwit_notification_options no_url = {.struct_size = sizeof no_url, .navigate = "//"};
    const uint8_t no_point[GODWIT_PUBLIC_KEY_BYTES] = {4};
    const struct godwit_subscribe_options bad_key = {.struct_size = sizeof bad_key, .application_server_key = no_point};

    start_granted("mail");
    CHECK_INT(godwit_app_attach(shell.agent, "No Owner", 1), GODWIT_E_REFUSED);
    CHECK_TEXT(godwit_last_failure(shell.agent)->code, "ERR_OWNER");
    CHECK_INT(godwit_last_failure(shell.agent)->fault, GODWIT_FAULT_LOCAL);
    CHECK_INT(godwit_clear_data(shell.agent, "No Owner", shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done -11 ERR_OWNER\n");
    CHECK_INT(godwit_app_subscribe(shell.agent, "No Owner", NULL, shell_subscription, &shell), GODWIT_OK);
    shell_await(&shell, "subscription -11 ERR_OWNER none\n");
    CHECK_INT(godwit_app_subscribe(shell.agent, "mail", &bad_key, shell_subscription, &shell), GODWIT_OK);
    shell_await(&shell, "subscription -11 ERR_SUBSCRIBE_KEY_POINT none\n");
    CHECK_INT(godwit_app_show_notification(shell.agent, "mail", 0, "T", &no_json, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done -11 ERR_NOTIFICATION\n");
    CHECK_INT(godwit_app_show_notification(shell.agent, "mail", 0, "T", &no_url, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done -11 ERR_NOTIFICATION\n");
    CHECK_INT(godwit_app_show_notification(shell.agent, "mail", 77, "T", NULL, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done -11 ERR_NOTIFICATION\n");
    shell_end(&shell);
}

/* ---- the device ---- */

static int32_t least_urgency(void)
{
    struct godwit_stats stats = {.struct_size = sizeof stats};

    CHECK_INT(godwit_get_stats(shell.agent, &stats), GODWIT_OK);
    return stats.least_urgency;
}

static void power_and_network_raise_the_least_urgency(void)
{
    struct godwit_network wifi = {.struct_size = sizeof wifi, .label = "home", .kind = GODWIT_KIND_WIFI};
    struct godwit_network cell = {.struct_size = sizeof cell, .label = "262-01", .kind = GODWIT_KIND_CELLULAR};

    shell_init(&shell);
    shell.config.network = GODWIT_NETWORK_TOLD;
    shell.config.least_urgency_by_power = 1;
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    CHECK_INT(godwit_set_network(shell.agent, &wifi), GODWIT_OK);
    CHECK_INT(least_urgency(), GODWIT_URGENCY_VERY_LOW);
    CHECK_INT(godwit_set_power(shell.agent, 0, 0), GODWIT_OK);
    CHECK_INT(least_urgency(), GODWIT_URGENCY_LOW);
    CHECK_INT(godwit_set_network(shell.agent, &cell), GODWIT_OK);
    CHECK_INT(least_urgency(), GODWIT_URGENCY_NORMAL);
    CHECK_INT(godwit_set_power(shell.agent, 1, 1), GODWIT_OK);
    CHECK_INT(least_urgency(), GODWIT_URGENCY_LOW);
    CHECK_INT(godwit_set_power(shell.agent, 0, 1), GODWIT_OK);
    CHECK_INT(least_urgency(), GODWIT_URGENCY_HIGH);
    CHECK_INT(godwit_set_network(shell.agent, NULL), GODWIT_OK);
    CHECK_INT(least_urgency(), GODWIT_URGENCY_HIGH);
    shell_end(&shell);

    start();
    CHECK_INT(godwit_set_power(shell.agent, 0, 1), GODWIT_E_STATE);
    CHECK_INT(godwit_set_network(shell.agent, NULL), GODWIT_E_STATE);
    shell_end(&shell);
}

static void a_told_network_takes_the_agent_offline(void)
{
    const struct godwit_network wifi = {.struct_size = sizeof wifi, .label = "home", .kind = GODWIT_KIND_WIFI};
    struct godwit_stats stats = {.struct_size = sizeof stats};

    shell_init(&shell);
    shell.config.service_url = "https://push.example";
    shell.config.network = GODWIT_NETWORK_TOLD;
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    CHECK_INT(godwit_get_stats(shell.agent, &stats), GODWIT_OK);
    CHECK_INT(stats.link, GODWIT_LINK_OFFLINE);
    CHECK_INT(godwit_set_network(shell.agent, &wifi), GODWIT_OK);
    CHECK_INT(godwit_get_stats(shell.agent, &stats), GODWIT_OK);
    CHECK_INT(stats.link, GODWIT_LINK_IDLE);
    CHECK_INT(godwit_set_network(shell.agent, NULL), GODWIT_OK);
    CHECK_INT(godwit_get_stats(shell.agent, &stats), GODWIT_OK);
    CHECK_INT(stats.link, GODWIT_LINK_OFFLINE);
    shell_end(&shell);
}

static void an_idle_agent_has_nothing_to_wake_for(void)
{
    int64_t in_ms = 0;

    start();
    shell_settle(&shell);
    CHECK_INT(godwit_set_clock_trusted(shell.agent, 0), GODWIT_OK);
    CHECK_INT(godwit_set_clock_trusted(shell.agent, 1), GODWIT_OK);
    CHECK_INT(godwit_resumed(shell.agent), GODWIT_OK);
    CHECK_INT(godwit_next_deadline(shell.agent, &in_ms), GODWIT_OK);
    CHECK(in_ms == -1 || in_ms > 60000);
    shell_end(&shell);
}

static void nothing(void *user)
{
    (void) user;
}

static void what_was_begun_counts_as_something_to_wake_for(void)
{
    struct bridge_delay soon = {0};
    struct bridge_delay at_once = {0};
    int64_t in_ms = 0;

    start();
    shell_settle(&shell);
    bridge_delay_start(api_bridge(shell.agent), &soon, 5000, nothing, NULL);
    CHECK_INT(godwit_next_deadline(shell.agent, &in_ms), GODWIT_OK);
    CHECK(in_ms > 0 && in_ms <= 5000);
    bridge_delay_start(api_bridge(shell.agent), &at_once, 0, nothing, NULL);
    CHECK_INT(godwit_next_deadline(shell.agent, &in_ms), GODWIT_OK);
    CHECK(in_ms <= 1);
    CHECK_INT(godwit_step(shell.agent, -1), GODWIT_OK);
    CHECK_INT(godwit_next_deadline(shell.agent, &in_ms), GODWIT_OK);
    CHECK(in_ms > 1 && in_ms <= 5000);
    bridge_delay_cancel(&soon);
    CHECK_INT(godwit_next_deadline(shell.agent, &in_ms), GODWIT_OK);
    CHECK(in_ms == -1 || in_ms > 60000);
    shell_end(&shell);
}

static void figures_come_as_struct_and_as_text(void)
{
    struct {
        struct godwit_stats stats;
        uint64_t later;
    } newer = {.stats.struct_size = sizeof newer, .later = 7};
    char *text = NULL;

    start();
    CHECK_INT(godwit_get_stats(shell.agent, &newer.stats), GODWIT_OK);
    CHECK_INT((int64_t) newer.stats.struct_size, sizeof newer);
    CHECK_INT((int64_t) newer.later, 0);
    CHECK_INT(newer.stats.last_message_ago_ms, -1);
    CHECK_INT(newer.stats.heartbeat_ms, 238000);
    CHECK_INT(godwit_status_json(shell.agent, &text), GODWIT_OK);
    CHECK(strstr(text, "\"serviceUrl\":\"http://127.0.0.1:9\"") != NULL);
    godwit_free(text);
    CHECK_INT(godwit_stats_json(shell.agent, &text), GODWIT_OK);
    CHECK(strstr(text, "\"wakeUpsByHour\":") != NULL);
    godwit_free(text);
    godwit_free(NULL);
    shell_end(&shell);
}

/* ---- threads and callbacks ---- */

static void *from_another_thread(void *result)
{
    int *results = result;
    int64_t in_ms;

    results[0] = godwit_step(shell.agent, 0);
    results[1] = godwit_app_attach(shell.agent, "mail", 1);
    results[2] = godwit_destroy(shell.agent);
    results[3] = godwit_next_deadline(shell.agent, &in_ms);
    results[4] = godwit_stop(shell.agent, 1000);
    results[5] = godwit_clear_data(shell.agent, "mail", NULL, NULL);
    results[6] = godwit_last_failure(shell.agent) == NULL ? GODWIT_E_THREAD : 0;
    results[7] = godwit_run(shell.agent);
    return NULL;
}

static void another_thread_is_refused(void)
{
    pthread_t thread;
    int results[8] = {0};

    start();
    CHECK(pthread_create(&thread, NULL, from_another_thread, results) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    for (int i = 0; i < 8; i++)
        CHECK_INT(results[i], GODWIT_E_THREAD);
    shell_end(&shell);
}

static void *wake_it(void *unused)
{
    (void) unused;
    CHECK_INT(godwit_wake(shell.agent), GODWIT_OK);
    return NULL;
}

static void another_thread_wakes_it(void)
{
    int64_t started_us;
    pthread_t thread;

    start();
    shell_settle(&shell);
    started_us = bridge_clock_boottime_us();
    CHECK(pthread_create(&thread, NULL, wake_it, NULL) == 0);
    /* Woken before or while it waits: it returns long before its wait is over. */
    CHECK_INT(godwit_step(shell.agent, 60000), GODWIT_OK);
    CHECK(bridge_clock_boottime_us() - started_us < 30000000);
    CHECK(pthread_join(thread, NULL) == 0);
    shell_end(&shell);
}

static void everything_at_once(struct shell *within)
{
    int permission;
    char *text = NULL;

    CHECK_INT(godwit_step(within->agent, 0), GODWIT_E_BUSY);
    CHECK_INT(godwit_run(within->agent), GODWIT_E_BUSY);
    CHECK_INT(godwit_destroy(within->agent), GODWIT_E_BUSY);
    CHECK_INT(godwit_app_permission(within->agent, "mail", &permission), GODWIT_OK);
    CHECK_INT(permission, GODWIT_PERMISSION_GRANTED);
    CHECK_INT(godwit_status_json(within->agent, &text), GODWIT_OK);
    godwit_free(text);
    CHECK_INT(godwit_wake(within->agent), GODWIT_OK);
    CHECK_INT(godwit_app_set_badge(within->agent, "mail", 0, GODWIT_BADGE_FLAG, 0, shell_done, within), GODWIT_OK);
    CHECK_INT(godwit_app_get_notifications(within->agent, "mail", NULL, shell_notifications, within), GODWIT_OK);
    CHECK_INT(godwit_dismiss(within->agent, within->last_id), GODWIT_OK);
}

static void callbacks_may_call_everything_else(void)
{
    start_granted("mail");
    shell.within = everything_at_once;
    CHECK_INT(godwit_app_show_notification(shell.agent, "mail", 0, "Hello", NULL, NULL, NULL), GODWIT_OK);
    shell_settle(&shell);
    CHECK(strstr(shell.told, "badge mail: 1") != NULL);
    CHECK(strstr(shell.told, "close ") != NULL);
    CHECK(strstr(shell.told, "notifications 0 ") != NULL);
    shell_end(&shell);
}

static void stop_it(struct shell *within)
{
    CHECK_INT(godwit_stop(within->agent, 5000), GODWIT_OK);
}

static void a_callback_may_stop_it(void)
{
    start_granted("mail");
    shell.within = stop_it;
    CHECK_INT(godwit_app_show_notification(shell.agent, "mail", 0, "Bye", NULL, NULL, NULL), GODWIT_OK);
    CHECK_INT(godwit_run(shell.agent), GODWIT_OK);
    shell_end(&shell);
}

static int logged_results[4];

static void log_and_call(void *user, int priority, const char *text)
{
    struct shell *within = user;

    (void) priority;
    (void) text;
    if (within->agent == NULL)
        return;
    logged_results[0] = godwit_dismiss(within->agent, 1);
    logged_results[1] = godwit_step(within->agent, 0);
    logged_results[2] = godwit_destroy(within->agent);
    logged_results[3] = godwit_stop(within->agent, 1);
}

static void the_log_callback_may_call_nothing(void)
{
    shell_init(&shell);
    shell.config.log = log_and_call;
    CHECK_INT(shell_start_script(&shell, "bridge.listen({call() { bridge.log(4, 'called'); bridge.returned(true) }});"
                                         "bridge.started();"),
              GODWIT_OK);
    CHECK_INT(godwit_dismiss(shell.agent, 1), GODWIT_OK);
    for (int i = 0; i < 4; i++)
        CHECK_INT(logged_results[i], GODWIT_E_BUSY);
    shell_end(&shell);
}

static void requests_are_bounded(void)
{
    start();
    for (int i = 0; i < GODWIT_REQUESTS_MAX; i++)
        CHECK_INT(godwit_set_paused(shell.agent, NULL, i % 2, shell_done, &shell), GODWIT_OK);
    CHECK_INT(godwit_set_paused(shell.agent, NULL, 1, shell_done, &shell), GODWIT_E_LIMIT);
    shell_settle(&shell);
    CHECK_INT(shell.done_count, GODWIT_REQUESTS_MAX);
    CHECK_INT(godwit_set_paused(shell.agent, NULL, 1, shell_done, &shell), GODWIT_OK);
    shell_settle(&shell);
    CHECK_INT(shell.done_count, GODWIT_REQUESTS_MAX + 1);
    shell_end(&shell);
}

/* ---- a script that does not do its part ---- */

#define LISTEN(call) "bridge.listen({call(verb, ...values) {" call "}});bridge.started();"

static void a_stop_that_never_ends_is_cut_off(void)
{
    shell_init(&shell);
    CHECK_INT(shell_start_script(&shell, LISTEN("bridge.returned(null)")), GODWIT_OK);
    CHECK_INT(godwit_stop(shell.agent, 60000), GODWIT_OK);
    CHECK_INT(godwit_stop(shell.agent, 1), GODWIT_OK);
    CHECK_INT(godwit_run(shell.agent), GODWIT_E_TIMEOUT);
    CHECK_INT(godwit_step(shell.agent, -1), GODWIT_E_TIMEOUT);
    shell_end(&shell);
}

static void a_script_that_fails_ends_the_agent(void)
{
    static const char *const scripts[] = {
        LISTEN("throw new Error('no')"),
        LISTEN("/* no answer */"),
        LISTEN("bridge.tell('nothing like that')"),
        LISTEN("bridge.tell('show', 1, 2, 3, 4, 5, 6, 7, 8, 9)"),
        LISTEN("bridge.refused('ERR_X', 9, 'no such fault')"),
        LISTEN("bridge.returned(Symbol()); Promise.reject(new Error('later'))"),
    };

    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        shell_init(&shell);
        CHECK_INT(shell_start_script(&shell, scripts[i]), GODWIT_OK);
        CHECK_INT(godwit_app_subscribe(shell.agent, "mail", NULL, shell_subscription, &shell), GODWIT_E_FAILED);
        CHECK_INT(godwit_app_attach(shell.agent, "mail", 1), GODWIT_E_FAILED);
        CHECK_INT(godwit_step(shell.agent, -1), GODWIT_E_FAILED);
        CHECK_INT(godwit_run(shell.agent), GODWIT_E_FAILED);
        CHECK_INT(godwit_stop(shell.agent, 1), GODWIT_E_FAILED);
        /* Not taken, so never answered. */
        CHECK_INT(shell.done_count, 0);
        shell_end(&shell);
    }
}

static void what_is_told_in_another_form_reaches_no_callback(void)
{
    static const char *const told[] = {
        "'show', {notificationId: 1n}, 0, 0", "'show', null, 0, 0",          "'show', {}, 0, 0",
        "'badge', 'mail', {kind: Symbol()}",  "'deliver', {data: [1, 2]}",   "'subscriptionChange', 'a', {p256dh: 1}, null",
        "'subscriptionChange', 'a', {p256dh: new Uint8Array(3)}, null",      "'close', Symbol()",
        "'askNavigation', undefined",         "'click', 7, {}",
    };
    char source[512];

    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        shell_init(&shell);
        (void) snprintf(source, sizeof source, LISTEN("bridge.returned(true); bridge.tell(%s)"), told[i]);
        CHECK_INT(shell_start_script(&shell, source), GODWIT_OK);
        CHECK_INT(godwit_dismiss(shell.agent, 1), GODWIT_OK);
        (void) godwit_step(shell.agent, 0);
        CHECK(strstr(shell.told, "show mail") == NULL);
        shell_end(&shell);
    }
}

static void a_script_that_cannot_start_says_why(void)
{
    shell_init(&shell);
    CHECK_INT(shell_start_script(&shell, "bridge.listen({}); bridge.started('ERR_CONFIG', 1, 'x'.repeat(500) + '\xc3\xa9')"),
              GODWIT_E_REFUSED);
    CHECK_TEXT(shell.failure.code, "ERR_CONFIG");
    CHECK_INT((int64_t) strlen(shell.failure.text), sizeof shell.failure.text - 1);
    CHECK_INT(shell_start_script(&shell, "bridge.listen({}); throw new Error('no')"), GODWIT_E_FAILED);
    CHECK_TEXT(shell.failure.code, "");
    CHECK_TEXT(shell.failure.text, godwit_strerror(GODWIT_E_FAILED));
    CHECK_INT(shell_start_script(&shell, "bridge.started()"), GODWIT_E_FAILED);
    shell_end(&shell);
}

int main(void)
{
    RUN(every_result_has_a_sentence);
    RUN(an_agent_starts_stops_and_starts_again);
    RUN(nothing_is_kept_of_the_configuration);
    RUN(a_second_agent_has_no_place_in_the_directory);
    RUN(another_device_key_opens_nothing);
    RUN(a_directory_that_cannot_be_is_an_error);
    RUN(what_is_open_at_the_end_is_told);
    RUN(what_is_open_when_it_stops_is_told_why);
    RUN(a_notification_is_shown_listed_and_closed);
    RUN(activating_opens_its_link_or_clicks);
    RUN(a_screen_answers_later);
    RUN(badges_are_set_and_come_back);
    RUN(a_person_is_asked);
    RUN(what_people_decide_counts);
    RUN(refusals_name_their_code);
    RUN(power_and_network_raise_the_least_urgency);
    RUN(a_told_network_takes_the_agent_offline);
    RUN(an_idle_agent_has_nothing_to_wake_for);
    RUN(what_was_begun_counts_as_something_to_wake_for);
    RUN(figures_come_as_struct_and_as_text);
    RUN(another_thread_is_refused);
    RUN(another_thread_wakes_it);
    RUN(callbacks_may_call_everything_else);
    RUN(a_callback_may_stop_it);
    RUN(the_log_callback_may_call_nothing);
    RUN(requests_are_bounded);
    RUN(a_stop_that_never_ends_is_cut_off);
    RUN(a_script_that_fails_ends_the_agent);
    RUN(what_is_told_in_another_form_reaches_no_callback);
    RUN(a_script_that_cannot_start_says_why);
    return 0;
}
