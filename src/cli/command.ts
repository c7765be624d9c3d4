// SPDX-License-Identifier: MIT
/** What a command is. */

import type { OptionSpecs, Options } from "../configuration/options.ts";
import type { Output } from "./output.ts";

export interface Command {
  /** One line of the overview. */
  readonly summary: string;
  /** Placeholders of the positional arguments, "" for none: `OWNER [WORD]`, `[TEXT…]`. */
  readonly positionals: string;
  readonly options: OptionSpecs;
  /** Commands behind the name of this one: `godwit apps install`. */
  readonly verbs?: Readonly<Record<string, Command>>;
  /** Resolves when done; throws a CommandError or GodwitError otherwise. */
  run(options: Options, output: Output): Promise<void>;
}
