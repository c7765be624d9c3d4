// SPDX-License-Identifier: MIT
/**
 * What proves who somebody at the app socket is: the files `admin.token`, `shell.token` and `page.key` of the state
 * directory, and what is derived from them. Tokens of apps are kept by {@link InstalledApps}.
 */

import { GodwitError } from "../errors.ts";
import { DASHBOARD_CODE_MS_MAX, DASHBOARD_CODES_MAX, DASHBOARD_SESSION_MS_MAX } from "../limits.ts";
import type { Platform, PrivateFiles } from "./platform.ts";
import { digestOf, hmacText, isSame, newToken, randomText } from "./tokens.ts";

export const ADMIN_TOKEN_FILE = "admin.token";
export const SHELL_TOKEN_FILE = "shell.token";
const PAGE_KEY_FILE = "page.key";
/** 256 bits as unpadded base64url. */
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
/** Makes one session another than the next that ends in the same millisecond. */
const SESSION_SALT_BYTES = 16;

export interface CredentialsOptions {
  /** Of the state directory. */
  readonly files: PrivateFiles;
  readonly platform: Pick<Platform, "epochMs" | "provider" | "randomFill">;
  /** Another one after each boot of the machine. */
  readonly bootId: string;
}

/** What shows that a page has a secret, which is never sent. */
export interface Proof {
  /** base64url of HMAC-SHA-256 by the secret, as text, over challenge, a zero byte and agentOrigin. */
  readonly proof: string;
  /** What this connection was challenged with. */
  readonly challenge: string;
  /** `http://HOST:PORT` under which this connection reached the agent. */
  readonly agentOrigin: string;
}

export class Credentials {
  readonly #options: CredentialsOptions;
  readonly #adminToken: string;
  readonly #shellToken: string;
  #pageKey: string;
  /** Codes of dashboard links that were not used yet, oldest first, and when they end. */
  readonly #codes = new Map<string, number>();

  private constructor(options: CredentialsOptions, admin: string, shell: string, page: string) {
    this.#options = options;
    this.#adminToken = admin;
    this.#shellToken = shell;
    this.#pageKey = page;
  }

  /**
   * Reads the files; makes those that are missing.
   *
   * @throws {GodwitError} ERR_CONFIG for one that others may read or that is none of ours, ERR_JOURNAL_FULL, ERR_JOURNAL_IO
   */
  static async open(options: CredentialsOptions): Promise<Credentials> {
    const names = [ADMIN_TOKEN_FILE, SHELL_TOKEN_FILE, PAGE_KEY_FILE];
    const [admin = "", shell = "", page = ""] = await Promise.all(
      names.map((name) => tokenFrom(options, name)),
    );
    return new Credentials(options, admin, shell, page);
  }

  isAdminToken(token: string): boolean {
    return this.#isSame(token, this.#adminToken);
  }

  isShellToken(token: string): boolean {
    return this.#isSame(token, this.#shellToken);
  }

  /** What a shell injects into the page of `owner`: the same until the machine boots again. */
  pageSecret(owner: string): string {
    return this.#hmac(this.#pageKey, `${this.#options.bootId}\0${owner}`);
  }

  /** What the numbers that `owner` sees are made with: the same until a factory reset. */
  idsKey(owner: string): string {
    return this.#hmac(this.#pageKey, `ids\0${owner}`);
  }

  /** True when the page of `owner` proved its secret. */
  isPage(owner: string, proof: Proof): boolean {
    return this.#isProof(proof, this.pageSecret(owner));
  }

  /** From now on all pages need new secrets. */
  async renewPageKey(): Promise<void> {
    const { files, platform } = this.#options;
    this.#pageKey = newToken(platform.randomFill);
    await files.write(PAGE_KEY_FILE, `${this.#pageKey}\n`);
  }

  /** For a dashboard link: works once, within {@link DASHBOARD_CODE_MS_MAX}. */
  newDashboardCode(): string {
    const { platform } = this.#options;
    const code = newToken(platform.randomFill);
    this.#codes.set(digestOf(platform.provider, code), platform.epochMs() + DASHBOARD_CODE_MS_MAX);
    for (const oldest of this.#codes.keys()) {
      if (this.#codes.size <= DASHBOARD_CODES_MAX) break;
      this.#codes.delete(oldest);
    }
    return code;
  }

  /** A session, `CLAIMS.KEY`, for a code, which is used up; null for one that is none, or no longer. */
  useDashboardCode(code: string): { readonly session: string; readonly endEpochMs: number } | null {
    const { platform } = this.#options;
    const digest = digestOf(platform.provider, code);
    const codeEndEpochMs = this.#codes.get(digest);
    this.#codes.delete(digest);
    if (codeEndEpochMs === undefined || codeEndEpochMs < platform.epochMs()) return null;
    const endEpochMs = platform.epochMs() + DASHBOARD_SESSION_MS_MAX;
    const claims = `${endEpochMs}.${randomText(platform.randomFill, SESSION_SALT_BYTES)}`;
    return { session: `${claims}.${this.#sessionKey(claims)}`, endEpochMs };
  }

  /** When the session whose key was proved ends, ms since 1970; null for one that is none, or no longer. */
  sessionEndEpochMs(claims: string, proof: Proof): number | null {
    const isGenuine = this.#isProof(proof, this.#sessionKey(claims));
    const endEpochMs = Number(claims.split(".", 1)[0]);
    return isGenuine && endEpochMs > this.#options.platform.epochMs() ? endEpochMs : null;
  }

  /** Survives a restart of the agent, since nothing of it is kept. */
  #sessionKey(claims: string): string {
    return this.#hmac(this.#adminToken, `session\0${claims}`);
  }

  #isProof({ proof, challenge, agentOrigin }: Proof, secret: string): boolean {
    return this.#isSame(proof, this.#hmac(secret, `${challenge}\0${agentOrigin}`));
  }

  #isSame(given: string, known: string): boolean {
    return isSame(this.#options.platform.provider, given, known);
  }

  #hmac(key: string, text: string): string {
    return hmacText(this.#options.platform.provider, key, text);
  }
}

async function tokenFrom({ files, platform }: CredentialsOptions, name: string): Promise<string> {
  const text = await files.read(name);
  if (text === null) {
    const token = newToken(platform.randomFill);
    await files.write(name, `${token}\n`);
    return token;
  }
  const token = text.trim();
  if (!TOKEN.test(token))
    throw new GodwitError("ERR_CONFIG", `${files.path(name)} does not hold a token: remove it`);
  return token;
}
