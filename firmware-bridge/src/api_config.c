/* SPDX-License-Identifier: MIT */

/*
 * api_config: struct godwit_config, checked as far as C can (pointers, lengths, UTF-8, ranges), as the script's
 * options. What a value means is the script's to judge, with ERR_CONFIG and a sentence.
 */

#include "api_parts.h"
#include "script_limits.h"

_Static_assert(GODWIT_OWNER_BYTES_MAX == LIMIT_OWNER_CHARS_MAX, "owner");
_Static_assert(GODWIT_WA_TOKEN_BYTES_MAX == LIMIT_WA_TOKEN_CHARS_MAX, "wa_token");
_Static_assert(GODWIT_LABEL_BYTES_MAX == LIMIT_NETWORK_LABEL_CHARS_MAX, "label");
_Static_assert(GODWIT_URL_BYTES_MAX == LIMIT_ENDPOINT_CHARS_MAX, "url");
_Static_assert(GODWIT_NOTIFICATION_BYTES_MAX == 3 * LIMIT_NOTIFICATION_CHARS_MAX, "notification");
_Static_assert(GODWIT_MQTT_URLS_MAX == LIMIT_MQTT_URLS_MAX, "mqtt_urls");
_Static_assert(GODWIT_ORIGINS_MAX == LIMIT_POLICY_ORIGINS_MAX, "origins_allowed");
_Static_assert(GODWIT_ACTIONS_MAX == LIMIT_NOTIFICATION_ACTIONS_MAX, "actions");
_Static_assert(GODWIT_HEARTBEAT_MS_MIN == LIMIT_HEARTBEAT_MS_MIN, "heartbeat_ms");
_Static_assert(GODWIT_HEARTBEAT_MS_MAX == LIMIT_HEARTBEAT_MS_MAX, "heartbeat_ms");
_Static_assert(GODWIT_WINDOW_S_MAX == LIMIT_LOW_URGENCY_WINDOW_S_MAX, "window_s");
_Static_assert(GODWIT_STATE_QUOTA_BYTES_MIN == LIMIT_STATE_QUOTA_BYTES_MIN, "state_quota_bytes");
_Static_assert(GODWIT_DISPLAY_MS_MAX == LIMIT_SHELL_DISPLAY_TIMEOUT_MS, "show");
_Static_assert(GODWIT_NUMBER_MAX == LIMIT_ID_MAX, "numbers");

static const char *const api__urgencies[] = {"very-low", "low", "normal", "high"};
static const char *const api__policies[] = {"denied", "granted", "ask"};
static const char *const api__networks[] = {"follow", "told", "ignored"};

/* Each of at least one byte. */
static bool api__are_texts(const char *const *texts, size_t count, size_t count_max, size_t bytes_max)
{
    if (count > count_max || (texts == NULL && count > 0))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!api_is_text(texts[i], 1, bytes_max))
            return false;
    return true;
}

static bool api__is_good(const struct godwit_config *c)
{
    return api_is_text(c->service_url, 1, GODWIT_URL_BYTES_MAX) &&
           api_is_text(c->state_directory, 1, GODWIT_PATH_BYTES_MAX) && c->state_directory[0] == '/' &&
           (c->state_quota_bytes == 0 || c->state_quota_bytes >= GODWIT_STATE_QUOTA_BYTES_MIN) &&
           (c->device_id == NULL || api_is_text(c->device_id, 1, GODWIT_DEVICE_ID_BYTES_MAX)) &&
           (c->ca_file == NULL || api_is_text(c->ca_file, 1, GODWIT_PATH_BYTES_MAX)) &&
           (c->ca_pem == NULL || api_is_text(c->ca_pem, 1, GODWIT_PEM_BYTES_MAX)) &&
           api__are_texts(c->mqtt_urls, c->mqtt_urls_count, GODWIT_MQTT_URLS_MAX, GODWIT_URL_BYTES_MAX) &&
           (c->heartbeat_ms == 0 ||
            (c->heartbeat_ms >= GODWIT_HEARTBEAT_MS_MIN && c->heartbeat_ms <= GODWIT_HEARTBEAT_MS_MAX)) &&
           c->window_s <= GODWIT_WINDOW_S_MAX && c->least_urgency >= GODWIT_URGENCY_VERY_LOW &&
           c->least_urgency <= GODWIT_URGENCY_HIGH && api_is_flag(c->least_urgency_by_power) &&
           (c->portal_probe_url == NULL || api_is_text(c->portal_probe_url, 1, GODWIT_URL_BYTES_MAX)) &&
           api_is_flag(c->keep_connected) && api_is_flag(c->http_allowed) &&
           api__are_texts(c->origins_allowed, c->origins_allowed_count, GODWIT_ORIGINS_MAX, GODWIT_OWNER_BYTES_MAX) &&
           c->permission_policy >= GODWIT_POLICY_DENY && c->permission_policy <= GODWIT_POLICY_ASK &&
           c->network >= GODWIT_NETWORK_FOLLOW && c->network <= GODWIT_NETWORK_IGNORED &&
           api_is_flag(c->clock_untrusted) && (c->heap_bytes_max == 0 || c->heap_bytes_max >= GODWIT_HEAP_BYTES_MIN);
}

