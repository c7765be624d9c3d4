/* SPDX-License-Identifier: MIT */

/* godwitd: the user agent as a daemon. */

#include "daemon.h"

int main(int argc, char **argv)
{
    return daemon_main(argc, argv);
}
