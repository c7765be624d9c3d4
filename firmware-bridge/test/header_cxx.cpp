/* SPDX-License-Identifier: MIT */

/* godwit.h as C++17 sees it: it compiles without a warning, and its functions have C names (linking shows that). */

#include "godwit.h"

namespace {

struct Shell {
    int shown = 0;
};

int show(void *user, const struct godwit_notification *notification, uint64_t, int)
{
    static_cast<Shell *>(user)->shown += notification->notification_id > 0 ? 1 : 0;
    return GODWIT_OK;
}

} // namespace

extern "C" int header_cxx_start(void)
{
    Shell shell;
    godwit_config config{};
    godwit_callbacks callbacks{};
    godwit_failure failure{};
    struct godwit *agent = nullptr;

    config.struct_size = sizeof config;
    callbacks.struct_size = sizeof callbacks;
    callbacks.show = show;
    failure.struct_size = sizeof failure;
    // Refused, for want of a URL: nothing else is tried here.
    return godwit_create(&agent, &config, &callbacks, &shell, &failure);
}
