/* SPDX-License-Identifier: MIT */

/*
 * Goal: whatever a program hands in, it gets an error code and an agent that goes on. Method: every function with NULL,
 * malformed UTF-8, texts too long, numbers out of range and wrong struct_size; then the same agent does its work.
 */

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "shell.h"

int header_c_version(void);
#if defined(TEST_HAS_CXX)
int header_cxx_start(void);
#endif

static struct shell shell;
/* Longer than any bound. */
static char *huge;
static const char *const BAD_TEXTS[] = {
    "\x80",             /* a continuation alone */
    "a\xc3",            /* cut */
    "\xc0\xaf",         /* overlong */
    "\xe0\x80\xaf",     /* overlong */
    "\xf0\x80\x80\xaf", /* overlong */
    "\xed\xa0\x80",     /* a surrogate */
    "\xf4\x90\x80\x80", /* beyond U+10FFFF */
    "\xf8\x88\x80\x80\x80",
    "\xff",
    "\xfe\xff",
};
#define BAD_TEXTS_COUNT (sizeof BAD_TEXTS / sizeof BAD_TEXTS[0])
static const uint64_t BAD_IDS[] = {0, (uint64_t) GODWIT_NUMBER_MAX + 1, UINT64_MAX};
#define BAD_IDS_COUNT (sizeof BAD_IDS / sizeof BAD_IDS[0])

/* What every function that takes an owner says of one that is no text. */
static void refuse_owner(const char *owner)
{
    struct godwit *a = shell.agent;
    int permission;

    CHECK_INT(godwit_app_attach(a, owner, 1), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_detach(a, owner), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_subscribe(a, owner, NULL, shell_subscription, &shell), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_get_subscription(a, owner, NULL, shell_subscription, &shell), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_unsubscribe(a, owner, 1, shell_unsubscribed, &shell), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_permission(a, owner, &permission), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_request_permission(a, owner, shell_permission, &shell), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_show_notification(a, owner, 0, "T", NULL, shell_done, &shell), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_set_badge(a, owner, 0, GODWIT_BADGE_FLAG, 0, shell_done, &shell), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_get_notifications(a, owner, NULL, shell_notifications, &shell), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_close_notification(a, owner, 1, shell_done, &shell), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_answer_permission(a, owner, 1), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_set_permission(a, owner, 1, shell_done, &shell), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_clear_data(a, owner, shell_done, &shell), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_install(a, owner, 1, shell_done, &shell), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_uninstall(a, owner, shell_done, &shell), GODWIT_E_ARGUMENT);
    /* NULL is everybody there. */
    if (owner != NULL) {
        CHECK_INT(godwit_set_paused(a, owner, 1, shell_done, &shell), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_set_opted_out(a, owner, 1, shell_done, &shell), GODWIT_E_ARGUMENT);
    }
}

static void owners_that_are_no_text(void)
{
    refuse_owner(NULL);
    refuse_owner("");
    refuse_owner(huge);
    for (size_t i = 0; i < BAD_TEXTS_COUNT; i++)
        refuse_owner(BAD_TEXTS[i]);
}

/* One text of a notification at a time. */
static void refuse_notice(const char *bad)
{
    struct godwit *a = shell.agent;
    struct godwit_action_options action = {.struct_size = sizeof action, .action = "a", .title = "t"};
    const struct godwit_action_options *const actions[] = {&action};
    struct godwit_notification_options options;
    const char **const texts[] = {&options.body, &options.tag,   &options.language,  &options.direction, &options.navigate,
                                  &options.icon, &options.image, &options.badge, &options.data_json};
    const char **const action_texts[] = {&action.action, &action.title, &action.navigate, &action.icon};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        options = (struct godwit_notification_options) {.struct_size = sizeof options};
        *texts[i] = bad;
        CHECK_INT(godwit_app_show_notification(a, "mail", 0, "T", &options, shell_done, &shell), GODWIT_E_ARGUMENT);
    }
    options = (struct godwit_notification_options) {
        .struct_size = sizeof options, .actions = actions, .actions_count = 1};
    for (size_t i = 0; i < sizeof action_texts / sizeof action_texts[0]; i++) {
        const char *good = *action_texts[i];

        *action_texts[i] = bad;
        CHECK_INT(godwit_app_show_notification(a, "mail", 0, "T", &options, shell_done, &shell), GODWIT_E_ARGUMENT);
        *action_texts[i] = good;
    }
    CHECK_INT(godwit_app_show_notification(a, "mail", 0, bad, NULL, shell_done, &shell), GODWIT_E_ARGUMENT);
}

