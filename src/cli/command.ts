// SPDX-License-Identifier: MIT
/** What a command is. */

import type { OptionSpecs, Options } from "./options.ts";
import type { Output } from "./output.ts";

export interface Command {
  /** One line of the overview. */
  readonly summary: string;
  /** Placeholders of the positional arguments, "" for none. */
  readonly positionals: string;
  readonly options: OptionSpecs;
  /** Resolves when done; throws a CommandError or GodwitError otherwise. */
  run(options: Options, output: Output): Promise<void>;
}
