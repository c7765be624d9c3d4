/* SPDX-License-Identifier: MIT */

/*
 * api_callbacks: what the script told becomes calls of the program, one after the other, with nothing of the script on
 * the stack.
 */

#include "api_parts.h"
#include "script_limits.h"

/* Holds the texts of one item while the program looks at them. */
struct api_told {
    struct godwit *agent;
    struct api_item *item;
    struct api_held held;
};

static const char *api__text(struct api_told *told, int at)
{
    return api_text_of(&told->held, told->item->values[at]);
}

static int64_t api__number(struct api_told *told, int at)
{
    return api_number_of(&told->held, told->item->values[at]);
}

/* Tells the script what became of it. A failure here is the agent's, and found by the next step. */
static void api__report_back(struct godwit *agent, const char *verb, int64_t number, bool is_done)
{
    struct api_arguments arguments;

    api_begin(&arguments, agent, verb);
    api_add_number(&arguments, number);
    api_add_flag(&arguments, is_done);
    if (api_call(&arguments) == GODWIT_E_NOMEM && agent->b->failed == 0)
        agent->b->failed = BRIDGE_E_NOMEM;
}

/* show(notification, replaces, alert) */
static void api__show(struct api_told *told)
{
    struct godwit *agent = told->agent;
    struct api_notification value;
    const struct godwit_notification *view = api_notification_of(&told->held, told->item->values[0], &value);
    int64_t replaces = api__number(told, 1);
    int64_t alert = api__number(told, 2);
    int result;

    if (told->held.has_failed || view == NULL || agent->callbacks.show == NULL)
        return;
    result = agent->callbacks.show(agent->user, view, (uint64_t) replaces, (int) alert);
    if (result != GODWIT_LATER)
        api__report_back(agent, "shown", (int64_t) view->notification_id, result == GODWIT_OK);
}

/* openUrl(linkId, owner, url) */
static void api__open_url(struct api_told *told)
{
    struct godwit *agent = told->agent;
    int64_t link_id = api__number(told, 0);
    const char *owner = api__text(told, 1);
    const char *url = api__text(told, 2);

    if (told->held.has_failed || agent->callbacks.open_url == NULL)
        return;
    api__report_back(agent, "opened", link_id, agent->callbacks.open_url(agent->user, owner, url) == GODWIT_OK);
}

/* badge(owner, badge) */
static void api__badge(struct api_told *told)
{
    struct godwit *agent = told->agent;
    const char *owner = api__text(told, 0);
    struct godwit_badge value;
    const struct godwit_badge *badge = api_badge_of(&told->held, told->item->values[1], &value);

    if (!told->held.has_failed && badge != NULL && agent->callbacks.badge != NULL)
        agent->callbacks.badge(agent->user, owner, badge);
}

/* askNavigation(question) */
static void api__ask_navigation(struct api_told *told)
{
    struct godwit *agent = told->agent;
    struct godwit_navigation question;

    api_navigation_of(&told->held, told->item->values[0], &question);
    if (!told->held.has_failed && agent->callbacks.ask_navigation != NULL)
        agent->callbacks.ask_navigation(agent->user, &question);
}

/* deliver(message) */
static void api__deliver(struct api_told *told)
{
    struct godwit *agent = told->agent;
    struct api_message message;

    api_message_of(&told->held, told->item->values[0], &message);
    if (!told->held.has_failed && agent->callbacks.deliver != NULL)
        agent->callbacks.deliver(agent->user, &message.view);
}

/* click(notification, action) */
static void api__click(struct api_told *told)
{
    struct godwit *agent = told->agent;
    struct api_notification value;
    const struct godwit_notification *view = api_notification_of(&told->held, told->item->values[0], &value);
    const char *action = api__text(told, 1);

    if (!told->held.has_failed && view != NULL && agent->callbacks.click != NULL)
        agent->callbacks.click(agent->user, view, action);
}

