/* SPDX-License-Identifier: MIT */

/*
 * api_call: into the script and back (src/quickjs/embedding-bridge.d.ts). A call enters by the event `call` and is
 * answered within it by `returned` or `refused`; a request besides, at any later time, by `answered`. What the script
 * has to tell comes by `tell`, and waits until nothing of the script is on the stack.
 */

#include <string.h>

#include "api_parts.h"

const char *const api_told_names[API_TOLD_COUNT] = {
    [API_SHOW] = "show",
    [API_CLOSE] = "close",
    [API_BADGE] = "badge",
    [API_OPEN_URL] = "openUrl",
    [API_ASK_PERMISSION] = "askPermission",
    [API_PERMISSION_SETTLED] = "permissionSettled",
    [API_ASK_NAVIGATION] = "askNavigation",
    [API_NAVIGATION_SETTLED] = "navigationSettled",
    [API_DELIVER] = "deliver",
    [API_CANCEL_DELIVERY] = "cancelDelivery",
    [API_CLICK] = "click",
    [API_START_APP] = "startApp",
    [API_SUBSCRIPTION_CHANGE] = "subscriptionChange",
    [API_WARNING] = "warning",
    [API_REPORT] = "report",
};

/* ---- into the script ---- */

void api_begin(struct api_arguments *arguments, struct godwit *agent, const char *verb)
{
    arguments->agent = agent;
    arguments->count = 0;
    arguments->has_failed = false;
    api_add_text(arguments, verb);
}

void api_add_value(struct api_arguments *arguments, JSValue value)
{
    JSContext *ctx = arguments->agent->b->ctx;

    if (JS_IsException(value)) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        arguments->has_failed = true;
    } else if (arguments->count == API_ARGUMENTS_MAX) {
        JS_FreeValue(ctx, value);
        arguments->has_failed = true;
    } else {
        arguments->values[arguments->count++] = value;
    }
}

void api_add_text(struct api_arguments *arguments, const char *text)
{
    api_add_value(arguments, text == NULL ? JS_NULL : JS_NewString(arguments->agent->b->ctx, text));
}

void api_add_number(struct api_arguments *arguments, int64_t number)
{
    api_add_value(arguments, JS_NewInt64(arguments->agent->b->ctx, number));
}

void api_add_flag(struct api_arguments *arguments, bool flag)
{
    api_add_value(arguments, JS_NewBool(arguments->agent->b->ctx, flag));
}

void api_add_bytes(struct api_arguments *arguments, const uint8_t *bytes, size_t count)
{
    api_add_value(arguments,
                  bytes == NULL ? JS_NULL : JS_NewUint8ArrayCopy(arguments->agent->b->ctx, bytes, count));
}

static void api__free_arguments(struct api_arguments *arguments)
{
    for (int i = 0; i < arguments->count; i++)
        JS_FreeValue(arguments->agent->b->ctx, arguments->values[i]);
    arguments->count = 0;
}

int api_failed(const struct godwit *agent)
{
    return agent->b->failed == BRIDGE_E_NOMEM ? GODWIT_E_NOMEM : GODWIT_E_FAILED;
}

int api_call(struct api_arguments *arguments)
{
    struct godwit *agent = arguments->agent;
    struct bridge *b = agent->b;

    if (arguments->has_failed) {
        api__free_arguments(arguments);
        return GODWIT_E_NOMEM;
    }
    JS_FreeValue(b->ctx, agent->returned);
    agent->returned = JS_UNDEFINED;
    agent->outcome = API_SILENT;
    if (bridge_emit(b, "call", arguments->count, arguments->values) < 0 || b->failed != 0)
        return api_failed(agent);
    if (agent->outcome == API_REFUSED)
        return GODWIT_E_REFUSED;
    if (agent->outcome == API_SILENT) {
        bridge_log(b, 3, "the script did not answer a call");
        b->failed = BRIDGE_E_SCRIPT;
        return GODWIT_E_FAILED;
    }
    return GODWIT_OK;
}

int api_call_flag(struct api_arguments *arguments)
{
    struct godwit *agent = arguments->agent;
    int result = api_call(arguments);

    if (result == GODWIT_OK && JS_ToBool(agent->b->ctx, agent->returned) <= 0)
        return GODWIT_E_STATE;
    return result;
}

struct api_request *api_begin_request(struct api_arguments *arguments, struct godwit *agent, const char *verb,
                                      enum api_kind kind, void *user, int *result)
{
    struct api_request *request;

