// SPDX-License-Identifier: MIT
/** Telegram's push connection: every 180 s. */
import { doubling, fixed } from "../algorithm.ts";

export const telegram = fixed("telegram", 180, { verdictS: 30, backoffS: doubling(1, 30) });
