// SPDX-License-Identifier: MIT
/** Conversations (XMPP): every 600 s. */
import { doubling, fixed } from "../algorithm.ts";

export const conversations = fixed("conversations", 600, { backoffS: doubling(5, 300) });
