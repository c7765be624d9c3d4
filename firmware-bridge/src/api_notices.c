/* SPDX-License-Identifier: MIT */

/* api_notices: notifications and badges that apps in the program make themselves. */

#include <string.h>

#include "api_parts.h"

static const char *const api__directions[] = {"auto", "ltr", "rtl"};

/* Adds up the bytes of a text; false when it is none, or all together are too long. NULL is none and good. */
static bool api__counts(const char *text, size_t *bytes)
{
    if (text == NULL)
        return true;
    if (!api_is_text(text, 0, GODWIT_NOTIFICATION_BYTES_MAX))
        return false;
    *bytes += strlen(text);
    return *bytes <= GODWIT_NOTIFICATION_BYTES_MAX;
}

static bool api__is_direction(const char *direction)
{
    for (size_t i = 0; direction != NULL && i < sizeof api__directions / sizeof api__directions[0]; i++)
        if (strcmp(direction, api__directions[i]) == 0)
            return true;
    return direction == NULL;
}

static bool api__is_notice(const char *title, const struct godwit_notification_options *o, size_t *bytes)
{
    return title != NULL && api__counts(title, bytes) && api__counts(o->body, bytes) && api__counts(o->tag, bytes) &&
           api__counts(o->language, bytes) && api__counts(o->navigate, bytes) && api__counts(o->icon, bytes) &&
           api__counts(o->image, bytes) && api__counts(o->badge, bytes) && api__counts(o->data_json, bytes) &&
           api__is_direction(o->direction) && api_is_flag(o->renotify) && api_is_flag(o->require_interaction) &&
           api_is_flag(o->silent) && o->actions_count <= GODWIT_ACTIONS_MAX &&
           (o->actions != NULL || o->actions_count == 0);
}

/* The members of a notification as JSON, for bridge_free; NULL with *result. */
static char *api__notice_json(const char *title, const struct godwit_notification_options *o, int *result)
{
    struct api_json json = {0};
    size_t bytes = 0;

    *result = api__is_notice(title, o, &bytes) ? GODWIT_OK : GODWIT_E_ARGUMENT;
    if (*result != GODWIT_OK)
        return NULL;
    api_json_raw(&json, "{");
    api_json_member_text(&json, "body", o->body);
    api_json_member_text(&json, "tag", o->tag);
    api_json_member_text(&json, "lang", o->language);
    api_json_member_text(&json, "dir", o->direction);
    api_json_member_text(&json, "navigate", o->navigate);
    api_json_member_text(&json, "icon", o->icon);
    api_json_member_text(&json, "image", o->image);
    api_json_member_text(&json, "badge", o->badge);
    if (o->renotify)
        api_json_member_flag(&json, "renotify", true);
    if (o->require_interaction)
        api_json_member_flag(&json, "requireInteraction", true);
    if (o->silent)
        api_json_member_flag(&json, "silent", true);
    api_json_member(&json, "actions");
    api_json_raw(&json, "[");
    for (size_t i = 0; i < o->actions_count && *result == GODWIT_OK; i++) {
        struct godwit_action_options action = {0};

        *result = o->actions[i] == NULL ? GODWIT_E_ARGUMENT
                                        : api_take(&action, sizeof action, sizeof action, o->actions[i]);
        if (*result != GODWIT_OK)
            break;
        if (action.action == NULL || action.title == NULL || !api__counts(action.action, &bytes) ||
            !api__counts(action.title, &bytes) || !api__counts(action.navigate, &bytes) ||
            !api__counts(action.icon, &bytes)) {
            *result = GODWIT_E_ARGUMENT;
            break;
        }
        api_json_raw(&json, i > 0 ? ",{" : "{");
        json.needs_comma = false;
        api_json_member_text(&json, "action", action.action);
        api_json_member_text(&json, "title", action.title);
        api_json_member_text(&json, "navigate", action.navigate);
        api_json_member_text(&json, "icon", action.icon);
        api_json_raw(&json, "}");
    }
    api_json_raw(&json, "]}");
    if (json.has_failed && *result == GODWIT_OK)
        *result = GODWIT_E_NOMEM;
    if (*result == GODWIT_OK)
        return json.text;
    bridge_free(json.text);
    return NULL;
}

