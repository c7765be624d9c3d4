/* SPDX-License-Identifier: MIT */

/* shell: see shell.h. */

#define _XOPEN_SOURCE 700

#include "shell.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHELL_WAIT_MS_MAX 30000

__attribute__((format(printf, 2, 3))) static void shell__tell(struct shell *shell, const char *format, ...)
{
    size_t length = strlen(shell->told);
    void (*within)(struct shell *shell) = shell->within;
    va_list arguments;

    va_start(arguments, format);
    (void) vsnprintf(shell->told + length, sizeof shell->told - length - 1, format, arguments);
    va_end(arguments);
    strcat(shell->told, "\n");
    shell->within = NULL;
    if (within != NULL)
        within(shell);
}

static int shell__show(void *user, const struct godwit_notification *n, uint64_t replaces, int alert)
{
    struct shell *shell = user;
    char actions[512] = "";

    for (size_t i = 0; i < n->actions_count; i++) {
        CHECK(strlen(actions) + strlen(n->actions[i]->title) + 8 < sizeof actions);
        strcat(strcat(strcat(actions, " ["), n->actions[i]->title), "]");
    }
    shell->last_id = n->notification_id;
    shell__tell(shell, "show %s: %s | %s%s%s%s", n->owner, n->title, n->body, actions, replaces != 0 ? " replaces" : "",
                alert ? "" : " quietly");
    return shell->shows;
}

static void shell__close(void *user, uint64_t notification_id)
{
    shell__tell(user, "close %llu", (unsigned long long) notification_id);
}

static void shell__badge(void *user, const char *owner, const struct godwit_badge *badge)
{
    shell__tell(user, "badge %s: %d %llu %s", owner, badge->kind, (unsigned long long) badge->number, badge->text);
}

static int shell__open_url(void *user, const char *owner, const char *url)
{
    struct shell *shell = user;

    shell__tell(shell, "open %s: %s", owner, url);
    return shell->opens;
}

static void shell__ask_permission(void *user, const char *owner)
{
    shell__tell(user, "ask %s", owner);
}

static void shell__permission_settled(void *user, const char *owner, int permission)
{
    shell__tell(user, "settled %s: %d", owner, permission);
}

static void shell__ask_navigation(void *user, const struct godwit_navigation *question)
{
    struct shell *shell = user;

    shell->last_id = question->question_id;
    shell__tell(shell, "navigate %s: %s", question->owner, question->host);
}

static void shell__navigation_settled(void *user, uint64_t question_id)
{
    shell__tell(user, "navigation settled %llu", (unsigned long long) question_id);
}

static void shell__deliver(void *user, const struct godwit_message *message)
{
    struct shell *shell = user;

    shell->last_id = message->delivery_id;
    shell__tell(shell, "deliver %s: %.*s", message->owner, (int) message->data_bytes, (const char *) message->data);
}

static void shell__cancel_delivery(void *user, uint64_t delivery_id)
{
    shell__tell(user, "cancel %llu", (unsigned long long) delivery_id);
}

static void shell__click(void *user, const struct godwit_notification *notification, const char *action)
{
    shell__tell(user, "click %s: %s %s", notification->owner, notification->title, action);
}

static void shell__start_app(void *user, const char *owner)
{
    shell__tell(user, "start %s", owner);
}

static void shell__subscription_change(void *user, const char *owner, const struct godwit_subscription *before,
                                       const struct godwit_subscription *after)
{
    shell__tell(user, "change %s: %s -> %s", owner, before != NULL ? "some" : "none", after != NULL ? "some" : "none");
}

static void shell__warning(void *user, const char *owner, const char *code, const char *text)
{
    shell__tell(user, "warning %s: %s %s", owner, code, text);
}

void shell_done(void *user, int result, const struct godwit_failure *failure)
{
    ((struct shell *) user)->done_count++;
    shell__tell(user, "done %d %s", result, failure != NULL ? failure->code : "");
}

void shell_subscription(void *user, int result, const struct godwit_failure *failure,
                        const struct godwit_subscription *subscription)
{
    ((struct shell *) user)->done_count++;
    shell__tell(user, "subscription %d %s %s", result, failure != NULL ? failure->code : "",
                subscription != NULL ? subscription->json : "none");
}

