/* SPDX-License-Identifier: MIT */

/*
 * sd_bus: libsystemd's sd-bus, loaded when a program first connects to a bus. Linked, it and what it needs (libgcrypt,
 * lz4, zstd, xz) would take 1 MB of memory also where nothing is ever shown on a desktop.
 *
 * Included in place of <systemd/sd-bus.h>: the names are those of the library.
 */
#ifndef DAEMON_SD_BUS_H
#define DAEMON_SD_BUS_H

#include <systemd/sd-bus.h>

#define DAEMON_SD_BUS_FUNCTIONS(X) \
    X(sd_bus_add_filter) X(sd_bus_call_async) X(sd_bus_close_unref) X(sd_bus_get_events) X(sd_bus_get_fd) \
    X(sd_bus_get_timeout) X(sd_bus_is_open) X(sd_bus_message_append_basic) X(sd_bus_message_close_container) \
    X(sd_bus_message_get_error) X(sd_bus_message_get_member) X(sd_bus_message_get_sender) X(sd_bus_message_get_type) \
    X(sd_bus_message_new_method_call) X(sd_bus_message_open_container) X(sd_bus_message_peek_type) \
    X(sd_bus_message_read_basic) X(sd_bus_message_read_strv) X(sd_bus_message_unref) X(sd_bus_open_user) \
    X(sd_bus_process) X(sd_bus_slot_unref)

struct daemon_sd_bus {
#define DAEMON__MEMBER(name) __typeof__(&name) name;
    DAEMON_SD_BUS_FUNCTIONS(DAEMON__MEMBER)
#undef DAEMON__MEMBER
};

/* Filled by daemon_sd_bus_load; nothing may be called before. */
extern struct daemon_sd_bus daemon_sd_bus;

/* Loads the library, once for the life of the process. 0, or -ENOSYS when it is not there or lacks a function. */
int daemon_sd_bus_load(void);

#if !defined(DAEMON_SD_BUS_LOADER)
#define sd_bus_add_filter daemon_sd_bus.sd_bus_add_filter
#define sd_bus_call_async daemon_sd_bus.sd_bus_call_async
#define sd_bus_close_unref daemon_sd_bus.sd_bus_close_unref
#define sd_bus_get_events daemon_sd_bus.sd_bus_get_events
#define sd_bus_get_fd daemon_sd_bus.sd_bus_get_fd
#define sd_bus_get_timeout daemon_sd_bus.sd_bus_get_timeout
#define sd_bus_is_open daemon_sd_bus.sd_bus_is_open
#define sd_bus_message_append_basic daemon_sd_bus.sd_bus_message_append_basic
#define sd_bus_message_close_container daemon_sd_bus.sd_bus_message_close_container
#define sd_bus_message_get_error daemon_sd_bus.sd_bus_message_get_error
#define sd_bus_message_get_member daemon_sd_bus.sd_bus_message_get_member
#define sd_bus_message_get_sender daemon_sd_bus.sd_bus_message_get_sender
#define sd_bus_message_get_type daemon_sd_bus.sd_bus_message_get_type
#define sd_bus_message_new_method_call daemon_sd_bus.sd_bus_message_new_method_call
#define sd_bus_message_open_container daemon_sd_bus.sd_bus_message_open_container
#define sd_bus_message_peek_type daemon_sd_bus.sd_bus_message_peek_type
#define sd_bus_message_read_basic daemon_sd_bus.sd_bus_message_read_basic
#define sd_bus_message_read_strv daemon_sd_bus.sd_bus_message_read_strv
#define sd_bus_message_unref daemon_sd_bus.sd_bus_message_unref
#define sd_bus_open_user daemon_sd_bus.sd_bus_open_user
#define sd_bus_process daemon_sd_bus.sd_bus_process
#define sd_bus_slot_unref daemon_sd_bus.sd_bus_slot_unref
#endif

#endif
