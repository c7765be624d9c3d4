// SPDX-License-Identifier: MIT
/** What firmware-bridge/src/api_config.c makes of `struct godwit_config`. */

import { flag, type Reader, type Readers, SCRIPT_OPTIONS, type ScriptOptions, texts } from "./options.ts";

/** More callbacks than godwit.h has. */
const CALLBACKS_MAX = 64;

export interface EmbeddingOptions extends ScriptOptions {
  /** Power and network raise the least urgency. */
  readonly urgencyByPower: boolean;
  /** Names of those the program has. */
  readonly callbacks: readonly string[];
  /** Of a program with a script of its own, which reads it. */
  readonly program: unknown;
}

const anything: Reader<unknown> = {
  fallback: null,
  expected: "anything",
  isGood: (value): value is unknown => value !== undefined,
};

export const EMBEDDING_OPTIONS: Readers<EmbeddingOptions> = {
  ...SCRIPT_OPTIONS,
  urgencyByPower: flag(false),
  callbacks: texts([], CALLBACKS_MAX),
  program: anything,
};
