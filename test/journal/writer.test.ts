// SPDX-License-Identifier: MIT
// Goal: the writer says when a checkpoint is due, and no secret is or stays in what it writes. Method: write, remove, and
// look for the bytes.
import { describe, expect, test } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { GodwitError } from "../../src/errors.ts";
import { keySealer, plainSealer } from "../../src/journal/seal.ts";
import { parseHeader, segmentGeneration } from "../../src/journal/segment.ts";
import { JournalState } from "../../src/journal/state.ts";
import { JOURNAL_COMPACT_BYTES_MIN, JOURNAL_RECORD_BYTES_MAX } from "../../src/limits.ts";
import {
  ascii,
  BINDING,
  bytesOf,
  DEVICE_KEY,
  fold,
  HISTORY,
  includesBytes,
  message,
  plain,
  recover,
  secretBytes,
  seededFill,
  subscription,
  writerAfter,
  writeSegment,
} from "./support.ts";

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return error instanceof GodwitError ? error.code : "not a GodwitError";
  }
  return "no error";
}

const SECRETS: readonly Uint8Array[] = [
  ...[1, 2].flatMap((id) => [subscription(id).privateKey, subscription(id).authSecret]),
  secretBytes(32, 999),
  ...["ua-token-secret", "wa-token-secret", "endpoint-secret", "plaintext-secret"].map(ascii),
];

describe("secrets", () => {
  test("none is in the image when there is a device key", () => {
    const sealed = writeSegment(fold(HISTORY), HISTORY, keySealer(DEVICE_KEY, seededFill(2))).image;
    for (const secret of SECRETS) expect(includesBytes(sealed, secret)).toBe(false);
  });

  test("the search would find them: without a key they are there", () => {
    const clear = writeSegment(fold(HISTORY), HISTORY).image;
    for (const secret of SECRETS) expect(includesBytes(clear, secret)).toBe(true);
  });

  test("a checkpoint after a removal no longer has them, even without a key", () => {
    const { privateKey, authSecret } = subscription(1);
    const state = fold([subscription(1), subscription(2)]);
    const writer = writerAfter(recover([]));
    const before = writer.checkpointBytes(state);
    state.apply({ type: "subscriptionRemoved", id: 1 });
    const after = writer.checkpointBytes(state);
    for (const secret of [privateKey, authSecret, ascii("wa-token-secret-1"), ascii("endpoint-secret-1")]) {
      expect(includesBytes(before, secret)).toBe(true);
      expect(includesBytes(after, secret)).toBe(false);
    }
  });
});

describe("checkpoints", () => {
  test("the first write is one", () => {
    const writer = writerAfter(recover([]));
    expect(writer.mustCheckpoint).toBe(true);
    expect(writer.isCheckpointDue).toBe(true);
    expect(codeOf(() => writer.appendBytes([message(1)]))).toBe("ERR_JOURNAL_IO");
    const image = writer.checkpointBytes(new JournalState());
    expect(segmentGeneration(image)).toBe(1);
    expect(writer.mustCheckpoint).toBe(false);
    expect(writer.isCheckpointDue).toBe(false);
  });

  test("each has the next generation and another salt", () => {
    const writer = writerAfter(recover([]));
    const first = parseHeader(writer.checkpointBytes(new JournalState()));
    const second = parseHeader(writer.checkpointBytes(new JournalState()));
    if (typeof first === "string" || typeof second === "string") throw new Error("no header");
    expect(second.generation).toBe(first.generation + 1);
    expect(second.salt).not.toEqual(first.salt);
    expect(second.deviceBinding).toEqual(BINDING);
  });

  test("one is due when the segment is long, and twice as long as its checkpoint", () => {
    const writer = writerAfter(recover([]));
    writer.checkpointBytes(new JournalState());
    while (!writer.isCheckpointDue) writer.appendBytes([message(1, { body: new Uint8Array(1000) })]);
    expect(writer.segmentBytes >= JOURNAL_COMPACT_BYTES_MIN).toBe(true);
    expect(writer.segmentBytes < JOURNAL_COMPACT_BYTES_MIN + 2000).toBe(true);

    const state = new JournalState();
    for (let id = 1; id <= 100; id++) state.apply(message(id, { body: new Uint8Array(1000) }));
    const checkpointBytes = writer.checkpointBytes(state).length;
    while (!writer.isCheckpointDue) writer.appendBytes([message(1, { body: new Uint8Array(1000) })]);
    expect(writer.segmentBytes >= 2 * checkpointBytes).toBe(true);
  });

  test("a failed write abandons the segment", () => {
    const writer = writerAfter(recover([]));
    writer.checkpointBytes(new JournalState());
    writer.abandonSegment();
    expect(writer.mustCheckpoint).toBe(true);
    expect(codeOf(() => writer.appendBytes([message(1)]))).toBe("ERR_JOURNAL_IO");
    expect(segmentGeneration(writer.checkpointBytes(new JournalState()))).toBe(2);
  });
});

describe("appends", () => {
  test("several records in one write", () => {
    const writer = writerAfter(recover([]));
    const image = writer.checkpointBytes(new JournalState());
    const recovery = recover([concatBytes(image, writer.appendBytes(HISTORY))]);
    expect(plain(recovery.state)).toEqual(plain(fold(HISTORY)));
    expect(recovery.active?.segmentBytes).toBe(writer.segmentBytes);
  });

  test("a record that is too long is refused and nothing counts as written", () => {
    const writer = writerAfter(recover([]));
    writer.checkpointBytes(new JournalState());
    const before = writer.segmentBytes;
    const long = message(1, { body: new Uint8Array(JOURNAL_RECORD_BYTES_MAX) });
    expect(codeOf(() => writer.appendBytes([message(2), long]))).toBe("ERR_JOURNAL_RECORD");
    expect(writer.segmentBytes).toBe(before);
  });

  test("a record of the greatest length is read back", () => {
    const writer = writerAfter(recover([]), plainSealer());
    const image = writer.checkpointBytes(new JournalState());
    let bytes = JOURNAL_RECORD_BYTES_MAX;
    while (codeOf(() => writer.appendBytes([message(1, { body: new Uint8Array(bytes) })])) !== "no error")
      bytes--;
    writer.checkpointBytes(new JournalState());
    const again = writerAfter(recover([image]));
    const appended = again.appendBytes([message(1, { body: bytesOf(bytes, 0) })]);
    expect(appended.length).toBe(JOURNAL_RECORD_BYTES_MAX);
    expect(recover([concatBytes(image, appended)]).state.messages.size).toBe(1);
  });
});
