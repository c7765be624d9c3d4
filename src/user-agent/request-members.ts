// SPDX-License-Identifier: MIT
/** Members of a request at the app socket, read once and strictly. What may be null may also be left out. */

import { isOwner, NO_OWNER_TEXT } from "../agent/owner.ts";
import { GodwitError } from "../errors.ts";

export class RequestMembers {
  readonly #members: Readonly<Record<string, unknown>>;

  constructor(members: Readonly<Record<string, unknown>>) {
    this.#members = members;
  }

  /** As they came, for who checks them itself. */
  get raw(): Readonly<Record<string, unknown>> {
    return this.#members;
  }

  /** @throws {GodwitError} ERR_OPTION, like the rest */
  text(name: string, charsMax: number): string {
    const value = this.#members[name];
    if (typeof value === "string" && value.length <= charsMax) return value;
    throw refused(`${name} must be a text of at most ${charsMax} characters`);
  }

  textOrNull(name: string, charsMax: number): string | null {
    return this.#isNull(name) ? null : this.text(name, charsMax);
  }

  boolean(name: string): boolean {
    const value = this.#members[name];
    if (typeof value === "boolean") return value;
    throw refused(`${name} must be true or false`);
  }

  /** From 0 up to what is exact. */
  integer(name: string): number {
    const value = this.#members[name];
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    throw refused(`${name} must be a whole number`);
  }

  integerOrNull(name: string): number | null {
    return this.#isNull(name) ? null : this.integer(name);
  }

  oneOf<Word extends string>(name: string, words: readonly Word[]): Word {
    const found = words.find((word) => word === this.#members[name]);
    if (found !== undefined) return found;
    throw refused(`${name} must be one of ${words.join(", ")}`);
  }

  oneOfOrNull<Word extends string>(name: string, words: readonly Word[]): Word | null {
    return this.#isNull(name) ? null : this.oneOf(name, words);
  }

  /** An object, its members unread. */
  object(name: string): Readonly<Record<string, unknown>> {
    const value = this.#members[name];
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Readonly<Record<string, unknown>>;
    throw refused(`${name} must be an object`);
  }

  /** Texts, at least one; null when there are none. */
  textsOrNull(name: string, itemsMax: number, charsMax: number): readonly string[] | null {
    if (this.#isNull(name)) return null;
    const value = this.#members[name];
    const isText = (item: unknown): item is string => typeof item === "string" && item.length <= charsMax;
    if (Array.isArray(value) && value.length > 0 && value.length <= itemsMax && value.every(isText))
      return value;
    throw refused(`${name} must be 1 to ${itemsMax} texts of at most ${charsMax} characters`);
  }

  /** @throws {GodwitError} ERR_OWNER */
  owner(name: string): string {
    const value = this.#members[name];
    if (typeof value === "string" && isOwner(value)) return value;
    throw new GodwitError("ERR_OWNER", NO_OWNER_TEXT);
  }

  ownerOrNull(name: string): string | null {
    return this.#isNull(name) ? null : this.owner(name);
  }

  #isNull(name: string): boolean {
    return this.#members[name] === undefined || this.#members[name] === null;
  }
}

function refused(message: string): GodwitError {
  return new GodwitError("ERR_OPTION", message);
}
