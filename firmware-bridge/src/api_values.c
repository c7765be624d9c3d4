/* SPDX-License-Identifier: MIT */

/*
 * api_values: what the script tells, as the structs of godwit.h. Nothing is copied: texts are held while the program
 * looks.
 */

#include <string.h>

#include "api_parts.h"

void api_hold(struct api_held *held, JSContext *ctx)
{
    memset(held, 0, sizeof *held);
    held->ctx = ctx;
}

void api_release(struct api_held *held)
{
    if (held->ctx == NULL)
        return;
    for (int i = 0; i < held->texts_count; i++)
        JS_FreeCString(held->ctx, held->texts[i]);
    for (int i = 0; i < held->values_count; i++)
        JS_FreeValue(held->ctx, held->values[i]);
    if (held->has_failed)
        JS_FreeValue(held->ctx, JS_GetException(held->ctx));
    memset(held, 0, sizeof *held);
}

const char *api_text_of(struct api_held *held, JSValueConst value)
{
    const char *text;

    if (held->has_failed || JS_IsNull(value) || JS_IsUndefined(value))
        return NULL;
    text = held->texts_count < API_TEXTS_MAX ? JS_ToCString(held->ctx, value) : NULL;
    if (text == NULL)
        held->has_failed = true;
    else
        held->texts[held->texts_count++] = text;
    return text;
}

int64_t api_number_of(struct api_held *held, JSValueConst value)
{
    int64_t number = 0;

    if (held->has_failed || JS_ToInt64(held->ctx, &number, value) != 0) {
        held->has_failed = true;
        return 0;
    }
    return number;
}

/* The member `name`, held; JS_UNDEFINED with has_failed. */
static JSValueConst api__member(struct api_held *held, JSValueConst object, const char *name)
{
    JSValue value;

    if (held->has_failed)
        return JS_UNDEFINED;
    value = JS_GetPropertyStr(held->ctx, object, name);
    if (JS_IsException(value) || held->values_count == API_TEXTS_MAX) {
        JS_FreeValue(held->ctx, value);
        held->has_failed = true;
        return JS_UNDEFINED;
    }
    held->values[held->values_count++] = value;
    return value;
}

const char *api_member_text(struct api_held *held, JSValueConst object, const char *name)
{
    JSValue value;
    const char *text;

    if (held->has_failed)
        return NULL;
    value = JS_GetPropertyStr(held->ctx, object, name);
    if (JS_IsException(value)) {
        held->has_failed = true;
        return NULL;
    }
    text = api_text_of(held, value);
    JS_FreeValue(held->ctx, value);
    return text;
}

int64_t api_member_number(struct api_held *held, JSValueConst object, const char *name)
{
    JSValue value;
    int64_t number;

    if (held->has_failed)
        return 0;
    value = JS_GetPropertyStr(held->ctx, object, name);
    if (JS_IsException(value)) {
        held->has_failed = true;
        return 0;
    }
    number = api_number_of(held, value);
    JS_FreeValue(held->ctx, value);
    return number;
}

/* The bytes of the member `name`, held; NULL where that is null. *count: how many. */
static const uint8_t *api__member_bytes(struct api_held *held, JSValueConst object, const char *name, size_t *count)
{
    JSValueConst value = api__member(held, object, name);
    const uint8_t *bytes = NULL;

    *count = 0;
    if (held->has_failed || JS_IsNull(value) || JS_IsUndefined(value))
        return NULL;
    if (bridge_arg_bytes(held->ctx, value, &bytes, count) != 0) {
        held->has_failed = true;
        return NULL;
    }
    /* An empty array may have no bytes at all; it is something all the same. */
    return bytes == NULL ? (const uint8_t *) "" : bytes;
}

/* One of exactly `count` bytes, or null. */
static const uint8_t *api__member_key(struct api_held *held, JSValueConst object, const char *name, size_t count)
{
    size_t given;
    const uint8_t *bytes = api__member_bytes(held, object, name, &given);

    if (bytes != NULL && given != count)
        held->has_failed = true;
    return bytes;
}

static void api__actions_of(struct api_held *held, JSValueConst list, struct api_notification *into)
{
    JSContext *ctx = held->ctx;
    int64_t count = 0;

    if (held->has_failed || JS_GetLength(ctx, list, &count) != 0) {
        held->has_failed = true;
        return;
    }
    for (int64_t i = 0; i < count && i < GODWIT_ACTIONS_MAX; i++) {
        JSValue one = JS_GetPropertyUint32(ctx, list, (uint32_t) i);

        into->actions[i].title = api_member_text(held, one, "title");
        into->actions[i].action = api_member_text(held, one, "action");
        into->actions[i].icon = api_member_text(held, one, "icon");
        into->action_list[i] = &into->actions[i];
        into->view.actions_count++;
        JS_FreeValue(ctx, one);
    }
}

