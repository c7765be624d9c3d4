/* SPDX-License-Identifier: MIT */

/* api_figures: status and stats, as a struct and as text. */

#include <string.h>

#include "api_parts.h"

#define API_FIGURE(member, name) \
    {name, offsetof(struct godwit_stats, member), sizeof(((struct godwit_stats *) 0)->member)}

/* Members of what the script returns, each a number, and where they go. */
static const struct {
    const char *name;
    size_t offset;
    size_t bytes;
} api__figures[] = {
    API_FIGURE(link, "link"),
    API_FIGURE(transport, "transport"),
    API_FIGURE(is_behind_portal, "isBehindPortal"),
    API_FIGURE(is_paused, "isPaused"),
    API_FIGURE(is_opted_out, "isOptedOut"),
    API_FIGURE(is_journal_failing, "isJournalFailing"),
    API_FIGURE(least_urgency, "leastUrgency"),
    API_FIGURE(is_learned, "isLearned"),
    API_FIGURE(subscriptions, "subscriptions"),
    API_FIGURE(notifications, "notifications"),
    API_FIGURE(messages_waiting, "messagesWaiting"),
    API_FIGURE(messages_received, "messagesReceived"),
    API_FIGURE(messages_delivered, "messagesDelivered"),
    API_FIGURE(messages_shown, "messagesShown"),
    API_FIGURE(messages_dropped, "messagesDropped"),
    API_FIGURE(wake_ups, "wakeUps"),
    API_FIGURE(wire_bytes, "wireBytes"),
    API_FIGURE(links_lost, "linksLost"),
    API_FIGURE(tries_failed, "triesFailed"),
    API_FIGURE(deaf_ms, "deafMs"),
    API_FIGURE(link_since_epoch_ms, "linkSinceEpochMs"),
    API_FIGURE(retry_in_ms, "retryInMs"),
    API_FIGURE(alarm_in_ms, "alarmInMs"),
    API_FIGURE(heartbeat_ms, "heartbeatMs"),
    API_FIGURE(round_trip_ms, "roundTripMs"),
    API_FIGURE(last_received_ago_ms, "lastReceivedAgoMs"),
    API_FIGURE(last_message_ago_ms, "lastMessageAgoMs"),
};

static void api__set_figure(struct godwit_stats *stats, size_t offset, size_t bytes, int64_t number)
{
    uint8_t *at = (uint8_t *) stats + offset;
    int32_t small = (int32_t) number;

    if (bytes == sizeof small)
        memcpy(at, &small, sizeof small);
    else
        memcpy(at, &number, sizeof number);
}

int godwit_get_stats(struct godwit *agent, struct godwit_stats *stats)
{
    struct godwit_stats figures = {0};
    struct api_arguments arguments;
    struct api_held held;
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    if (stats == NULL)
        return GODWIT_E_ARGUMENT;
    /* Before anything is asked: a wrong size is the program's mistake whatever the agent says. */
    result = api_give(stats, sizeof figures, &figures, sizeof figures);
    if (result != GODWIT_OK)
        return result;
    api_begin(&arguments, agent, "figures");
    result = api_call(&arguments);
    if (result != GODWIT_OK)
        return result;
    api_hold(&held, agent->b->ctx);
    for (size_t i = 0; i < sizeof api__figures / sizeof api__figures[0]; i++)
        api__set_figure(&figures, api__figures[i].offset, api__figures[i].bytes,
                        api_member_number(&held, agent->returned, api__figures[i].name));
    figures.loop_turns = agent->b->wake_ups;
    result = held.has_failed ? GODWIT_E_NOMEM : GODWIT_OK;
    api_release(&held);
    return result == GODWIT_OK ? api_give(stats, sizeof figures, &figures, sizeof figures) : result;
}

/* What `verb` returns, a text, as a copy for godwit_free. */
static int api__text_of_call(struct godwit *agent, const char *verb, char **out)
{
    struct api_arguments arguments;
    struct api_held held;
    const char *text;
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    if (out == NULL)
        return GODWIT_E_ARGUMENT;
    *out = NULL;
    api_begin(&arguments, agent, verb);
    result = api_call(&arguments);
    if (result != GODWIT_OK)
        return result;
    api_hold(&held, agent->b->ctx);
    text = api_text_of(&held, agent->returned);
    *out = text != NULL ? bridge_strdup(text) : NULL;
    api_release(&held);
    return *out != NULL ? GODWIT_OK : GODWIT_E_NOMEM;
}

int godwit_status_json(struct godwit *agent, char **out)
{
    return api__text_of_call(agent, "status", out);
}

int godwit_stats_json(struct godwit *agent, char **out)
{
    return api__text_of_call(agent, "stats", out);
}

void godwit_free(void *text)
{
    bridge_free(text);
}
