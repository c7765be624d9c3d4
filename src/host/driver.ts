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

/** The member of the host's own name; the cast says that it takes this very effect, which the type {@link Host} ensures. */
function perform(effect: Effect, host: Host): void {
  (host[effect.type] as (effect: Effect) => void).call(host, effect);
}
