/* SPDX-License-Identifier: MIT */

/*
 * A program that calls godwit.h with anything, in any order: each call returns a listed code, each request that was taken is answered
 * exactly once, and in the end everything is given back. An input is calls: a byte for the function, then its arguments.
 */

#include <stdlib.h>
#include <string.h>

#include "shell.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define CALLS_MAX 256
/* Of one input: texts and actions are kept until it is over. */
#define TEXTS_MAX 1024

struct input {
    const uint8_t *at;
    size_t left;
    char *texts[TEXTS_MAX];
    size_t texts_count;
    int taken;
};

static struct shell shell;

static uint8_t take_byte(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->at++;
}

/* Small numbers mostly, or eight bytes of the input. */
static uint64_t take_number(struct input *input)
{
    uint64_t number = take_byte(input);

    if (number < 0xf0)
        return number & 0x1f;
    for (int i = 0; i < 8; i++)
        number = number << 8 | take_byte(input);
    return number;
}

static int take_int(struct input *input)
{
    const int value = take_byte(input);

    return value < 0xf8 ? value % 5 : value == 0xff ? INT32_MIN : value - 0x100;
}

/* NULL, or a text of the input's bytes. */
static const char *take_text(struct input *input)
{
    const size_t wanted = take_byte(input);
    size_t count = wanted > 0xf8 ? wanted * 100 : wanted;
    char *text;

    if (wanted == 0 || input->texts_count == TEXTS_MAX)
        return NULL;
    if (count > input->left)
        count = input->left;
    text = malloc(count + 1);
    CHECK(text != NULL);
    memcpy(text, input->at, count);
    text[count] = '\0';
    input->at += count;
    input->left -= count;
    input->texts[input->texts_count++] = text;
    return text;
}

/* Owners that are some, and what is none. */
static const char *take_owner(struct input *input)
{
    switch (take_byte(input) & 7) {
    case 0:
        return take_text(input);
    case 1:
    case 2:
        return "https://news.example";
    default:
        return "mail";
    }
}

static size_t take_size(struct input *input, size_t right)
{
    const uint8_t byte = take_byte(input);

    return byte < 0xf0 ? right : byte == 0xff ? SIZE_MAX : byte & 0xf;
}

static int show_notification(struct input *input)
{
    struct godwit_action_options actions[3] = {0};
    const struct godwit_action_options *pointers[3];
    struct godwit_notification_options options = {
        .body = take_text(input),     .tag = take_text(input),   .language = take_text(input), .direction = take_text(input),
        .navigate = take_text(input), .icon = take_text(input),  .image = take_text(input),    .badge = take_text(input),
        .renotify = take_int(input),  .silent = take_int(input), .require_interaction = take_int(input),
    };

    options.struct_size = take_size(input, sizeof options);
    options.data_json = take_text(input);
    options.actions_count = take_byte(input) & 3;
    options.actions = pointers;
    for (size_t i = 0; i < options.actions_count && i < 3; i++) {
        actions[i].struct_size = take_size(input, sizeof actions[i]);
        actions[i].action = take_text(input);
        actions[i].title = take_text(input);
        actions[i].navigate = take_text(input);
        actions[i].icon = take_text(input);
        pointers[i] = take_byte(input) == 0xff ? NULL : &actions[i];
    }
    /* A count that is not true is the caller's own harm. */
    return godwit_app_show_notification(shell.agent, take_owner(input), take_number(input), take_text(input), &options, shell_done,
                                        &shell);
}

static int subscribe(struct input *input)
{
    uint8_t key[GODWIT_PUBLIC_KEY_BYTES];
    struct godwit_subscribe_options options = {
        .struct_size = take_size(input, sizeof options),
        .wa_token = take_text(input),
        .user_visible_only = take_int(input),
        .declarative = take_int(input),
        .freshness = take_int(input),
    };

    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t) (i == 0 ? 4 : take_byte(input));
    options.application_server_key = take_byte(input) & 1 ? key : NULL;
    return godwit_app_subscribe(shell.agent, take_owner(input), take_byte(input) == 0 ? NULL : &options, shell_subscription, &shell);
}

static int set_network(struct input *input)
{
    struct godwit_network network = {
        .struct_size = take_size(input, sizeof network),
        .label = take_text(input),
        .kind = take_int(input),
        .metered = take_int(input),
        .has_new_address = take_int(input),
    };

    return godwit_set_network(shell.agent, take_byte(input) == 0 ? NULL : &network);
}

