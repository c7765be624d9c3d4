// SPDX-License-Identifier: MIT
// Application servers: messages of all kinds, one after the other, each POSTed as a new one until it is answered 201. No tests here.

import { setTimeout as pause } from "node:timers/promises";
import webPush from "web-push";
import { declared } from "../end-to-end/receiver.ts";
import type { SoakApp } from "./apps.ts";
import type { Ledger } from "./ledger.ts";

/** Who has no answer after so long asks again. */
const ANSWER_TIMEOUT_MS = 8_000;
const TTL_S = 3_600;

interface Kind {
  readonly urgency?: webPush.Urgency;
  /** Bytes behind the number. */
  readonly padding?: number;
  readonly hasTopic?: boolean;
  readonly isDeclared?: boolean;
}

const KINDS: readonly Kind[] = [
  {},
  { urgency: "high", padding: 100 },
  { isDeclared: true },
  { urgency: "low", padding: 1_000 },
  { hasTopic: true },
  { urgency: "very-low" },
  { padding: 3_500 },
];

export interface SendersOptions {
  readonly apps: readonly SoakApp[];
  readonly keys: webPush.VapidKeys;
  readonly ledger: Ledger;
  readonly count: number;
  /** Of each sender, from one POST to the next, unless the answer takes longer. */
  readonly everyMs: number;
}

export class Senders {
  readonly #options: SendersOptions;
  readonly #running: readonly Promise<void>[];
  #messages = 0;
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
    const { apps, everyMs } = this.#options;
    while (!this.#isStopping) {
      const message = this.#messages++;
      const app = apps[message % apps.length] as SoakApp;
      // Each app gets each kind.
      const kind = KINDS[(message + Math.floor(message / apps.length)) % KINDS.length] as Kind;
      for (let isAccepted = false; !isAccepted; ) {
        const pace = pause(everyMs);
        isAccepted = await this.#post(app, kind);
        await pace;
      }
    }
  }

  /** One attempt. True for 201. */
  async #post(app: SoakApp, { urgency, padding = 0, hasTopic, isDeclared = false }: Kind): Promise<boolean> {
    const { ledger, keys } = this.#options;
    const number = ledger.begin(app.owner, isDeclared ? "screen" : "app");
    const text = `soak ${number} ${"x".repeat(padding)}`;
    const payload = isDeclared ? declared({ title: text, navigate: "https://news.example/" }) : text;
    const { endpoint, headers, body } = webPush.generateRequestDetails(app.subscription, payload, {
      vapidDetails: { subject: "mailto:sender@news.example", ...keys },
      TTL: TTL_S,
      ...(urgency === undefined ? {} : { urgency }),
      ...(hasTopic ? { topic: `soak-${number}` } : {}),
    });
    try {
      const response = await fetch(endpoint, {
        ...{ method: "POST", headers: headers as Record<string, string> },
        body: body as Buffer<ArrayBuffer>,
        signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      });
      await response.body?.cancel();
      ledger.answered(number, response.status);
      return response.status === 201;
    } catch {
      return false;
    }
  }
}