    api_begin(arguments, agent, verb);
    *result = GODWIT_OK;
    if (agent->requests_count >= GODWIT_REQUESTS_MAX) {
        *result = GODWIT_E_LIMIT;
        return NULL;
    }
    request = bridge_calloc(1, sizeof *request);
    if (request == NULL) {
        *result = GODWIT_E_NOMEM;
        return NULL;
    }
    request->item.what = API_ANSWER;
    request->request_id = ++agent->last_request_id;
    request->kind = kind;
    request->user = user;
    request->failure.struct_size = sizeof request->failure;
    request->next_open = agent->open;
    agent->open = request;
    agent->requests_count++;
    api_add_number(arguments, request->request_id);
    return request;
}

/* Takes it off the list of those that are open; false when it is not on it. */
static bool api__close_request(struct godwit *agent, const struct api_request *request)
{
    for (struct api_request **at = &agent->open; *at != NULL; at = &(*at)->next_open) {
        if (*at == request) {
            *at = request->next_open;
            return true;
        }
    }
    return false;
}

int api_send(struct api_arguments *arguments, struct api_request *request, int result)
{
    struct godwit *agent = arguments->agent;

    if (request == NULL) {
        api__free_arguments(arguments);
        return result;
    }
    result = api_call(arguments);
    /* After a failure in the midst the script may have answered it already: then it is, or will be, told as ended. */
    if (result != GODWIT_OK && api__close_request(agent, request)) {
        agent->requests_count--;
        bridge_free(request);
    } else if (result != GODWIT_OK) {
        result = GODWIT_OK;
    }
    return result;
}

/* ---- what the script calls ---- */

static struct godwit *api__agent_of(JSContext *ctx)
{
    return bridge_of(ctx)->embedding;
}

static void api__enqueue(struct godwit *agent, struct api_item *item)
{
    item->next = NULL;
    *agent->last = item;
    agent->last = &item->next;
}

/* Owned copies of the arguments from `argv[0]` on. */
static void api__keep_values(JSContext *ctx, struct api_item *item, int argc, JSValueConst *argv)
{
    for (int i = 0; i < argc && i < API_VALUES_MAX; i++)
        item->values[item->values_count++] = JS_DupValue(ctx, argv[i]);
}

/* tell(name, ...values): of at most API_VALUES_MAX values. Throws TypeError for an unknown name. */
static JSValue api__js_tell(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
    struct godwit *agent = api__agent_of(ctx);
    struct api_item *item;
    const char *name;
    size_t what = 0;

    (void) this_value;
    name = argc > 0 ? JS_ToCString(ctx, argv[0]) : NULL;
    if (name == NULL)
        return argc > 0 ? JS_EXCEPTION : JS_ThrowTypeError(ctx, "tell: no name");
    while (what < API_TOLD_COUNT && strcmp(name, api_told_names[what]) != 0)
        what++;
    JS_FreeCString(ctx, name);
    if (what == API_TOLD_COUNT || argc - 1 > API_VALUES_MAX)
        return JS_ThrowTypeError(ctx, "tell: there is nothing like that");
    item = bridge_calloc(1, sizeof *item);
    if (item == NULL)
        return bridge_throw_memory(ctx);
    item->what = (enum api_what) what;
    api__keep_values(ctx, item, argc - 1, argv + 1);
    api__enqueue(agent, item);
    return JS_UNDEFINED;
}

/* Reads code, fault and text. */
static int api__read_failure(JSContext *ctx, JSValueConst *argv, struct godwit_failure *failure)
{
    const char *code = JS_ToCString(ctx, argv[0]);
    const char *text = code == NULL ? NULL : JS_ToCString(ctx, argv[2]);
    int64_t fault;
    int result = -1;

    if (text != NULL &&
        bridge_arg_int64(ctx, argv[1], GODWIT_FAULT_NONE, GODWIT_FAULT_ENVIRONMENT, &fault) == 0) {
        failure->struct_size = sizeof *failure;
        failure->fault = (int) fault;
        api_copy_text(failure->code, sizeof failure->code, code);
        api_copy_text(failure->text, sizeof failure->text, text);
        result = 0;
    }
    JS_FreeCString(ctx, text);
    JS_FreeCString(ctx, code);
    return result;
}

/* returned(value): of the call at hand. */
static JSValue api__js_returned(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
    struct godwit *agent = api__agent_of(ctx);

    (void) this_value;
    JS_FreeValue(ctx, agent->returned);
    agent->returned = argc > 0 ? JS_DupValue(ctx, argv[0]) : JS_UNDEFINED;
    agent->outcome = API_RETURNED;
    return JS_UNDEFINED;
}

