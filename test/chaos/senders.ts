// SPDX-License-Identifier: MIT
// Application servers: each message is POSTed, every time as a new one, until it is answered 201. No tests here.

import { request } from "node:http";
import type { Ledger } from "./ledger.ts";

/** Who has no answer after so long asks again. */
const ANSWER_TIMEOUT_MS = 8_000;

export interface SendersOptions {
  readonly port: number;
  /** By number of the device, path of its push resource. */
  readonly paths: readonly string[];
  readonly ledger: Ledger;
  readonly count: number;
  /** Of each sender, from the begin of one POST to that of the next, unless the answer takes longer. */
  readonly everyMs: number;
}

export class Senders {
  readonly #options: SendersOptions;
  readonly #running: readonly Promise<void>[];
  #nextDevice = 0;
  #isStopping = false;

  constructor(options: SendersOptions) {
    this.#options = options;
    this.#running = Array.from({ length: options.count }, () => this.#run());
  }

  /** Resolves when what was begun has been answered 201. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
  }

  async #run(): Promise<void> {
    const { paths, everyMs } = this.#options;
    while (!this.#isStopping) {
      const device = this.#nextDevice++ % paths.length;
      for (let isAccepted = false; !isAccepted; ) {
        const pace = new Promise((resolve) => setTimeout(resolve, everyMs));
        isAccepted = await this.#post(device);
        await pace;
      }
    }
  }

  /** One attempt. True for 201. */
  async #post(device: number): Promise<boolean> {
    const { ledger, port, paths } = this.#options;
    const { number, body } = ledger.begin(device);
    return new Promise((resolve) => {
      const outgoing = request({
        ...{ host: "127.0.0.1", port, path: paths[device], method: "POST", agent: false },
        headers: { TTL: "3600", "Content-Encoding": "aes128gcm" },
      });
      const timer = setTimeout(() => outgoing.destroy(), ANSWER_TIMEOUT_MS);
      outgoing.on("response", (response) => {
        const status = response.statusCode ?? 0;
        ledger.answered(number, status);
        resolve(status === 201);
        response.resume();
      });
      outgoing.on("error", () => {});
      outgoing.on("close", () => {
        clearTimeout(timer);
        resolve(false);
      });
      outgoing.end(body);
    });
  }
}
