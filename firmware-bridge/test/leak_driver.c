/* SPDX-License-Identifier: MIT */

/* Loses one block of memory and ends with 0: whoever looks for leaks (`npm run test:long -- valgrind sanitizers`) has to tell. */

#include <string.h>

#include "bridge.h"

/* Volatile: a compiler may leave out what nobody uses. */
static char *volatile lost;

int main(void)
{
    lost = bridge_strdup("lost");
    if (lost == NULL || strcmp(lost, "lost") != 0)
        return 1;
    lost = NULL;
    /* Nor is it left in a register. */
    lost = bridge_strdup("found");
    bridge_free(lost);
    return 0;
}