static void api__member_texts(struct api_json *json, const char *name, const char *const *texts, size_t count)
{
    api_json_member(json, name);
    api_json_raw(json, "[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            api_json_raw(json, ",");
        api_json_text(json, texts[i]);
    }
    api_json_raw(json, "]");
}

/* The names of those that are there, so that the script tells nothing nobody hears. */
static void api__member_callbacks(struct api_json *json, const struct godwit_callbacks *c)
{
    const bool is_there[API_TOLD_COUNT] = {
        [API_SHOW] = c->show != NULL,
        [API_CLOSE] = c->close != NULL,
        [API_BADGE] = c->badge != NULL,
        [API_OPEN_URL] = c->open_url != NULL,
        [API_ASK_PERMISSION] = c->ask_permission != NULL,
        [API_PERMISSION_SETTLED] = c->permission_settled != NULL,
        [API_ASK_NAVIGATION] = c->ask_navigation != NULL,
        [API_NAVIGATION_SETTLED] = c->navigation_settled != NULL,
        [API_DELIVER] = c->deliver != NULL,
        [API_CANCEL_DELIVERY] = c->cancel_delivery != NULL,
        [API_CLICK] = c->click != NULL,
        [API_START_APP] = c->start_app != NULL,
        [API_SUBSCRIPTION_CHANGE] = c->subscription_change != NULL,
        [API_WARNING] = c->warning != NULL,
        [API_REPORT] = c->report != NULL,
    };
    const char *names[API_TOLD_COUNT];
    size_t count = 0;

    for (size_t i = 0; i < API_TOLD_COUNT; i++)
        if (is_there[i])
            names[count++] = api_told_names[i];
    api__member_texts(json, "callbacks", names, count);
}

char *api_config_json(const struct godwit_config *config, const struct godwit_callbacks *callbacks,
                      const char *program_json, int *result)
{
    struct api_json json = {0};

    if (!api__is_good(config) ||
        (config->permission_policy == GODWIT_POLICY_ASK && callbacks->ask_permission == NULL && program_json == NULL)) {
        *result = GODWIT_E_ARGUMENT;
        return NULL;
    }
    api_json_raw(&json, "{");
    api_json_member_text(&json, "serviceUrl", config->service_url);
    api_json_member_text(&json, "stateDirectory", config->state_directory);
    api_json_member_text(&json, "deviceId", config->device_id);
    if (config->mqtt_urls != NULL)
        api__member_texts(&json, "mqttUrls", config->mqtt_urls, config->mqtt_urls_count);
    if (config->heartbeat_ms != 0)
        api_json_member_number(&json, "heartbeatMs", config->heartbeat_ms);
    api_json_member_number(&json, "windowS", config->window_s);
    api_json_member_text(&json, "leastUrgency", api__urgencies[config->least_urgency]);
    api_json_member_flag(&json, "urgencyByPower", config->least_urgency_by_power);
    api_json_member_text(&json, "portalProbeUrl", config->portal_probe_url);
    api_json_member_flag(&json, "keepConnected", config->keep_connected);
    api_json_member_flag(&json, "httpAllowed", config->http_allowed);
    api__member_texts(&json, "originsAllowed", config->origins_allowed, config->origins_allowed_count);
    api_json_member_text(&json, "permission", api__policies[config->permission_policy]);
    api_json_member_text(&json, "network", api__networks[config->network]);
    api__member_callbacks(&json, callbacks);
    if (program_json != NULL) {
        api_json_member(&json, "program");
        api_json_raw(&json, program_json);
    }
    api_json_raw(&json, "}");
    if (json.has_failed) {
        bridge_free(json.text);
        *result = GODWIT_E_NOMEM;
        return NULL;
    }
    *result = GODWIT_OK;
    return json.text;
}
