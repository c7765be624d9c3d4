// SPDX-License-Identifier: MIT
// Goal: after any damage the agent starts with as much as is intact and knows what is missing; nothing throws. Method:
// cut and flip one sample segment at every byte, mix segments, and feed random bytes.
import { describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { encodeRecord } from "../../src/journal/record-codec.ts";
import { keySealer, plainSealer } from "../../src/journal/seal.ts";
import { encodeFrame, makeSalt, parseHeader, SEGMENT_HEADER_BYTES } from "../../src/journal/segment.ts";
import { JournalState } from "../../src/journal/state.ts";
import { encodeCbor } from "../../src/wire/cbor.ts";
import { fc, numRuns } from "../properties.ts";
import {
  bytesOf,
  DEVICE_KEY,
  fold,
  HISTORY,
  message,
  OTHER_BINDING,
  offsets,
  plain,
  recover,
  seededFill,
  subscription,
  writerAfter,
  writeSegment,
} from "./support.ts";

/** A new state with one subscription and one message, the checkpoint of most samples. */
function baseState(): JournalState {
  return fold([subscription(9), message(90, { subscriptionId: 9 })]);
}

const BASE = baseState();
const SAMPLE = writeSegment(BASE, HISTORY);

/** The state of BASE and the first `count` records of HISTORY. */
function stateAfter(count: number): unknown {
  return plain(fold(HISTORY.slice(0, count), baseState()));
}

/** How many appended records of the sample end at or before `offset`. */
function recordsBefore(offset: number): number {
  return SAMPLE.ends.filter((end) => end <= offset).length;
}

describe("an intact segment", () => {
  test("gives the state and lets appends go on", () => {
    const recovery = recover([SAMPLE.image]);
    expect(plain(recovery.state)).toEqual(stateAfter(HISTORY.length));
    expect(recovery.generation).toBe(1);
    expect(recovery.active?.segmentBytes).toBe(SAMPLE.image.length);
    expect(recovery.active?.checkpointBytes).toBe(SAMPLE.checkpointEnd);
    expect(recovery.cleanStop).toBe(false);
    expect(recovery.report.damaged).toBe(false);
  });

  test("holds copies: the image may be reused", () => {
    const image = SAMPLE.image.slice();
    const recovery = recover([image]);
    image.fill(0);
    expect(plain(recovery.state)).toEqual(stateAfter(HISTORY.length));
  });

  test("may be part of a larger buffer", () => {
    const around = concatBytes(bytesOf(13, 1), SAMPLE.image, bytesOf(5, 1));
    const recovery = recover([around.subarray(13, 13 + SAMPLE.image.length)]);
    expect(plain(recovery.state)).toEqual(stateAfter(HISTORY.length));
  });

  test("is written on after recovery", () => {
    const writer = writerAfter(recover([SAMPLE.image]));
    const more = writer.appendBytes([message(77)]);
    const recovery = recover([concatBytes(SAMPLE.image, more)]);
    expect(recovery.state.messages.has("7:77")).toBe(true);
    expect(recovery.report.damaged).toBe(false);
  });
});

describe("clean stop", () => {
  test("only as the very last record", () => {
    const stopped = writeSegment(BASE, [...HISTORY, { type: "clean" }]);
    expect(recover([stopped.image]).cleanStop).toBe(true);
    const ranAgain = writeSegment(BASE, [...HISTORY, { type: "clean" }, { type: "run", runId: 2 }]);
    expect(recover([ranAgain.image]).cleanStop).toBe(false);
    expect(recover([concatBytes(stopped.image, bytesOf(3, 1))]).cleanStop).toBe(false);
  });

  test("nothing at all is a clean start", () => {
    const recovery = recover([]);
    expect(recovery.cleanStop).toBe(true);
    expect(recovery.generation).toBe(0);
    expect(recovery.active).toBe(null);
    expect(recovery.report.damaged).toBe(false);
  });
});

describe("torn tail", () => {
  test("at every byte: exactly the records before it", () => {
    for (const end of offsets(SAMPLE.checkpointEnd, SAMPLE.image.length + 1)) {
      const recovery = recover([SAMPLE.image.subarray(0, end)]);
      const count = recordsBefore(end);
      const intactEnd = count === 0 ? SAMPLE.checkpointEnd : (SAMPLE.ends[count - 1] ?? 0);
      expect(recovery.report.tornTailBytes).toBe(end - intactEnd);
      expect(recovery.report.damaged).toBe(false);
      expect(recovery.active === null).toBe(end !== intactEnd);
      expect(plain(recovery.state)).toEqual(stateAfter(count));
    }
  });

  test("filled with zeros or ones, as file systems do after a power cut", () => {
    for (const filler of [0x00, 0xff]) {
      const cut = SAMPLE.image.slice();
      cut.fill(filler, SAMPLE.ends[9]);
      const recovery = recover([cut]);
      expect(recovery.report.corruptRecords).toBe(0);
      expect(plain(recovery.state)).toEqual(stateAfter(10));
    }
  });

  test("of an append whose sectors came out of order: records behind the hole are cut too", () => {
    const { image, checkpointEnd } = writeSegment(baseState(), []);
    const writer = writerAfter(recover([image]));
    const appended = writer.appendBytes([message(1), message(2), message(3)]);
    for (let at = 0; at < appended.length / 3; at++) {
      const torn = concatBytes(image, appended);
      torn.fill(0, checkpointEnd, checkpointEnd + at + 1);
      const { state, report, active } = recover([torn]);
      expect(plain(state)).toEqual(plain(baseState()));
      expect(report).toMatchObject({ damaged: false, tornTailBytes: appended.length, salvagedRecords: 0 });
      expect(active).toBeNull();
    }
  });

  test("is damage once another append stands behind it: that one is read", () => {
    const { image, checkpointEnd } = writeSegment(baseState(), []);
    const writer = writerAfter(recover([image]));
    const first = writer.appendBytes([message(1), message(2)]);
    const damaged = concatBytes(image, first, writer.appendBytes([message(3), message(4)]));
    damaged.fill(0, checkpointEnd, checkpointEnd + 1);
    const { state, report } = recover([damaged]);
    expect([...state.messages.keys()]).toEqual(["7:90", "7:3", "7:4"]);
    expect(report).toMatchObject({ damaged: true, corruptRecords: 1, salvagedRecords: 2, tornTailBytes: 0 });
  });

  test("is not written on: the next write is a checkpoint that heals it", () => {
    const torn = recover([SAMPLE.image.subarray(0, SAMPLE.image.length - 3)]);
    const writer = writerAfter(torn);
    expect(writer.mustCheckpoint).toBe(true);
    const healed = recover([writer.checkpointBytes(torn.state)]);
    expect(healed.generation).toBe(2);
    expect(plain(healed.state)).toEqual(stateAfter(HISTORY.length - 1));
    expect(healed.report.tornTailBytes).toBe(0);
  });
});

describe("one wrong byte", () => {
  test("anywhere: records before it survive, and so do those behind", () => {
    for (const at of offsets(0, SAMPLE.image.length)) {
      const image = SAMPLE.image.slice();
      image[at] = (image[at] ?? 0) ^ 0x40;
      const recovery = recover([image]);
      if (at < SEGMENT_HEADER_BYTES) {
        expect(plain(recovery.state)).toEqual(stateAfter(HISTORY.length));
        continue;
      }
      if (at < SAMPLE.checkpointEnd) continue;
      const before = recordsBefore(at);
      const survivors = HISTORY.filter((_, index) => index !== before);
      const expected = fold(survivors, baseState());
      expect(plain(recovery.state)).toEqual(plain(expected));
      const isLast = before === HISTORY.length - 1;
      expect(recovery.report.corruptRecords).toBe(isLast ? 0 : 1);
      expect(recovery.report.salvagedRecords).toBe(isLast ? 0 : HISTORY.length - 1 - before);
      expect(recovery.report.damaged).toBe(!isLast);
      expect(recovery.active).toBe(null);
    }
  });

  test("in the checkpoint: what is behind it survives", () => {
    const image = SAMPLE.image.slice();
    image[SEGMENT_HEADER_BYTES + 20] = (image[SEGMENT_HEADER_BYTES + 20] ?? 0) ^ 1;
    const recovery = recover([image]);
    expect(recovery.report.corruptRecords).toBe(1);
    expect(recovery.report.damaged).toBe(true);
    expect(recovery.state.subscriptions.has(1)).toBe(true);
  });

  test("in the end of the checkpoint: salvaged as incomplete", () => {
    const image = SAMPLE.image.slice();
    const at = SAMPLE.checkpointEnd - 1;
    image[at] = (image[at] ?? 0) ^ 1;
    const recovery = recover([image]);
    expect(recovery.report.incompleteCheckpoint).toBe(true);
    expect(recovery.report.damaged).toBe(true);
    expect(plain(recovery.state)).toEqual(stateAfter(HISTORY.length));
  });
});

describe("several damaged places", () => {
  test("a lost block in the middle costs the records in it only", () => {
    const image = SAMPLE.image.slice();
    image.fill(0, (SAMPLE.ends[3] ?? 0) + 4, SAMPLE.ends[6]);
    const expected = fold(
      [...HISTORY.slice(0, 4), ...HISTORY.slice(7)],
      fold([subscription(9), message(90)]),
    );
    const recovery = recover([image]);
    expect([...recovery.state.owners.keys()]).toEqual([...expected.owners.keys()]);
    expect(recovery.report.corruptRecords).toBe(1);
    expect(recovery.report.salvagedRecords).toBe(HISTORY.length - 7);
  });

  test("any number of wrong bytes anywhere: never an exception", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 30 }),
        (changes) => {
          const image = SAMPLE.image.slice();
          for (const [where, byte] of changes) image[where % image.length] = byte;
          expect(recover([image]).state instanceof JournalState).toBe(true);
        },
      ),
      { numRuns: numRuns(500) },
    );
  });
});

