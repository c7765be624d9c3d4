/* SPDX-License-Identifier: MIT */

/* phone: the callbacks. Each takes what it is given, which is gone when it returns, and says what a person would see. */

#include "phone.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void phone_say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void) vprintf(format, arguments);
    va_end(arguments);
    (void) putchar('\n');
    (void) fflush(stdout);
}

/* ---- the screen ---- */

/* The list and the soft keys below it, the newest at the bottom, as on a phone with a keypad. */
static void draw(const struct phone *phone)
{
    phone_say("-- %zu notifications --", phone->notifications_count);
    for (size_t i = 0; i < phone->notifications_count; i++)
        phone_say("(%" PRIu64 ") %s", phone->notifications[i].notification_id, phone->notifications[i].text);
    if (phone->notifications_count > 0) {
        const struct phone_notification *last = &phone->notifications[phone->notifications_count - 1];

        phone_say("keys: [Open]%s%s%s%s%s%s [Dismiss]", last->keys_count > 0 ? " [" : "", last->keys[0],
                  last->keys_count > 0 ? "]" : "", last->keys_count > 1 ? " [" : "", last->keys[1],
                  last->keys_count > 1 ? "]" : "");
    }
}

static void remove_notification(struct phone *phone, uint64_t notification_id)
{
    size_t kept = 0;

    for (size_t i = 0; i < phone->notifications_count; i++)
        if (phone->notifications[i].notification_id != notification_id)
            phone->notifications[kept++] = phone->notifications[i];
    phone->notifications_count = kept;
}

static int show(void *user, const struct godwit_notification *notification, uint64_t replaces, int alert)
{
    struct phone *phone = user;
    struct phone_notification *line;

    remove_notification(phone, replaces);
    remove_notification(phone, notification->notification_id);
    /* No place on the screen: the agent keeps it. */
    if (phone->notifications_count == PHONE_NOTIFICATIONS_MAX)
        return GODWIT_E_STATE;
    line = &phone->notifications[phone->notifications_count++];
    memset(line, 0, sizeof *line);
    line->notification_id = notification->notification_id;
    /* Who sends it comes first, always: a title may say anything. */
    (void) snprintf(line->text, sizeof line->text, "%s: %s%s%s", notification->owner, notification->title,
                    notification->body[0] != '\0' ? " | " : "", notification->body);
    for (char *at = line->text; *at != '\0'; at++)
        if (*at == '\n')
            *at = ' ';
    line->keys_count = notification->actions_count;
    for (size_t i = 0; i < notification->actions_count; i++)
        (void) snprintf(line->keys[i], sizeof line->keys[i], "%s", notification->actions[i]->title);
    if (alert)
        phone_say("(beep)");
    draw(phone);
    return GODWIT_OK;
}

static void close_notification(void *user, uint64_t notification_id)
{
    struct phone *phone = user;

    remove_notification(phone, notification_id);
    draw(phone);
}

static void badge(void *user, const char *owner, const struct godwit_badge *value)
{
    (void) user;
    phone_say("badge %s: %s", owner, value->kind == GODWIT_BADGE_NOTHING ? "none" : value->text);
}

static int open_url(void *user, const char *owner, const char *url)
{
    (void) user;
    phone_say("browser: %s opens %s", owner, url);
    return GODWIT_OK;
}

/* ---- questions ---- */

static void ask_permission(void *user, const char *owner)
{
    (void) user;
    phone_say("May %s show notifications? (allow %s, deny %s, later %s)", owner, owner, owner, owner);
}

static void permission_settled(void *user, const char *owner, int permission)
{
    static const char *const words[] = {"left open", "allowed", "denied"};

    (void) user;
    phone_say("%s: %s", owner, words[permission]);
}

static void ask_navigation(void *user, const struct godwit_navigation *question)
{
    (void) user;
    phone_say("%s leads to %s. Open it? (yes %" PRIu64 ", no %" PRIu64 ")", question->owner, question->host,
              question->question_id, question->question_id);
}

/* ---- the app in this program: "mail" ---- */

/* Without it a message would be delivered again; with it the app is done, whatever became of the notification. */
static void shown_for_message(void *user, int result, const struct godwit_failure *failure)
{
    (void) user;
    if (result != GODWIT_OK)
        phone_say("mail: not shown: %s %s", failure->code, failure->text);
}

/* A declarative message that lets the app change it comes here with its notification; any other as bytes. */
static void deliver(void *user, const struct godwit_message *message)
{
    struct phone *phone = user;
    struct godwit *agent = phone->agent;

    phone->messages++;
    phone_say("message for %s: %zu bytes%s", message->owner, message->data_bytes, message->redelivered ? ", again" : "");
    if (message->notification != NULL) {
        char title[PHONE_TEXT_BYTES_MAX];

        (void) snprintf(title, sizeof title, "%s (read by the app)", message->notification->title);
        (void) godwit_app_show_notification(agent, message->owner, message->delivery_id, title, NULL, shown_for_message,
                                            phone);
    } else if (message->data != NULL) {
        phone_say("%s says: %.*s", message->owner, (int) message->data_bytes, (const char *) message->data);
    }
    (void) godwit_app_set_badge(agent, message->owner, message->delivery_id, GODWIT_BADGE_NUMBER, phone->messages, NULL,
                                NULL);
    /* What was asked for above is done first: requests are answered in order. */
    (void) godwit_delivery_handled(agent, message->delivery_id);
}

static void click(void *user, const struct godwit_notification *notification, const char *action)
{
    (void) user;
    phone_say("%s: clicked %s%s%s", notification->owner, notification->title, action[0] != '\0' ? ", " : "", action);
}

static void subscription_change(void *user, const char *owner, const struct godwit_subscription *before,
                                const struct godwit_subscription *after)
{
    (void) user;
    (void) before;
    phone_say("subscription of %s: %s", owner, after != NULL ? after->json : "ended");
}

static void start_app(void *user, const char *owner)
{
    struct phone *phone = user;

    phone_say("starting %s", owner);
    (void) godwit_app_attach(phone->agent, owner, 1);
}

void phone_callbacks(struct godwit_callbacks *callbacks)
{
    memset(callbacks, 0, sizeof *callbacks);
    callbacks->struct_size = sizeof *callbacks;
    callbacks->show = show;
    callbacks->close = close_notification;
    callbacks->badge = badge;
    callbacks->open_url = open_url;
    callbacks->ask_permission = ask_permission;
    callbacks->permission_settled = permission_settled;
    callbacks->ask_navigation = ask_navigation;
    callbacks->deliver = deliver;
    callbacks->click = click;
    callbacks->start_app = start_app;
    callbacks->subscription_change = subscription_change;
}
