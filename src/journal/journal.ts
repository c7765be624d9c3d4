// SPDX-License-Identifier: MIT
/**
 * Recovers the durable state from the segment images a host found at start (SPEC.md, "The journal on disk"). Pure: it
 * never throws, whatever the bytes, and takes memory in proportion to the images.
 */
import { bytesEqual } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { JOURNAL_SEGMENT_BYTES_MAX } from "../limits.ts";
import { decodeRecord, type EncodedRecord } from "./record-codec.ts";
import type { JournalRecord } from "./records.ts";
import { plainSealer, type Sealer } from "./seal.ts";
import { FrameReader, parseHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from "./segment.ts";
import { JournalState } from "./state.ts";

/** What recovery found besides the state; numbers and flags only, fit for a log. */
export interface JournalReport extends Readonly<Counts> {
  /** The device key is not available yet: nothing was read. Recover again with the key; write nothing until then. */
  readonly locked: boolean;
  /** A segment of another device (cloned image) was ignored. */
  readonly foreignDevice: boolean;
  /** A segment written by a later release was ignored. */
  readonly newerVersion: boolean;
  /** Segments without an intact header, or too long to be ours. */
  readonly unreadableSegments: number;
  /** The newest segment had no complete checkpoint and was not used. */
  readonly usedOlderSegment: boolean;
  /** The segment used has no complete checkpoint: state may be missing at the end of it. */
  readonly incompleteCheckpoint: boolean;
  /** A second segment is still there; the next checkpoint removes it and what may be secret in it. */
  readonly staleSegment: boolean;
  /** None of the sealed records opened: it is not the key they were sealed under. */
  readonly wrongKey: boolean;
  /** The secrets lie there in clear although the device has a key now; the next checkpoint seals them. */
  readonly unsealed: boolean;
  /** Confirmed records are missing: resynchronise with the push service. */
  readonly damaged: boolean;
}

/** The segment that appends may go on in. */
export interface ActiveSegment {
  readonly header: SegmentHeader;
  readonly segmentBytes: number;
  /** Bytes from the beginning to the end of the checkpoint. */
  readonly checkpointBytes: number;
}

export interface JournalRecovery {
  readonly state: JournalState;
  /** Highest generation seen in any segment; 0 when there was none. */
  readonly generation: number;
  /** null: the next write has to be a checkpoint. */
  readonly active: ActiveSegment | null;
  /** The last run ended in order, or there was none before. */
  readonly cleanStop: boolean;
  readonly report: JournalReport;
}

export interface RecoveryOptions {
  /** 16 bytes: a hash of the host's device id. */
  readonly deviceBinding: Uint8Array;
  /** null while the device key is locked. */
  readonly sealer: Sealer | null;
}

/**
 * State and report for the 0 to 2 `segments` a host found, in any order. They are borrowed until this returns; the state
 * holds copies.
 *
 * The newest segment with a complete checkpoint counts; without any, the one that has most records. A torn tail is cut.
 * A damaged place with intact records behind it is skipped and reported.
 */
export function recoverJournal(segments: readonly Uint8Array[], options: RecoveryOptions): JournalRecovery {
  const survey = surveySegments(segments, options.deviceBinding);
  const { sealer } = options;
  if (sealer === null) return emptyRecovery(survey, true);
  const readings = survey.own.map((segment) => readSegment(segment, sealer));
  readings.sort(byPreference);
  const chosen = readings[0];
  return chosen === undefined ? emptyRecovery(survey, false) : recoveryOf(chosen, survey, sealer);
}

/** Opens nothing: the device has no key, but had one when the segment was written. */
const NO_KEY: Sealer = {
  sealsSecrets: false,
  seal: (plaintext) => plaintext.slice(),
  open() {
    throw new GodwitError("ERR_JOURNAL_SEAL", "the journal is sealed and there is no device key");
  },
};

interface Segment {
  readonly image: Uint8Array;
  readonly header: SegmentHeader;
}

interface Survey {
  readonly own: readonly Segment[];
  readonly segments: number;
  readonly generation: number;
  readonly foreignDevice: boolean;
  readonly newerVersion: boolean;
  readonly unreadableSegments: number;
}

/** Sorts the images by their headers, without reading further. */
function surveySegments(segments: readonly Uint8Array[], deviceBinding: Uint8Array): Survey {
  const own: Segment[] = [];
  let generation = 0;
  let foreignDevice = false;
  let newerVersion = false;
  let unreadableSegments = 0;
  for (const image of segments) {
    const header = image.length > JOURNAL_SEGMENT_BYTES_MAX ? "unreadable" : parseHeader(image);
    if (header === "unreadable") unreadableSegments++;
    else if (header === "newerVersion") newerVersion = true;
    else {
      generation = Math.max(generation, header.generation);
      if (bytesEqual(header.deviceBinding, deviceBinding)) own.push({ image, header });
      else foreignDevice = true;
    }
  }
  return { own, segments: segments.length, generation, foreignDevice, newerVersion, unreadableSegments };
}

/** What one segment holds. */
interface Reading {
  readonly segment: Segment;
  readonly state: JournalState;
  readonly counts: Counts;
  /** Offset behind the end of the checkpoint; 0 when it is incomplete. */
  readonly checkpointBytes: number;
  readonly endsClean: boolean;
}

/** What was met while the segment was read. */
interface Counts {
  records: number;
  /** Records whose secrets were to be opened. */
  sealedRecords: number;
  /** Bytes of a write that a power cut interrupted. Nobody was told that it had succeeded. */
  tornTailBytes: number;
  /** Damaged places with intact records behind them, and intact frames that hold no proper record. */
  corruptRecords: number;
  /** Records read behind the first damaged place. */
  salvagedRecords: number;
  /** Records of a type or version of a later release, skipped. */
  unknownRecords: number;
  /** Records whose secrets did not open. */
  unopenedRecords: number;
}

function readSegment(segment: Segment, sealer: Sealer): Reading {
  const { image, header } = segment;
  // A segment from before the device had a key is read as it was written.
  const inner = header.isSealed ? (sealer.sealsSecrets ? sealer : NO_KEY) : plainSealer();
  const opener: Pick<Sealer, "open"> = {
    open(sealed, additionalData) {
      // Those of a later release, which nobody tries to open, say nothing about the key.
      counts.sealedRecords++;
      return inner.open(sealed, additionalData);
    },
  };
  const frames = new FrameReader(image, header.salt);
  const state = new JournalState();
  const counts = newCounts();
  let checkpointBytes = 0;
  let last: JournalRecord | null = null;
  let damaged = false;
  let hasHole = false;
  let end = SEGMENT_HEADER_BYTES;
  for (let frame = frames.next(); frame !== null; frame = frames.next()) {
    hasHole ||= frame.skippedBytes > 0;
    // A disk writes sectors in any order: until another append begins nobody was told that this one had succeeded.
    if (hasHole && frame.continues) continue;
    end = frame.end;
    if (hasHole) {
      hasHole = false;
      damaged = true;
      counts.corruptRecords++;
    }
    last = readRecord(frame.record, opener, counts);
    if (last === null) continue;
    if (damaged) counts.salvagedRecords++;
    if (last.type === "endOfCheckpoint" && checkpointBytes === 0) checkpointBytes = frame.end;
    state.apply(last);
  }
  if (frames.isExhausted) counts.corruptRecords++;
  counts.tornTailBytes = image.length - end;
  return { segment, state, counts, checkpointBytes, endsClean: last?.type === "clean" };
}

/** The record, or null with the reason counted. */
function readRecord(
  encoded: EncodedRecord,
  opener: Pick<Sealer, "open">,
  counts: Counts,
): JournalRecord | null {
  try {
    const record = decodeRecord(encoded, opener);
    if (record === null) counts.unknownRecords++;
    else counts.records++;
    return record;
  } catch (error) {
    if (error instanceof GodwitError && error.code === "ERR_JOURNAL_SEAL") counts.unopenedRecords++;
    else counts.corruptRecords++;
    return null;
  }
}

/** A complete checkpoint first, of those the newest; else most records, so that as much as possible is salvaged. */
function byPreference(a: Reading, b: Reading): number {
  const aComplete = a.checkpointBytes > 0;
  const bComplete = b.checkpointBytes > 0;
  if (aComplete !== bComplete) return aComplete ? -1 : 1;
  const byRecords = b.counts.records - a.counts.records;
  if (!aComplete && byRecords !== 0) return byRecords;
  return b.segment.header.generation - a.segment.header.generation;
}

function recoveryOf(chosen: Reading, survey: Survey, sealer: Sealer): JournalRecovery {
  const { segment, counts, checkpointBytes } = chosen;
  const { header, image } = segment;
  const usedOlderSegment = survey.own.some((own) => own.header.generation > header.generation);
  const incompleteCheckpoint = checkpointBytes === 0;
  const lossy = counts.corruptRecords > 0 || counts.unopenedRecords > 0;
  const damaged = usedOlderSegment || incompleteCheckpoint || lossy;
  const unsealed = sealer.sealsSecrets && !header.isSealed;
  // Behind a torn tail or damage, or beside a newer segment, an append would be lost or misread.
  const appendable =
    !damaged && !unsealed && counts.tornTailBytes === 0 && header.generation === survey.generation;
  return {
    state: chosen.state,
    generation: survey.generation,
    active: appendable ? { header, segmentBytes: image.length, checkpointBytes } : null,
    cleanStop: chosen.endsClean && counts.tornTailBytes === 0 && !damaged,
    report: {
      ...surveyReport(survey),
      ...counts,
      usedOlderSegment,
      incompleteCheckpoint,
      wrongKey: counts.unopenedRecords > 0 && counts.unopenedRecords === counts.sealedRecords,
      unsealed,
      damaged,
    },
  };
}

/** Nothing of ours, or nothing to read it with. */
function emptyRecovery(survey: Survey, locked: boolean): JournalRecovery {
  return {
    state: new JournalState(),
    generation: survey.generation,
    active: null,
    cleanStop: !locked && survey.segments === 0,
    report: { ...surveyReport(survey), locked },
  };
}

/** What the headers alone tell. */
function surveyReport(survey: Survey): JournalReport {
  return {
    locked: false,
    foreignDevice: survey.foreignDevice,
    newerVersion: survey.newerVersion,
    unreadableSegments: survey.unreadableSegments,
    usedOlderSegment: false,
    incompleteCheckpoint: false,
    staleSegment: survey.segments > 1,
    ...newCounts(),
    wrongKey: false,
    unsealed: false,
    damaged: survey.own.length === 0 && survey.unreadableSegments > 0,
  };
}

function newCounts(): Counts {
  return {
    records: 0,
    sealedRecords: 0,
    tornTailBytes: 0,
    corruptRecords: 0,
    salvagedRecords: 0,
    unknownRecords: 0,
    unopenedRecords: 0,
  };
}