static void texts_that_are_none(void)
{
    struct godwit *a = shell.agent;

    for (size_t i = 0; i <= BAD_TEXTS_COUNT; i++) {
        const char *bad = i < BAD_TEXTS_COUNT ? BAD_TEXTS[i] : huge;
        const struct godwit_subscribe_options token = {.struct_size = sizeof token, .wa_token = bad};
        const struct godwit_network network = {.struct_size = sizeof network, .label = bad};

        refuse_notice(bad);
        CHECK_INT(godwit_app_subscribe(a, "mail", &token, shell_subscription, &shell), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_app_get_subscription(a, "mail", bad, shell_subscription, &shell), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_app_get_notifications(a, "mail", bad, shell_notifications, &shell), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_set_network(a, &network), GODWIT_E_ARGUMENT);
    }
    CHECK_INT(godwit_app_show_notification(a, "mail", 0, NULL, NULL, shell_done, &shell), GODWIT_E_ARGUMENT);
}

static void texts_that_are_too_long_together(void)
{
    struct godwit_notification_options options = {.struct_size = sizeof options};
    char *half = calloc(1, GODWIT_NOTIFICATION_BYTES_MAX / 2 + 2);

    CHECK(half != NULL);
    memset(half, 'a', GODWIT_NOTIFICATION_BYTES_MAX / 2 + 1);
    options.body = half;
    options.tag = half;
    CHECK_INT(godwit_app_show_notification(shell.agent, "mail", 0, "T", &options, NULL, NULL), GODWIT_E_ARGUMENT);
    free(half);
}