void shell_permission(void *user, int result, const struct godwit_failure *failure, int permission)
{
    ((struct shell *) user)->done_count++;
    shell__tell(user, "permission %d %s %d", result, failure != NULL ? failure->code : "", permission);
}

void shell_unsubscribed(void *user, int result, const struct godwit_failure *failure, int existed)
{
    ((struct shell *) user)->done_count++;
    shell__tell(user, "unsubscribed %d %s %d", result, failure != NULL ? failure->code : "", existed);
}

void shell_notifications(void *user, int result, const struct godwit_failure *failure,
                         const struct godwit_notification *const *notifications, size_t count)
{
    ((struct shell *) user)->done_count++;
    for (size_t i = 0; i < count; i++)
        shell__tell(user, "listed %s %s", notifications[i]->title, notifications[i]->json);
    shell__tell(user, "notifications %d %s %zu", result, failure != NULL ? failure->code : "", count);
}

void shell_init(struct shell *shell)
{
    memset(shell, 0, sizeof *shell);
    strcpy(shell->directory, "/tmp/godwit-api-XXXXXX");
    CHECK(mkdtemp(shell->directory) != NULL);
    shell->shows = shell->opens = GODWIT_OK;
    shell->config.struct_size = sizeof shell->config;
    shell->config.service_url = "http://127.0.0.1:9";
    shell->config.state_directory = shell->directory;
    shell->config.permission_policy = GODWIT_POLICY_GRANT;
    shell->failure.struct_size = sizeof shell->failure;
    shell->callbacks = (struct godwit_callbacks) {
        .struct_size = sizeof shell->callbacks,
        .show = shell__show,
        .close = shell__close,
        .badge = shell__badge,
        .open_url = shell__open_url,
        .ask_permission = shell__ask_permission,
        .permission_settled = shell__permission_settled,
        .ask_navigation = shell__ask_navigation,
        .navigation_settled = shell__navigation_settled,
        .deliver = shell__deliver,
        .cancel_delivery = shell__cancel_delivery,
        .click = shell__click,
        .start_app = shell__start_app,
        .subscription_change = shell__subscription_change,
        .warning = shell__warning,
    };
}

int shell_start(struct shell *shell)
{
    return godwit_create(&shell->agent, &shell->config, &shell->callbacks, shell, &shell->failure);
}

int shell_start_script(struct shell *shell, const char *source)
{
    struct bridge_script script = test_compile(source);
    struct api_program program = {.script = &script};
    int result = api_create(&shell->agent, &shell->config, &shell->callbacks, shell, &shell->failure, &program);

    free((void *) (uintptr_t) script.bytecode);
    return result;
}

void shell_stop(struct shell *shell)
{
    CHECK_INT(godwit_destroy(shell->agent), GODWIT_OK);
    shell->agent = NULL;
}

static int shell__remove(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void) status;
    (void) kind;
    (void) where;
    return remove(path);
}

void shell_end(struct shell *shell)
{
    shell_stop(shell);
    (void) nftw(shell->directory, shell__remove, 8, FTW_DEPTH | FTW_PHYS);
}

void shell_await(struct shell *shell, const char *line)
{
    int64_t end_us = bridge_clock_boottime_us() + (int64_t) SHELL_WAIT_MS_MAX * 1000;

    while (strstr(shell->told, line) == NULL) {
        int64_t left_ms = (end_us - bridge_clock_boottime_us()) / 1000;

        if (left_ms <= 0)
            CHECK_TEXT(shell->told, line);
        CHECK_INT(godwit_step(shell->agent, left_ms), GODWIT_OK);
    }
    shell->told[0] = '\0';
}

void shell_settle(struct shell *shell)
{
    int64_t in_ms;

    do {
        CHECK_INT(godwit_step(shell->agent, 0), GODWIT_OK);
        CHECK_INT(godwit_next_deadline(shell->agent, &in_ms), GODWIT_OK);
    } while (in_ms == 0);
}
