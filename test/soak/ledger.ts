// SPDX-License-Identifier: MIT
// What was POSTed, what was answered, and what came where: each attempt has a number of its own, which is in its text. No tests here.

/** Through which a message reaches somebody. */
export type Way = "app" | "screen";

interface Attempt {
  readonly owner: string;
  readonly way: Way;
  /** Of the answer; null without one. */
  status: number | null;
  /** How often it came as new, and marked as a repeat, or brought back after a start. */
  fresh: number;
  repeated: number;
}

const NUMBER = /soak (\d+)\b/;

export class Ledger {
  readonly #attempts: Attempt[] = [];
  readonly #wrong: string[] = [];
  #accepted = 0;
  #missing = 0;
  repeats = 0;

  /** The number of a new attempt. */
  begin(owner: string, way: Way): number {
    return this.#attempts.push({ owner, way, status: null, fresh: 0, repeated: 0 }) - 1;
  }

  answered(number: number, status: number): void {
    const attempt = this.#attempts[number] as Attempt;
    attempt.status = status;
    if (status !== 201) return;
    this.#accepted++;
    if (attempt.fresh + attempt.repeated === 0) this.#missing++;
  }

  /** A text with a number in it came. */
  came(owner: string, way: Way, text: string, isRepeat: boolean): void {
    const attempt = this.#attempts[Number(NUMBER.exec(text)?.[1] ?? -1)];
    if (attempt === undefined) return this.note(`${owner} got what nobody sent`);
    if (attempt.owner !== owner || attempt.way !== way)
      return this.note(`for ${attempt.owner}, ${attempt.way}: came to ${owner}, ${way}`);
    if (attempt.status === 201 && attempt.fresh + attempt.repeated === 0) this.#missing--;
    if (isRepeat) {
      attempt.repeated++;
      this.repeats++;
    } else attempt.fresh++;
  }

  /** Something that must not be. */
  note(wrong: string): void {
    this.#wrong.push(wrong);
  }

  /** Everything accepted came. */
  get isSettled(): boolean {
    return this.#missing === 0;
  }

  get accepted(): number {
    return this.#accepted;
  }

  /** How many attempts ended how, those with 201 left out. */
  refusals(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { status } of this.#attempts)
      if (status !== 201) counts[status ?? "no answer"] = (counts[status ?? "no answer"] ?? 0) + 1;
    return counts;
  }

  wrongs(): string[] {
    const found = [...this.#wrong];
    for (const [number, { owner, way, status, fresh, repeated }] of this.#attempts.entries()) {
      const what = `${number} to ${owner}, ${way}, answered ${status ?? "never"}`;
      if (status === 201 && fresh + repeated === 0) found.push(`lost: ${what}`);
      if (fresh > 1) found.push(`came ${fresh} times as new: ${what}`);
      // The service that died may have taken what it never answered; nothing else may be refused.
      if (![null, 201, 503].includes(status)) found.push(`refused: ${what}`);
    }
    return found;
  }
}
