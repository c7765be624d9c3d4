// SPDX-License-Identifier: MIT
/**
 * Builds what the agent hands its host to write: bytes to append to the active segment, and whole new segments. Pure; it
 * counts on the host doing both in the order they were built.
 */
import { concatBytes } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { JOURNAL_COMPACT_BYTES_MIN } from "../limits.ts";
import type { ActiveSegment, JournalRecovery } from "./journal.ts";
import { encodeRecord } from "./record-codec.ts";
import type { JournalRecord } from "./records.ts";
import type { Sealer } from "./seal.ts";
import { encodeFrame, encodeHeader, makeSalt } from "./segment.ts";
import { checkpointRecords, type JournalState } from "./state.ts";

export interface JournalWriterOptions {
  /** 16 bytes: a hash of the host's device id. */
  readonly deviceBinding: Uint8Array;
  readonly sealer: Sealer;
  /** Fills its argument from a CSPRNG. */
  readonly randomFill: (target: Uint8Array) => void;
}

export class JournalWriter {
  readonly #options: JournalWriterOptions;
  #active: ActiveSegment | null;
  #generation: number;
  #hasStaleSegment: boolean;

  /**
   * Goes on where `recovery` ended.
   *
   * @throws {GodwitError} ERR_JOURNAL_LOCKED when the recovery was without the device key: it must not be written over
   */
  constructor(recovery: JournalRecovery, options: JournalWriterOptions) {
    if (recovery.report.locked) throw new GodwitError("ERR_JOURNAL_LOCKED", "the device key is locked");
    this.#options = options;
    this.#active = recovery.active;
    this.#generation = recovery.generation;
    this.#hasStaleSegment = recovery.report.staleSegment;
  }

  /** Bytes of the active segment, with everything built so far; 0 when there is none. */
  get segmentBytes(): number {
    return this.#active?.segmentBytes ?? 0;
  }

  /** True when there is no segment to append to: nothing but a checkpoint may be written. */
  get mustCheckpoint(): boolean {
    return this.#active === null;
  }

  /** True when a checkpoint should ride with the next write: it must, or the segment has grown, or an old one is left. */
  get isCheckpointDue(): boolean {
    if (this.#active === null || this.#hasStaleSegment) return true;
    const { segmentBytes, checkpointBytes } = this.#active;
    return segmentBytes >= JOURNAL_COMPACT_BYTES_MIN && segmentBytes >= 2 * checkpointBytes;
  }

  /**
   * The frames of `records`, to be appended in one write. The caller owns them.
   *
   * @throws {GodwitError} ERR_JOURNAL_RECORD when a record is too long or a field wrong, ERR_JOURNAL_IO when
   *   {@link JournalWriter.mustCheckpoint}; nothing counts as written then
   */
  appendBytes(records: readonly JournalRecord[]): Uint8Array {
    const active = this.#active;
    if (active === null)
      throw new GodwitError("ERR_JOURNAL_IO", "no active segment: a checkpoint is needed first");
    const bytes = concatBytes(
      ...records.map((record, at) => this.#frame(record, active.header.salt, at > 0)),
    );
    this.#active = { ...active, segmentBytes: active.segmentBytes + bytes.length };
    return bytes;
  }

  /**
   * A complete new segment that says `state` and nothing else, of the next generation. Later appends belong to it. Asking
   * for one after secrets were removed is what takes their bytes off the flash. The caller owns it.
   *
   * @throws {GodwitError} ERR_JOURNAL_RECORD as {@link JournalWriter.appendBytes}
   */
  checkpointBytes(state: JournalState): Uint8Array {
    const { deviceBinding, sealer, randomFill } = this.#options;
    const generation = this.#generation + 1;
    const header = { generation, deviceBinding, salt: makeSalt(randomFill), isSealed: sealer.sealsSecrets };
    const frames = checkpointRecords(state).map((record) => this.#frame(record, header.salt));
    frames.push(this.#frame({ type: "endOfCheckpoint" }, header.salt));
    const bytes = concatBytes(encodeHeader(header), ...frames);
    this.#generation = generation;
    this.#active = { header, segmentBytes: bytes.length, checkpointBytes: bytes.length };
    this.#hasStaleSegment = false;
    return bytes;
  }

  /**
   * A write failed: what the active segment ends with is unknown, so it is given up and the next write is a checkpoint.
   * To be called for each failed append and each failed checkpoint.
   */
  abandonSegment(): void {
    this.#active = null;
  }

  #frame(record: JournalRecord, salt: Uint8Array, continues?: boolean): Uint8Array {
    return encodeFrame(encodeRecord(record, this.#options.sealer), salt, continues);
  }
}
