/* SPDX-License-Identifier: MIT */

/* api: the life of a handle of godwit.h: made, run, stopped, let go of. */

#include <string.h>

#include "api_parts.h"
#include "scripts.h"

/* Everything of the start but the first network reading happens at once, and that takes ms. */
#define API_START_MS_MAX 10000

static const char *const api__errors[] = {
    [-GODWIT_OK] = "done",
    [-GODWIT_E_ARGUMENT] = "an argument is missing, malformed or out of its range",
    [-GODWIT_E_NOMEM] = "out of memory",
    [-GODWIT_E_THREAD] = "called by another thread than the one that made the agent",
    [-GODWIT_E_BUSY] = "called from within a callback",
    [-GODWIT_E_STATE] = "not in this state, or there is nothing like that",
    [-GODWIT_E_SHUTDOWN] = "the agent ended before there was an answer",
    [-GODWIT_E_FAILED] = "the agent has failed and can only be destroyed",
    [-GODWIT_E_SYSTEM] = "the system refused",
    [-GODWIT_E_VERSION] = "struct_size is wrong, or a newer member is used",
    [-GODWIT_E_LIMIT] = "too many requests are open",
    [-GODWIT_E_REFUSED] = "the agent refused",
    [-GODWIT_E_TIMEOUT] = "it took too long",
};

const char *godwit_strerror(int result)
{
    if (result == GODWIT_STOPPED)
        return "stopped";
    if (result == GODWIT_LATER)
        return "the answer follows";
    if (result > 0 || result < GODWIT_E_TIMEOUT)
        return "there is no such result";
    return api__errors[-result];
}

const struct godwit_failure *godwit_last_failure(struct godwit *agent)
{
    return agent == NULL || !pthread_equal(agent->thread, pthread_self()) ? NULL : &agent->failure;
}

uint32_t godwit_api_version(void)
{
    return GODWIT_API_VERSION;
}

const char *godwit_version(void)
{
    return GODWIT_VERSION;
}

/* ---- who may call ---- */

/* Thread and log callback; what holds whatever state the agent is in. */
static int api__enter_any(struct godwit *agent)
{
    if (agent == NULL)
        return GODWIT_E_ARGUMENT;
    if (!pthread_equal(agent->thread, pthread_self()))
        return GODWIT_E_THREAD;
    if (agent->is_logging)
        return GODWIT_E_BUSY;
    return agent->is_being_destroyed ? GODWIT_E_STATE : GODWIT_OK;
}

int api_enter_running(struct godwit *agent)
{
    int result = api__enter_any(agent);

    if (result != GODWIT_OK)
        return result;
    if (agent->b->failed != 0)
        return GODWIT_E_FAILED;
    return agent->progress == API_RUNNING || agent->progress == API_STOPPING ? GODWIT_OK : GODWIT_E_STATE;
}

int api_enter(struct godwit *agent)
{
    int result = api_enter_running(agent);

    return result == GODWIT_OK && agent->progress != API_RUNNING ? GODWIT_E_STATE : result;
}

int api_argument_error(struct godwit *agent)
{
    int result = api_enter(agent);

    return result == GODWIT_OK ? GODWIT_E_ARGUMENT : result;
}

/* ---- made ---- */

static void api__log(void *user, int priority, const char *text)
{
    struct godwit *agent = user;

    agent->is_logging = true;
    agent->log(agent->user, priority, text);
    agent->is_logging = false;
}

/* As struct bridge_options wants it: the engine is about to end. */
static void api__retract(struct bridge *b, void *user)
{
    struct godwit *agent = user;

    api_end_all(agent);
    JS_FreeValue(b->ctx, agent->returned);
    agent->returned = JS_UNDEFINED;
}

static int api__result_of(int bridge_error)
{
    switch (bridge_error) {
    case 0:
        return GODWIT_OK;
    case BRIDGE_E_NOMEM:
        return GODWIT_E_NOMEM;
    case BRIDGE_E_SYSTEM:
        return GODWIT_E_SYSTEM;
    case BRIDGE_E_ARGUMENT:
        return GODWIT_E_ARGUMENT;
    default:
        return GODWIT_E_FAILED;
    }
}