static void api__vibration_of(struct api_held *held, JSValueConst list, struct api_notification *into)
{
    JSContext *ctx = held->ctx;
    const int64_t count_max = sizeof into->vibrate_ms / sizeof into->vibrate_ms[0];
    int64_t count = 0;

    if (held->has_failed || JS_GetLength(ctx, list, &count) != 0) {
        held->has_failed = true;
        return;
    }
    for (int64_t i = 0; i < count && i < count_max; i++) {
        JSValue one = JS_GetPropertyUint32(ctx, list, (uint32_t) i);

        into->vibrate_ms[i] = (uint32_t) api_number_of(held, one);
        into->view.vibrate_count++;
        JS_FreeValue(ctx, one);
    }
}

const struct godwit_notification *api_notification_of(struct api_held *held, JSValueConst value,
                                                      struct api_notification *into)
{
    struct godwit_notification *view = &into->view;

    memset(into, 0, sizeof *into);
    if (held->has_failed || JS_IsNull(value))
        return NULL;
    view->notification_id = (uint64_t) api_member_number(held, value, "notificationId");
    view->owner = api_member_text(held, value, "owner");
    view->title = api_member_text(held, value, "title");
    view->body = api_member_text(held, value, "body");
    view->direction = api_member_text(held, value, "direction");
    view->language = api_member_text(held, value, "language");
    view->tag = api_member_text(held, value, "tag");
    view->icon = api_member_text(held, value, "icon");
    view->image = api_member_text(held, value, "image");
    view->badge = api_member_text(held, value, "badge");
    view->timestamp_epoch_ms = api_member_number(held, value, "timestamp");
    view->renotify = (int) api_member_number(held, value, "renotify");
    view->require_interaction = (int) api_member_number(held, value, "requireInteraction");
    view->silent = (int) api_member_number(held, value, "silent");
    view->json = api_member_text(held, value, "json");
    view->vibrate_ms = into->vibrate_ms;
    view->actions = into->action_list;
    api__vibration_of(held, api__member(held, value, "vibrate"), into);
    api__actions_of(held, api__member(held, value, "actions"), into);
    return held->has_failed ? NULL : view;
}

const struct godwit_subscription *api_subscription_of(struct api_held *held, JSValueConst value,
                                                      struct godwit_subscription *into)
{
    memset(into, 0, sizeof *into);
    if (held->has_failed || JS_IsNull(value))
        return NULL;
    into->subscription_id = (uint64_t) api_member_number(held, value, "subscriptionId");
    into->endpoint = api_member_text(held, value, "endpoint");
    into->expiration_epoch_ms = api_member_number(held, value, "expirationTime");
    into->p256dh = api__member_key(held, value, "p256dh", GODWIT_PUBLIC_KEY_BYTES);
    into->auth = api__member_key(held, value, "auth", GODWIT_AUTH_BYTES);
    into->application_server_key = api__member_key(held, value, "applicationServerKey", GODWIT_PUBLIC_KEY_BYTES);
    into->user_visible_only = (int) api_member_number(held, value, "userVisibleOnly");
    into->json = api_member_text(held, value, "json");
    return held->has_failed ? NULL : into;
}

const struct godwit_badge *api_badge_of(struct api_held *held, JSValueConst value, struct godwit_badge *into)
{
    memset(into, 0, sizeof *into);
    if (held->has_failed || JS_IsNull(value))
        return NULL;
    into->kind = (int) api_member_number(held, value, "kind");
    into->number = (uint64_t) api_member_number(held, value, "number");
    into->text = api_member_text(held, value, "text");
    return held->has_failed ? NULL : into;
}

void api_navigation_of(struct api_held *held, JSValueConst value, struct godwit_navigation *into)
{
    memset(into, 0, sizeof *into);
    into->question_id = (uint64_t) api_member_number(held, value, "questionId");
    into->notification_id = (uint64_t) api_member_number(held, value, "notificationId");
    into->owner = api_member_text(held, value, "owner");
    into->host = api_member_text(held, value, "host");
}

void api_message_of(struct api_held *held, JSValueConst value, struct api_message *into)
{
    struct godwit_message *view = &into->view;

    memset(into, 0, sizeof *into);
    view->delivery_id = (uint64_t) api_member_number(held, value, "deliveryId");
    view->owner = api_member_text(held, value, "owner");
    view->subscription_id = (uint64_t) api_member_number(held, value, "subscriptionId");
    view->message_id = api_member_text(held, value, "messageId");
    view->redelivered = (int) api_member_number(held, value, "redelivered");
    view->data = api__member_bytes(held, value, "data", &view->data_bytes);
    view->notification = api_notification_of(held, api__member(held, value, "notification"), &into->notification);
    view->badge = api_badge_of(held, api__member(held, value, "badge"), &into->badge);
}
