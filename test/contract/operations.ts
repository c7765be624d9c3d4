// SPDX-License-Identifier: MIT
/**
 * What the contract suite asks of a host, as plain functions over what a runtime lends the user agent: called by the suite itself
 * for a host in its process, and by messages.ts for one in another. Pure, so that it also runs inside QuickJS.
 */

import type { AgentEvent, Alarm, Instant, MqttAddress } from "../../src/agent/events.ts";
import { utf8Decode, utf8Encode } from "../../src/bytes.ts";
import type { FileSystem } from "../../src/user-agent/file-system.ts";
import type { JournalStorage } from "../../src/user-agent/journal-directory.ts";
import type { Machine, MakeMachine, Platform } from "../../src/user-agent/platform.ts";
import { privateFilesIn } from "../../src/user-agent/private-files.ts";
import type { KeyPair, SubscriptionKeys } from "../../src/webpush/crypto.ts";
import { decrypt } from "../../src/webpush/decrypt.ts";

export interface OperationsOptions {
  readonly platform: Platform;
  readonly makeMachine: MakeMachine;
  readonly fileSystem: FileSystem;
  readonly openJournal: (directory: string) => Promise<JournalStorage>;
  /** Hears of every event, in order. */
  readonly tell: (event: AgentEvent) => void;
}

export interface LinkRequest {
  readonly linkId: number;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly mqtt?: MqttAddress;
  /** Text frames, and nobody's name in the upgrade. */
  readonly isText?: boolean;
}

export interface HttpRequest {
  readonly requestId: number;
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly timeoutMs?: number;
}

export const SUBPROTOCOL = "contract.v1";
export const BEARER = "a-bearer-of-32-characters-1234567";
const TIMEOUT_MS = 10_000;

export class Operations {
  readonly #platform: Platform;
  readonly #machine: Machine;
  readonly #options: OperationsOptions;
  readonly #keys = new Map<string, SubscriptionKeys>();
  #journal: JournalStorage | null = null;

  constructor(options: OperationsOptions) {
    const { platform, makeMachine, tell } = options;
    this.#options = options;
    this.#platform = platform;
    this.#machine = makeMachine(tell, () => {});
  }

  now(): Instant {
    return this.#platform.now();
  }

