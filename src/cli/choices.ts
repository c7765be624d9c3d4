// SPDX-License-Identifier: MIT
/** What people decide about apps at a running agent: `godwit permission`, `optout`, `pause`, `clear`, `reset`. */

import { rmSync } from "node:fs";
import { join } from "node:path";
import type { OwnerStatus } from "../agent/status.ts";
import { CommandError, EXIT } from "../configuration/exit.ts";
import { APP_TOKENS, type Options } from "../configuration/options.ts";
import { withAgent } from "./agent-client.ts";
import { ownerOf, STATE, stateOf, wordOf } from "./at-agent.ts";
import type { Command } from "./command.ts";
import { confirm } from "./confirm.ts";

const PERMISSIONS = ["granted", "denied", "prompt"] as const;
const ALL = { kind: "flag", help: "for all apps", isFlagOnly: true } as const;
const UNDO = { kind: "flag", help: "take it back", isFlagOnly: true } as const;

const setPermissionCommand: Command = {
  summary:
    "decide about an owner (granted, denied, or prompt: asked again); anything but granted ends its subscriptions",
  positionals: "OWNER WORD",
  options: { state: STATE },
  async run(options, output) {
    const owner = ownerOf(options);
    const permission = wordOf(options, PERMISSIONS, 1);
    await withAgent(stateOf(options), (agent) => agent.ask("setPermission", { owner, permission }));
    if (output.isJson) return output.json({ owner, permission });
    output.line(`${owner}: ${permission}`);
  },
};

const answerPermissionCommand: Command = {
  summary: "answer an app that is asking (granted, denied, or prompt: leave it open)",
  positionals: "OWNER WORD",
  options: { state: STATE },
  async run(options, output) {
    const owner = ownerOf(options);
    const permission = wordOf(options, PERMISSIONS, 1);
    await withAgent(stateOf(options), async (agent) => {
      const { permissionsAsked } = await agent.ask("status", {});
      if (!permissionsAsked.includes(owner))
        throw new CommandError(
          EXIT.failure,
          `${owner} is not asking; godwit permission set decides about it anyway`,
        );
      await agent.ask("answerPermission", { owner, permission });
    });
    if (output.isJson) return output.json({ owner, permission });
    output.line(`${owner}: ${permission}`);
  },
};

export const permissionCommand: Command = {
  summary: "list who may push and who is asking; answer and decide",
  positionals: "",
  options: { state: STATE },
  verbs: { set: setPermissionCommand, answer: answerPermissionCommand },
  async run(options, output) {
    const { owners, permissionsAsked, paused, optedOut } = await withAgent(stateOf(options), (agent) =>
      agent.ask("status", {}),
    );
    if (output.isJson)
      return output.json({
        paused,
        optedOut,
        owners: owners.map((each) => ({
          owner: each.owner,
          permission: each.permission,
          isAsked: permissionsAsked.includes(each.owner),
          paused: each.paused,
          optedOut: each.optedOut,
        })),
      });
    if (optedOut) output.line("all apps are opted out; godwit optout --all --undo takes that back");
    if (paused) output.line("all apps are paused; godwit pause --all --undo takes that back");
    if (owners.length === 0) output.line("no app has asked yet");
    for (const each of owners)
      output.line(`${each.owner}\t${describeOwner(each, permissionsAsked.includes(each.owner))}`);
  },
};

function describeOwner({ permission, paused, optedOut }: OwnerStatus, isAsked: boolean): string {
  const words: readonly (readonly [boolean, string])[] = [
    [true, permission],
    [isAsked, "is asking: godwit permission answer"],
    [paused, "paused"],
    [optedOut, "opted out"],
  ];
  return words.flatMap(([holds, word]) => (holds ? [word] : [])).join(", ");
}

export const optoutCommand: Command = {
  summary: "end an app's subscriptions, or everybody's, and let none be made",
  positionals: "[OWNER]",
  options: { state: STATE, all: ALL, undo: UNDO },
  async run(options, output) {
    const owner = ownerOrAll(options);
    const optedOut = !options.flag("undo");
    await withAgent(stateOf(options), (agent) => agent.ask("setOptedOut", { owner, optedOut }));
    if (output.isJson) return output.json({ owner, optedOut });
    const who = owner ?? "all apps";
    output.line(optedOut ? `opted out: ${who}` : `opted in again: ${who}; apps have to subscribe anew`);
  },
};

export const pauseCommand: Command = {
  summary: "leave an app's messages, or everybody's, at the push service until they expire",
  positionals: "[OWNER]",
  options: { state: STATE, all: ALL, undo: UNDO },
  async run(options, output) {
    const owner = ownerOrAll(options);
    const paused = !options.flag("undo");
    await withAgent(stateOf(options), (agent) => agent.ask("setPaused", { owner, paused }));
    if (output.isJson) return output.json({ owner, paused });
    output.line(`${paused ? "paused" : "goes on"}: ${owner ?? "all apps"}`);
  },
};

export const clearCommand: Command = {
  summary:
    "remove an app's subscriptions, messages, notifications and badge; what was decided about it stays",
  positionals: "OWNER",
  options: { state: STATE },
  async run(options, output) {
    const owner = ownerOf(options);
    await withAgent(stateOf(options), (agent) => agent.ask("clearData", { owner }));
    if (output.isJson) return output.json({ owner });
    output.line(`cleared: ${owner}`);
  },
};

export const resetCommand: Command = {
  summary: "factory reset: remove everything of everybody, and have the push service forget the device",
  positionals: "",
  options: {
    state: STATE,
    yes: { kind: "flag", help: "do not ask whether it is meant", isFlagOnly: true },
  },
  async run(options, output) {
    const state = stateOf(options);
    const { device, link } = await withAgent(state, async (agent) => {
      // Whoever is asked should not learn only afterwards that there is no agent.
      if (!options.flag("yes"))
        await confirm(`Remove everything in ${state}: apps, subscriptions, notifications, decisions?`);
      const before = await agent.ask("status", {});
      await agent.ask("factoryReset", {});
      return before;
    });
    rmSync(join(state, APP_TOKENS), { recursive: true, force: true });
    if (output.isJson) return output.json({});
    const when = link === "online" ? "is told now" : "is told as soon as it can be reached";
    output.line(
      `everything is removed; the push service ${device === null ? "never knew this device" : when}`,
    );
  },
};

function ownerOrAll(options: Options): string | null {
  const isNamed = options.positionals.length > 0;
  if (isNamed === options.flag("all")) throw new CommandError(EXIT.usage, "name either an owner or --all");
  return isNamed ? ownerOf(options) : null;
}
