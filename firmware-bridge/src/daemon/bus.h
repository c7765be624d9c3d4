/* SPDX-License-Identifier: MIT */

/* bus: the session bus for the script; see bus.c. A build without D-Bus adds no functions. */
#ifndef DAEMON_BUS_H
#define DAEMON_BUS_H

struct daemon;

/* Adds busOpen, busCall, busClose to the script's `daemon` object; connects to nothing. 0 or a BRIDGE_E. */
int daemon_bus_open(struct daemon *d);
void daemon_bus_close(struct daemon *d);

#endif
