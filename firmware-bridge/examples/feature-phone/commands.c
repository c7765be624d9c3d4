/* SPDX-License-Identifier: MIT */

/* commands: what a person types. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "phone.h"

static void done(void *user, int result, const struct godwit_failure *failure)
{
    (void) user;
    if (result == GODWIT_OK)
        phone_say("ok");
    else
        phone_say("error: %s: %s", failure->code, failure->text);
}

static void subscribed(void *user, int result, const struct godwit_failure *failure,
                       const struct godwit_subscription *subscription)
{
    (void) user;
    if (result != GODWIT_OK)
        phone_say("error: %s: %s", failure->code, failure->text);
    else
        phone_say("subscription: %s", subscription != NULL ? subscription->json : "none");
}

/* 65 bytes of base64url, as application servers hand out their key. False when it is none. */
static bool read_key(const char *text, uint8_t key[GODWIT_PUBLIC_KEY_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    int bits_count = 0;
    size_t bytes = 0;

    for (; *text != '\0'; text++) {
        const char *digit = strchr(digits, *text);

        if (digit == NULL)
            return false;
        bits = bits << 6 | (uint32_t) (digit - digits);
        bits_count += 6;
        if (bits_count < 8)
            continue;
        bits_count -= 8;
        if (bytes == GODWIT_PUBLIC_KEY_BYTES)
            return false;
        key[bytes++] = (uint8_t) (bits >> bits_count);
    }
    return bytes == GODWIT_PUBLIC_KEY_BYTES;
}

static int subscribe(struct phone *phone, const char *owner, const char *key_text)
{
    struct godwit_subscribe_options options = {0};
    uint8_t key[GODWIT_PUBLIC_KEY_BYTES];

    options.struct_size = sizeof options;
    if (key_text != NULL) {
        if (!read_key(key_text, key))
            return GODWIT_E_ARGUMENT;
        options.application_server_key = key;
    }
    return godwit_app_subscribe(phone->agent, owner, &options, subscribed, phone);
}

static int tell_status(struct phone *phone)
{
    static const char *const links[] = {"idle",     "offline", "token",   "dialing",
                                        "greeting", "online",  "waiting", "stopped"};
    struct godwit_stats stats = {0};
    int result;

    stats.struct_size = sizeof stats;
    result = godwit_get_stats(phone->agent, &stats);
    if (result == GODWIT_OK)
        phone_say("status: %s, %" PRIu64 " subscriptions, %" PRIu64 " messages, %" PRIu64 " wake-ups", links[stats.link],
                  stats.subscriptions, stats.messages_received, stats.wake_ups);
    return result;
}

/* `word` with up to two more; NULL where there is none. GODWIT_E_ARGUMENT for what is no command. */
static int carry_out(struct phone *phone, const char *word, const char *first, const char *second)
{
    struct godwit *agent = phone->agent;
    uint64_t number = first != NULL ? strtoull(first, NULL, 10) : 0;

    if (strcmp(word, "help") == 0) {
        phone_say("subscribe APP [KEY] | allow APP | deny APP | later APP | activate N [ACTION] | dismiss N | yes N | no N | "
                  "optout [APP] | optin [APP] | uninstall APP | reset | status | quit");
        return GODWIT_OK;
    }
    if (strcmp(word, "subscribe") == 0)
        return subscribe(phone, first, second);
    if (strcmp(word, "allow") == 0)
        return godwit_answer_permission(agent, first, GODWIT_PERMISSION_GRANTED);
    if (strcmp(word, "deny") == 0)
        return godwit_answer_permission(agent, first, GODWIT_PERMISSION_DENIED);
    if (strcmp(word, "later") == 0)
        return godwit_answer_permission(agent, first, GODWIT_PERMISSION_PROMPT);
    if (strcmp(word, "activate") == 0)
        return godwit_activate(agent, number, second != NULL ? atoi(second) : -1);
    if (strcmp(word, "dismiss") == 0)
        return godwit_dismiss(agent, number);
    if (strcmp(word, "yes") == 0)
        return godwit_answer_navigation(agent, number, 1);
    if (strcmp(word, "no") == 0)
        return godwit_answer_navigation(agent, number, 0);
    if (strcmp(word, "optout") == 0)
        return godwit_set_opted_out(agent, first, 1, done, phone);
    if (strcmp(word, "optin") == 0)
        return godwit_set_opted_out(agent, first, 0, done, phone);
    if (strcmp(word, "uninstall") == 0)
        return godwit_uninstall(agent, first, done, phone);
    if (strcmp(word, "reset") == 0)
        return godwit_factory_reset(agent, done, phone);
    if (strcmp(word, "status") == 0)
        return tell_status(phone);
    if (strcmp(word, "quit") == 0) {
        phone->is_leaving = true;
        return godwit_stop(agent, 5000);
    }
    return GODWIT_E_ARGUMENT;
}

void phone_command(struct phone *phone, char *line)
{
    char *rest = NULL;
    const char *word = strtok_r(line, " \n", &rest);
    const char *first = word != NULL ? strtok_r(NULL, " \n", &rest) : NULL;
    const char *second = first != NULL ? strtok_r(NULL, " \n", &rest) : NULL;
    int result;

    if (word == NULL)
        return;
    result = carry_out(phone, word, first, second);
    if (result == GODWIT_E_REFUSED)
        phone_say("error: %s", godwit_last_failure(phone->agent)->text);
    else if (result != GODWIT_OK)
        phone_say("error: %s", godwit_strerror(result));
}
