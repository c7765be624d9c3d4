// SPDX-License-Identifier: MIT
/** All listed error codes, for tests that insist on one of them. */

import { ENVIRONMENT_CODES, LOCAL_CODES, REMOTE_CODES } from "../src/errors.ts";

export const ALL_CODES: readonly string[] = [...REMOTE_CODES, ...LOCAL_CODES, ...ENVIRONMENT_CODES];
