// SPDX-License-Identifier: MIT
/** Home Assistant for Android: a WebSocket ping every 30 s. */
import { fixed } from "../algorithm.ts";

export const homeAssistant = fixed("home-assistant", 30, { verdictS: 30, ignoresTraffic: true });
