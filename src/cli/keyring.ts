// SPDX-License-Identifier: MIT
/** `godwit keyring`: the push service's sealing keys, and changing them while it runs. Secrets are never printed. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { hexEncode } from "../bytes.ts";
import { CommandError, EXIT } from "../configuration/exit.ts";
import { defaultStateDirectory, type OptionSpecs, type Options } from "../configuration/options.ts";
import {
  addKey,
  type Keyring,
  loadKeyring,
  removeKey,
  rotateKeyring,
  saveKeyring,
  useKey,
} from "../push-service/index.ts";
import type { Command } from "./command.ts";
import { confirm } from "./confirm.ts";
import type { Output } from "./output.ts";
import { nodeSurroundings } from "./surroundings.ts";

const OPTIONS: OptionSpecs = {
  state: {
    kind: "text",
    value: "DIR",
    help: "state directory of the push service (default ~/.local/state/godwit/push-service)",
  },
};

export const keyringCommand: Command = {
  summary: "sealing keys of the push service: which there are, and which one seals",
  positionals: "",
  options: OPTIONS,
  verbs: {
    rotate: verb(
      "",
      "add a new key and seal with it from now on; for a service of one process",
      rotateKeyring,
    ),
    add: verb("", "add a new key that only opens; first step for a fleet", addKey),
    use: verb("KEY", "seal with this key; second step, once every process has it", (keyring, options) =>
      useKey(keyring, requiredKey(options)),
    ),
    remove: {
      ...verb("KEY", "forget a key that does not seal any more: what it sealed is void", remove),
      options: {
        ...OPTIONS,
        yes: { kind: "flag", help: "do not ask whether it is meant", isFlagOnly: true },
      },
    },
  },
  async run(options, output) {
    tell(read(options).keyring, output);
  },
};

function verb(
  positionals: string,
  summary: string,
  change: (keyring: Keyring, options: Options, output: Output) => Keyring | Promise<Keyring>,
): Command {
  return {
    summary,
    positionals,
    options: OPTIONS,
    async run(options, output) {
      const { path, keyring } = read(options);
      const changed = await change(keyring, options, output);
      saveKeyring(path, changed);
      tell(changed, output);
      output.log("a running push service takes it at SIGHUP");
    },
  };
}

async function remove(keyring: Keyring, options: Options, output: Output): Promise<Keyring> {
  const key = requiredKey(options);
  const rest = removeKey(keyring, key);
  output.log(
    `what ${key} sealed is void without it: senders get 404 from endpoints that it sealed, and their devices are not told; a device whose ` +
      "uaToken it sealed comes back as a new one, and subscribes again; its Locations withdraw nothing",
  );
  if (!options.flag("yes")) await confirm(`Remove ${key} for good?`);
  return rest;
}

function requiredKey({ positionals }: Options): string {
  const [key] = positionals;
  if (key === undefined) throw new CommandError(EXIT.usage, "which key? godwit keyring lists them");
  return key;
}

/** Of a service that has run: a misspelt directory must not get a ring of its own. */
function read(options: Options): { path: string; keyring: Keyring } {
  const directory = options.text("state") ?? defaultStateDirectory(nodeSurroundings(), "push-service");
  const path = join(directory, "keys.json");
  if (!existsSync(path)) throw new CommandError(EXIT.config, `${path} is missing`);
  return { path, keyring: loadKeyring(path) };
}

function tell({ current, older }: Keyring, output: Output): void {
  const keys = [current, ...older].map(({ id }) => hexEncode(id));
  if (output.isJson) return output.json({ current: hexEncode(current.id), keys });
  for (const key of keys) output.line(`${key}${key === hexEncode(current.id) ? "  seals" : ""}`);
}
