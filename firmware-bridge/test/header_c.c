/* SPDX-License-Identifier: MIT */

/* godwit.h alone, as strict C11 sees it. */

#include "godwit.h"

int header_c_version(void);

int header_c_version(void)
{
    return (int) godwit_api_version();
}
