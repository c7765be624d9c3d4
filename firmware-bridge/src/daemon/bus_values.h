/* SPDX-License-Identifier: MIT */

/* bus_values: values of the script ⇄ bodies of D-Bus messages, in the few types notifications need. */
#ifndef DAEMON_BUS_VALUES_H
#define DAEMON_BUS_VALUES_H

#include "sd_bus.h"

#include "quickjs.h"

/*
 * Appends an array of [type, value], as DBusValue of src/user-agent/message-bus.ts: y b i u s o g as a{sv}. 0, a negative errno
 * of sd-bus, or -EPROTO with an exception pending for what is none.
 */
int daemon_bus_append(JSContext *ctx, sd_bus_message *message, JSValueConst values);
/* Returns new: numbers, texts and arrays of texts; an empty array when there is anything else. JS_EXCEPTION without memory. */
JSValue daemon_bus_read(JSContext *ctx, sd_bus_message *message);

#endif