describe("bytes that are not ours", () => {
  test("random bytes are an unreadable segment", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 3 }), (segments) => {
        const recovery = recover(segments);
        expect(recovery.report.unreadableSegments).toBe(segments.length);
        expect(plain(recovery.state)).toEqual([]);
      }),
      { numRuns: numRuns(500) },
    );
  });

  test("random bytes behind an intact header are a torn tail at most", () => {
    const header = SAMPLE.image.subarray(0, SEGMENT_HEADER_BYTES);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const { report } = recover([concatBytes(header, bytes)]);
        expect(report.incompleteCheckpoint).toBe(true);
      }),
      { numRuns: numRuns(500) },
    );
  });

  test("frame beginnings without frames are searched in bounded time", () => {
    const header = SAMPLE.image.slice(0, SEGMENT_HEADER_BYTES);
    const parsed = parseHeader(header);
    if (typeof parsed === "string") throw new Error("no header");
    const begin = concatBytes(parsed.salt.subarray(0, 2), bytesOf(4, 0), Uint8Array.of(0x7f, 0, 0, 0x10));
    // Without the bound this takes most of a minute.
    const filler = new Uint8Array(numRuns(50) * 120_000);
    for (let at = 0; at + begin.length <= filler.length; at += begin.length) filler.set(begin, at);
    const { report } = recover([concatBytes(header, filler)]);
    expect(report.tornTailBytes).toBe(filler.length);
    expect(report.corruptRecords).toBe(1);
    expect(report.damaged).toBe(true);
  });

  test("a frame inside a message body is not taken for a record when the message is damaged", () => {
    const forged = encodeFrame(
      encodeRecord({ type: "ownerRemoved", owner: "https://news.example" }, plainSealer()),
      makeSalt(seededFill(99)),
    );
    const written = writeSegment(fold(HISTORY), [message(50, { body: forged }), message(51)]);
    const image = written.image.slice();
    const at = (written.ends[0] ?? 0) - 1;
    image[at] = (image[at] ?? 0) ^ 1;
    const recovery = recover([image]);
    expect(recovery.report.corruptRecords).toBe(1);
    expect(recovery.state.owners.has("https://news.example")).toBe(true);
    expect(recovery.state.messages.has("7:51")).toBe(true);
  });
});