/* subscriptionChange(owner, before, after) */
static void api__subscription_change(struct api_told *told)
{
    struct godwit *agent = told->agent;
    struct godwit_subscription old_value;
    struct godwit_subscription new_value;
    const char *owner = api__text(told, 0);
    const struct godwit_subscription *before = api_subscription_of(&told->held, told->item->values[1], &old_value);
    const struct godwit_subscription *after = api_subscription_of(&told->held, told->item->values[2], &new_value);

    if (!told->held.has_failed && agent->callbacks.subscription_change != NULL)
        agent->callbacks.subscription_change(agent->user, owner, before, after);
}

/* Those that are told numbers and texts alone. */
static void api__tell_plain(struct api_told *told)
{
    const struct godwit_callbacks *callbacks = &told->agent->callbacks;
    void *user = told->agent->user;
    enum api_what what = told->item->what;
    bool is_number = what == API_CLOSE || what == API_NAVIGATION_SETTLED || what == API_CANCEL_DELIVERY;
    int64_t number = is_number ? api__number(told, 0) : 0;
    const char *first = is_number ? NULL : api__text(told, 0);
    const char *second = what == API_WARNING || what == API_REPORT ? api__text(told, 1) : NULL;
    const char *third = what == API_WARNING ? api__text(told, 2) : NULL;
    int64_t permission = what == API_PERMISSION_SETTLED ? api__number(told, 1) : 0;

    if (told->held.has_failed)
        return;
    if (what == API_CLOSE && callbacks->close != NULL)
        callbacks->close(user, (uint64_t) number);
    else if (what == API_NAVIGATION_SETTLED && callbacks->navigation_settled != NULL)
        callbacks->navigation_settled(user, (uint64_t) number);
    else if (what == API_CANCEL_DELIVERY && callbacks->cancel_delivery != NULL)
        callbacks->cancel_delivery(user, (uint64_t) number);
    else if (what == API_ASK_PERMISSION && callbacks->ask_permission != NULL)
        callbacks->ask_permission(user, first);
    else if (what == API_PERMISSION_SETTLED && callbacks->permission_settled != NULL)
        callbacks->permission_settled(user, first, (int) permission);
    else if (what == API_START_APP && callbacks->start_app != NULL)
        callbacks->start_app(user, first);
    else if (what == API_WARNING && callbacks->warning != NULL)
        callbacks->warning(user, first, second, third);
    else if (what == API_REPORT && callbacks->report != NULL)
        callbacks->report(user, first, second);
}

/* An array of notifications, as many as an owner may have. False: out of memory, `done` was not called. */
static bool api__answer_notifications(struct api_told *told, struct api_request *request)
{
    JSContext *ctx = told->held.ctx;
    struct api_notification *values;
    const struct godwit_notification **list;
    struct api_held *held;
    int64_t count = 0;
    bool is_good = JS_GetLength(ctx, told->item->values[0], &count) == 0 && count >= 0 &&
                   count <= LIMIT_NOTIFICATIONS_PER_OWNER_MAX;
    size_t room = is_good && count > 0 ? (size_t) count : 1;

    values = bridge_calloc(room, sizeof *values);
    list = bridge_calloc(room, sizeof *list);
    held = bridge_calloc(room, sizeof *held);
    if (values == NULL || list == NULL || held == NULL)
        is_good = false;
    for (int64_t i = 0; is_good && i < count; i++) {
        JSValue one = JS_GetPropertyUint32(ctx, told->item->values[0], (uint32_t) i);

        api_hold(&held[i], ctx);
        list[i] = api_notification_of(&held[i], one, &values[i]);
        JS_FreeValue(ctx, one);
        is_good = !held[i].has_failed && list[i] != NULL;
    }
    if (is_good)
        request->done.notifications(request->user, GODWIT_OK, NULL, list, (size_t) count);
    for (int64_t i = 0; held != NULL && i < count && i < (int64_t) room; i++)
        api_release(&held[i]);
    bridge_free(held);
    bridge_free(list);
    bridge_free(values);
    return is_good;
}

