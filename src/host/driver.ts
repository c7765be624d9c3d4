// SPDX-License-Identifier: MIT
/** Feeds events to the agent and performs every effect they cause, in order. Pure; the host does the rest. */

import type { Agent } from "../agent/agent.ts";
import type { AgentEvent, Effect } from "../agent/events.ts";
import type { Host } from "./host.ts";

export class Driver {
  readonly #agent: Agent;
  readonly #host: Host;
  readonly #events: AgentEvent[] = [];
  #isRunning = false;

  constructor(agent: Agent, host: Host) {
    this.#agent = agent;
    this.#host = host;
  }

  /**
   * Handles one event. Called from within a host member, the event waits until the effect at hand is done, so the agent
   * is never entered twice.
   */
  dispatch(event: AgentEvent): void {
    this.#events.push(event);
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        this.#agent.handle(next, this.#host.now());
        for (let effect = this.#agent.poll(); effect !== undefined; effect = this.#agent.poll()) {
          perform(effect, this.#host);
        }
      }
    } finally {
      this.#isRunning = false;
    }
  }
}

function perform(effect: Effect, host: Host): void {
  switch (effect.type) {
    case "openLink":
      return host.openLink(effect);
    case "send":
      return host.send(effect.linkId, effect.frame);
    case "ping":
      return host.ping(effect.linkId);
    case "closeLink":
      return host.closeLink(effect.linkId);
    case "setAlarm":
      return host.setAlarm(effect.alarm);
    case "stayAwake":
      return host.stayAwake(effect.untilMs);
    case "append":
      return host.append(effect.appendId, effect.bytes);
    case "checkpoint":
      return host.checkpoint(effect.appendId, effect.bytes, effect.urgent);
    case "httpRequest":
      return host.httpRequest(effect);
    case "startApp":
      return host.startApp(effect.owner);
    case "deliver":
      return host.deliver(effect.delivery);
    case "cancelDelivery":
      return host.cancelDelivery(effect.deliveryId, effect.owner);
    case "appReply":
      return host.appReply(effect.requestId, effect.reply);
    case "subscriptionChange":
      return host.subscriptionChange(effect.owner, effect.oldSubscription, effect.newSubscription);
    case "show":
      return host.show(effect);
    case "closeNotification":
      return host.closeNotification(effect.notificationId);
    case "notificationClick":
      return host.notificationClick(effect.owner, effect.notification, effect.action);
    case "setBadge":
      return host.setBadge(effect.owner, effect.badge);
    case "openUrl":
      return host.openUrl(effect.owner, effect.url);
    case "askPermission":
      return host.askPermission(effect.owner);
    case "report":
      return host.report(effect.report);
  }
}
