// SPDX-License-Identifier: MIT
/** The apps that were given a token: `apps.json` of the state directory. Of tokens only the SHA-256 is kept. One change at a time. */

import { isOwner } from "../agent/owner.ts";
import type { InstalledApp } from "../apps/protocol.ts";
import { GodwitError } from "../errors.ts";
import { INSTALLED_APPS_MAX } from "../limits.ts";
import type { Platform, PrivateFiles } from "./platform.ts";
import { digestOf, isSame, newToken } from "./tokens.ts";

interface Entry extends InstalledApp {
  /** SHA-256, base64url. */
  readonly tokenDigest: string;
}

const FILE = "apps.json";

export interface InstalledAppsOptions {
  /** Of the state directory. */
  readonly files: PrivateFiles;
  readonly platform: Pick<Platform, "provider" | "randomFill">;
}

export class InstalledApps {
  readonly #options: InstalledAppsOptions;
  /** Compared with where nobody is installed, so that it takes as long. */
  readonly #nobody: string;
  #apps: ReadonlyMap<string, Entry>;
  /** The disk has what memory has. */
  #isSaved = true;

  private constructor(options: InstalledAppsOptions, apps: readonly Entry[]) {
    this.#options = options;
    this.#nobody = digestOf(options.platform.provider, "");
    this.#apps = new Map(apps.map((app) => [app.owner, app]));
  }

  /** @throws {GodwitError} ERR_CONFIG when the file is none of ours or readable by others, ERR_JOURNAL_IO */
  static async open(options: InstalledAppsOptions): Promise<InstalledApps> {
    const text = await options.files.read(FILE);
    return new InstalledApps(options, text === null ? [] : parseApps(text, options.files.path(FILE)));
  }

  list(): InstalledApp[] {
    return [...this.#apps.values()].map(({ owner, start, tokenFile }) => ({ owner, start, tokenFile }));
  }

  get(owner: string): InstalledApp | null {
    return this.#apps.get(owner) ?? null;
  }

  /** Takes as long for an app that is not there. */
  isToken(owner: string, token: string): boolean {
    const known = this.#apps.get(owner);
    const { provider } = this.#options.platform;
    const isRight = isSame(provider, digestOf(provider, token), known?.tokenDigest ?? this.#nobody);
    return isRight && known !== undefined;
  }

  /**
   * A new token for the app, the only one that is good from now on.
   *
   * @throws {GodwitError} ERR_OPTION when there are too many, ERR_JOURNAL_FULL, ERR_JOURNAL_IO: then nothing has changed
   */
  async install({ owner, start, tokenFile }: InstalledApp): Promise<string> {
    const { provider, randomFill } = this.#options.platform;
    const token = newToken(randomFill);
    const entry = { owner, start, tokenFile, tokenDigest: digestOf(provider, token) };
    const next = new Map(this.#apps).set(owner, entry);
    if (next.size > INSTALLED_APPS_MAX)
      throw new GodwitError("ERR_OPTION", `there are ${INSTALLED_APPS_MAX} apps already`);
    await this.#save(next);
    this.#apps = next;
    return token;
  }

  /**
   * Its token is good no more.
   *
   * @throws {GodwitError} ERR_JOURNAL_FULL, ERR_JOURNAL_IO: it holds until the agent ends, and is written down with the next change
   */
  uninstall(owner: string): Promise<void> {
    return this.#keep(([other]) => other !== owner);
  }

  /** Likewise of all. */
  uninstallAll(): Promise<void> {
    return this.#keep(() => false);
  }

  /** Taking away works without a disk, too. */
  async #keep(isKept: (app: readonly [string, Entry]) => boolean): Promise<void> {
    const next = new Map([...this.#apps].filter(isKept));
    if (next.size === this.#apps.size && this.#isSaved) return;
    this.#apps = next;
    await this.#save(next);
  }

  async #save(apps: ReadonlyMap<string, Entry>): Promise<void> {
    this.#isSaved = false;
    await this.#options.files.write(FILE, `${JSON.stringify({ apps: [...apps.values()] }, null, 2)}\n`);
    this.#isSaved = true;
  }
}

function parseApps(text: string, path: string): Entry[] {
  const damaged = () =>
    new GodwitError("ERR_CONFIG", `${path} is damaged: remove it and install the apps again`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw damaged();
  }
  const apps = (parsed as { apps?: unknown } | null)?.apps;
  if (!Array.isArray(apps) || !apps.every(isEntry)) throw damaged();
  return apps;
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== "object" || value === null) return false;
  const { owner, start, tokenFile, tokenDigest } = value as Readonly<Record<string, unknown>>;
  const isCommand =
    Array.isArray(start) && start.length > 0 && start.every((part) => typeof part === "string");
  return (
    typeof owner === "string" &&
    isOwner(owner) &&
    (start === null || isCommand) &&
    (tokenFile === null || typeof tokenFile === "string") &&
    typeof tokenDigest === "string"
  );
}