/* Makes agent->b and runs its script. GODWIT_OK or GODWIT_E_. */
static int api__create_bridge(struct godwit *agent, const struct godwit_config *config, const char *options_json)
{
    const struct bridge_options options = {
        .script = agent->program->script,
        .options_json = options_json,
        .device_key = config->device_key,
        .ca_file = config->ca_file,
        .ca_pem = config->ca_pem,
        .state_directory = config->state_directory,
        .state_quota_bytes = config->state_quota_bytes,
        .heap_bytes_max = config->heap_bytes_max,
        .epoch_floor_ms = GODWIT_BUILD_EPOCH_S * 1000,
        .epoch_trusted = !config->clock_untrusted,
        .log = config->log != NULL ? api__log : NULL,
        .user = agent,
        .extend = api_extend,
        .retract = api__retract,
        .extend_user = agent,
    };
    struct bridge *b;
    int error = bridge_create(&b, &options);

    agent->b = error == 0 ? b : NULL;
    return api__result_of(error);
}

/* Runs the loop until the script says that it has started. */
static int api__await_start(struct godwit *agent)
{
    int64_t end_ms = bridge_clock_boottime_us() / 1000 + API_START_MS_MAX;

    while (agent->progress == API_STARTING && agent->b->failed == 0) {
        int64_t left_ms = end_ms - bridge_clock_boottime_us() / 1000;
        int error;

        if (left_ms <= 0)
            return GODWIT_E_TIMEOUT;
        error = bridge_loop_step(agent->b, left_ms);
        if (error < 0 && agent->b->failed == 0)
            return api__result_of(error);
    }
    if (agent->b->failed != 0)
        return api_failed(agent);
    return agent->progress == API_START_FAILED ? GODWIT_E_REFUSED : GODWIT_OK;
}

static int api__start(struct godwit *agent, const struct godwit_config *config)
{
    char *options_json;
    int result;

    options_json = api_config_json(config, &agent->callbacks, agent->program->options_json, &result);
    if (options_json == NULL)
        return result;
    result = api__create_bridge(agent, config, options_json);
    bridge_free(options_json);
    return result == GODWIT_OK ? api__await_start(agent) : result;
}

int api_create(struct godwit **out, const struct godwit_config *config, const struct godwit_callbacks *callbacks,
               void *user, struct godwit_failure *failure, const struct api_program *program)
{
    static const struct godwit_failure no_failure = {.struct_size = sizeof no_failure};
    struct godwit_failure told = no_failure;
    struct godwit_config taken;
    struct godwit *agent = NULL;
    int result;

    if (out == NULL)
        return GODWIT_E_ARGUMENT;
    *out = NULL;
    if (config == NULL)
        return GODWIT_E_ARGUMENT;
    if (failure != NULL && api_give(failure, sizeof *failure, &no_failure, sizeof no_failure) != GODWIT_OK)
        return GODWIT_E_VERSION;
    agent = bridge_calloc(1, sizeof *agent);
    result = agent == NULL ? GODWIT_E_NOMEM : api_take(&taken, sizeof taken, sizeof taken, config);
    if (result == GODWIT_OK && callbacks != NULL)
        result = api_take(&agent->callbacks, sizeof agent->callbacks, sizeof agent->callbacks, callbacks);
    if (result == GODWIT_OK) {
        agent->thread = pthread_self();
        agent->user = user;
        agent->log = taken.log;
        agent->program = program;
        agent->returned = JS_UNDEFINED;
        agent->last = &agent->first;
        agent->failure = no_failure;
        agent->is_network_told = taken.network == GODWIT_NETWORK_TOLD;
        agent->is_power_told = taken.least_urgency_by_power == 1;
        result = api__start(agent, &taken);
        /* Borrowed for the call only. */
        agent->program = NULL;
    }
    if (result == GODWIT_OK) {
        *out = agent;
        return GODWIT_OK;
    }
    if (result == GODWIT_E_REFUSED)
        told = agent->failure;
    else
        api_copy_text(told.text, sizeof told.text, godwit_strerror(result));
    if (failure != NULL)
        (void) api_give(failure, sizeof *failure, &told, sizeof told);
    if (agent != NULL)
        bridge_destroy(agent->b);
    bridge_free(agent);
    return result;
}

int godwit_create(struct godwit **out, const struct godwit_config *config, const struct godwit_callbacks *callbacks,
                  void *user, struct godwit_failure *failure)
{
    const struct bridge_script script = {bridge_script_embedding, bridge_script_embedding_size};
    const struct api_program program = {.script = &script};

    return api_create(out, config, callbacks, user, failure, &program);
}

struct bridge *api_bridge(struct godwit *agent)
{
    return agent->b;
}