static void numbers_out_of_range(void)
{
    struct godwit *a = shell.agent;
    const struct godwit_action_options *const no_actions[] = {NULL, NULL};
    struct godwit_notification_options options = {.struct_size = sizeof options, .actions_count = 1};
    struct godwit_subscribe_options subscribe = {.struct_size = sizeof subscribe};
    struct godwit_network network = {.struct_size = sizeof network, .label = "home"};
    int *const flags[] = {&subscribe.user_visible_only, &subscribe.declarative, &subscribe.freshness, &network.kind,
                          &network.metered, &network.has_new_address};
    const int wrong[] = {-1, 4, INT_MIN, INT_MAX};

    for (size_t i = 0; i < BAD_IDS_COUNT; i++) {
        CHECK_INT(godwit_activate(a, BAD_IDS[i], -1), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_dismiss(a, BAD_IDS[i]), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_displayed(a, BAD_IDS[i]), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_display_failed(a, BAD_IDS[i]), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_answer_navigation(a, BAD_IDS[i], 1), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_delivery_handled(a, BAD_IDS[i]), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_delivery_failed(a, BAD_IDS[i]), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_remove_subscription(a, BAD_IDS[i], NULL, NULL), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_app_unsubscribe(a, "mail", BAD_IDS[i], NULL, NULL), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_app_close_notification(a, "mail", BAD_IDS[i], NULL, NULL), GODWIT_E_ARGUMENT);
        CHECK_INT(godwit_app_set_badge(a, "mail", 0, GODWIT_BADGE_NUMBER, BAD_IDS[i], NULL, NULL), GODWIT_E_ARGUMENT);
    }
    CHECK_INT(godwit_app_set_badge(a, "mail", UINT64_MAX, GODWIT_BADGE_FLAG, 0, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_set_badge(a, "mail", 0, GODWIT_BADGE_FLAG, 1, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_set_badge(a, "mail", 0, 3, 1, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_set_badge(a, "mail", 0, -1, 1, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_activate(a, 1, -2), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_activate(a, 1, GODWIT_ACTIONS_MAX), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_answer_navigation(a, 1, 2), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_answer_permission(a, "mail", 3), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_set_permission(a, "mail", -1, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_set_paused(a, NULL, 2, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_set_opted_out(a, NULL, -1, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_install(a, "mail", 2, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_attach(a, "mail", 2), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_set_power(a, 2, 0), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_set_power(a, 0, -1), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_set_clock_trusted(a, 2), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_step(a, -2), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_step(a, INT64_MIN), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_step(a, INT64_MAX), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_stop(a, 0), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_stop(a, UINT32_MAX), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_show_notification(a, "mail", UINT64_MAX, "T", NULL, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_show_notification(a, "mail", 0, "T", &options, NULL, NULL), GODWIT_E_ARGUMENT);
    options.actions = no_actions;
    CHECK_INT(godwit_app_show_notification(a, "mail", 0, "T", &options, NULL, NULL), GODWIT_E_ARGUMENT);
    options.actions_count = SIZE_MAX;
    CHECK_INT(godwit_app_show_notification(a, "mail", 0, "T", &options, NULL, NULL), GODWIT_E_ARGUMENT);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        for (size_t w = 0; w < sizeof wrong / sizeof wrong[0]; w++) {
            *flags[i] = wrong[w];
            if (i < 3)
                CHECK_INT(godwit_app_subscribe(a, "mail", &subscribe, shell_subscription, &shell), GODWIT_E_ARGUMENT);
            else
                CHECK_INT(godwit_set_network(a, &network), GODWIT_E_ARGUMENT);
            *flags[i] = 0;
        }
    }
}

static void nothing_at_all(void)
{
    struct godwit *a = shell.agent;
    int64_t in_ms;
    char *text;

    CHECK_INT(godwit_app_subscribe(a, "mail", NULL, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_get_subscription(a, "mail", NULL, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_request_permission(a, "mail", NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_get_notifications(a, "mail", NULL, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_app_permission(a, "mail", NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_next_deadline(a, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_get_stats(a, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_status_json(a, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_stats_json(a, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_destroy(NULL), GODWIT_OK);
    CHECK_INT(godwit_run(NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_step(NULL, 0), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_wake(NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_stop(NULL, 1), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_resumed(NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_factory_reset(NULL, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_next_deadline(NULL, &in_ms), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_status_json(NULL, &text), GODWIT_E_ARGUMENT);
    CHECK(godwit_last_failure(NULL) == NULL);
}

/* A struct of the wrong size is refused, and not looked at: it has but its first member. */
static void structs_of_the_wrong_size(void)
{
    static const size_t sizes[] = {0, 1, sizeof(size_t), SIZE_MAX, SIZE_MAX / 2, 4097};
    struct godwit *a = shell.agent;
    size_t *just_size = malloc(sizeof *just_size);
    const struct godwit_action_options *const actions[] = {(const struct godwit_action_options *) just_size};
    const struct godwit_notification_options options = {
        .struct_size = sizeof options, .actions = actions, .actions_count = 1};
    struct {
        struct godwit_network network;
        uint64_t later;
    } newer = {.network = {.struct_size = sizeof newer, .label = "home"}, .later = 1};

    CHECK(just_size != NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct godwit *none;

        *just_size = sizes[i];
        CHECK_INT(godwit_app_subscribe(a, "mail", (const void *) just_size, shell_subscription, &shell),
                  GODWIT_E_VERSION);
        CHECK_INT(godwit_app_show_notification(a, "mail", 0, "T", (const void *) just_size, NULL, NULL),
                  GODWIT_E_VERSION);
        CHECK_INT(godwit_app_show_notification(a, "mail", 0, "T", &options, NULL, NULL), GODWIT_E_VERSION);
        CHECK_INT(godwit_set_network(a, (const void *) just_size), GODWIT_E_VERSION);
        CHECK_INT(godwit_get_stats(a, (void *) just_size), GODWIT_E_VERSION);
        CHECK_INT(godwit_create(&none, (const void *) just_size, NULL, NULL, NULL), GODWIT_E_VERSION);
        CHECK_INT(godwit_create(&none, &shell.config, (const void *) just_size, NULL, NULL), GODWIT_E_VERSION);
        CHECK_INT(godwit_create(&none, &shell.config, NULL, NULL, (void *) just_size), GODWIT_E_VERSION);
    }
    /* A newer program is welcome as long as it asks for nothing new. */
    CHECK_INT(godwit_set_network(a, &newer.network), GODWIT_E_VERSION);
    newer.later = 0;
    CHECK_INT(godwit_set_network(a, &newer.network), GODWIT_OK);
    free(just_size);
}

/* ---- creating ---- */

static void refuse_config(const struct godwit_config *config)
{
    struct godwit *agent = (struct godwit *) &shell;
    struct godwit_failure failure = {.struct_size = sizeof failure};

    CHECK_INT(godwit_create(&agent, config, NULL, NULL, &failure), GODWIT_E_ARGUMENT);
    CHECK(agent == NULL);
    CHECK_TEXT(failure.code, "");
    CHECK_TEXT(failure.text, godwit_strerror(GODWIT_E_ARGUMENT));
}

static void configurations_that_cannot_be(void)
{
    struct godwit_config c = shell.config;
    const struct godwit_config good = c;
    const char **const texts[] = {&c.service_url, &c.state_directory, &c.device_id, &c.ca_file, &c.ca_pem, &c.portal_probe_url};
    int *const flags[] = {&c.least_urgency_by_power, &c.keep_connected, &c.http_allowed, &c.clock_untrusted,
                          &c.least_urgency, &c.permission_policy, &c.network};
    const char *list[GODWIT_ORIGINS_MAX + 1];
    struct godwit *agent;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t b = 0; b <= BAD_TEXTS_COUNT + 1; b++) {
            *texts[i] = b < BAD_TEXTS_COUNT ? BAD_TEXTS[b] : b == BAD_TEXTS_COUNT ? huge : "";
            refuse_config(&c);
        }
        c = good;
    }
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        *flags[i] = -1;
        refuse_config(&c);
        *flags[i] = 4;
        refuse_config(&c);
        c = good;
    }
    c.service_url = NULL;
    refuse_config(&c);
    c = good;
    c.state_directory = NULL;
    refuse_config(&c);
    c.state_directory = "relative";
    refuse_config(&c);
    c = good;
    c.permission_policy = GODWIT_POLICY_ASK;
    refuse_config(&c);
    c = good;
    c.heartbeat_ms = GODWIT_HEARTBEAT_MS_MIN - 1;
    refuse_config(&c);
    c.heartbeat_ms = UINT32_MAX;
    refuse_config(&c);
    c = good;
    c.window_s = GODWIT_WINDOW_S_MAX + 1;
    refuse_config(&c);
    c = good;
    c.heap_bytes_max = GODWIT_HEAP_BYTES_MIN - 1;
    refuse_config(&c);
    c = good;
    c.state_quota_bytes = GODWIT_STATE_QUOTA_BYTES_MIN - 1;
    refuse_config(&c);
    c = good;
    for (size_t i = 0; i < GODWIT_ORIGINS_MAX + 1; i++)
        list[i] = "https://a.example";
    c.origins_allowed = list;
    c.origins_allowed_count = GODWIT_ORIGINS_MAX + 1;
    refuse_config(&c);
    c.origins_allowed_count = SIZE_MAX;
    refuse_config(&c);
    list[1] = NULL;
    c.origins_allowed_count = 2;
    refuse_config(&c);
    c = good;
    c.mqtt_urls_count = 1;
    refuse_config(&c);
    c.mqtt_urls = list;
    c.mqtt_urls_count = GODWIT_MQTT_URLS_MAX + 1;
    refuse_config(&c);
    CHECK_INT(godwit_create(NULL, &good, NULL, NULL, NULL), GODWIT_E_ARGUMENT);
    CHECK_INT(godwit_create(&agent, NULL, NULL, NULL, NULL), GODWIT_E_ARGUMENT);
#if defined(TEST_HAS_CXX)
    CHECK_INT(header_cxx_start(), GODWIT_E_ARGUMENT);
#endif
    CHECK_INT(header_c_version(), GODWIT_API_VERSION);
}

/* Texts that are good, and of which the script says that they cannot work. */
static void values_that_cannot_work(void)
{
    static const char *const urls[] = {"push.example", "ftp://push.example", "http://push.example", "https://push.example/path",
                                       "https://u@push.example", "https://", "\xe2\x82\xac"};
    struct godwit_failure failure = {.struct_size = sizeof failure};
    struct godwit_config c = shell.config;
    const char *mqtt_url = "https://push.example";
    struct godwit *agent;

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        c.service_url = urls[i];
        CHECK_INT(godwit_create(&agent, &c, NULL, NULL, &failure), GODWIT_E_REFUSED);
        CHECK_TEXT(failure.code, "ERR_CONFIG");
        CHECK_INT(failure.fault, GODWIT_FAULT_LOCAL);
    }
    c = shell.config;
    c.mqtt_urls = &mqtt_url;
    c.mqtt_urls_count = 1;
    CHECK_INT(godwit_create(&agent, &c, NULL, NULL, &failure), GODWIT_E_REFUSED);
    CHECK_TEXT(failure.code, "ERR_CONFIG");
}

/* After all of that nothing was asked of the agent, and it does what is. */
static void it_goes_on(void)
{
    CHECK_INT(shell.done_count, 0);
    CHECK_INT(godwit_set_permission(shell.agent, "mail", GODWIT_PERMISSION_GRANTED, shell_done, &shell), GODWIT_OK);
    shell_await(&shell, "done 0");
    CHECK_INT(godwit_app_show_notification(shell.agent, "mail", 0, "Fine", NULL, NULL, NULL), GODWIT_OK);
    shell_await(&shell, "show mail: Fine");
}

int main(void)
{
    huge = malloc(1 << 20);
    CHECK(huge != NULL);
    memset(huge, 'a', (1 << 20) - 1);
    huge[(1 << 20) - 1] = '\0';
    shell_init(&shell);
    shell.config.network = GODWIT_NETWORK_TOLD;
    shell.config.least_urgency_by_power = 1;
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    RUN(owners_that_are_no_text);
    RUN(texts_that_are_none);
    RUN(texts_that_are_too_long_together);
    RUN(numbers_out_of_range);
    RUN(nothing_at_all);
    RUN(structs_of_the_wrong_size);
    RUN(it_goes_on);
    shell_end(&shell);
    shell_init(&shell);
    RUN(configurations_that_cannot_be);
    RUN(values_that_cannot_work);
    shell_end(&shell);
    free(huge);
    return 0;
}
