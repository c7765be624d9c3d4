// SPDX-License-Identifier: MIT
/** Asks the system which network the device is on: iproute2, /sys/class/net, and `iw`, `iwgetid` or `mmcli` where they are. */

import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync, readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { Network } from "../agent/events.ts";
import {
  NETWORK_NEIGHBOUR_WAIT_MS_MAX,
  NETWORK_NEIGHBOUR_WAIT_MS_MIN,
  NETWORK_TOOL_BYTES_MAX,
  NETWORK_TOOL_TIMEOUT_MS,
} from "../limits.ts";
import {
  chooseUplink,
  type Identity,
  kindOf,
  networkOf,
  readAddresses,
  readMac,
  readOperator,
  readSsid,
  type Uplink,
} from "./network-facts.ts";

/** Where a datagram goes that is only to make the kernel ask for the router's hardware address: "discard" (RFC 863). */
const DISCARD_PORT = 9;

/** For every tool: texts not translated, and the folders of administrators searched too, since `iw` lies in one. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  const path = `${process.env.PATH ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;
  return { ...process.env, LC_ALL: "C", PATH: path };
}

/** Reads the state each time it is asked, and remembers what named the network last. */
export class NetworkReader {
  readonly #signal: AbortSignal;
  readonly #devicesFolder: string;
  #last: Identity | null = null;
  #addresses: readonly string[] = [];

  /**
   * @param signal ends every tool that is running
   * @param devicesFolder where the kernel tells about interfaces
   */
  constructor(signal: AbortSignal, devicesFolder = "/sys/class/net") {
    this.#signal = signal;
    this.#devicesFolder = devicesFolder;
  }

  /** Of the interface that was on the network read last, as {@link readAddresses} has them. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** null: there is no network; undefined: the system does not say. */
  async read(): Promise<Network | null | undefined> {
    const [routes4, routes6, addresses] = await Promise.all([
      this.#run("ip", ["-j", "route", "show", "default"]),
      this.#run("ip", ["-6", "-j", "route", "show", "default"]),
      this.#run("ip", ["-j", "address", "show"]),
    ]);
    if (routes4 === null || addresses === null) return undefined;
    // A kernel without IPv6 answers with an error.
    const uplink = chooseUplink(routes4, routes6 ?? "", addresses);
    if (uplink === undefined) return undefined;
    this.#addresses = uplink === null ? [] : readAddresses(addresses, uplink.device);
    this.#last = uplink === null ? null : await this.#identify(uplink);
    return this.#last === null ? null : networkOf(this.#last);
  }

  async #identify(uplink: Uplink): Promise<Identity> {
    const { device, gateway } = uplink;
    const nothing = { device, gateway, gatewayMac: null, ssid: null, operator: null };
    // The kernel allows nearly anything as a name; one that reads as an option or a path is asked nothing about.
    if (!/^\w[^/\s]*$/u.test(device)) return { ...nothing, kind: "unknown" };
    const folder = `${this.#devicesFolder}/${device}`;
    const isWireless = existsSync(`${folder}/wireless`) || existsSync(`${folder}/phy80211`);
    const kind = kindOf(uplink, isWireless, readText(`${folder}/uevent`));
    const last = this.#last;
    // A tool that says nothing this time does not make it another network: another label would cost the link.
    const same = last?.device === device && last.gateway === gateway && last.kind === kind ? last : null;
    if (kind === "cellular") {
      const operator = readOperator((await this.#run("mmcli", ["-m", "any", "-J"])) ?? "");
      return { ...nothing, kind, operator: operator ?? same?.operator ?? null };
    }
    const ssid = kind === "wifi" ? ((await this.#ssid(device)) ?? same?.ssid ?? null) : null;
    if (ssid !== null || gateway === null || !uplink.isEthernetLike) return { ...nothing, kind, ssid };
    return { ...nothing, kind, gatewayMac: await this.#gatewayMac(device, gateway) };
  }

  async #ssid(device: string): Promise<string | null> {
    const fromIw = readSsid((await this.#run("iw", ["dev", device, "link"])) ?? "");
    return fromIw ?? ((await this.#run("iwgetid", ["-r", device]))?.trim() || null);
  }

  async #gatewayMac(device: string, gateway: string): Promise<string | null> {
    const last = this.#last;
    const isSame = last?.device === device && last.gateway === gateway && last.ssid === null;
    // One that did not answer at first goes on being called by its address: another label would cost the link.
    if (isSame && last.gatewayMac === null) return null;
    const ask = ["-j", "neighbour", "show", "to", gateway, "dev", device];
    let waitMs = NETWORK_NEIGHBOUR_WAIT_MS_MIN;
    while (!this.#signal.aborted) {
      const mac = readMac((await this.#run("ip", ask)) ?? "");
      if (mac !== null) return mac;
      if (waitMs > NETWORK_NEIGHBOUR_WAIT_MS_MAX) break;
      // Right after a network came up nobody has talked to its router yet, and the first question may well be lost.
      nudge(gateway, device);
      await wait(waitMs, undefined, { signal: this.#signal }).catch(() => {});
      waitMs *= 2;
    }
    return isSame ? last.gatewayMac : null;
  }

  /** What the tool prints, or null when it is not there, fails, says too much or takes too long. */
  #run(tool: string, args: readonly string[]): Promise<string | null> {
    return new Promise((resolve) => {
      const options = {
        env: toolEnvironment(),
        timeout: NETWORK_TOOL_TIMEOUT_MS,
        killSignal: "SIGKILL",
        maxBuffer: NETWORK_TOOL_BYTES_MAX,
        signal: this.#signal,
      } as const;
      try {
        execFile(tool, args, options, (error, stdout) => resolve(error === null ? stdout : null));
      } catch {
        // No memory or no right for another process.
        resolve(null);
      }
    });
  }
}

/** One empty datagram; whether it leaves or arrives is of no interest. */
function nudge(gateway: string, device: string): void {
  const socket = createSocket(isIPv6(gateway) ? "udp6" : "udp4").unref();
  socket.on("error", () => {});
  // An address good on one link only has to say on which.
  const address = /^fe[89ab]/i.test(gateway) && !gateway.includes("%") ? `${gateway}%${device}` : gateway;
  socket.send("", DISCARD_PORT, address, () => socket.close());
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
