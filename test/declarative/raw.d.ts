// SPDX-License-Identifier: MIT
/** `?raw` imports the text of a file: vitest does it by itself, the QuickJS runner with a plugin. */

declare module "*?raw" {
  const text: string;
  export default text;
}
