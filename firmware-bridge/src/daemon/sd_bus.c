/* SPDX-License-Identifier: MIT */

/* sd_bus: see sd_bus.h. */

#if defined(GODWIT_DBUS)

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define DAEMON_SD_BUS_LOADER 1
#include "sd_bus.h"

struct daemon_sd_bus daemon_sd_bus;

/* The address of `name` into the pointer to function at `to`. False when there is none. */
static bool daemon__find(void *library, const char *name, void *to)
{
    void *found = dlsym(library, name);

    memcpy(to, &found, sizeof found);
    return found != NULL;
}

int daemon_sd_bus_load(void)
{
    struct daemon_sd_bus found;
    void *library;

    if (daemon_sd_bus.sd_bus_open_user != NULL)
        return 0;
    library = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return -ENOSYS;
#define DAEMON__FIND(name)                              \
    if (!daemon__find(library, #name, &found.name)) {   \
        (void) dlclose(library);                        \
        return -ENOSYS;                                 \
    }
    DAEMON_SD_BUS_FUNCTIONS(DAEMON__FIND)
#undef DAEMON__FIND
    daemon_sd_bus = found;
    return 0;
}

#endif
