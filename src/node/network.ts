// SPDX-License-Identifier: MIT
/**
 * Changes of the network, without polling: one `ip monitor` sleeps on the kernel's netlink socket, and whatever it prints is
 * only the sign to read the state once, a little later. Reports a change when it differs from what was reported last.
 *
 * The child ends with {@link NetworkMonitor.close} and with this process. When we are killed so that nothing can be
 * cleaned up, it ends by SIGPIPE with the next line it prints, since nobody reads its pipe any more; until then it sleeps.
 */

import { type ChildProcess, spawn } from "node:child_process";
import type { Network } from "../agent/events.ts";
import {
  NETWORK_LINE_CHARS_MAX,
  NETWORK_LINES_REMEMBERED_MAX,
  NETWORK_MONITOR_RETRY_MS_MAX,
  NETWORK_MONITOR_RETRY_MS_MIN,
  NETWORK_MONITOR_STABLE_MS,
  NETWORK_SETTLE_MS_MAX,
  NETWORK_SETTLE_MS_MIN,
} from "../limits.ts";
import { followAddresses } from "./network-facts.ts";
import { NetworkReader, toolEnvironment } from "./network-reader.ts";

const MONITOR = ["ip", "-o", "monitor", "link", "address", "route"];

/** A network nobody knows anything about, as the agent has it before the first event. */
const UNKNOWN_NETWORK: Network = { label: "", kind: "unknown", metered: false };

type Reader = Pick<NetworkReader, "read" | "addresses">;

export interface NetworkMonitorOptions {
  /** The device is on another network, or on none. */
  readonly onChange: (network: Network | null) => void;
  /** On the network reported last, an address that links may use is gone. */
  readonly onNewAddress: (network: Network) => void;
  /** Something about the network happened, whether or not it is another one now: after a suspend, for example. */
  readonly onTrigger: () => void;
  /** Called once: changes are not seen, or were not for a while. */
  readonly onFault: (text: string) => void;
  /** Default: iproute2's monitor. */
  readonly command?: readonly string[];
  /** Default: {@link NetworkReader}. */
  readonly reader?: Reader;
}

export class NetworkMonitor {
  readonly #options: NetworkMonitorOptions;
  readonly #reader: Reader;
  readonly #abort = new AbortController();
  readonly #lines = new RenewedLines();
  /** Reported last; undefined before that. */
  #current: Network | null | undefined;
  /** Addresses that links may use: one of each family. */
  #addresses: readonly string[] = [];
  #child: ChildProcess | null = null;
  #startedMs = 0;
  #restartTimer: NodeJS.Timeout | null = null;
  #restartMs = NETWORK_MONITOR_RETRY_MS_MIN;
  #settleTimer: NodeJS.Timeout | null = null;
  #settleMs = NETWORK_SETTLE_MS_MIN;
  #readMs = 0;
  #isReading = false;
  #isStale = false;
  #isFaultTold = false;
  #handleStarted: () => void = () => {};
  readonly #kill = (): void => void this.#child?.kill("SIGKILL");

