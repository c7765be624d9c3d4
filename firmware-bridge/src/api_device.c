/* SPDX-License-Identifier: MIT */

/* api_device: what a program tells of the device: its network, power and clock. */

#include "api_parts.h"

static const char *const api__kinds[] = {"unknown", "wifi", "cellular", "ethernet"};

int godwit_set_network(struct godwit *agent, const struct godwit_network *network)
{
    struct godwit_network taken = {0};
    struct api_arguments arguments;
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    if (!agent->is_network_told)
        return GODWIT_E_STATE;
    if (network != NULL) {
        result = api_take(&taken, sizeof taken, sizeof taken, network);
        if (result != GODWIT_OK)
            return result;
        if (!api_is_text(taken.label, 1, GODWIT_LABEL_BYTES_MAX) || taken.kind < GODWIT_KIND_UNKNOWN ||
            taken.kind > GODWIT_KIND_ETHERNET || !api_is_flag(taken.metered) || !api_is_flag(taken.has_new_address))
            return GODWIT_E_ARGUMENT;
    }
    api_begin(&arguments, agent, "setNetwork");
    api_add_text(&arguments, taken.label);
    api_add_text(&arguments, api__kinds[taken.kind]);
    api_add_flag(&arguments, taken.metered == 1);
    api_add_flag(&arguments, taken.has_new_address == 1);
    return api_call(&arguments);
}

int godwit_set_power(struct godwit *agent, int charging, int battery_low)
{
    struct api_arguments arguments;
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_flag(charging) || !api_is_flag(battery_low))
        return GODWIT_E_ARGUMENT;
    if (!agent->is_power_told)
        return GODWIT_E_STATE;
    api_begin(&arguments, agent, "setPower");
    api_add_flag(&arguments, charging == 1);
    api_add_flag(&arguments, battery_low == 1);
    return api_call(&arguments);
}

int godwit_set_clock_trusted(struct godwit *agent, int trusted)
{
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    if (!api_is_flag(trusted))
        return GODWIT_E_ARGUMENT;
    agent->b->epoch_trusted = trusted == 1;
    return godwit_resumed(agent);
}

int godwit_resumed(struct godwit *agent)
{
    int result = api_enter_running(agent);

    if (result != GODWIT_OK)
        return result;
    return bridge_emit(agent->b, "look", 0, NULL) < 0 ? api_failed(agent) : GODWIT_OK;
}
