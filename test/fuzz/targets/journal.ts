// SPDX-License-Identifier: MIT
/**
 * Images of the journal: as they come, and made of any records under right checksums and seals. Recovery never throws; what it
 * recovers is written and recovered again as the same, undamaged; what is appended then is there; no cut of the image makes it throw.
 * The first byte of an input says what the rest is, see {@link KINDS}. No tests here.
 */

import { concatBytes } from "../../../src/bytes.ts";
import type { JournalRecovery } from "../../../src/journal/journal.ts";
import { encodeRecord } from "../../../src/journal/record-codec.ts";
import { keySealer, plainSealer, type Sealer } from "../../../src/journal/seal.ts";
import { encodeFrame, encodeHeader, parseHeader } from "../../../src/journal/segment.ts";
import { JournalState } from "../../../src/journal/state.ts";
import { NETWORKS_MAX } from "../../../src/limits.ts";
import { decodeCbor, encodeCbor } from "../../../src/wire/cbor.ts";
import {
  BINDING,
  DEVICE_KEY,
  fold,
  HISTORY,
  plain,
  recover,
  seededFill,
  writerAfter,
  writeSegment,
} from "../../journal/support.ts";
import type { Random } from "../random.ts";
import { holds, resultOrCode, same, type Target } from "../target.ts";
import { mutateValue } from "../values.ts";

const KINDS = ["image", "two images", "records", "sealed records"] as const;
const SALT = Uint8Array.of(0x5a, 0x11, 2, 3, 4, 5, 6, 7);
const key = keySealer(DEVICE_KEY, seededFill(9));
const open = plainSealer();
const LIMITS = { depthMax: 8, itemsMax: 4096 };

export const target: Target = {
  name: "journal",
  covers: ["src/journal/"],
  inputBytesMax: 16_384,
  inputMsMax: 500,
  words: [],
  seeds: () => SEEDS,
  mutate: (input, random) => ((input[0] ?? 0) % KINDS.length < 2 ? null : mutateRecords(input, random)),
  run(input) {
    const kind = KINDS[(input[0] ?? 0) % KINDS.length] ?? "image";
    const sealer = kind === "sealed records" ? key : open;
    const segments = segmentsOf(kind, input.subarray(1), sealer);
    const before = segments.map((segment) => segment.slice());
    const recovery = recover(segments, sealer);
    same("the images after they were read", segments, before);
    checkRewritten(recovery, sealer);
    if (recovery.active !== null) checkAppended(recovery, segments, sealer);
    checkCut(segments, sealer);
    holds("without key nothing is read", recover(segments, null).report.locked);
    if (kind === "sealed records") checkWrongKey(segments);
    return `${kind} ${summaryOf(recovery)}`;
  },
};

function segmentsOf(kind: string, rest: Uint8Array, sealer: Sealer): Uint8Array[] {
  if (kind === "image") return [rest];
  if (kind === "two images") {
    const split = Math.min(rest.length, 2 + (rest[0] ?? 0) * 256 + (rest[1] ?? 0));
    return [rest.subarray(2, split), rest.subarray(split)];
  }
  const header = { generation: 3, deviceBinding: BINDING, salt: SALT, isSealed: sealer.sealsSecrets };
  const frames = partsOf(rest).map(({ clear, secrets }) => {
    const sealed = secrets.length === 0 ? secrets : sealer.seal(secrets, clear);
    const frame = resultOrCode(["ERR_JOURNAL_RECORD"], () => encodeFrame({ clear, sealed }, SALT));
    return "value" in frame ? frame.value : new Uint8Array(0);
  });
  return [concatBytes(encodeHeader(header), ...frames)];
}

/** What was recovered becomes a segment of its own, and nothing is missing in it. */
function checkRewritten(recovery: JournalRecovery, sealer: Sealer): void {
  const { state } = recovery;
  holds("networks are bounded", state.networks.size <= NETWORKS_MAX);
  const image = writerAfter(recovery, sealer).checkpointBytes(state);
  const again = recover([image], sealer);
  same("the state written and recovered again", plain(again.state), plain(state));
  holds("undamaged", !again.report.damaged && again.report.tornTailBytes === 0);
  holds("ready for more", again.active !== null);
  if (recovery.generation < 0xffff_ffff) same("one generation on", again.generation, recovery.generation + 1);
}

/** An append behind the image is there the next time, and nothing else is new. */
function checkAppended(recovery: JournalRecovery, segments: readonly Uint8Array[], sealer: Sealer): void {
  const bytes = writerAfter(recovery, sealer).appendBytes([{ type: "run", runId: 77 }]);
  const { generation } = recovery;
  const grown = segments.map((segment) => {
    const header = parseHeader(segment);
    return typeof header !== "string" && header.generation === generation
      ? concatBytes(segment, bytes)
      : segment;
  });
  const again = recover(grown, sealer);
  same("an append", again.state.runId, 77);
  same("and nothing else", plain(again.state), plain(fold([{ type: "run", runId: 77 }], recovery.state)));
}

