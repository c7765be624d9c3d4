// SPDX-License-Identifier: MIT
/**
 * Who a peer of the app socket is: checks what its `hello` proves, and keeps count. A refusal says nothing of what there is:
 * whatever was wrong, it is the same, and no answer is looked up that only a known owner has.
 */

import { CLOSE_REFUSED } from "../apps/protocol.ts";
import { GodwitError } from "../errors.ts";
import {
  ADMIN_CONNECTIONS_MAX,
  APP_CONNECTIONS_MAX,
  APP_CONNECTIONS_PER_OWNER_MAX,
  APP_PROOF_CHARS_MAX,
  APP_REQUESTS_BURST_MAX,
  APP_REQUESTS_PER_SECOND_MAX,
  OWNER_CHARS_MAX,
  SHELL_CONNECTIONS_MAX,
} from "../limits.ts";
import { AdminSession, type AdminSessionOptions } from "./admin-session.ts";
import type { AppConnection, Session } from "./app-connection.ts";
import { AppSession } from "./app-session.ts";
import type { Arrival } from "./app-socket.ts";
import type { Credentials, Proof } from "./credentials.ts";
import type { InstalledApps } from "./installed-apps.ts";
import { OwnerIds } from "./owner-ids.ts";
import type { Platform } from "./platform.ts";
import type { RequestMembers } from "./request-members.ts";
import { ShellSession } from "./shell-session.ts";
import type { Shells } from "./shells.ts";
import { TokenBucket } from "./token-bucket.ts";

const ROLES = ["app", "page", "shell", "admin"] as const;

type AdminParts = Pick<
  AdminSessionOptions,
  "userAgent" | "platform" | "installations" | "pages" | "testPush" | "dashboardLink"
>;

export interface DoorkeeperOptions extends AdminParts {
  readonly platform: Platform;
  readonly credentials: Credentials;
  readonly apps: InstalledApps;
  readonly shells: Shells;
  readonly shellOrigins: ReadonlySet<string>;
  /** True for an origin whose pages may come. */
  readonly isPageOwner: (owner: string) => boolean;
  /** An app attached. */
  readonly handleAttached: (owner: string) => void;
}

/** A peer, and what it was challenged with, if it was. */
type Challenged = Arrival & { readonly challenge: string | null };

/** An owner that was here: how fast it may ask, over all its connections. */
interface Guest {
  readonly connections: Set<AppConnection>;
  readonly bucket: TokenBucket;
}

export class Doorkeeper {
  readonly #options: DoorkeeperOptions;
  readonly #guests = new Map<string, Guest>();
  readonly #shells = new Set<AppConnection>();
  readonly #admins = new Set<AppConnection>();

  constructor(options: DoorkeeperOptions) {
    this.#options = options;
  }

  /**
   * The session of whoever said `hello`, or null.
   *
   * @throws {GodwitError} ERR_APP_BUSY for one that proved who it is, where there are too many of its kind
   */
  greet(hello: RequestMembers, connection: AppConnection, arrival: Challenged): Session | null {
    const session = this.#sessionOf(hello, connection, arrival);
    if (session !== null) arrival.settle();
    return session;
  }

  /** Ends the connections for `owner`, or with null those of all apps and pages, whose secrets are others now. */
  disconnect(owner: string | null): void {
    if (owner === null) this.#options.shells.handleSecretsRenewed();
    for (const [guest, { connections }] of this.#guests) {
      if (owner !== null && guest !== owner) continue;
      for (const connection of [...connections]) connection.close(CLOSE_REFUSED);
    }
  }

