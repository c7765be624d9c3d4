// SPDX-License-Identifier: MIT
/** What loading skippable-time.mjs adds to the process. */

declare global {
  /** Undefined where it was not loaded. */
  var moreRequests:
    | {
        nextTimer(): number | null;
        /** Resolves once the timers that became due were called. */
        skip(by: { readonly ms: number }): Promise<void>;
      }
    | undefined;
}

export {};
