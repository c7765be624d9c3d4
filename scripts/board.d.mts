// SPDX-License-Identifier: MIT

/** What figures belong to; what the system does not tell is null. */
export interface Board {
  readonly schema: "godwit-bench/1";
  readonly [fact: string]: string | number | null;
}

export function nodeBoard(command: string): Board;

export function circumstances(command: string): {
  readonly command: string;
  readonly takenAt: string;
  readonly load: number;
};