describe("later releases", () => {
  test("an unknown record is skipped and counted", () => {
    const parsed = parseHeader(SAMPLE.image);
    if (typeof parsed === "string") throw new Error("no header");
    const unknown = { clear: encodeCbor([99, 1, "new"]), sealed: new Uint8Array(0) };
    const frame = encodeFrame(unknown, parsed.salt);
    const recovery = recover([concatBytes(SAMPLE.image, frame)]);
    expect(recovery.report.unknownRecords).toBe(1);
    expect(recovery.report.damaged).toBe(false);
    expect(plain(recovery.state)).toEqual(stateAfter(HISTORY.length));
  });

  test("an intact frame without a proper record is corrupt", () => {
    const parsed = parseHeader(SAMPLE.image);
    if (typeof parsed === "string") throw new Error("no header");
    const frame = encodeFrame({ clear: encodeCbor([18, 1, "x"]), sealed: new Uint8Array(0) }, parsed.salt);
    expect(recover([concatBytes(SAMPLE.image, frame)]).report.corruptRecords).toBe(1);
  });
});

describe("two segments", () => {
  const older = writeSegment(fold([subscription(1)]), [subscription(2)], plainSealer(), 4);
  const newer = writeSegment(fold([subscription(3)]), [subscription(4)], plainSealer(), 5);

  test.each([
    ["older first", [older.image, newer.image]],
    ["newer first", [newer.image, older.image]],
  ] as const)("the newer complete one counts, %s", (_order, segments) => {
    const recovery = recover(segments);
    expect([...recovery.state.subscriptions.keys()]).toEqual([3, 4]);
    expect(recovery.generation).toBe(5);
    expect(recovery.report.staleSegment).toBe(true);
    expect(recovery.report.damaged).toBe(false);
    expect(writerAfter(recovery).isCheckpointDue).toBe(true);
    expect(writerAfter(recovery).mustCheckpoint).toBe(false);
  });

  test("a newer one cut inside its checkpoint: the older one counts", () => {
    for (const end of offsets(0, newer.checkpointEnd)) {
      const recovery = recover([older.image, newer.image.subarray(0, end)]);
      expect([...recovery.state.subscriptions.keys()]).toEqual([1, 2]);
      const hasHeader = end >= SEGMENT_HEADER_BYTES / 2;
      expect(recovery.generation).toBe(hasHeader ? 5 : 4);
      expect(recovery.report.usedOlderSegment).toBe(hasHeader);
    }
  });

  test("a newer one cut inside a long checkpoint: the older one counts, though it has fewer records", () => {
    const long = writeSegment(fold(HISTORY.slice(0, 20)), [], plainSealer(), 5);
    const recovery = recover([older.image, long.image.subarray(0, long.checkpointEnd - 1)]);
    expect([...recovery.state.subscriptions.keys()]).toEqual([1, 2]);
    expect(recovery.report.usedOlderSegment).toBe(true);
    expect(recovery.active).toBe(null);
  });

  test("neither complete: the one with more records is salvaged", () => {
    const cutOlder = older.image.slice();
    cutOlder.fill(0, older.checkpointEnd - 4, older.checkpointEnd);
    const cutNewer = newer.image.subarray(0, newer.checkpointEnd - 4);
    const recovery = recover([cutNewer, cutOlder]);
    expect([...recovery.state.subscriptions.keys()]).toEqual([1, 2]);
    expect(recovery.report.incompleteCheckpoint).toBe(true);
    expect(recovery.generation).toBe(5);
  });
});

