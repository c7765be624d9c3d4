/* SPDX-License-Identifier: MIT */

/*
 * api_apps: what apps in the program ask for: subscriptions, permission, messages. Their notifications: api_notices.c.
 */

#include "api_parts.h"

static const char *const api__declaratives[] = {"auto", "auto+explainer", "only", "never"};
static const char *const api__freshnesses[] = {"normal", "urgent", "relaxed"};

int godwit_app_attach(struct godwit *agent, const char *owner, int handles_push)
{
    struct api_arguments arguments;
    int result = api_enter(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_owner(owner) || !api_is_flag(handles_push))
        return GODWIT_E_ARGUMENT;
    api_begin(&arguments, agent, "attach");
    api_add_text(&arguments, owner);
    api_add_flag(&arguments, handles_push == 1);
    return api_call(&arguments);
}

int godwit_app_detach(struct godwit *agent, const char *owner)
{
    struct api_arguments arguments;
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_owner(owner))
        return GODWIT_E_ARGUMENT;
    api_begin(&arguments, agent, "detach");
    api_add_text(&arguments, owner);
    return api_call_flag(&arguments);
}

/* Copies and checks the options. GODWIT_OK or GODWIT_E_. */
static int api__take_subscribe(struct godwit_subscribe_options *taken, const struct godwit_subscribe_options *options)
{
    static const struct godwit_subscribe_options defaults = {.struct_size = sizeof defaults};
    int result = GODWIT_OK;

    *taken = defaults;
    if (options != NULL)
        result = api_take(taken, sizeof *taken, sizeof *taken, options);
    if (result != GODWIT_OK)
        return result;
    if ((taken->wa_token != NULL && !api_is_text(taken->wa_token, 1, GODWIT_WA_TOKEN_BYTES_MAX)) ||
        !api_is_flag(taken->user_visible_only) || taken->declarative < GODWIT_DECLARATIVE_AUTO ||
        taken->declarative > GODWIT_DECLARATIVE_NEVER || taken->freshness < GODWIT_FRESHNESS_NORMAL ||
        taken->freshness > GODWIT_FRESHNESS_RELAXED)
        return GODWIT_E_ARGUMENT;
    return GODWIT_OK;
}

int godwit_app_subscribe(struct godwit *agent, const char *owner, const struct godwit_subscribe_options *options,
                         godwit_subscription_done done, void *user)
{
    struct godwit_subscribe_options taken;
    struct api_arguments arguments;
    struct api_request *request;
    int result = api_enter(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_owner(owner) || done == NULL)
        return GODWIT_E_ARGUMENT;
    result = api__take_subscribe(&taken, options);
    if (result != GODWIT_OK)
        return result;
    request = api_begin_request(&arguments, agent, "subscribe", API_SUBSCRIPTION_DONE, user, &result);
    if (request != NULL)
        request->done.subscription = done;
    api_add_text(&arguments, owner);
    api_add_bytes(&arguments, taken.application_server_key, GODWIT_PUBLIC_KEY_BYTES);
    api_add_text(&arguments, taken.wa_token);
    api_add_flag(&arguments, taken.user_visible_only == 1);
    api_add_text(&arguments, api__declaratives[taken.declarative]);
    api_add_text(&arguments, api__freshnesses[taken.freshness]);
    return api_send(&arguments, request, result);
}

int godwit_app_get_subscription(struct godwit *agent, const char *owner, const char *wa_token,
                                godwit_subscription_done done, void *user)
{
    struct api_arguments arguments;
    struct api_request *request;
    int result = api_enter(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_owner(owner) || done == NULL ||
        (wa_token != NULL && !api_is_text(wa_token, 1, GODWIT_WA_TOKEN_BYTES_MAX)))
        return GODWIT_E_ARGUMENT;
    request = api_begin_request(&arguments, agent, "getSubscription", API_SUBSCRIPTION_DONE, user, &result);
    if (request != NULL)
        request->done.subscription = done;
    api_add_text(&arguments, owner);
    api_add_text(&arguments, wa_token);
    return api_send(&arguments, request, result);
}

int godwit_app_unsubscribe(struct godwit *agent, const char *owner, uint64_t subscription_id,
                           godwit_unsubscribed_done done, void *user)
{
    struct api_arguments arguments;
    struct api_request *request;
    int result = api_enter(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_owner(owner) || !api_is_id(subscription_id))
        return GODWIT_E_ARGUMENT;
    request = api_begin_request(&arguments, agent, "unsubscribe", API_UNSUBSCRIBED_DONE, user, &result);
    if (request != NULL)
        request->done.unsubscribed = done;
    api_add_text(&arguments, owner);
    api_add_number(&arguments, (int64_t) subscription_id);
    return api_send(&arguments, request, result);
}

int godwit_app_permission(struct godwit *agent, const char *owner, int *permission)
{
    struct api_arguments arguments;
    int32_t returned = 0;
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_owner(owner) || permission == NULL)
        return GODWIT_E_ARGUMENT;
    api_begin(&arguments, agent, "permissionOf");
    api_add_text(&arguments, owner);
    result = api_call(&arguments);
    if (result == GODWIT_OK && JS_ToInt32(agent->b->ctx, &returned, agent->returned) == 0)
        *permission = returned;
    return result;
}

int godwit_app_request_permission(struct godwit *agent, const char *owner, godwit_permission_done done, void *user)
{
    struct api_arguments arguments;
    struct api_request *request;
    int result = api_enter(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_owner(owner) || done == NULL)
        return GODWIT_E_ARGUMENT;
    request = api_begin_request(&arguments, agent, "requestPermission", API_PERMISSION_DONE, user, &result);
    if (request != NULL)
        request->done.permission = done;
    api_add_text(&arguments, owner);
    return api_send(&arguments, request, result);
}

static int api__settle_delivery(struct godwit *agent, uint64_t delivery_id, bool is_handled)
{
    struct api_arguments arguments;
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_id(delivery_id))
        return GODWIT_E_ARGUMENT;
    api_begin(&arguments, agent, "delivered");
    api_add_number(&arguments, (int64_t) delivery_id);
    api_add_flag(&arguments, is_handled);
    return api_call_flag(&arguments);
}

int godwit_delivery_handled(struct godwit *agent, uint64_t delivery_id)
{
    return api__settle_delivery(agent, delivery_id, true);
}

int godwit_delivery_failed(struct godwit *agent, uint64_t delivery_id)
{
    return api__settle_delivery(agent, delivery_id, false);
}
