// SPDX-License-Identifier: MIT
/** Who has which slots of a Redis Cluster, as its nodes tell it, and which of them to believe. Pure. */

import { SLOTS } from "./redis-keys.ts";
import type { Reply } from "./redis-node.ts";

export interface SlotsView {
  readonly ranges: readonly (readonly [first: number, last: number, primary: string])[];
  /** By address of a primary, how many replicas it has. */
  readonly replicas: ReadonlyMap<string, number>;
  /** host:port of all. */
  readonly addresses: ReadonlySet<string>;
  /** Slots that have a primary. */
  readonly covered: number;
  /** The same for all who see the same. */
  readonly name: string;
}

/**
 * The answer to CLUSTER SLOTS: [first, last, [host, port, …], replicas…] of each range.
 *
 * @param from address of who said it
 */
export function parseSlots(from: string, reply: Reply): SlotsView {
  const ranges: [number, number, string][] = [];
  const replicas = new Map<string, number>();
  const addresses = new Set<string>();
  let covered = 0;
  for (const [first, last, ...members] of reply as [number, number, ...(readonly Reply[])[]][]) {
    const [primary = "", ...others] = members.map(([host, port]) =>
      addressOf(String(host ?? ""), port, from),
    );
    for (const address of [primary, ...others]) addresses.add(address);
    ranges.push([first, last, primary]);
    replicas.set(primary, others.length);
    covered += last - first + 1;
  }
  return { ranges, replicas, addresses, covered, name: ranges.map(String).sort().join(" ") };
}

/** By slot, address of its primary; "" for none. */
export function primariesOf({ ranges }: SlotsView): string[] {
  const primaries = new Array<string>(SLOTS).fill("");
  for (const [first, last, primary] of ranges) primaries.fill(primary, first, last + 1);
  return primaries;
}

/** What most see, of those the one that sees most slots, and any replica that one of them sees; null when nobody sees any slot. */
export function commonView(views: readonly SlotsView[]): SlotsView | null {
  const votes = new Map<string, number>();
  for (const { name } of views) votes.set(name, (votes.get(name) ?? 0) + 1);
  const votesFor = ({ name }: SlotsView) => votes.get(name) ?? 0;
  const [best] = views
    .filter(({ covered }) => covered > 0)
    .sort((a, b) => votesFor(b) - votesFor(a) || b.covered - a.covered);
  if (best === undefined) return null;
  const replicas = new Map(best.replicas);
  for (const view of views.filter(({ name }) => name === best.name))
    for (const [primary, count] of view.replicas)
      replicas.set(primary, Math.max(count, replicas.get(primary) ?? 0));
  return { ...best, replicas };
}

/** `address`: host:port, an IPv6 address without brackets. */
export function isLoopback(address: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|::1):\d+$/.test(address);
}

/** A node that does not know its own name leaves it out. */
function addressOf(host: string, port: Reply | undefined, from: string): string {
  return `${host === "" || host === "?" ? from.slice(0, from.lastIndexOf(":")) : host}:${port}`;
}
