// SPDX-License-Identifier: MIT
/**
 * Deliberate defects, put into the sources one at a time while they are bundled: proof that the rules of the simulation can be
 * broken, and that it sees it. docs/simulation.md lists them.
 */

import type { Mutation } from "../../scripts/simulation.mjs";

/** With the rules that may notice, whichever is first. */
export interface KnownMutation extends Mutation {
  readonly rules: readonly string[];
}

export const MUTATIONS: readonly KnownMutation[] = [
  {
    name: "ack before durable",
    file: "src/agent/waiting.ts",
    find: "    this.#options.persistence.store(",
    replace: `    this.#options.acks.add(entry.record.id, "ok");\n    this.#options.persistence.store(`,
    rules: ["ack means safe"],
  },
  {
    name: "skipped fsync",
    file: "src/user-agent/journal-directory.ts",
    find: "    await active.handle.datasync();\n",
    replace: "",
    rules: ["ack means safe", "nothing half-registered"],
  },
  {
    name: "lost cursor",
    file: "src/push-service/outbox.ts",
    find: "    this.#cursor = id;\n",
    replace: "    this.#cursor = id + 1;\n",
    rules: ["nothing lost"],
  },
  {
    name: "back-off reset too early",
    file: "src/agent/backoff.ts",
    find: "    if (wasStable) this.#failures = 0;\n",
    replace: "    this.#failures = 0;\n",
    rules: ["dials back off"],
  },
  {
    name: "ack of what it does not name",
    file: "src/agent/acks.ts",
    find: "id <= last[1] + 1)",
    replace: "id <= last[1] + 2)",
    rules: ["ack means safe", "ack names what came"],
  },
  {
    name: "duplicate not suppressed",
    file: "src/agent/inbox.ts",
    find: "    if (known) return persistence.whenFoundIsDurable(message.id, () => acks.add(message.id, known));\n",
    replace: "",
    // The first one that is sent again is taken for a replay, and said to be.
    rules: ["exactly once", "nothing lost"],
  },
  {
    name: "unregister not told",
    file: "src/agent/subscriptions.ts",
    find: `records.push({ type: "pendingUnregister", channel });`,
    replace: "records.push();",
    rules: ["unregistered at the service"],
  },
  {
    name: "secret logged",
    file: "src/push-service/endpoint.ts",
    find: "device: resource.deviceName,",
    replace: "device: token,",
    rules: ["no secret in a log"],
  },
  {
    name: "repeat not marked",
    file: "src/agent/deliveries.ts",
    find: "    entry.redelivered = true;\n",
    replace: "",
    rules: ["repeats are marked"],
  },
  {
    name: "subscribed before durable",
    file: "src/agent/subscriptions.ts",
    find: `    pending.phase = "storing";\n`,
    replace: `    pending.phase = "storing";\n    emit(reported({ type: "subscribed", owner: record.owner, channel, ownToken: false }));\n`,
    rules: ["nothing half-registered"],
  },
  {
    name: "acknowledgements late",
    file: "src/limits.ts",
    find: "JOURNAL_UNHANDLED_AFTER_MS = 4_000;",
    replace: "JOURNAL_UNHANDLED_AFTER_MS = 14_000;",
    rules: ["acks wait 5 s at most"],
  },
  {
    name: "messages dropped at compaction",
    file: "src/journal/state.ts",
    find: "  records.push(...state.messages.values(), ...state.notifications.values());\n",
    replace: "  records.push(...state.notifications.values());\n",
    rules: ["nothing lost"],
  },
  {
    name: "more in flight than allowed",
    file: "src/push-service/outbox.ts",
    find: "return MESSAGES_IN_FLIGHT_MAX - this.#inFlight.size;",
    replace: "return MESSAGES_IN_FLIGHT_MAX;",
    rules: ["bounds"],
  },
  {
    name: "more in flight than allowed, dialect autopush",
    file: "src/push-service/autopush-outbox.ts",
    find: "return !this.#isCongested && this.#inFlight.size < AUTOPUSH_IN_FLIGHT_MAX;",
    replace: "return !this.#isCongested;",
    rules: ["bounds"],
  },
  {
    name: "a wrong clock believed",
    file: "src/agent/clock.ts",
    find: "return this.#now.epochTrusted || this.#serviceOffsetMs !== null;",
    replace: "return true;",
    rules: ["nothing lost"],
  },
  // What the simulation found, and is mended.
  {
    name: "an alarm storm while a message is written",
    file: "src/agent/lane.ts",
    find: `(this.next()?.journal ?? "writing") !== "writing"`,
    replace: "this.next() !== undefined",
    rules: ["bounds"],
  },
  {
    name: "an expiry by a clock that was wrong",
    file: "src/agent/inbox.ts",
    find: "clock.isTrusted ? clock.epochMs : 0;",
    replace: "clock.epochMs;",
    rules: ["nothing lost"],
  },
  {
    name: "handled without a network, and not known",
    file: "src/agent/inbox.ts",
    find: "[...messages.values()].at(-1)?.storeEpoch ?? handledEpoch ?? 0",
    replace: "handledEpoch ?? 0",
    // As above, where its agent did not restart in between.
    rules: ["exactly once", "nothing lost"],
  },
  {
    name: "acknowledged in another store",
    file: "src/agent/waiting.ts",
    find: `inbox.finish(storeEpoch, id, "ok");`,
    replace: `inbox.markHandled(storeEpoch, id, "ok");\n    this.#options.acks.add(id, "ok");`,
    rules: ["ack means safe", "ack names what came"],
  },
];