static int read_figures(struct input *input)
{
    struct godwit_stats stats = {.struct_size = take_size(input, sizeof stats)};
    char *text = NULL;
    const int result = take_byte(input) & 1 ? godwit_get_stats(shell.agent, &stats) : godwit_status_json(shell.agent, &text);

    godwit_free(text);
    return result;
}

/* A call that is answered later, if it is taken. */
static int request(struct input *input, int function)
{
    struct godwit *a = shell.agent;
    const char *owner = take_owner(input);

    switch (function) {
    case 0:
        return subscribe(input);
    case 1:
        return show_notification(input);
    case 2:
        return godwit_app_get_subscription(a, owner, take_text(input), shell_subscription, &shell);
    case 3:
        return godwit_app_unsubscribe(a, owner, take_number(input), shell_unsubscribed, &shell);
    case 4:
        return godwit_app_request_permission(a, owner, shell_permission, &shell);
    case 5: {
        const uint64_t delivery_id = take_number(input);
        const int kind = take_int(input);

        return godwit_app_set_badge(a, owner, delivery_id, kind, take_number(input), shell_done, &shell);
    }
    case 6:
        return godwit_app_get_notifications(a, owner, take_text(input), shell_notifications, &shell);
    case 7:
        return godwit_app_close_notification(a, owner, take_number(input), shell_done, &shell);
    case 8:
        return godwit_set_permission(a, owner, take_int(input), shell_done, &shell);
    case 9:
        return godwit_set_paused(a, owner, take_int(input), shell_done, &shell);
    case 10:
        return godwit_set_opted_out(a, owner, take_int(input), shell_done, &shell);
    case 11:
        return godwit_clear_data(a, owner, shell_done, &shell);
    case 12:
        return godwit_install(a, owner, take_int(input), shell_done, &shell);
    case 13:
        return godwit_uninstall(a, owner, shell_done, &shell);
    case 14:
        return godwit_remove_subscription(a, take_number(input), shell_done, &shell);
    default:
        return godwit_factory_reset(a, shell_done, &shell);
    }
}

static int call(struct input *input, int function)
{
    struct godwit *a = shell.agent;
    int permission;

    switch (function) {
    case 0:
        return godwit_app_attach(a, take_owner(input), take_int(input));
    case 1:
        return godwit_app_detach(a, take_owner(input));
    case 2:
        return godwit_app_permission(a, take_owner(input), &permission);
    case 3:
        return godwit_delivery_handled(a, take_number(input));
    case 4:
        return godwit_delivery_failed(a, take_number(input));
    case 5: {
        const uint64_t id = take_number(input);

        return godwit_activate(a, id, take_int(input));
    }
    case 6:
        return godwit_dismiss(a, take_number(input));
    case 7:
        return godwit_displayed(a, take_number(input));
    case 8:
        return godwit_display_failed(a, take_number(input));
    case 9: {
        const char *owner = take_owner(input);

        return godwit_answer_permission(a, owner, take_int(input));
    }
    case 10: {
        const uint64_t id = take_number(input);

        return godwit_answer_navigation(a, id, take_int(input));
    }
    case 11:
        return set_network(input);
    case 12:
        return godwit_set_clock_trusted(a, take_int(input));
    case 13:
        return godwit_resumed(a);
    case 14:
        return read_figures(input);
    default:
        return godwit_step(a, 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input input = {.at = data, .left = bytes};

    shell_init(&shell);
    shell.config.network = take_byte(&input) & 1 ? GODWIT_NETWORK_TOLD : 0;
    shell.config.permission_policy = take_byte(&input) & 1 ? GODWIT_POLICY_ASK : GODWIT_POLICY_GRANT;
    CHECK_INT(shell_start(&shell), GODWIT_OK);
    for (int calls = 0; calls < CALLS_MAX && input.left > 0; calls++) {
        const uint8_t function = take_byte(&input);
        const bool is_request = (function & 0x10) != 0;
        const int result = is_request ? request(&input, function & 0xf) : call(&input, function & 0xf);

        CHECK(result >= GODWIT_E_TIMEOUT && result <= GODWIT_STOPPED);
        CHECK(result != GODWIT_E_FAILED && result != GODWIT_E_NOMEM && result != GODWIT_E_THREAD && result != GODWIT_E_BUSY);
        if (is_request && result == GODWIT_OK)
            input.taken++;
        /* Its lines are not what is looked at, and their room is bounded. */
        shell.told[0] = '\0';
    }
    CHECK(shell.done_count <= input.taken);
    shell_end(&shell);
    CHECK_INT(shell.done_count, input.taken);
    for (size_t i = 0; i < input.texts_count; i++)
        free(input.texts[i]);
    return 0;
}