int godwit_app_show_notification(struct godwit *agent, const char *owner, uint64_t delivery_id, const char *title,
                                 const struct godwit_notification_options *options, godwit_done done, void *user)
{
    struct godwit_notification_options taken = {0};
    struct api_arguments arguments;
    struct api_request *request;
    char *json;
    int result = api_enter(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_owner(owner) || (delivery_id != 0 && !api_is_id(delivery_id)))
        return GODWIT_E_ARGUMENT;
    if (options != NULL)
        result = api_take(&taken, sizeof taken, sizeof taken, options);
    if (result != GODWIT_OK)
        return result;
    json = api__notice_json(title, &taken, &result);
    if (json == NULL)
        return result;
    request = api_begin_request(&arguments, agent, "showNotification", API_DONE, user, &result);
    if (request != NULL)
        request->done.plain = done;
    api_add_text(&arguments, owner);
    api_add_number(&arguments, (int64_t) delivery_id);
    api_add_text(&arguments, title);
    api_add_text(&arguments, json);
    api_add_text(&arguments, taken.data_json);
    bridge_free(json);
    return api_send(&arguments, request, result);
}

int godwit_app_set_badge(struct godwit *agent, const char *owner, uint64_t delivery_id, int kind, uint64_t number,
                         godwit_done done, void *user)
{
    struct api_arguments arguments;
    struct api_request *request;
    int result = api_enter(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_owner(owner) || (delivery_id != 0 && !api_is_id(delivery_id)) || kind < GODWIT_BADGE_NOTHING ||
        kind > GODWIT_BADGE_NUMBER || (kind == GODWIT_BADGE_NUMBER ? !api_is_id(number) : number != 0))
        return GODWIT_E_ARGUMENT;
    request = api_begin_request(&arguments, agent, "setBadge", API_DONE, user, &result);
    if (request != NULL)
        request->done.plain = done;
    api_add_text(&arguments, owner);
    api_add_number(&arguments, (int64_t) delivery_id);
    if (kind == GODWIT_BADGE_NUMBER)
        api_add_number(&arguments, (int64_t) number);
    else
        api_add_flag(&arguments, kind == GODWIT_BADGE_FLAG);
    return api_send(&arguments, request, result);
}

int godwit_app_get_notifications(struct godwit *agent, const char *owner, const char *tag,
                                 godwit_notifications_done done, void *user)
{
    struct api_arguments arguments;
    struct api_request *request;
    int result = api_enter(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_owner(owner) || done == NULL || !api_is_text_or_null(tag, GODWIT_NOTIFICATION_BYTES_MAX))
        return GODWIT_E_ARGUMENT;
    request = api_begin_request(&arguments, agent, "getNotifications", API_NOTIFICATIONS_DONE, user, &result);
    if (request != NULL)
        request->done.notifications = done;
    api_add_text(&arguments, owner);
    api_add_text(&arguments, tag);
    return api_send(&arguments, request, result);
}

int godwit_app_close_notification(struct godwit *agent, const char *owner, uint64_t notification_id, godwit_done done,
                                  void *user)
{
    struct api_arguments arguments;
    struct api_request *request;
    int result = api_enter(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_owner(owner) || !api_is_id(notification_id))
        return GODWIT_E_ARGUMENT;
    request = api_begin_request(&arguments, agent, "closeNotification", API_DONE, user, &result);
    if (request != NULL)
        request->done.plain = done;
    api_add_text(&arguments, owner);
    api_add_number(&arguments, (int64_t) notification_id);
    return api_send(&arguments, request, result);
}