/* refused(code, fault, text): likewise. */
static JSValue api__js_refused(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
    struct godwit *agent = api__agent_of(ctx);

    (void) this_value;
    if (argc < 3 || api__read_failure(ctx, argv, &agent->failure) != 0)
        return argc < 3 ? JS_ThrowTypeError(ctx, "refused: code, fault and text") : JS_EXCEPTION;
    agent->outcome = API_REFUSED;
    return JS_UNDEFINED;
}

/* answered(requestId, value) or answered(requestId, null, code, fault, text): once for each request. */
static JSValue api__js_answered(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
    struct godwit *agent = api__agent_of(ctx);
    struct api_request *request = agent->open;
    int64_t request_id;

    (void) this_value;
    if (argc < 2)
        return JS_ThrowTypeError(ctx, "answered: requestId and value");
    if (bridge_arg_int64(ctx, argv[0], 1, GODWIT_NUMBER_MAX, &request_id) != 0)
        return JS_EXCEPTION;
    while (request != NULL && request->request_id != request_id)
        request = request->next_open;
    if (request == NULL)
        return JS_UNDEFINED;
    if (argc >= 5) {
        if (api__read_failure(ctx, argv + 2, &request->failure) != 0)
            return JS_EXCEPTION;
        request->result = GODWIT_E_REFUSED;
    } else {
        api__keep_values(ctx, &request->item, 1, argv + 1);
    }
    (void) api__close_request(agent, request);
    api__enqueue(agent, &request->item);
    return JS_UNDEFINED;
}

/* started(), or started(code, fault, text) when it failed: once. */
static JSValue api__js_started(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
    struct godwit *agent = api__agent_of(ctx);

    (void) this_value;
    if (argc >= 3 && api__read_failure(ctx, argv, &agent->failure) != 0)
        return JS_EXCEPTION;
    if (agent->progress == API_STARTING)
        agent->progress = argc >= 3 ? API_START_FAILED : API_RUNNING;
    return JS_UNDEFINED;
}

/* stopped(): everything is done that `stop` asked for. */
static JSValue api__js_stopped(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)
{
    struct godwit *agent = api__agent_of(ctx);

    (void) this_value;
    (void) argc;
    (void) argv;
    if (agent->progress == API_STOPPING) {
        agent->progress = API_STOPPED_WELL;
        bridge_delay_cancel(&agent->stop_limit);
    }
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry api__functions[] = {
    JS_CFUNC_DEF("tell", 1, api__js_tell),         JS_CFUNC_DEF("returned", 1, api__js_returned),
    JS_CFUNC_DEF("refused", 3, api__js_refused),   JS_CFUNC_DEF("answered", 2, api__js_answered),
    JS_CFUNC_DEF("started", 0, api__js_started),   JS_CFUNC_DEF("stopped", 0, api__js_stopped),
};

int api_extend(struct bridge *b, void *user)
{
    struct godwit *agent = user;
    const struct api_program *program = agent->program;
    int result;

    agent->b = b;
    b->embedding = agent;
    result = bridge_add_functions(b, api__functions, (int) (sizeof api__functions / sizeof api__functions[0]));
    if (result == 0 && program->extend != NULL)
        result = program->extend(b, program->extend_user);
    return result;
}

/* ---- the queue ---- */

struct api_item *api_take_item(struct godwit *agent)
{
    struct api_item *item = agent->first;

    if (item == NULL)
        return NULL;
    agent->first = item->next;
    if (agent->first == NULL)
        agent->last = &agent->first;
    if (item->what == API_ANSWER)
        agent->requests_count--;
    return item;
}

void api_free_item(struct godwit *agent, struct api_item *item)
{
    for (int i = 0; i < item->values_count; i++)
        JS_FreeValue(agent->b->ctx, item->values[i]);
    /* The item is a request's first member. */
    bridge_free(item);
}

/* The list begins with the newest. */
static struct api_request *api__oldest_open(struct godwit *agent)
{
    struct api_request *oldest = agent->open;

    while (oldest != NULL && oldest->next_open != NULL)
        oldest = oldest->next_open;
    return oldest;
}

void api_end_all(struct godwit *agent)
{
    struct api_item *item;
    struct api_request *request;

    while ((item = api_take_item(agent)) != NULL) {
        if (item->what == API_ANSWER)
            api_refuse(agent, (struct api_request *) (void *) item, GODWIT_E_SHUTDOWN);
        api_free_item(agent, item);
    }
    while ((request = api__oldest_open(agent)) != NULL) {
        (void) api__close_request(agent, request);
        agent->requests_count--;
        api_refuse(agent, request, GODWIT_E_SHUTDOWN);
        api_free_item(agent, &request->item);
    }
}
