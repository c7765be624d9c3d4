/* SPDX-License-Identifier: MIT */

/* lookup: the addresses of one host, without the loop waiting for them. Internal. */
#ifndef BRIDGE_LOOKUP_H
#define BRIDGE_LOOKUP_H

#include <netdb.h>

#include "bridge.h"

struct bridge_lookup;

/*
 * Looks up `host`, a name or an address, for a stream to `port`. `found` is called once, by the loop: `addresses` are
 * its own, to be freed with freeaddrinfo(); NULL where there are none. The lookup is gone then. NULL without memory, or
 * with BRIDGE_LOOKUPS_MAX of this bridge under way.
 */
struct bridge_lookup *bridge_lookup_start(struct bridge *b, const char *host, int port,
                                          void (*found)(void *user, struct addrinfo *addresses), void *user);
/* NULL is allowed. `found` is not called any more. */
void bridge_lookup_cancel(struct bridge_lookup *lookup);

#endif
