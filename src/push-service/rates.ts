// SPDX-License-Identifier: MIT
/** What addresses, endpoints and devices may do at once and in a minute, unless configured otherwise. Data only. */

import * as limits from "../limits.ts";
import type { RateOptions } from "./rate-limit.ts";

/** By the option that changes it. */
export const DEFAULT_RATES = {
  connectionRate: {
    burstMax: limits.CONNECTIONS_PER_ADDRESS_BURST_MAX,
    perMinute: limits.CONNECTIONS_PER_ADDRESS_PER_MINUTE_MAX,
  },
  upgradeRate: {
    burstMax: limits.UPGRADES_PER_ADDRESS_BURST_MAX,
    perMinute: limits.UPGRADES_PER_ADDRESS_PER_MINUTE_MAX,
  },
  tokenRate: {
    burstMax: limits.TOKENS_PER_ADDRESS_BURST_MAX,
    perMinute: limits.TOKENS_PER_ADDRESS_PER_MINUTE_MAX,
  },
  refusalRate: {
    burstMax: limits.REFUSALS_PER_ADDRESS_BURST_MAX,
    perMinute: limits.REFUSALS_PER_ADDRESS_PER_MINUTE_MAX,
  },
  endpointRate: {
    burstMax: limits.ENDPOINT_POSTS_BURST_MAX,
    perMinute: limits.ENDPOINT_POSTS_PER_MINUTE_MAX,
  },
  deviceRate: { burstMax: limits.DEVICE_POSTS_BURST_MAX, perMinute: limits.DEVICE_POSTS_PER_MINUTE_MAX },
} as const satisfies Readonly<Record<string, RateOptions>>;

export type RateName = keyof typeof DEFAULT_RATES;
