// SPDX-License-Identifier: MIT
/** All commands, by name, in the order in which the help lists them. */

import { agentCommand } from "./agent.ts";
import { appsCommand } from "./apps.ts";
import { clearCommand, optoutCommand, pauseCommand, permissionCommand, resetCommand } from "./choices.ts";
import { configCommand } from "./config.ts";
import { dashboardCommand } from "./dashboard.ts";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor.ts";
import type { Commands } from "./find-command.ts";
import { keyringCommand } from "./keyring.ts";
import { notificationsCommand } from "./notifications.ts";
import { pushServiceCommand } from "./push-service.ts";
import { sendCommand } from "./send.ts";
import { shellCommand } from "./shell.ts";
import { statsCommand } from "./stats.ts";
import { statusCommand } from "./status.ts";
import { subscribeCommand, subscriptionsCommand, unsubscribeCommand } from "./subscriptions.ts";
import { tailCommand } from "./tail.ts";

export const COMMANDS: Commands = {
  demo: demoCommand,
  agent: agentCommand,
  "push-service": pushServiceCommand,
  keyring: keyringCommand,
  send: sendCommand,
  status: statusCommand,
  stats: statsCommand,
  dashboard: dashboardCommand,
  shell: shellCommand,
  notifications: notificationsCommand,
  tail: tailCommand,
  apps: appsCommand,
  subscriptions: subscriptionsCommand,
  subscribe: subscribeCommand,
  unsubscribe: unsubscribeCommand,
  permission: permissionCommand,
  pause: pauseCommand,
  optout: optoutCommand,
  clear: clearCommand,
  reset: resetCommand,
  doctor: doctorCommand,
  config: configCommand(() => COMMANDS),
};
