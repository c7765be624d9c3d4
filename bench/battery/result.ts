// SPDX-License-Identifier: MIT
/** What one run of one algorithm through one scenario comes to. */

export interface RunResult {
  /** Radio wake-ups an hour. */
  readonly wakeH: number;
  readonly pingH: number;
  readonly bytesH: number;
  readonly joulesDay: number;
  readonly connsDay: number;
  /** Minutes a day without a working connection although there is a network and no portal. */
  readonly deafMinDay: number;
  /** Messages that never came before their TTL ended. */
  readonly lost: number;
  /** Messages later than a minute. */
  readonly late60: number;
  readonly networks: Readonly<Record<string, NetworkShare>>;
}

/** What one network had of a run, per day of the whole run. */
export interface NetworkShare {
  readonly joulesDay: number;
  readonly deafMinDay: number;
  /** The device kept a link there, and did not merely look in now and then. */
  readonly isHeld: boolean;
}

/** Only Godwit's runs know these. */
export interface GodwitResult extends RunResult {
  /** Main links a middlebox forgot while they were meant to be held, by network. */
  readonly natLosses: Readonly<Record<string, { readonly idleTimeoutS: number; readonly count: number }>>;
  /** The most wake-ups of its own making in any hour. */
  readonly clientWakesHourMax: number;
  /** The most looks at a captive portal, dials and probes, in any 12 hours. */
  readonly probes12hMax: number;
  /** Radio wake-ups while there was no network. */
  readonly wakesWithoutNetwork: number;
  /** Appends and checkpoints after set-up, and during it. */
  readonly journalWrites: number;
  readonly setUpJournalWrites: number;
  /** Seconds from the start until the first network was known, or null. */
  readonly learnedAfterS: number | null;
}
