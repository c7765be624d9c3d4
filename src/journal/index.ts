// SPDX-License-Identifier: MIT
/**
 * The journal as the agent and its hosts use it: recover, fold, write. Pure.
 */
export {
  type ActiveSegment,
  type JournalRecovery,
  type JournalReport,
  type RecoveryOptions,
  recoverJournal,
} from "./journal.ts";
export type {
  ChoicesRecord,
  CleanRecord,
  CountersRecord,
  DeviceRecord,
  Freshness,
  HandledRecord,
  JournalRecord,
  MessageAttemptRecord,
  MessageDoneRecord,
  MessageRecord,
  NetworkRecord,
  NotificationClosedRecord,
  NotificationRecord,
  OwnerPermission,
  OwnerRecord,
  OwnerRemovedRecord,
  PendingForgetRecord,
  PendingUnregisterDoneRecord,
  PendingUnregisterRecord,
  RecordType,
  RunRecord,
  SubscriptionMode,
  SubscriptionRecord,
  SubscriptionRemovedRecord,
  SuspectRecord,
  UserAgentRecord,
  UserAgentRemovedRecord,
} from "./records.ts";
export { DEVICE_KEY_BYTES, keySealer, plainSealer, type Sealer } from "./seal.ts";
export { DEVICE_BINDING_BYTES, segmentGeneration } from "./segment.ts";
export { checkpointRecords, JournalState, messageKey } from "./state.ts";
export { JournalWriter, type JournalWriterOptions } from "./writer.ts";
