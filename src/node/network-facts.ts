// SPDX-License-Identifier: MIT
/**
 * What the system's tools say about the network, read and decided upon. No input makes these functions throw: what is
 * garbled counts as not said.
 */

import { isIP } from "node:net";
import type { Network } from "../agent/events.ts";
import { NETWORK_LABEL_CHARS_MAX } from "../limits.ts";

/** The way out: an interface, and the router behind it where there is one. */
export interface Uplink {
  readonly device: string;
  readonly gateway: string | null;
  /** True for an interface with hardware addresses of Ethernet's form, which Wi-Fi has too. */
  readonly isEthernetLike: boolean;
}

/** What names a network. */
export interface Identity {
  readonly kind: Network["kind"];
  readonly device: string;
  readonly gateway: string | null;
  /** Hardware address of the gateway. */
  readonly gatewayMac: string | null;
  readonly ssid: string | null;
  /** MCC and MNC, digits. */
  readonly operator: string | null;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * The uplink that `ip -j route show default`, the same with `-6`, and `ip -j address` describe: the default route of the
 * lowest metric, IPv4 first, else an interface with an address that is good beyond its own link. null: there is no
 * network; undefined: the tools did not say.
 */
export function chooseUplink(routes4: string, routes6: string, addresses: string): Uplink | null | undefined {
  const [v4, v6, links] = [readList(routes4), readList(routes6), readList(addresses)];
  if (v4 === null || v6 === null || links === null) return undefined;
  const route = bestRoute(v4) ?? bestRoute(v6);
  const isEthernetLike = (device: string): boolean =>
    links.some((link) => link.ifname === device && link.link_type === "ether");
  if (route !== null) return { ...route, isEthernetLike: isEthernetLike(route.device) };
  for (const link of links) {
    const device = readName(link.ifname);
    if (device === null || !isUp(link) || !listOf(link.addr_info).some(isGlobal)) continue;
    return { device, gateway: null, isEthernetLike: isEthernetLike(device) };
  }
  return null;
}

/**
 * The addresses of `device` in the answer to `ip -j address` that are good beyond its own link: those that are to stay first,
 * then temporary ones of IPv6, then those that are being given up.
 */
export function readAddresses(addresses: string, device: string): string[] {
  const links = readList(addresses)?.filter((link) => link.ifname === device) ?? [];
  const global = links.flatMap((link) => listOf(link.addr_info)).filter(isGlobal);
  const [staying, temporary, leaving]: [Json[], Json[], Json[]] = [[], [], []];
  for (const one of global)
    (one.deprecated === true ? leaving : one.temporary === true ? temporary : staying).push(one);
  return [...staying, ...temporary, ...leaving].flatMap(({ local }) => readAddress(local) ?? []);
}

/**
 * Which addresses links may use, one per family: of those `before` what is still there, else the first of `addresses`.
 * `isGone`: one of those before is not there any more. One more, or one that is about to go, changes nothing.
 */
export function followAddresses(
  before: readonly string[],
  addresses: readonly string[],
): { readonly inUse: readonly string[]; readonly isGone: boolean } {
  // A link could not be had anew: the address that comes next is the news.
  if (addresses.length === 0) return { inUse: before, isGone: false };
  const kept = before.filter((address) => addresses.includes(address));
  const inUse = [4, 6].flatMap(
    (family) => [...kept, ...addresses].find((address) => isIP(address) === family) ?? [],
  );
  return { inUse, isGone: kept.length < before.length };
}

/** The hardware address in the answer to `ip -j neighbour show to GATEWAY dev DEVICE`, or null. */
export function readMac(neighbours: string): string | null {
  for (const { lladdr } of readList(neighbours) ?? []) {
    if (typeof lladdr === "string" && /^[0-9a-f]{2}(:[0-9a-f]{2}){5,19}$/i.test(lladdr))
      return lladdr.toLowerCase();
  }
  return null;
}

/** The network's name in the answer to `iw dev DEVICE link`, or null. */
export function readSsid(text: string): string | null {
  return /^\s*SSID: (.+)$/m.exec(text)?.[1] ?? null;
}

/** MCC and MNC in the answer to `mmcli -m any -J`, or null. */
export function readOperator(text: string): string | null {
  try {
    const code = JSON.parse(text)?.modem?.["3gpp"]?.["operator-code"];
    return typeof code === "string" && /^\d{5,6}$/.test(code) ? code : null;
  } catch {
    return null;
  }
}

/**
 * @param isWireless the interface has a folder of wireless things under /sys/class/net
 * @param uevent its file of that name, "" when there is none
 */
export function kindOf(
  { device, isEthernetLike }: Uplink,
  isWireless: boolean,
  uevent: string,
): Network["kind"] {
  const type = /^DEVTYPE=(.*)$/m.exec(uevent)?.[1];
  if (type === "wwan" || /^(wwan|ppp|rmnet|ccmni)/.test(device)) return "cellular";
  if (isWireless || type === "wlan") return "wifi";
  return isEthernetLike ? "ethernet" : "unknown";
}

/** The label is the same whenever the device is on the same network, as far as can be told. */
export function networkOf(identity: Identity): Network {
  const { kind } = identity;
  // A network's name is whatever somebody typed; it ends up on the administrator's terminal.
  const label = labelOf(identity).replace(/\p{C}/gu, "?").slice(0, NETWORK_LABEL_CHARS_MAX);
  return { label, kind, metered: kind === "cellular" };
}

function labelOf({ kind, device, gateway, gatewayMac, ssid, operator }: Identity): string {
  if (kind === "cellular") return `cellular:${operator ?? device}`;
  if (kind === "wifi" && ssid !== null) return `wifi:${ssid}`;
  const router = gatewayMac ?? gateway;
  if (kind === "wifi" && router !== null) return `wifi@${router}`;
  return router === null ? `${kind}:${device}` : `${kind}:${device}@${router}`;
}

function bestRoute(routes: readonly Json[]): { device: string; gateway: string | null } | null {
  let best: { device: string; gateway: string | null } | null = null;
  let bestMetric = Number.POSITIVE_INFINITY;
  for (const route of routes) {
    // `unreachable` and its kin have a type; a route over several hops is as good as the first that works.
    if (route.type !== undefined && route.type !== "unicast") continue;
    const hop = [...listOf(route.nexthops), route].find(isUsable);
    const device = readName(hop?.dev);
    const metric = typeof route.metric === "number" ? route.metric : 0;
    if (hop === undefined || device === null || metric >= bestMetric) continue;
    best = { device, gateway: readAddress(hop.gateway) ?? readAddress(objectOf(hop.via).host) };
    bestMetric = metric;
  }
  return best;
}

function isUsable({ dev, flags }: Json): boolean {
  const isBroken = Array.isArray(flags) && (flags.includes("linkdown") || flags.includes("dead"));
  return dev !== undefined && dev !== "lo" && !isBroken;
}

function isUp({ flags, link_type }: Json): boolean {
  if (!Array.isArray(flags) || link_type === "loopback") return false;
  return flags.includes("UP") && flags.includes("LOWER_UP");
}

/** A tentative address is still being tried out; another event comes when it is good. */
function isGlobal({ scope, tentative, dadfailed }: Json): boolean {
  return scope === "global" && tentative !== true && dadfailed !== true;
}

function readName(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function readAddress(value: unknown): string | null {
  return typeof value === "string" && isIP(value) !== 0 ? value : null;
}

/** A JSON array of objects, empty for no text at all as older tools have it; null when it is something else. */
function readList(text: string): Json[] | null {
  if (text.trim() === "") return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.map(objectOf) : null;
  } catch {
    return null;
  }
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(objectOf) : [];
}

function objectOf(value: unknown): Json {
  return typeof value === "object" && value !== null ? (value as Json) : {};
}
