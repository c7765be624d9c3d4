// SPDX-License-Identifier: MIT
/** Payload of a push message (W3C Push API, `PushMessageData`). Nothing of a runtime is imported. */

/** The platform's `Blob`. */
interface BlobLike {
  readonly size: number;
  readonly type: string;
  arrayBuffer(): Promise<ArrayBuffer>;
  text(): Promise<string>;
}

export class PushMessageData {
  readonly #bytes: Uint8Array;

  /** Takes over `bytes`. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  arrayBuffer(): ArrayBuffer {
    return this.#bytes.slice().buffer as ArrayBuffer;
  }

  bytes(): Uint8Array {
    return this.#bytes.slice();
  }

  blob(): BlobLike {
    const { Blob } = globalThis as unknown as { Blob: new (parts: readonly Uint8Array[]) => BlobLike };
    return new Blob([this.#bytes]);
  }

  text(): string {
    return new TextDecoder().decode(this.#bytes);
  }

  /** @throws {SyntaxError} when the payload is not JSON */
  json(): unknown {
    return JSON.parse(this.text());
  }
}
