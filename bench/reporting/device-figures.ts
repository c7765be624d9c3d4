// SPDX-License-Identifier: MIT
/** What the agent costs on a device: messages decrypted and read, memory, start, and how that grows. */

import { type Cases, type Draft, described, entry, lines, peerEntry, ranges, scaled } from "./drafts.ts";

export function decryptFigure(cases: Cases): Draft | null {
  const [node, noble, wasm] = [
    cases.find("decrypt", "native-200B"),
    cases.find("decrypt", "noble-200B"),
    cases.find("decrypt", "noble-200B", "quickjs"),
  ];
  const [firmware, agree, script] = [
    cases.find("decrypt", "native-200B", "godwitd"),
    cases.find("decrypt", "native-ecdh", "godwitd"),
    cases.find("decrypt", "noble-200B", "godwitd"),
  ];
  return ranges({
    name: "decrypt",
    title: "Decrypting one message of 200 bytes",
    description: described(
      "Time of one message, by runtime and provider, beside peers and beside the bare key agreement (ECDH), which none can do without.",
      [
        ["Godwit with node:crypto takes", node],
        ["godwitd with its native provider", firmware],
      ],
    ),
    unit: "µs",
    scale: "log",
    groups: [
      {
        name: "Node",
        entries: [
          entry("Godwit, node:crypto", "ours", node),
          peerEntry("http_ece", "peer", node),
          entry("Godwit, noble", "ours", noble),
          peerEntry("bare ECDH, noble", "floor", noble),
        ],
      },
      {
        name: "QuickJS-ng (godwitd)",
        entries: [
          entry("Godwit, native provider", "ours", firmware),
          entry("bare ECDH, native provider", "floor", agree),
          entry("Godwit, noble", "ours", script),
          peerEntry("bare ECDH, noble", "floor", script),
        ],
      },
      {
        name: "QuickJS in WebAssembly",
        entries: [entry("Godwit, noble", "ours", wasm), peerEntry("bare ECDH, noble", "floor", wasm)],
      },
    ],
    rows: [node, noble, firmware, agree, script, wasm, cases.find("decrypt", "noble-overhead-200B")],
  });
}

export function parseFigure(cases: Cases): Draft | null {
  const sizes = [
    ["small", "a title"],
    ["typical", "two actions"],
    ["large", "everything there is"],
  ] as const;
  const runtimes = [
    ["node", "Node", "bare TextDecoder, JSON.parse, URL"],
    ["godwitd", "QuickJS-ng (godwitd)", "bare JSON.parse"],
    ["quickjs", "QuickJS in WebAssembly", "bare JSON.parse"],
  ] as const;
  const found = runtimes.map(([runtime, name, floor]) => ({
    name,
    floor,
    rows: sizes.map(([size, told]) => [told, cases.find("parse", `parse-${size}`, runtime)] as const),
  }));
  return ranges({
    name: "parse",
    title: "Reading one declarative message",
    description: described(
      "Time of one message by runtime, from bytes to a checked notification, beside the engine's own primitives on the same bytes.",
      [["On Node a message with two actions takes", cases.find("parse", "parse-typical")]],
    ),
    unit: "µs",
    scale: "log",
    groups: found.map(({ name, floor, rows }) => ({
      name,
      entries: rows.flatMap(([told, row]) => [
        entry(`Godwit, ${told}`, "ours", row),
        peerEntry(`${floor}`, "floor", row),
      ]),
    })),
    rows: found.flatMap(({ rows }) => rows.map(([, row]) => row)),
  });
}

const PROGRAMS = [
  ["godwitd", "godwitd", "ours"],
  ["node", "godwit agent on Node", "other"],
  ["mosquitto_sub", "mosquitto_sub, one topic", "peer"],
] as const;

export function footprintFigure(cases: Cases): Draft | null {
  const stages = [
    ["connected", "connected"],
    ["100subs", "100 subscriptions"],
    ["10000msgs", "after 10,000 messages"],
    ["1000subs", "1,000 subscriptions"],
  ] as const;
  const kinds = [
    ["anon", "of its own (anonymous)"],
    ["rss", "with shared libraries (resident)"],
  ] as const;
  const found = kinds.flatMap(([kind, told]) =>
    stages.map(([stage, at]) => ({
      name: `${told}: ${at}`,
      rows: PROGRAMS.map(
        ([runtime, name, role]) =>
          [name, role, cases.find("footprint", `${kind}-${stage}`, runtime)] as const,
      ),
    })),
  );
  return ranges({
    name: "footprint",
    title: "Memory of the agent, over TLS",
    description: described(
      "Memory at each stage of godwitd, of the same agent on Node, and of mosquitto_sub, a message receiver in C with one topic.",
      [["godwitd with 100 subscriptions has for itself", cases.find("footprint", "anon-100subs", "godwitd")]],
    ),
    unit: "MB",
    scale: "linear",
    groups: found.map(({ name, rows }) => ({
      name,
      entries: rows.map(([program, role, row]) => scaled(entry(program, role, row), 1e-6)),
    })),
    rows: found.flatMap(({ rows }) => rows.map(([, , row]) => row)),
  });
}

export function startFigure(cases: Cases): Draft | null {
  const found = PROGRAMS.map(
    ([runtime, name, role]) => [name, role, cases.find("footprint", "start-to-connect", runtime)] as const,
  );
  return ranges({
    name: "start",
    title: "From exec until the agent dials",
    description: described("Time until the first packet of a connection, with one subscription.", [
      ["godwitd takes", cases.find("footprint", "start-to-connect", "godwitd")],
    ]),
    unit: "ms",
    scale: "linear",
    groups: [{ name: "", entries: found.map(([name, role, row]) => entry(name, role, row)) }],
    rows: found.map(([, , row]) => row),
  });
}

export function sizeFigure(cases: Cases): Draft | null {
  const programs = [
    ["godwitd, stripped", cases.find("footprint", "stripped", "godwitd")],
    ["QuickJS bundle of the agent", cases.find("bundle", "quickjs")],
    ["the same, gzipped", cases.find("bundle", "quickjs-gzip")],
    ["godwit/apps for pages", cases.find("bundle", "apps")],
    ["the same, gzipped", cases.find("bundle", "apps-gzip")],
    ["dashboard", cases.find("bundle", "dashboard")],
    ["the same, gzipped", cases.find("bundle", "dashboard-gzip")],
  ] as const;
  return ranges({
    name: "size",
    title: "Size of what is installed or sent to a page",
    description:
      "Each file as it is installed, without the shared libraries of godwitd; gzipped as a server sends it to a page.",
    unit: "KiB",
    scale: "linear",
    groups: [
      {
        name: "",
        entries: programs.map(([name, row]) => scaled(entry(name, "ours", row), 1 / 1024)),
      },
    ],
    rows: programs.map(([, row]) => row),
  });
}

export function subscriptionsFigure(cases: Cases): Draft | null {
  return lines({
    name: "growth-subscriptions",
    title: "Cost by number of subscriptions, on the device",
    description:
      "Processor time from a frame to the app that handled its message, whole and without decryption, and starting, by subscription in the journal. Flat is good. A device has at most 3,000; this goes further to see the line.",
    xLabel: "subscriptions",
    yLabel: "µs a message, or a subscription",
    lines: [
      ["one message", "ours", cases.growing("growth", /^dispatch-(\d+)subs$/)],
      ["one message, nothing to decrypt", "other", cases.growing("growth", /^dispatch-bare-(\d+)subs$/)],
      ["starting, each subscription", "peer", cases.growing("growth", /^start-each-(\d+)subs$/)],
    ],
  });
}
