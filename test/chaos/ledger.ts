// SPDX-License-Identifier: MIT
// What was POSTed, what was answered, and what came to an app: each attempt has a number of its own, which is its body. No tests
// here.

interface Attempt {
  readonly device: number;
  /** Of the answer; null without one. */
  status: number | null;
  /** Where it was shown, after repeats were suppressed. */
  readonly shownAt: number[];
}

/** Bytes of a body. */
const BODY_BYTES = 200;

export class Ledger {
  readonly #attempts: Attempt[] = [];
  readonly #wrong: string[] = [];
  #accepted = 0;
  #shownAccepted = 0;
  /** Monotonic ms of the last 201, and the longest time between two. */
  #acceptedAtMs: number | null = null;
  longestWithoutMs = 0;
  /** Messages that came again under their id. */
  repeats = 0;

  /** The number of a new attempt, and its body. */
  begin(device: number): { number: number; body: Uint8Array } {
    const number = this.#attempts.push({ device, status: null, shownAt: [] }) - 1;
    return { number, body: Buffer.from(String(number).padEnd(BODY_BYTES)) };
  }

  answered(number: number, status: number): void {
    const attempt = this.#attempts[number] as Attempt;
    attempt.status = status;
    if (status !== 201) return;
    this.#accepted++;
    if (attempt.shownAt.length > 0) this.#shownAccepted++;
    const nowMs = performance.now();
    this.longestWithoutMs = Math.max(this.longestWithoutMs, nowMs - (this.#acceptedAtMs ?? nowMs));
    this.#acceptedAtMs = nowMs;
  }

  /** An app got a message. */
  shown(device: number, body: Uint8Array | null): void {
    const number = Number(Buffer.from(body ?? []).toString());
    const attempt = this.#attempts[number];
    if (attempt === undefined) return this.note(`device ${device} got what nobody sent`);
    if (attempt.status === 201 && attempt.shownAt.length === 0) this.#shownAccepted++;
    attempt.shownAt.push(device);
  }

  /** Something that must not be. */
  note(wrong: string): void {
    this.#wrong.push(wrong);
  }

  /** Everything accepted was shown. */
  isSettled(): boolean {
    return this.#shownAccepted === this.#accepted;
  }

  get accepted(): number {
    return this.#accepted;
  }

  get attempts(): number {
    return this.#attempts.length;
  }

  /** How many attempts ended how, those with 201 left out. */
  refusals(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { status } of this.#attempts) {
      if (status === 201) continue;
      const name = status === null ? "no answer" : String(status);
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }

  wrongs(): string[] {
    const found = [...this.#wrong];
    for (const [number, { device, status, shownAt }] of this.#attempts.entries()) {
      const what = `${number} to device ${device}, answered ${status ?? "never"}`;
      if (status === 201 && shownAt.length === 0) found.push(`lost: ${what}`);
      if (![null, 201, 503].includes(status)) found.push(`refused: ${what}`);
      if (shownAt.length > 1) found.push(`shown ${shownAt.length} times: ${what}`);
      if (shownAt.some((at) => at !== device)) found.push(`shown elsewhere: ${what}`);
    }
    return found;
  }
}