  #sessionOf(hello: RequestMembers, connection: AppConnection, arrival: Challenged): Session | null {
    const role = hello.oneOf("role", ROLES);
    switch (role) {
      case "app":
      case "page": {
        const owner = hello.text("owner", OWNER_CHARS_MAX);
        const isProved =
          role === "app" ? this.#isApp(owner, hello, arrival) : this.#isPage(owner, hello, arrival);
        return isProved ? this.#appSession(owner, connection) : null;
      }
      case "shell": {
        const isToken = this.#options.credentials.isShellToken(hello.text("token", APP_PROOF_CHARS_MAX));
        const { origin } = arrival;
        const isPlace = origin === null || this.#options.shellOrigins.has(origin);
        return isToken && isPlace ? this.#shellSession(connection) : null;
      }
      case "admin":
        return this.#adminSession(hello, connection, arrival);
    }
  }

  /** A browser adds an `Origin` always: a token that got into a page is of no use there. */
  #isApp(owner: string, hello: RequestMembers, { origin }: Arrival): boolean {
    return this.#options.apps.isToken(owner, hello.text("token", APP_PROOF_CHARS_MAX)) && origin === null;
  }

  /** The `Origin` alone proves nothing, since on loopback any program can claim one; the secret alone does not say which page. */
  #isPage(owner: string, hello: RequestMembers, arrival: Challenged): boolean {
    const { credentials, isPageOwner } = this.#options;
    const proof = proofFrom(hello, arrival);
    return (
      proof !== null && credentials.isPage(owner, proof) && arrival.origin === owner && isPageOwner(owner)
    );
  }

  #appSession(owner: string, connection: AppConnection): Session {
    const { userAgent, platform, credentials, handleAttached } = this.#options;
    const guest = this.#guestOf(owner);
    const count = [...this.#guests.values()].reduce((sum, { connections }) => sum + connections.size, 0);
    if (guest.connections.size >= APP_CONNECTIONS_PER_OWNER_MAX || count >= APP_CONNECTIONS_MAX) throw busy();
    guest.connections.add(connection);
    return new AppSession({
      userAgent,
      owner,
      ids: new OwnerIds(credentials.idsKey(owner), platform.provider),
      connection,
      bucket: guest.bucket,
      handleAttached: () => handleAttached(owner),
      handleClosed: () => guest.connections.delete(connection),
    });
  }

  /** An owner that comes again finds the bucket it left, as long as not too many came in between. */
  #guestOf(owner: string): Guest {
    const guest = this.#guests.get(owner) ?? { connections: new Set(), bucket: this.#newBucket() };
    this.#guests.delete(owner);
    this.#guests.set(owner, guest);
    for (const [other, { connections }] of this.#guests) {
      if (this.#guests.size <= APP_CONNECTIONS_MAX) break;
      if (connections.size === 0 && other !== owner) this.#guests.delete(other);
    }
    return guest;
  }

  #shellSession(connection: AppConnection): Session {
    const { userAgent, platform, shells, pages } = this.#options;
    if (this.#shells.size >= SHELL_CONNECTIONS_MAX) throw busy();
    this.#shells.add(connection);
    const handleClosed = () => this.#shells.delete(connection);
    return new ShellSession({
      ...{ userAgent, platform, shells, pages, connection },
      bucket: this.#newBucket(),
      handleClosed,
    });
  }

  #adminSession(hello: RequestMembers, connection: AppConnection, arrival: Challenged): Session | null {
    const proof = this.#adminProof(hello, arrival);
    if (proof === null) return null;
    if (this.#admins.size >= ADMIN_CONNECTIONS_MAX) throw busy();
    this.#admins.add(connection);
    const { userAgent, platform, installations, pages, testPush, dashboardLink } = this.#options;
    const handleClosed = () => this.#admins.delete(connection);
    return new AdminSession({
      ...{ userAgent, platform, installations, pages, testPush, dashboardLink },
      ...proof,
      connection,
      handleClosed,
    });
  }

  #newBucket(): TokenBucket {
    const nowMs = this.#options.platform.monotonicMs();
    return new TokenBucket(APP_REQUESTS_BURST_MAX, APP_REQUESTS_PER_SECOND_MAX, nowMs);
  }

  /** The token is for programs, code and session for the page we served ourselves. */
  #adminProof(
    hello: RequestMembers,
    arrival: Challenged,
  ): Pick<AdminSessionOptions, "greeting" | "endEpochMs"> | null {
    const { credentials } = this.#options;
    const { origin, ownOrigin } = arrival;
    const [token, code, claims] = (["token", "code", "claims"] as const).map((name) =>
      hello.textOrNull(name, APP_PROOF_CHARS_MAX),
    );
    if (token != null)
      return origin === null && credentials.isAdminToken(token) ? { greeting: {}, endEpochMs: null } : null;
    if (origin === null || origin !== ownOrigin) return null;
    if (code != null) {
      const entry = credentials.useDashboardCode(code);
      return entry === null ? null : { greeting: { session: entry.session }, endEpochMs: entry.endEpochMs };
    }
    const proof = proofFrom(hello, arrival);
    if (claims == null || proof === null) return null;
    const endEpochMs = credentials.sessionEndEpochMs(claims, proof);
    return endEpochMs === null ? null : { greeting: {}, endEpochMs };
  }
}

/** Null where there was no challenge, or no port that could be somebody else's. */
function proofFrom(hello: RequestMembers, { ownOrigin, challenge }: Challenged): Proof | null {
  if (challenge === null || ownOrigin === null) return null;
  return { proof: hello.text("proof", APP_PROOF_CHARS_MAX), challenge, agentOrigin: ownOrigin };
}

/** Only for who proved who it is: others are refused before. */
function busy(): GodwitError {
  return new GodwitError("ERR_APP_BUSY", "there are too many connections of this kind");
}