  constructor(options: NetworkMonitorOptions) {
    this.#options = options;
    this.#reader = options.reader ?? new NetworkReader(this.#abort.signal);
    process.once("exit", this.#kill);
  }

  /** Resolves once the present network was reported, or cannot be known. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#handleStarted = resolve;
      this.#watch();
      this.#read().catch(reject);
    });
  }

  close(): void {
    this.#abort.abort();
    process.off("exit", this.#kill);
    if (this.#settleTimer !== null) clearTimeout(this.#settleTimer);
    if (this.#restartTimer !== null) clearTimeout(this.#restartTimer);
    this.#kill();
    this.#handleStarted();
  }

  get #isClosed(): boolean {
    return this.#abort.signal.aborted;
  }

  #watch(): void {
    this.#restartTimer = null;
    this.#startedMs = performance.now();
    const [command = "", ...args] = this.#options.command ?? MONITOR;
    try {
      const child = spawn(command, args, { env: toolEnvironment(), stdio: ["ignore", "pipe", "ignore"] });
      this.#child = child;
      // What changed before it listened is seen by one more look.
      child.once("spawn", () => this.#trigger());
      child.once("error", (error: NodeJS.ErrnoException) => this.#handleEnd(child, error.code === "ENOENT"));
      child.once("close", () => this.#handleEnd(child, false));
      child.stdout.on("error", () => {});
      child.stdout.on("data", (chunk: Buffer) => {
        // Also the time to look at the clock: a resume shows itself in nothing else.
        this.#options.onTrigger();
        if (this.#lines.isNews(chunk.toString("latin1"))) this.#trigger();
      });
    } catch {
      // No memory or no right for another process.
      this.#handleEnd(null, false);
    }
  }

  #handleEnd(child: ChildProcess | null, isMissing: boolean): void {
    if (this.#isClosed || this.#child !== child) return;
    this.#child = null;
    this.#lines.clear();
    this.#fault(isMissing ? "there is no ip command (iproute2)" : "ip monitor ended");
    if (isMissing) return;
    if (performance.now() - this.#startedMs >= NETWORK_MONITOR_STABLE_MS)
      this.#restartMs = NETWORK_MONITOR_RETRY_MS_MIN;
    this.#restartTimer = setTimeout(() => this.#watch(), this.#restartMs);
    this.#restartMs = Math.min(2 * this.#restartMs, NETWORK_MONITOR_RETRY_MS_MAX);
  }

  /** Reads soon: a change comes as many lines. While nothing but noise comes, later and later, up to a bound. */
  #trigger(): void {
    this.#isStale = true;
    if (this.#settleTimer !== null || this.#isReading || this.#isClosed) return;
    if (performance.now() - this.#readMs > 2 * NETWORK_SETTLE_MS_MAX) this.#settleMs = NETWORK_SETTLE_MS_MIN;
    this.#settleTimer = setTimeout(() => {
      this.#settleTimer = null;
      void this.#read();
    }, this.#settleMs);
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    this.#isStale = false;
    const network = await this.#reader.read().catch(() => undefined);
    this.#isReading = false;
    this.#readMs = performance.now();
    if (this.#isClosed) return;
    if (network === undefined) this.#fault("the state of the network cannot be read");
    else if (network === null && this.#isYoung) {
      // A monitor that ends at once would not tell when there is one again: it is asked once more when that is out.
      this.#trigger();
      return;
    } else this.#handleRead(network ?? (this.#child === null ? UNKNOWN_NETWORK : null));
    this.#handleStarted();
    if (this.#isStale) this.#trigger();
  }

  /** True for a monitor that may be one that only starts and ends. */
  get #isYoung(): boolean {
    return this.#child !== null && performance.now() - this.#startedMs < NETWORK_SETTLE_MS_MIN;
  }

  #handleRead(network: Network | null): void {
    const isKnown = isSame(network, this.#current);
    if (isKnown && !this.#hasMoved()) {
      this.#settleMs = Math.min(2 * this.#settleMs, NETWORK_SETTLE_MS_MAX);
      return;
    }
    this.#settleMs = NETWORK_SETTLE_MS_MIN;
    if (!isKnown) this.#report(network);
    else if (network !== null) this.#options.onNewAddress(network);
  }

  #hasMoved(): boolean {
    const { inUse, isGone } = followAddresses(this.#addresses, this.#reader.addresses);
    this.#addresses = inUse;
    return isGone;
  }

  /** No network is believed only as long as somebody would tell of its return: see also {@link #read}. */
  #fault(text: string): void {
    if (!this.#isFaultTold) this.#options.onFault(text);
    this.#isFaultTold = true;
    if (this.#current === null) this.#report(UNKNOWN_NETWORK);
  }

  #report(network: Network | null): void {
    this.#current = network;
    this.#addresses = followAddresses([], this.#reader.addresses).inUse;
    this.#options.onChange(network);
  }
}

function isSame(one: Network | null, other: Network | null | undefined): boolean {
  if (one === null || !other) return one === other;
  return one.label === other.label && one.kind === other.kind && one.metered === other.metered;
}

/**
 * Routers renew the lifetimes of IPv6 addresses every few minutes, which is printed and means nothing. An address line that
 * was seen before, with nothing else since, is no news.
 */
class RenewedLines {
  readonly #seen = new Set<string>();

  /** @param text what one read of the pipe gave; a line that is cut in two is news, which does no harm */
  isNews(text: string): boolean {
    let isNews = false;
    for (const line of text.split("\n")) {
      if (line === "") continue;
      const isAddress = /^\d+: .* valid_lft \S+ preferred_lft \S+\s*$/.test(line);
      const plain = line.replace(/valid_lft \S+ preferred_lft \S+/, "");
      if (isAddress && this.#seen.has(plain)) continue;
      isNews = true;
      if (!isAddress || this.#seen.size === NETWORK_LINES_REMEMBERED_MAX) this.clear();
      if (isAddress && plain.length <= NETWORK_LINE_CHARS_MAX) this.#seen.add(plain);
    }
    return isNews;
  }

  clear(): void {
    this.#seen.clear();
  }
}
