// SPDX-License-Identifier: MIT
/**
 * The second link that may be dialed beside the present one: because that owes an answer, or as a trial, a WebSocket beside
 * MQTT. Pure.
 */

import { OPEN_TIMEOUT_MS } from "../limits.ts";
import type { Emit } from "./events.ts";

export class Spare {
  readonly #emit: Emit;
  /** 0 for none. */
  #linkId = 0;
  #timeoutAtMs = 0;
  #isTrial = false;
  #isOpen = false;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  get isThere(): boolean {
    return this.#linkId !== 0;
  }

  /** Nothing is wrong with the present link. */
  get isTrial(): boolean {
    return this.#isTrial;
  }

  is(linkId: number): boolean {
    return linkId === this.#linkId && linkId !== 0;
  }

  handleDialed(linkId: number, isTrial: boolean, monotonicMs: number): void {
    this.#linkId = linkId;
    this.#isTrial = isTrial;
    this.#isOpen = false;
    this.#timeoutAtMs = monotonicMs + OPEN_TIMEOUT_MS;
  }

  handleOpened(): void {
    this.#isOpen = true;
  }

  handleClosed(): void {
    this.#linkId = 0;
    this.#isTrial = false;
  }

  /** A trial that was never answered is given up; the host has done so too. */
  handleTime(monotonicMs: number): void {
    if (this.#isTrial && monotonicMs >= this.#timeoutAtMs) this.drop();
  }

  /** It is the present link from now on. Returns what it was. */
  take(): { readonly linkId: number; readonly timeoutAtMs: number; readonly isOpen: boolean } {
    const taken = { linkId: this.#linkId, timeoutAtMs: this.#timeoutAtMs, isOpen: this.#isOpen };
    this.handleClosed();
    return taken;
  }

  /** It is not needed any more. */
  drop(): void {
    if (this.#linkId !== 0) this.#emit({ type: "closeLink", linkId: this.#linkId });
    this.handleClosed();
  }
}
