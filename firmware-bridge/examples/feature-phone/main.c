/* SPDX-License-Identifier: MIT */

/*
 * feature-phone: a shell of a phone without a touch screen, around libgodwit.a. Its screen is stdout, its keypad stdin.
 *
 *     feature-phone https://push.example /var/lib/phone/push [CA FILE]
 *
 * subscribe APP [KEY]            prints a subscription for an application server
 * allow APP, deny APP, later APP  answers a question
 * activate N [ACTION], dismiss N  the soft keys of a notification; ACTION is 0 or 1
 * yes N, no N                    answers whether a link may be opened
 * optout [APP], optin [APP]      no messages for an app, or for all
 * uninstall APP, reset, status, help, quit
 */

#include <signal.h>
#include <stdio.h>

#include "lines.h"
#include "phone.h"

static void log_line(void *user, int priority, const char *text)
{
    (void) user;
    /* Debug lines are for whoever works on the agent. */
    if (priority <= 5)
        (void) fprintf(stderr, "<%d>%s\n", priority, text);
}

/* Turns until the agent has stopped. */
static int run(struct phone *phone, struct lines *lines)
{
    char line[LINE_BYTES_MAX];
    bool is_over = false;
    int result;

    do {
        /* Waits without a limit: an idle phone does nothing. A line wakes it. */
        result = godwit_step(phone->agent, -1);
        while (result == GODWIT_OK && lines_take(lines, line, &is_over))
            phone_command(phone, line);
        /* Without a keypad there is nothing left to be told. */
        if (result == GODWIT_OK && is_over && !phone->is_leaving) {
            phone->is_leaving = true;
            result = godwit_stop(phone->agent, 5000);
        }
    } while (result == GODWIT_OK);
    return result == GODWIT_STOPPED ? GODWIT_OK : result;
}

int main(int argc, char **argv)
{
    static struct phone phone;
    static struct lines lines;
    struct godwit_config config = {0};
    struct godwit_callbacks callbacks;
    struct godwit_failure failure = {0};
    int result;

    if (argc < 3 || argc > 4) {
        (void) fprintf(stderr, "usage: feature-phone SERVICE_URL STATE_DIRECTORY [CA_FILE]\n");
        return 2;
    }
    /* A socket whose peer has gone is an error to be told, and no reason to die. */
    (void) signal(SIGPIPE, SIG_IGN);

    config.struct_size = sizeof config;
    config.service_url = argv[1];
    config.state_directory = argv[2];
    config.ca_file = argc > 3 ? argv[3] : NULL;
    config.permission_policy = GODWIT_POLICY_ASK;
    config.log = log_line;
    phone_callbacks(&callbacks);
    failure.struct_size = sizeof failure;
    result = godwit_create(&phone.agent, &config, &callbacks, &phone, &failure);
    if (result != GODWIT_OK) {
        (void) fprintf(stderr, "feature-phone: %s %s\n", failure.code, failure.text);
        return 1;
    }
    /* The app of this program is there from the start, and takes its messages. */
    result = godwit_app_attach(phone.agent, "mail", 1);
    if (result == GODWIT_OK && lines_open(&lines, phone.agent) == 0) {
        phone_say("ready, godwit %s", godwit_version());
        result = run(&phone, &lines);
        lines_close(&lines);
    }
    (void) godwit_destroy(phone.agent);
    phone_say("bye: %s", godwit_strerror(result));
    return result == GODWIT_OK ? 0 : 1;
}
