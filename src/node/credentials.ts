// SPDX-License-Identifier: MIT
/**
 * What proves who somebody at the app socket is: the files `admin.token`, `shell.token` and `page.key` of the state
 * directory, and what is derived from them. Tokens of apps are kept by {@link InstalledApps}.
 */

import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GodwitError } from "../errors.ts";
import { DASHBOARD_CODE_MS_MAX, DASHBOARD_CODES_MAX, DASHBOARD_SESSION_MS_MAX } from "../limits.ts";
import { readPrivateFile, writePrivateFile } from "./private-file.ts";

export const ADMIN_TOKEN_FILE = "admin.token";
export const SHELL_TOKEN_FILE = "shell.token";
const PAGE_KEY_FILE = "page.key";
/** 256 bits as unpadded base64url. */
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

export interface CredentialsOptions {
  readonly directory: string;
  /** Wall clock, ms since 1970. */
  readonly epochMs?: () => number;
  /** Another one after each boot of the machine. */
  readonly bootId?: string;
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
  readonly #directory: string;
  readonly #epochMs: () => number;
  readonly #bootId: string;
  readonly #adminToken: string;
  readonly #shellToken: string;
  #pageKey: string;
  /** Codes of dashboard links that were not used yet, oldest first, and when they end. */
  readonly #codes = new Map<string, number>();

  private constructor(options: CredentialsOptions, admin: string, shell: string, page: string) {
    const { directory, epochMs = Date.now, bootId = systemBootId() } = options;
    this.#directory = directory;
    this.#epochMs = epochMs;
    this.#bootId = bootId;
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
    const files = [ADMIN_TOKEN_FILE, SHELL_TOKEN_FILE, PAGE_KEY_FILE];
    const [admin = "", shell = "", page = ""] = await Promise.all(
      files.map((name) => tokenFrom(join(options.directory, name))),
    );
    return new Credentials(options, admin, shell, page);
  }

  isAdminToken(token: string): boolean {
    return isSame(token, this.#adminToken);
  }

  isShellToken(token: string): boolean {
    return isSame(token, this.#shellToken);
  }

  /** What a shell injects into the page of `owner`: the same until the machine boots again. */
  pageSecret(owner: string): string {
    return createHmac("sha256", this.#pageKey).update(`${this.#bootId}\0${owner}`).digest("base64url");
  }

  /** What the numbers that `owner` sees are made with: the same until a factory reset. */
  idsKey(owner: string): string {
    return createHmac("sha256", this.#pageKey).update(`ids\0${owner}`).digest("base64url");
  }

  /** True when the page of `owner` proved its secret. */
  isPage(owner: string, proof: Proof): boolean {
    return isProof(proof, this.pageSecret(owner));
  }

  /** From now on all pages need new secrets. */
  async renewPageKey(): Promise<void> {
    this.#pageKey = newToken();
    await writePrivateFile(join(this.#directory, PAGE_KEY_FILE), `${this.#pageKey}\n`);
  }

  /** For a dashboard link: works once, within {@link DASHBOARD_CODE_MS_MAX}. */
  newDashboardCode(): string {
    const code = newToken();
    this.#codes.set(digestOf(code), this.#epochMs() + DASHBOARD_CODE_MS_MAX);
    for (const oldest of this.#codes.keys()) {
      if (this.#codes.size <= DASHBOARD_CODES_MAX) break;
      this.#codes.delete(oldest);
    }
    return code;
  }

  /** A session, `CLAIMS.KEY`, for a code, which is used up; null for one that is none, or no longer. */
  useDashboardCode(code: string): { readonly session: string; readonly endEpochMs: number } | null {
    const digest = digestOf(code);
    const codeEndEpochMs = this.#codes.get(digest);
    this.#codes.delete(digest);
    if (codeEndEpochMs === undefined || codeEndEpochMs < this.#epochMs()) return null;
    const endEpochMs = this.#epochMs() + DASHBOARD_SESSION_MS_MAX;
    const claims = `${endEpochMs}.${randomBytes(16).toString("base64url")}`;
    return { session: `${claims}.${this.#sessionKey(claims)}`, endEpochMs };
  }

  /** When the session whose key was proved ends, ms since 1970; null for one that is none, or no longer. */
  sessionEndEpochMs(claims: string, proof: Proof): number | null {
    const isGenuine = isProof(proof, this.#sessionKey(claims));
    const endEpochMs = Number(claims.split(".", 1)[0]);
    return isGenuine && endEpochMs > this.#epochMs() ? endEpochMs : null;
  }

  /** Survives a restart of the agent, since nothing of it is kept. */
  #sessionKey(claims: string): string {
    return createHmac("sha256", this.#adminToken).update(`session\0${claims}`).digest("base64url");
  }
}

/** 256 random bits as base64url, 43 characters. */
export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

/** SHA-256 as base64url: all that is kept of a token. */
export function digestOf(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}

/** Takes the same time whatever differs, and however long `given` is beyond hashing it. */
export function isSame(given: string, known: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(given), hash(known));
}

function isProof({ proof, challenge, agentOrigin }: Proof, secret: string): boolean {
  const hmac = createHmac("sha256", secret).update(`${challenge}\0${agentOrigin}`);
  return isSame(proof, hmac.digest("base64url"));
}

async function tokenFrom(path: string): Promise<string> {
  const text = await readPrivateFile(path);
  if (text === null) {
    const token = newToken();
    await writePrivateFile(path, `${token}\n`);
    return token;
  }
  const token = text.trim();
  if (!TOKEN.test(token)) throw new GodwitError("ERR_CONFIG", `${path} does not hold a token: remove it`);
  return token;
}

/** Where the system has none, each run counts as a boot. */
function systemBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return newToken();
  }
}