/** A write that was interrupted somewhere in the last image. */
function checkCut(segments: readonly Uint8Array[], sealer: Sealer): void {
  const last = segments.at(-1) ?? new Uint8Array(0);
  for (const part of [1, 2, 3])
    checkRewritten(
      recover([...segments.slice(0, -1), last.subarray(0, (last.length * part) >> 2)], sealer),
      sealer,
    );
}

/** Secrets under another key are lost, and said to be; the rest is there. */
function checkWrongKey(segments: readonly Uint8Array[]): void {
  const other = keySealer(new Uint8Array(32), seededFill(10));
  const { report, state } = recover(segments, other);
  holds(
    "no secret opens",
    state.device === null && state.userAgent === null && state.subscriptions.size === 0,
  );
  holds("and that is said", report.unopenedRecords === 0 || report.wrongKey);
}

function summaryOf({ report, active, cleanStop }: JournalRecovery): string {
  const said = Object.entries(report).filter(([, value]) => value !== false && value !== 0);
  return [
    ...said.map(([name]) => name),
    active === null ? "closed" : "active",
    cleanStop ? "clean" : "",
  ].join(" ");
}

/** A record's two parts, before sealing and framing. */
interface Parts {
  readonly clear: Uint8Array;
  readonly secrets: Uint8Array;
}

/** Each part stands behind its length in two bytes. */
function partsOf(bytes: Uint8Array): Parts[] {
  const parts: Parts[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const clearEnd = at + 4 + (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
    const end = clearEnd + (bytes[at + 2] ?? 0) * 256 + (bytes[at + 3] ?? 0);
    parts.push({ clear: bytes.slice(at + 4, clearEnd), secrets: bytes.slice(clearEnd, end) });
    at = end;
  }
  return parts;
}

function bytesOf(parts: readonly Parts[]): Uint8Array {
  const lengths = ({ clear, secrets }: Parts): Uint8Array =>
    Uint8Array.of(clear.length >> 8, clear.length, secrets.length >> 8, secrets.length);
  return concatBytes(...parts.flatMap((part) => [lengths(part), part.clear, part.secrets]));
}

function mutateRecords(input: Uint8Array, random: Random): Uint8Array | null {
  const parts = partsOf(input.subarray(1));
  const at = random.below(parts.length);
  const part = parts[at];
  if (part === undefined) return null;
  const other = random.pick(ALL_PARTS);
  const changed = [
    () => parts.toSpliced(at, 1),
    () => parts.toSpliced(at, 0, other),
    () => parts.with(at, { ...part, secrets: other.secrets }),
    () => [...parts, part],
    () => parts.with(at, { ...part, clear: mutateArray(part.clear, random) }),
    () => parts.with(at, { ...part, clear: mutateArray(part.clear, random) }),
    () => parts.with(at, { ...part, secrets: mutateArray(part.secrets, random) }),
  ];
  return concatBytes(input.subarray(0, 1), bytesOf(random.pick(changed)()));
}

function mutateArray(bytes: Uint8Array, random: Random): Uint8Array {
  const codes = [
    "ERR_CBOR_MALFORMED",
    "ERR_CBOR_TOO_DEEP",
    "ERR_CBOR_TOO_MANY_ITEMS",
    "ERR_CBOR_VALUE",
  ] as const;
  const vocabulary = {
    words: ["kiosk.clock", "https://news.example", "mqtts://h"],
    hasBytes: true,
    isJson: false,
  };
  const changed = resultOrCode(codes, () =>
    encodeCbor(mutateValue(decodeCbor(bytes, LIMITS), vocabulary, random)),
  );
  // What has no place in two bytes of length is left as it was.
  return "value" in changed && changed.value.length < 0x1_0000 ? changed.value : bytes;
}

const ALL_PARTS: readonly Parts[] = [
  ...HISTORY,
  { type: "endOfCheckpoint" } as const,
  { type: "clean" } as const,
].map((record) => {
  const { clear, sealed } = encodeRecord(record, open);
  return { clear, secrets: sealed };
});
const kind = (name: (typeof KINDS)[number]): Uint8Array => Uint8Array.of(KINDS.indexOf(name));
const end = ALL_PARTS.at(-2) as Parts;
const older = writeSegment(new JournalState(), HISTORY.slice(0, 6)).image;
const newer = writeSegment(fold(HISTORY.slice(0, 12)), HISTORY.slice(12), open, 2).image;
const SEEDS: readonly Uint8Array[] = [
  concatBytes(kind("image"), older),
  concatBytes(kind("image"), newer),
  concatBytes(kind("two images"), Uint8Array.of(older.length >> 8, older.length), older, newer),
  concatBytes(kind("records"), bytesOf([end, ...ALL_PARTS])),
  concatBytes(kind("sealed records"), bytesOf([end, ...ALL_PARTS])),
  concatBytes(kind("records"), bytesOf([...ALL_PARTS.slice(0, 12), end, ...ALL_PARTS.slice(12)])),
  concatBytes(kind("sealed records"), bytesOf([...ALL_PARTS.slice(8, 11), end])),
];
