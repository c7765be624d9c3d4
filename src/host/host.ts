// SPDX-License-Identifier: MIT
/**
 * What a runtime lends the agent: its clock, and one member for each {@link Effect}, named like it and taking it. Messages,
 * bytes, times and numbers only: no streams, no promises, so that a C host implements it with one function a member. Pure
 * types.
 */

import type { Effect, Instant } from "../agent/events.ts";

/** The effect of that type. */
export type EffectOf<Type extends Effect["type"]> = Extract<Effect, { readonly type: Type }>;

/**
 * Outcomes come back as events handed to the driver, never by return value or exception; a member may call the driver
 * before it returns. Which event answers which effect stands with the effect.
 */
export type Host = { now(): Instant } & { [Type in Effect["type"]]: (effect: EffectOf<Type>) => void };
