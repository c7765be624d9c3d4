/* SPDX-License-Identifier: MIT */

/* api_people: what people do with notifications and questions, and decide in settings. */

#include "api_parts.h"

static const char *const api__permissions[] = {"prompt", "granted", "denied"};

static bool api__is_permission(int permission)
{
    return permission >= GODWIT_PERMISSION_PROMPT && permission <= GODWIT_PERMISSION_DENIED;
}

/* ---- notifications and questions ---- */

/* `verb` of a number, and of a flag or small number. */
static int api__act(struct godwit *agent, const char *verb, uint64_t id, int value, bool is_flag_answered)
{
    struct api_arguments arguments;
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_id(id))
        return GODWIT_E_ARGUMENT;
    api_begin(&arguments, agent, verb);
    api_add_number(&arguments, (int64_t) id);
    api_add_number(&arguments, value);
    return is_flag_answered ? api_call_flag(&arguments) : api_call(&arguments);
}

int godwit_activate(struct godwit *agent, uint64_t notification_id, int action)
{
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    if (action < -1 || action >= GODWIT_ACTIONS_MAX)
        return GODWIT_E_ARGUMENT;
    return api__act(agent, "activate", notification_id, action, false);
}

int godwit_dismiss(struct godwit *agent, uint64_t notification_id)
{
    return api__act(agent, "dismiss", notification_id, 0, false);
}

int godwit_displayed(struct godwit *agent, uint64_t notification_id)
{
    return api__act(agent, "shown", notification_id, 1, true);
}

int godwit_display_failed(struct godwit *agent, uint64_t notification_id)
{
    return api__act(agent, "shown", notification_id, 0, true);
}

int godwit_answer_navigation(struct godwit *agent, uint64_t question_id, int allowed)
{
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    return api_is_flag(allowed) ? api__act(agent, "answerNavigation", question_id, allowed, true) : GODWIT_E_ARGUMENT;
}

int godwit_answer_permission(struct godwit *agent, const char *owner, int permission)
{
    struct api_arguments arguments;
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_owner(owner) || !api__is_permission(permission))
        return GODWIT_E_ARGUMENT;
    api_begin(&arguments, agent, "answerPermission");
    api_add_text(&arguments, owner);
    api_add_text(&arguments, api__permissions[permission]);
    return api_call_flag(&arguments);
}

/* ---- settings ---- */

/* The choice `type` about `owner`, or all, with a member `name` that is `word` or else a flag. `name` may be NULL. */
static int api__choose(struct godwit *agent, const char *type, const char *owner, const char *name, const char *word,
                       int flag, godwit_done done, void *user)
{
    struct api_arguments arguments;
    struct api_request *request;
    int result = api_enter(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_flag(flag))
        return GODWIT_E_ARGUMENT;
    request = api_begin_request(&arguments, agent, "choose", API_DONE, user, &result);
    if (request != NULL)
        request->done.plain = done;
    api_add_text(&arguments, type);
    api_add_text(&arguments, owner);
    api_add_text(&arguments, name);
    if (word != NULL)
        api_add_text(&arguments, word);
    else
        api_add_flag(&arguments, flag == 1);
    return api_send(&arguments, request, result);
}

int godwit_set_permission(struct godwit *agent, const char *owner, int permission, godwit_done done, void *user)
{
    if (!api_is_owner(owner) || !api__is_permission(permission))
        return api_argument_error(agent);
    return api__choose(agent, "setPermission", owner, "permission", api__permissions[permission], 0, done, user);
}

int godwit_set_paused(struct godwit *agent, const char *owner, int paused, godwit_done done, void *user)
{
    if (owner != NULL && !api_is_owner(owner))
        return api_argument_error(agent);
    return api__choose(agent, "setPaused", owner, "paused", NULL, paused, done, user);
}

int godwit_set_opted_out(struct godwit *agent, const char *owner, int opted_out, godwit_done done, void *user)
{
    if (owner != NULL && !api_is_owner(owner))
        return api_argument_error(agent);
    return api__choose(agent, "setOptedOut", owner, "optedOut", NULL, opted_out, done, user);
}

int godwit_clear_data(struct godwit *agent, const char *owner, godwit_done done, void *user)
{
    if (!api_is_owner(owner))
        return api_argument_error(agent);
    return api__choose(agent, "clearData", owner, NULL, NULL, 0, done, user);
}

int godwit_install(struct godwit *agent, const char *owner, int startable, godwit_done done, void *user)
{
    if (!api_is_owner(owner))
        return api_argument_error(agent);
    return api__choose(agent, "install", owner, "startable", NULL, startable, done, user);
}

int godwit_uninstall(struct godwit *agent, const char *owner, godwit_done done, void *user)
{
    if (!api_is_owner(owner))
        return api_argument_error(agent);
    return api__choose(agent, "uninstall", owner, NULL, NULL, 0, done, user);
}

int godwit_factory_reset(struct godwit *agent, godwit_done done, void *user)
{
    return api__choose(agent, "factoryReset", NULL, NULL, NULL, 0, done, user);
}

int godwit_remove_subscription(struct godwit *agent, uint64_t subscription_id, godwit_done done, void *user)
{
    struct api_arguments arguments;
    struct api_request *request;
    int result = api_enter(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_id(subscription_id))
        return GODWIT_E_ARGUMENT;
    request = api_begin_request(&arguments, agent, "removeSubscription", API_DONE, user, &result);
    if (request != NULL)
        request->done.plain = done;
    api_add_number(&arguments, (int64_t) subscription_id);
    return api_send(&arguments, request, result);
}