  openLink({ linkId, url, headers = {}, mqtt, isText = false }: LinkRequest): void {
    const subprotocol = mqtt === undefined ? SUBPROTOCOL : "";
    this.#machine.openLink({
      type: "openLink",
      linkId,
      url,
      subprotocol,
      bearer: isText ? null : BEARER,
      headers,
      mqtt: mqtt ?? null,
      ...(isText ? { isText } : {}),
    });
  }

  send(linkId: number, frame: Uint8Array, qos: 0 | 1): void {
    this.#machine.send({ type: "send", linkId, frame, qos });
  }

  /** The same frame `count` times without waiting. */
  sendMany(linkId: number, frame: Uint8Array, count: number): void {
    for (let i = 0; i < count; i++) this.send(linkId, frame, 0);
  }

  ping(linkId: number): void {
    this.#machine.ping({ type: "ping", linkId });
  }

  closeLink(linkId: number): void {
    this.#machine.closeLink({ type: "closeLink", linkId });
  }

  /** `inMs` from now. */
  setAlarm(inMs: number, windowMs: number): Alarm {
    const alarm = { atMs: this.now().monotonicMs + inMs, windowMs };
    this.#machine.setAlarm({ type: "setAlarm", alarm });
    return alarm;
  }

  cancelAlarm(): void {
    this.#machine.setAlarm({ type: "setAlarm", alarm: null });
  }

  stayAwake(forMs: number): void {
    this.#machine.stayAwake({ type: "stayAwake", untilMs: this.now().monotonicMs + forMs });
  }

  /** Resolves with the ms each took, in the order they came. */
  waits(
    delaysMs: readonly number[],
    takenBack: readonly number[],
  ): Promise<{ delayMs: number; tookMs: number }[]> {
    const startMs = this.#platform.monotonicMs();
    const came: { delayMs: number; tookMs: number }[] = [];
    return new Promise((resolve) => {
      const takeBacks = delaysMs.map((delayMs, i) =>
        this.#platform.after(delayMs, () => {
          came.push({ delayMs, tookMs: this.#platform.monotonicMs() - startMs });
          if (takenBack.includes(i)) throw new Error("taken back");
          if (came.length === delaysMs.length - takenBack.length) resolve(came);
        }),
      );
      for (const i of takenBack) takeBacks[i]?.();
    });
  }

  httpRequest({ requestId, method, url, timeoutMs = TIMEOUT_MS }: HttpRequest): void {
    this.#machine.httpRequest({ type: "httpRequest", requestId, method, url, bearer: BEARER, timeoutMs });
  }

  post(url: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<number> {
    return this.#machine.post(url, headers, body);
  }

  random(bytes: number): Uint8Array {
    const target = new Uint8Array(bytes + 2);
    this.#platform.randomFill(target.subarray(1, bytes + 1));
    return target;
  }

  utf8Encode(text: string): Uint8Array {
    return utf8Encode(text);
  }

  utf8Decode(bytes: Uint8Array): string {
    return utf8Decode(bytes);
  }

  providerName(): string {
    return this.#platform.provider.name;
  }

  sha256(data: Uint8Array): Uint8Array {
    return this.#platform.provider.sha256(data);
  }

  hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
    const into = new Uint8Array(32);
    this.#platform.provider.hmac(key).mac(data, into);
    return into;
  }

  gcmSeal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, associated?: Uint8Array): Uint8Array {
    return this.#platform.provider.gcmSeal(key, nonce, plaintext, associated);
  }

  gcmOpen(
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    associated?: Uint8Array,
  ): Uint8Array | null {
    return this.#platform.provider.gcmOpen(key, nonce, sealed, associated);
  }

  publicKeyOf(privateKey: Uint8Array): Uint8Array | null {
    return this.#platform.provider.publicKeyOf(privateKey);
  }

  isPublicKey(publicKey: Uint8Array): boolean {
    return this.#platform.provider.isPublicKey(publicKey);
  }

  /** Null for a point that is none. Keys with the same name are imported once. */
  agree(name: string, keys: SubscriptionKeys, peerPublicKey: Uint8Array): Uint8Array | null {
    const known = this.#keys.get(name) ?? keys;
    this.#keys.set(name, known);
    const into = new Uint8Array(32);
    return this.#platform.provider.importKeys(known).agree(peerPublicKey, into) ? into : null;
  }

  isPair(keys: SubscriptionKeys): boolean {
    return this.#platform.provider.importKeys(keys).isPair();
  }

  decrypt(body: Uint8Array, keys: SubscriptionKeys): Uint8Array {
    return decrypt(body, keys, { provider: this.#platform.provider });
  }

  sign(keys: KeyPair, data: Uint8Array): Uint8Array {
    return this.#platform.sign(keys, data);
  }

  async openJournal(directory: string): Promise<void> {
    this.#journal = await this.#options.openJournal(directory);
  }

  readJournal(): Promise<Uint8Array[]> {
    return this.#opened().read();
  }

  /** All asked for at once; resolves when all are on disk. */
  async append(...records: Uint8Array[]): Promise<void> {
    const journal = this.#opened();
    await Promise.all(records.map((bytes) => journal.append(bytes)));
  }

  checkpoint(bytes: Uint8Array, urgent: boolean): Promise<void> {
    return this.#opened().checkpoint(bytes, { urgent });
  }

  async closeJournal(): Promise<void> {
    await this.#opened().close();
    this.#journal = null;
  }

  readPrivateFile(directory: string, name: string): Promise<string | null> {
    return privateFilesIn(directory, this.#options.fileSystem).read(name);
  }

  writePrivateFile(directory: string, name: string, text: string): Promise<void> {
    return privateFilesIn(directory, this.#options.fileSystem).write(name, text);
  }

  /** Nothing is told afterwards. */
  close(): void {
    this.#machine.close();
  }

  #opened(): JournalStorage {
    if (this.#journal === null) throw new Error("no journal is open");
    return this.#journal;
  }
}

/** The same, each answered later: across a process, or as if. */
export type RemoteOperations = {
  [Name in keyof Operations]: (
    ...parameters: Parameters<Operations[Name]>
  ) => Promise<Awaited<ReturnType<Operations[Name]>>>;
};
