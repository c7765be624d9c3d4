// SPDX-License-Identifier: MIT
/** Every algorithm Godwit is held against. */
import { conversations } from "./conversations.ts";
import { firefox } from "./firefox.ts";
import { fxos } from "./fxos.ts";
import { gcm } from "./gcm.ts";
import { homeAssistant } from "./home-assistant.ts";
import { mars } from "./mars.ts";
import { microg } from "./microg.ts";
import { ntfy, ntfyOld, ntfyTuned } from "./ntfy.ts";
import { oracle } from "./oracle.ts";
import { signal } from "./signal.ts";
import { telegram } from "./telegram.ts";

export const ALGORITHMS = [
  oracle,
  ntfyOld,
  ntfy,
  ntfyTuned,
  homeAssistant,
  signal,
  telegram,
  conversations,
  firefox,
  gcm,
  fxos,
  microg,
  mars,
];
