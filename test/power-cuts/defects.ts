// SPDX-License-Identifier: MIT
/** Deliberate defects of the journal, put into the sources one at a time: proof that the cuts can fail. docs/power-cuts.md lists them. */

import type { Mutation } from "../../scripts/simulation.mjs";

/** With what has to be said of it. */
export interface Defect extends Mutation {
  readonly wrong: RegExp;
}

export const DEFECTS: readonly Defect[] = [
  {
    name: "skipped fsync",
    file: "src/user-agent/journal-directory.ts",
    find: "    await active.handle.datasync();\n",
    replace: "",
    wrong: /found what cannot be: .* is missing/,
  },
  {
    name: "rename before sync",
    file: "src/user-agent/journal-directory.ts",
    find: "      await handle.sync();\n      await this.#fileSystem.rename(path, this.#slotPath(slot));\n",
    replace: "      await this.#fileSystem.rename(path, this.#slotPath(slot));\n      await handle.sync();\n",
    wrong: /a power cut passes for damage|found what cannot be/,
  },
  {
    name: "a compaction that drops",
    file: "src/journal/state.ts",
    find: "records.push(...state.messages.values(), ...state.notifications.values());",
    replace: "records.push(...state.notifications.values());",
    wrong: /found what cannot be: .*message .* is missing/,
  },
  {
    name: "the old segment removed before the new one is there",
    file: "src/user-agent/journal-directory.ts",
    find: "      await this.#syncDirectory();\n      await unlinkIfThere(",
    replace: "      await unlinkIfThere(",
    wrong: /found what cannot be/,
  },
  {
    name: "the old segment left there",
    file: "src/user-agent/journal-directory.ts",
    find: "      await unlinkIfThere(this.#fileSystem, this.#slotPath(slot === 0 ? 1 : 0));\n",
    replace: "",
    wrong: /what was ended is still on the flash/,
  },
  // What the cuts found, and is mended.
  {
    name: "a hole in what was being appended passes for damage",
    file: "src/journal/journal.ts",
    find: "    if (hasHole && frame.continues) continue;\n",
    replace: "",
    wrong: /found what cannot be|a power cut passes for damage/,
  },
  {
    name: "a start relies on what is in the cache alone",
    file: "src/user-agent/journal-directory.ts",
    find: "      await this.#active.handle.datasync();\n",
    replace: "",
    wrong: /found what cannot be/,
  },
];
