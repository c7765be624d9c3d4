// SPDX-License-Identifier: MIT
/**
 * A push message to this device for trying the whole way: encrypted, signed and sent to the push service as an application
 * server would. Its subscription ends once the message was shown, or did not come.
 */

import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { TEST_ORIGIN, TEST_OWNER } from "../apps/protocol.ts";
import { PushManager, type PushSubscription } from "../apps/push-manager.ts";
import { utf8Encode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { REQUEST_TIMEOUT_MS, TEST_PUSH_MS_MAX } from "../limits.ts";
import { encrypt } from "../webpush/encrypt.ts";
import { generateKeyPair } from "../webpush/keys.ts";
import { signVapid } from "../webpush/vapid.ts";
import { nodeProvider } from "./crypto.ts";
import { systemRandomFill } from "./platform.ts";
import { proxyAgent } from "./proxy.ts";
import { trustedCertificates } from "./tls.ts";
import type { UserAgent } from "./user-agent.ts";

interface Test {
  readonly subscription: PushSubscription;
  readonly authorization: string;
  /** Sent, and neither shown nor given up. */
  waiting: number;
}

export interface TestPushOptions {
  readonly userAgent: UserAgent;
  /** PEM certificates trusted besides the system's, or null. */
  readonly ca: string | null;
}

export class TestPush {
  readonly #options: TestPushOptions;
  readonly #pushManager: PushManager;
  readonly #unlisten: () => void;
  readonly #ended = new AbortController();
  #test: Promise<Test> | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: TestPushOptions) {
    const { userAgent } = options;
    this.#options = options;
    this.#pushManager = new PushManager((request) => userAgent.request(TEST_OWNER, request));
    this.#unlisten = userAgent.listen({
      handleReport: (report) => {
        if (report.type === "shown" && report.owner === TEST_OWNER) void this.#handleShown();
      },
    });
  }

  /**
   * Sends one; resolves with the push service's status.
   *
   * @throws {GodwitError} as subscribing, ERR_SERVICE_UNREACHABLE when it does not answer
   */
  async send(): Promise<number> {
    this.#test ??= this.#subscribe();
    const sent = this.#test;
    const test = await sent.catch((error: unknown) => {
      if (this.#test === sent) this.#test = null;
      throw error;
    });
    test.waiting++;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.close(), TEST_PUSH_MS_MAX).unref();
    const statusCode = await this.#post(test);
    // It was ended by somebody else; the next one makes another.
    if (GONE.includes(statusCode) && this.#test === sent) this.#test = null;
    return statusCode;
  }

  /** Ends the subscription, if there is one. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const test = this.#test;
    this.#test = null;
    // A test that could not even begin has nothing to end; one at an agent that stops is ended by the next.
    await test?.then(({ subscription }) => subscription.unsubscribe()).catch(() => {});
  }

  /** The last time. Waits for nothing: what is under way is refused when the user agent stops, which is not held up by it. */
  end(): void {
    this.#unlisten();
    this.#ended.abort();
    void this.close();
  }

  async #handleShown(): Promise<void> {
    const test = await this.#test?.catch(() => null);
    if (test && --test.waiting <= 0) await this.close();
  }

  async #subscribe(): Promise<Test> {
    const { userAgent } = this.#options;
    // The administrator asks for it, which is all the permission it takes.
    if ((await this.#pushManager.permissionState()) !== "granted")
      await userAgent.choose({ type: "setPermission", owner: TEST_OWNER, permission: "granted" });
    const old = await this.#pushManager.getSubscription();
    await old?.unsubscribe();
    const keys = generateKeyPair(systemRandomFill, nodeProvider);
    const subscription = await this.#pushManager.subscribe({ applicationServerKey: keys.publicKey });
    const authorization = signVapid({
      keys,
      audience: new URL(subscription.endpoint).origin,
      expiresS: Math.floor(Date.now() / 1_000) + TOKEN_LIFETIME_S,
      subject: TEST_ORIGIN,
      provider: nodeProvider,
    });
    return { subscription, authorization, waiting: 0 };
  }

  #post({ subscription, authorization }: Test): Promise<number> {
    const body = encrypt(
      utf8Encode(JSON.stringify(testMessage(new URL(subscription.endpoint).host))),
      {
        publicKey: new Uint8Array(subscription.getKey("p256dh")),
        authSecret: new Uint8Array(subscription.getKey("auth")),
      },
      { provider: nodeProvider, randomFill: systemRandomFill },
    );
    const headers = {
      TTL: String(TEST_PUSH_MS_MAX / 1_000),
      Urgency: "high",
      "Content-Encoding": "aes128gcm",
      "Content-Length": body.length,
      Authorization: authorization,
    };
    return post(subscription.endpoint, headers, body, this.#options.ca, this.#ended.signal);
  }
}

/** Statuses of an endpoint that is no more. */
const GONE = [404, 410];
/** Of the VAPID token, longer than any series of tests that shares one. */
const TOKEN_LIFETIME_S = 3_600;

function testMessage(host: string): object {
  const body = `It was encrypted, and came by way of ${host}.`;
  return { web_push: 8030, notification: { title: "Test push", body, navigate: `${TEST_ORIGIN}/` } };
}

function post(
  endpoint: string,
  headers: Readonly<Record<string, string | number>>,
  body: Uint8Array,
  ca: string | null,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new GodwitError("ERR_SERVICE_UNREACHABLE", "the push service does not answer"));
    const tls = ca === null ? {} : { ca: trustedCertificates(ca) };
    const agent = proxyAgent(endpoint, tls, fail) ?? false;
    const start = endpoint.startsWith("https:") ? httpsRequest : httpRequest;
    const options = { method: "POST", headers, ...tls, agent, signal, timeout: REQUEST_TIMEOUT_MS };
    const request = start(endpoint, options, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", fail);
    request.end(body);
  });
}