int godwit_destroy(struct godwit *agent)
{
    int result;

    if (agent == NULL)
        return GODWIT_OK;
    result = api__enter_any(agent);
    if (result != GODWIT_OK)
        return result == GODWIT_E_STATE ? GODWIT_E_BUSY : result;
    if (agent->callbacks_running > 0)
        return GODWIT_E_BUSY;
    agent->is_being_destroyed = true;
    api_end_all(agent);
    bridge_delay_cancel(&agent->stop_limit);
    bridge_destroy(agent->b);
    bridge_free(agent);
    return GODWIT_OK;
}

/* ---- run ---- */

static bool api__is_over(const struct godwit *agent)
{
    return agent->progress == API_STOPPED_WELL || agent->progress == API_STOPPED_LATE;
}

int godwit_step(struct godwit *agent, int64_t wait_ms)
{
    int result = api__enter_any(agent);
    int error = 0;

    if (result != GODWIT_OK)
        return result;
    if (agent->callbacks_running > 0)
        return GODWIT_E_BUSY;
    if (wait_ms < -1 || wait_ms > GODWIT_WAIT_MS_MAX)
        return GODWIT_E_ARGUMENT;
    if (agent->b->failed != 0)
        return GODWIT_E_FAILED;
    if (agent->first != NULL || api__is_over(agent))
        wait_ms = 0;
    if (!api__is_over(agent))
        error = bridge_loop_step(agent->b, wait_ms);
    if (error < 0 && agent->b->failed == 0)
        return api__result_of(error);
    api_drain(agent);
    if (agent->b->failed != 0)
        return GODWIT_E_FAILED;
    if (agent->first != NULL || !api__is_over(agent))
        return GODWIT_OK;
    return agent->progress == API_STOPPED_WELL ? GODWIT_STOPPED : GODWIT_E_TIMEOUT;
}

int godwit_run(struct godwit *agent)
{
    int result;

    do
        result = godwit_step(agent, -1);
    while (result == GODWIT_OK);
    return result == GODWIT_STOPPED ? GODWIT_OK : result;
}

int godwit_wake(struct godwit *agent)
{
    if (agent == NULL)
        return GODWIT_E_ARGUMENT;
    bridge_loop_wake(agent->b);
    return GODWIT_OK;
}

int godwit_next_deadline(struct godwit *agent, int64_t *in_ms)
{
    int result = api__enter_any(agent);
    int64_t at_ms;
    int64_t due_ms;
    int64_t now_ms;

    if (result != GODWIT_OK)
        return result;
    if (in_ms == NULL)
        return GODWIT_E_ARGUMENT;
    if (agent->b->failed != 0)
        return GODWIT_E_FAILED;
    at_ms = bridge_alarm_deadline_ms(agent->b);
    /* What was begun: a dial, the limit of a request or a stop. */
    due_ms = bridge_loop_due_ms(agent->b);
    if (due_ms < at_ms)
        at_ms = due_ms;
    now_ms = bridge_clock_boottime_us() / 1000;
    if (agent->first != NULL || api__is_over(agent))
        *in_ms = 0;
    else if (at_ms == INT64_MAX)
        *in_ms = -1;
    else
        *in_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    return GODWIT_OK;
}

/* ---- stopped ---- */

static void api__stop_limit_expired(void *user)
{
    struct godwit *agent = user;

    if (agent->progress == API_STOPPING)
        agent->progress = API_STOPPED_LATE;
}

int godwit_stop(struct godwit *agent, uint32_t limit_ms)
{
    struct api_arguments arguments;
    int result = api__enter_any(agent);
    int64_t at_ms;

    if (result != GODWIT_OK)
        return result;
    if (limit_ms < 1 || limit_ms > GODWIT_WAIT_MS_MAX)
        return GODWIT_E_ARGUMENT;
    if (agent->b->failed != 0)
        return GODWIT_E_FAILED;
    if (api__is_over(agent))
        return GODWIT_OK;
    at_ms = bridge_clock_boottime_us() / 1000 + limit_ms;
    if (agent->progress == API_STOPPING && at_ms >= agent->stop_at_ms)
        return GODWIT_OK;
    bridge_delay_cancel(&agent->stop_limit);
    bridge_delay_start(agent->b, &agent->stop_limit, limit_ms, api__stop_limit_expired, agent);
    agent->stop_at_ms = at_ms;
    if (agent->progress == API_STOPPING)
        return GODWIT_OK;
    api_begin(&arguments, agent, "stop");
    /* Before the call: the script may be done within it. */
    agent->progress = API_STOPPING;
    result = api_call(&arguments);
    if (result != GODWIT_OK && agent->b->failed == 0) {
        bridge_delay_cancel(&agent->stop_limit);
        agent->progress = API_RUNNING;
    }
    return result;
}