describe("device binding", () => {
  test("a cloned image starts afresh and says so", () => {
    const recovery = recover([SAMPLE.image], plainSealer(), OTHER_BINDING);
    expect(recovery.report.foreignDevice).toBe(true);
    expect(plain(recovery.state)).toEqual([]);
    expect(recovery.active).toBe(null);
    expect(recovery.generation).toBe(1);
    expect(recovery.cleanStop).toBe(false);
  });

  test("a foreign segment beside our own is ignored", () => {
    const foreign = writeSegment(new JournalState(), [], plainSealer(), 8, OTHER_BINDING);
    const recovery = recover([foreign.image, SAMPLE.image]);
    expect(recovery.report.foreignDevice).toBe(true);
    expect(plain(recovery.state)).toEqual(stateAfter(HISTORY.length));
    // The host would append to the foreign one, which has the higher generation: so a checkpoint comes first.
    expect(recovery.active).toBe(null);
    expect(recovery.generation).toBe(8);
  });
});

describe("device key", () => {
  const sealer = keySealer(DEVICE_KEY, seededFill(7));
  const sealed = writeSegment(BASE, HISTORY, sealer);

  test("locked: nothing is read, and nothing may be written", () => {
    const recovery = recover([sealed.image], null);
    expect(recovery.report.locked).toBe(true);
    expect(recovery.state.subscriptions.size).toBe(0);
    expect(recovery.generation).toBe(1);
    let code = "";
    try {
      writerAfter(recovery);
    } catch (error) {
      code = (error as { code: string }).code;
    }
    expect(code).toBe("ERR_JOURNAL_LOCKED");
  });

  test("unlocked later: everything is there", () => {
    expect(plain(recover([sealed.image], sealer).state)).toEqual(stateAfter(HISTORY.length));
  });

  test("another key: told apart from damage, what is not secret survives", () => {
    const recovery = recover([sealed.image], keySealer(bytesOf(32, 0x77), seededFill(8)));
    expect(recovery.report.wrongKey).toBe(true);
    expect(recovery.report.damaged).toBe(true);
    expect(recovery.report.corruptRecords).toBe(0);
    expect(recovery.state.subscriptions.size).toBe(0);
    expect(recovery.state.owners.size).toBe(1);
    expect(recovery.active).toBe(null);
  });

  test("another key, and a record of a later release among those sealed: told as a wrong key too", () => {
    const parsed = parseHeader(sealed.image);
    if (typeof parsed === "string") throw new Error("no header");
    const frame = encodeFrame({ clear: encodeCbor([99, 1]), sealed: bytesOf(40, 1) }, parsed.salt);
    const other = keySealer(bytesOf(32, 0x77), seededFill(8));
    expect(recover([concatBytes(sealed.image, frame)], other).report.wrongKey).toBe(true);
  });

  test("no key any more: told as a wrong key, so that nothing is started over what it could not read", () => {
    const recovery = recover([sealed.image], plainSealer());
    expect(recovery.report.wrongKey).toBe(true);
    expect(recovery.state.subscriptions.size).toBe(0);
    expect(recovery.active).toBe(null);
  });

  test("a journal from before there was a key is read, and sealed by the next checkpoint", () => {
    const recovery = recover([SAMPLE.image], sealer);
    expect(recovery.report.unsealed).toBe(true);
    expect(recovery.report.damaged).toBe(false);
    expect(plain(recovery.state)).toEqual(stateAfter(HISTORY.length));
    const writer = writerAfter(recovery, sealer);
    expect(writer.mustCheckpoint).toBe(true);
    const again = recover([writer.checkpointBytes(recovery.state)], sealer);
    expect(again.report.unsealed).toBe(false);
    expect(plain(again.state)).toEqual(stateAfter(HISTORY.length));
  });
});
