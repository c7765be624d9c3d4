// SPDX-License-Identifier: MIT
/** The policy file of a kiosk (SPEC.md, "Policy file"): who may push without asking, and which pages and links are trusted. */

import { isOwner } from "../agent/owner.ts";
import { defaultSilentPushMax } from "../agent/silent-budget.ts";
import { resolveUrl } from "../declarative/url.ts";
import { POLICY_ORIGINS_MAX, POLICY_OWNERS_MAX, POLICY_SILENT_PUSHES_MAX } from "../limits.ts";
import { CommandError, EXIT } from "./exit.ts";
import { readTextFile, type Surroundings } from "./options.ts";

export const PRESETS = ["granted", "denied", "ask"] as const;
/** "ask": a person decides, through a shell, the dashboard or the command line. */
export type Preset = (typeof PRESETS)[number];

/** For one owner; or for all that are not named, where it only answers those nobody has decided about. */
export interface OwnerPolicy {
  /** Of a named owner it is applied at every start; "ask" leaves what the person said. */
  readonly permission: Preset;
  /** Messages that show nothing the owner may have; null: as many as it likes; undefined: the agent's own bound. */
  readonly silentPushes: number | null | undefined;
}

export interface Policy extends OwnerPolicy {
  readonly owners: ReadonlyMap<string, OwnerPolicy>;
  /** http origins of loopback whose pages may connect. */
  readonly pageOrigins: readonly string[];
  /** Origins of pages that are shells. */
  readonly shellOrigins: readonly string[];
  /** Origins whose links open without asking. */
  readonly linkOrigins: readonly string[];
  readonly httpAllowed: boolean;
}

/** Nobody is preset. */
export function policyOf(permission: Preset): Policy {
  return {
    permission,
    silentPushes: undefined,
    owners: new Map(),
    pageOrigins: [],
    shellOrigins: [],
    linkOrigins: [],
    httpAllowed: false,
  };
}

/**
 * The policy in a file.
 *
 * @throws {CommandError} 78, naming the member that is wrong
 */
export function readPolicy(path: string, surroundings: Pick<Surroundings, "readFile">): Policy {
  const text = readTextFile(path, surroundings);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CommandError(EXIT.config, `${path}: ${(error as Error).message}`);
  }
  return new PolicyReader(path).read(json);
}

/** What an owner is told that nobody has decided about. */
export function answerOf(policy: Policy, owner: string): Preset {
  return (policy.owners.get(owner) ?? policy).permission;
}

/** Messages that show nothing an owner may have; null: any number. */
export function silentPushMaxOf(policy: Policy, owner: string): number | null {
  const { silentPushes } = policy.owners.get(owner) ?? policy;
  return silentPushes === undefined ? defaultSilentPushMax(owner) : silentPushes;
}

const LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"];

class PolicyReader {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  read(json: unknown): Policy {
    const members = this.#object("the policy", json, [
      ...["permission", "silentPushes", "owners"],
      ...["pageOrigins", "shellOrigins", "linkOrigins", "httpAllowed"],
    ]);
    const base = { permission: "ask", silentPushes: undefined } as const;
    const httpAllowed = members.httpAllowed ?? false;
    if (typeof httpAllowed !== "boolean") this.#refuse("httpAllowed", "must be true or false");
    return {
      ...this.#ownerPolicy(members, { ...base, permission: "denied" }, ""),
      owners: this.#owners(members, base),
      pageOrigins: this.#origins("pageOrigins", members.pageOrigins, isPageOrigin),
      shellOrigins: this.#origins("shellOrigins", members.shellOrigins, isPageOrigin),
      linkOrigins: this.#origins("linkOrigins", members.linkOrigins, isWebOrigin),
      httpAllowed,
    };
  }

  #owners(members: Members, base: OwnerPolicy): ReadonlyMap<string, OwnerPolicy> {
    const given = Object.entries(this.#object("owners", members.owners ?? {}, null));
    if (given.length > POLICY_OWNERS_MAX) this.#refuse("owners", `are at most ${POLICY_OWNERS_MAX}`);
    const entries = given.map(([owner, value]): [string, OwnerPolicy] => {
      const where = `owners["${owner}"]`;
      if (!isOwner(owner)) this.#refuse(where, "is neither a web origin nor an app id in lower case");
      const inner = this.#object(where, value, ["permission", "silentPushes"]);
      const { silentPushes = members.silentPushes } = inner;
      return [owner, this.#ownerPolicy({ ...inner, silentPushes }, base, `${where}.`)];
    });
    return new Map(entries);
  }

  #ownerPolicy({ permission, silentPushes }: Members, base: OwnerPolicy, where: string): OwnerPolicy {
    if (permission !== undefined && !PRESETS.includes(permission as Preset))
      this.#refuse(`${where}permission`, `must be one of ${PRESETS.join(", ")}`);
    const isAmount =
      Number.isInteger(silentPushes) &&
      Number(silentPushes) >= 1 &&
      Number(silentPushes) <= POLICY_SILENT_PUSHES_MAX;
    if (silentPushes !== undefined && silentPushes !== null && !isAmount) {
      const bounds = `a whole number from 1 to ${POLICY_SILENT_PUSHES_MAX}, or null`;
      this.#refuse(`${where}silentPushes`, `must be ${bounds}`);
    }
    return {
      permission: (permission as Preset | undefined) ?? base.permission,
      silentPushes: silentPushes === undefined ? base.silentPushes : (silentPushes as number | null),
    };
  }

  #origins(name: string, value: unknown, isFit: (origin: string) => boolean): readonly string[] {
    if (value === undefined) return [];
    if (!Array.isArray(value)) this.#refuse(name, "must be a list of origins");
    if (value.length > POLICY_ORIGINS_MAX) this.#refuse(name, `are at most ${POLICY_ORIGINS_MAX}`);
    const unfit = value.find((origin) => typeof origin !== "string" || !isFit(origin));
    if (unfit === undefined) return value;
    const kind =
      isFit === isPageOrigin ? "a loopback origin like http://localhost:8000" : "an http or https origin";
    this.#refuse(name, `has ${JSON.stringify(unfit)}, which is not ${kind}`);
  }

  /** @param known the members it may have; null: any */
  #object(where: string, value: unknown, known: readonly string[] | null): Members {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      this.#refuse(where, "must be a JSON object");
    const unknown = Object.keys(value).find((name) => known?.includes(name) === false);
    if (unknown !== undefined) this.#refuse(where, `has an unknown key "${unknown}"`);
    return value as Members;
  }

  #refuse(where: string, why: string): never {
    throw new CommandError(EXIT.config, `${this.#path}: ${where} ${why}`);
  }
}

type Members = Readonly<Record<string, unknown>>;

/** As browsers serialise it: a port only where it is not the scheme's own, and nothing behind. */
function isWebOrigin(origin: string): boolean {
  return /^https?:\/\/[^/?#@]+$/.test(origin) && resolveUrl(origin, null) === `${origin}/`;
}

function isPageOrigin(origin: string): boolean {
  const [, host = ""] = /^http:\/\/(\[[^\]]*\]|[^:]*)/.exec(origin) ?? [];
  return isWebOrigin(origin) && LOOPBACK_HOSTS.includes(host);
}