/* False: out of memory, `done` was not called. */
static bool api__answer(struct api_told *told)
{
    struct api_request *request = (struct api_request *) (void *) told->item;
    struct godwit_subscription value;

    if (request->result != GODWIT_OK) {
        api_refuse(told->agent, request, request->result);
        return true;
    }
    if (request->kind == API_DONE) {
        if (request->done.plain != NULL)
            request->done.plain(request->user, GODWIT_OK, NULL);
    } else if (request->kind == API_SUBSCRIPTION_DONE) {
        const struct godwit_subscription *view = api_subscription_of(&told->held, told->item->values[0], &value);

        if (told->held.has_failed)
            return false;
        request->done.subscription(request->user, GODWIT_OK, NULL, view);
    } else if (request->kind == API_NOTIFICATIONS_DONE) {
        return api__answer_notifications(told, request);
    } else {
        int number = (int) api__number(told, 0);

        if (told->held.has_failed)
            return false;
        if (request->kind == API_PERMISSION_DONE)
            request->done.permission(request->user, GODWIT_OK, NULL, number);
        else
            request->done.unsubscribed(request->user, GODWIT_OK, NULL, number);
    }
    return true;
}

void api_refuse(struct godwit *agent, struct api_request *request, int result)
{
    const struct godwit_failure *failure = &request->failure;

    agent->callbacks_running++;
    switch (request->kind) {
    case API_DONE:
        if (request->done.plain != NULL)
            request->done.plain(request->user, result, failure);
        break;
    case API_SUBSCRIPTION_DONE:
        request->done.subscription(request->user, result, failure, NULL);
        break;
    case API_PERMISSION_DONE:
        request->done.permission(request->user, result, failure, GODWIT_PERMISSION_PROMPT);
        break;
    case API_UNSUBSCRIBED_DONE:
        if (request->done.unsubscribed != NULL)
            request->done.unsubscribed(request->user, result, failure, 0);
        break;
    case API_NOTIFICATIONS_DONE:
        request->done.notifications(request->user, result, failure, NULL, 0);
        break;
    }
    agent->callbacks_running--;
}

/* Hands over one item. False: out of memory. */
static bool api__hand_over(struct godwit *agent, struct api_item *item)
{
    struct api_told told = {.agent = agent, .item = item};
    bool is_good = true;

    api_hold(&told.held, agent->b->ctx);
    agent->callbacks_running++;
    switch (item->what) {
    case API_SHOW:
        api__show(&told);
        break;
    case API_BADGE:
        api__badge(&told);
        break;
    case API_OPEN_URL:
        api__open_url(&told);
        break;
    case API_ASK_NAVIGATION:
        api__ask_navigation(&told);
        break;
    case API_DELIVER:
        api__deliver(&told);
        break;
    case API_CLICK:
        api__click(&told);
        break;
    case API_SUBSCRIPTION_CHANGE:
        api__subscription_change(&told);
        break;
    case API_ANSWER:
        is_good = api__answer(&told);
        break;
    default:
        api__tell_plain(&told);
        break;
    }
    agent->callbacks_running--;
    is_good = is_good && !told.held.has_failed;
    api_release(&told.held);
    return is_good;
}

void api_drain(struct godwit *agent)
{
    /* What callbacks cause is for the next step: two that cause each other would keep this one for ever. */
    struct api_item **end = agent->last;
    bool is_last = agent->first == NULL;

    while (!is_last && agent->b->failed == 0) {
        struct api_item *item = agent->first;

        is_last = &item->next == end;
        (void) api_take_item(agent);
        if (!api__hand_over(agent, item)) {
            /* What was to be told is not: nobody may go on as if it were. */
            agent->b->failed = BRIDGE_E_NOMEM;
            if (item->what == API_ANSWER)
                api_refuse(agent, (struct api_request *) (void *) item, GODWIT_E_NOMEM);
        }
        api_free_item(agent, item);
    }
}
