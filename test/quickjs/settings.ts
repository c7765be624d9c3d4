// SPDX-License-Identifier: MIT
/** Fast-check runs are divided by this inside QuickJS; test/property-runs.ts does it. */
export const numRunsDivisor = 50;
