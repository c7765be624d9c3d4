// SPDX-License-Identifier: MIT
/** `createUserAgent`: the user agent on Node, with apps in the same process. */

import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { isOwner } from "../agent/owner.ts";
import { GodwitError } from "../errors.ts";
import type { Seat } from "../user-agent/app-peers.ts";
import { type Display, TerminalDisplay } from "../user-agent/display.ts";
import type { JournalStorage } from "../user-agent/journal-directory.ts";
import { readServiceUrl } from "../user-agent/service-urls.ts";
import { type StartOptions, startUserAgentAs } from "../user-agent/start.ts";
import { notAnOwner, UserAgent as PortableUserAgent } from "../user-agent/user-agent.ts";
import type { CryptoProvider } from "../webpush/crypto.ts";
import { AppHandle } from "./app-handle.ts";
import { JournalFiles } from "./journal-files.ts";
import { NodeMachine } from "./machine.ts";
import { createNodePlatform } from "./platform.ts";
import { checkProxy } from "./proxy.ts";

export interface UserAgentOptions extends Omit<StartOptions, "deviceId" | "display" | "jitter"> {
  /** Where the journal lives; made with mode 0700. */
  readonly stateDirectory: string;
  /** PEM certificates trusted besides the system's: a development service's CA. */
  readonly ca?: string | null;
  /** Where notifications go, besides what {@link UserAgent.addDisplay} adds; null for nowhere. Default: lines on stdout. */
  readonly display?: Display | null;
  /** Default: node:crypto. */
  readonly provider?: CryptoProvider;
  /** Names the device, so that a copied journal is recognised. Default: the machine id. */
  readonly deviceId?: string;
  /** A number in [0, 1) that spreads reconnects and renewals; default Math.random. */
  readonly jitter?: () => number;
  /** Default true; false where the wall clock may be wrong. */
  readonly epochTrusted?: boolean;
  /** Another place for the journal than files; the agent closes it. */
  readonly journal?: JournalStorage;
}

/**
 * Starts a user agent. Networks are followed on Linux with iproute2.
 *
 * @throws {GodwitError} ERR_CONFIG for options that cannot work, ERR_JOURNAL_IN_USE when another agent has the
 *   directory, ERR_JOURNAL_IO when it cannot be used
 */
export async function createUserAgent(options: UserAgentOptions): Promise<UserAgent> {
  checkOptions(options);
  const { stateDirectory, ca = null, provider, epochTrusted, journal, ...shared } = options;
  const platform = createNodePlatform({
    ...(provider === undefined ? {} : { provider }),
    ...(epochTrusted === undefined ? {} : { epochTrusted }),
  });
  return startUserAgentAs(
    UserAgent,
    {
      ...shared,
      deviceId: options.deviceId ?? machineId(),
      jitter: options.jitter ?? Math.random,
      display: options.display === undefined ? terminal() : options.display,
    },
    platform,
    (dispatch, fault) => new NodeMachine({ ca, now: () => platform.now(), dispatch, fault }),
    () => journal ?? JournalFiles.open({ directory: stateDirectory }),
  );
}

/** The user agent for programs, and for the app socket. */
export class UserAgent extends PortableUserAgent {
  readonly #apps = new Map<string, AppHandle>();

  /**
   * The app `owner`, a web origin or an app id in lower case; the same handle each time.
   *
   * @throws {GodwitError} ERR_OWNER
   */
  app(owner: string): AppHandle {
    const known = this.#apps.get(owner);
    if (known !== undefined) return known;
    if (!isOwner(owner)) throw notAnOwner();
    let seat: Seat | null = null;
    const handle: AppHandle = new AppHandle(owner, {
      request: (request) => this.request(owner, request),
      attach: (handlesPush) => seat?.attach(handlesPush),
    });
    seat = this.join(owner, handle);
    this.#apps.set(owner, handle);
    return handle;
  }
}

function terminal(): Display {
  return new TerminalDisplay((line) => process.stdout.write(`${line}\n`));
}

/** What only Node's options can have wrong; the rest is looked at when the agent starts. */
function checkOptions({ serviceUrl, stateDirectory, ca, journal }: UserAgentOptions): void {
  checkProxy(readServiceUrl(serviceUrl));
  const problem =
    journal === undefined && (typeof stateDirectory !== "string" || stateDirectory === "")
      ? "stateDirectory must name a directory"
      : ca && !ca.includes("-----BEGIN CERTIFICATE-----")
        ? "ca must hold PEM certificates"
        : null;
  if (problem !== null) throw new GodwitError("ERR_CONFIG", problem);
}

/** systemd's machine id where there is one, else the host name. */
export function machineId(): string {
  try {
    return readFileSync("/etc/machine-id", "utf8").trim() || hostname();
  } catch {
    return hostname();
  }
}
