// SPDX-License-Identifier: MIT
/** What the push service costs, on the wire and by number of messages and devices. */

import { type Cases, type Draft, described, entry, lines, perSecond, ranges, scaled } from "./drafts.ts";

const STORES = [
  ["", "relay", "relay without a store: ceiling", "floor"],
  ["memory-", "node", "Godwit, in memory", "ours"],
  ["lmdb-", "node", "Godwit, LMDB: flushed before 201", "ours"],
  ["redis-", "node", "Godwit, Redis Cluster", "ours"],
  ["", "mosquitto", "Mosquitto, QoS 1, not flushed", "peer"],
] as const;

export function bytesFigure(cases: Cases): Draft | null {
  const wires = [
    ["websocket", "godwit.v1 over WebSocket", "ours"],
    ["mqtt", "godwit.v1 over MQTT", "ours"],
    ["autopush", "autopush over WebSocket", "peer"],
  ] as const;
  const found = wires.map(
    ([wire, name, role]) => [name, role, cases.find("delivery", `wire-${wire}`)] as const,
  );
  return ranges({
    name: "bytes",
    title: "Bytes of one message on the device's connection",
    description: described(
      "A message of 200 bytes (303 encrypted) that comes by itself and its acknowledgement, both ways, without TLS.",
      [["Over WebSocket it takes", cases.find("delivery", "wire-websocket")]],
    ),
    unit: "bytes",
    scale: "linear",
    groups: [{ name: "", entries: found.map(([name, role, row]) => entry(name, role, row)) }],
    rows: found.map(([, , row]) => row),
  });
}

export function throughputFigure(cases: Cases): Draft | null {
  const found = [1, 100, 10_000].map((devices) => ({
    name: `${devices.toLocaleString("en")} device${devices === 1 ? "" : "s"}`,
    rows: STORES.map(
      ([prefix, runtime, name, role]) =>
        [name, role, cases.find("delivery", `${prefix}${devices}x256`, runtime)] as const,
    ),
  }));
  return ranges({
    name: "delivery",
    title: "Messages a second, from POST to the device's acknowledgement",
    description:
      "Messages of 200 bytes through the push service by store, 256 POSTs under way, beside a relay without any store and beside Mosquitto. Sender, service and devices share the machine.",
    unit: "/s",
    scale: "linear",
    groups: found.map(({ name, rows }) => ({
      name,
      entries: rows.map(([told, role, row]) => perSecond(entry(told, role, row))),
    })),
    rows: [
      ...found.flatMap(({ rows }) => rows.map(([, , row]) => row)),
      cases.find("delivery", "lmdb-100x256-cpu"),
    ],
  });
}

export function delayFigure(cases: Cases): Draft | null {
  const half = cases.find("delivery", "half-load-p99");
  const found = [1, 16, 256].map((inFlight) => ({
    name: `${inFlight} POST${inFlight === 1 ? "" : "s"} under way, as fast as it goes`,
    rows: STORES.map(
      ([prefix, runtime, name, role]) =>
        [name, role, cases.find("delivery", `${prefix}100x${inFlight}-p99`, runtime)] as const,
    ),
  }));
  return ranges({
    name: "delay",
    title: "From POST to the device, 100 devices",
    description: described(
      "Time until 99 of 100 messages were at their device (p99). Sender, service and devices share the machine.",
      [["At half of what goes through with LMDB it is", half]],
    ),
    unit: "ms",
    scale: "log",
    groups: [
      {
        name: "half of what goes through",
        entries: [entry("Godwit, LMDB: flushed before 201", "ours", half)],
      },
      ...found.map(({ name, rows }) => ({
        name,
        entries: rows.map(([told, role, row]) => entry(told, role, row)),
      })),
    ],
    rows: [half, ...found.flatMap(({ rows }) => rows.map(([, , row]) => row))],
  });
}

export function connectionFigure(cases: Cases): Draft | null {
  const kinds = [
    ["plain", cases.find("delivery", "idle-connection")],
    ["TLS in the process", cases.find("delivery", "idle-connection-tls")],
  ] as const;
  return ranges({
    name: "connections",
    title: "Memory of the push service for an idle device",
    description: described("Resident memory by connected device, over thousands of them.", [
      ["Plain it is", kinds[0][1]],
      ["10,000 devices that come back at once are all there after", cases.find("delivery", "storm-10000")],
    ]),
    unit: "KB",
    scale: "linear",
    groups: [{ name: "", entries: kinds.map(([name, row]) => scaled(entry(name, "ours", row), 1e-3)) }],
    rows: [
      ...kinds.map(([, row]) => row),
      ...["connect-cpu", "connect-cpu-tls", "storm-10000"].map((name) => cases.find("delivery", name)),
    ],
  });
}

export function queueFigure(cases: Cases): Draft | null {
  return lines({
    name: "growth-queued",
    title: "Cost by number of queued messages",
    description:
      "A message of 200 bytes while so many wait: drained by the agent and a session in one process, whole; taken and handed out by a push service with LMDB. Processor time; flat is good.",
    xLabel: "messages queued",
    yLabel: "µs a message",
    lines: [
      ["drained by the device", "ours", cases.growing("growth", /^drain-(\d+)msgs$/)],
      ["taken by the service", "other", cases.growing("growth", /^put-(\d+)queued$/)],
      ["handed out by the service", "peer", cases.growing("growth", /^hand-out-(\d+)queued$/)],
    ],
    more: [
      ...cases.growing("growth", /^drain-acks-(\d+)msgs$/),
      ...cases.growing("growth", /^stored-(\d+)queued$/),
    ],
  });
}

export function devicesFigure(cases: Cases): Draft | null {
  return lines({
    name: "growth-devices",
    title: "Cost by number of connected devices",
    description:
      "Processor time of the push service with LMDB for a message from POST to acknowledgement, 16 POSTs under way, each to another device. One device alone acknowledges many messages with one frame.",
    xLabel: "devices connected",
    yLabel: "µs a message",
    lines: [["one message", "ours", cases.growing("growth", /^message-(\d+)devices$/)]],
  });
}
