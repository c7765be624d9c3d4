// SPDX-License-Identifier: MIT
/** `godwit/agent`: the sans-IO user agent, its dialects and the contract of a host, for runtimes of one's own. */

export { autopushDevice, type KnownChannels } from "../wire/autopush-device.ts";
export * from "./core.ts";
