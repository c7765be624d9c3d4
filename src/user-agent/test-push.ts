// SPDX-License-Identifier: MIT
/**
 * A push message to this device for trying the whole way: encrypted, signed and sent to the push service as an application
 * server would. Its subscription ends once the message was shown, or did not come.
 */

import type { SubscriptionView } from "../agent/events.ts";
import { TEST_ORIGIN, TEST_OWNER } from "../apps/protocol.ts";
import { utf8Encode } from "../bytes.ts";
import { hostOf, originOf } from "../declarative/url.ts";
import { GodwitError } from "../errors.ts";
import { TEST_PUSH_MS_MAX } from "../limits.ts";
import { encrypt } from "../webpush/encrypt.ts";
import { generateKeyPair } from "../webpush/keys.ts";
import { signVapid } from "../webpush/vapid.ts";
import { subscribe, unsubscribe } from "./default-subscription.ts";
import type { Platform } from "./platform.ts";
import type { UserAgent } from "./user-agent.ts";

interface Test {
  readonly subscription: SubscriptionView;
  readonly authorization: string;
  /** Sent, and neither shown nor given up. */
  waiting: number;
}

export interface TestPushOptions {
  readonly userAgent: UserAgent;
  readonly platform: Platform;
}

export class TestPush {
  readonly #options: TestPushOptions;
  readonly #unlisten: () => void;
  #test: Promise<Test> | null = null;
  /** Takes back the end of the test that is under way. */
  #cancelEnd: () => void = () => {};
  #isOver = false;

  constructor(options: TestPushOptions) {
    this.#options = options;
    this.#unlisten = options.userAgent.listen({
      handleReport: (report) => {
        if (report.type === "shown" && report.owner === TEST_OWNER) void this.#handleShown();
      },
    });
  }

  /**
   * Sends one; resolves with the push service's status.
   *
   * @throws {GodwitError} as subscribing, ERR_SERVICE_UNREACHABLE when it does not answer, ERR_SHUTDOWN
   */
  async send(): Promise<number> {
    this.#test ??= this.#subscribe();
    const sent = this.#test;
    const test = await sent.catch((error: unknown) => {
      if (this.#test === sent) this.#test = null;
      throw error;
    });
    // Nobody would end what is sent from here on.
    if (this.#isOver) throw new GodwitError("ERR_SHUTDOWN", "the user agent is stopping");
    test.waiting++;
    this.#cancelEnd();
    this.#cancelEnd = this.#options.platform.after(TEST_PUSH_MS_MAX, () => void this.close());
    const statusCode = await this.#post(test);
    // It was ended by somebody else; the next one makes another.
    if (GONE.includes(statusCode) && this.#test === sent) this.#test = null;
    return statusCode;
  }

  /** Ends the subscription, if there is one. */
  async close(): Promise<void> {
    this.#cancelEnd();
    const test = this.#test;
    this.#test = null;
    // A test that could not even begin has nothing to end; one at an agent that stops is ended by the next.
    await test?.then(({ subscription }) => this.#unsubscribe(subscription)).catch(() => {});
  }

  /** The last time. Waits for nothing: what is under way is refused when the user agent stops, which is not held up by it. */
  end(): void {
    this.#isOver = true;
    this.#unlisten();
    void this.close();
  }

  async #handleShown(): Promise<void> {
    const test = await this.#test?.catch(() => null);
    if (test && --test.waiting <= 0) await this.close();
  }

  async #subscribe(): Promise<Test> {
    const { userAgent, platform } = this.#options;
    // The administrator asks for it, which is all the permission it takes.
    if (userAgent.permissionOf(TEST_OWNER) !== "granted")
      await userAgent.choose({ type: "setPermission", owner: TEST_OWNER, permission: "granted" });
    await unsubscribe(userAgent, TEST_OWNER);
    const keys = generateKeyPair(platform.randomFill, platform.provider);
    const subscription = await subscribe(userAgent, TEST_OWNER, { applicationServerKey: keys.publicKey });
    const authorization = signVapid({
      keys,
      audience: originOf(subscription.endpoint) ?? "",
      expiresS: Math.floor(platform.epochMs() / 1_000) + TOKEN_LIFETIME_S,
      subject: TEST_ORIGIN,
      provider: { sign: (pair, data) => platform.sign(pair, data) },
    });
    return { subscription, authorization, waiting: 0 };
  }

  async #unsubscribe({ subscriptionId }: SubscriptionView): Promise<void> {
    await this.#options.userAgent.request(TEST_OWNER, { type: "unsubscribe", subscriptionId });
  }

  /** @throws {GodwitError} ERR_SERVICE_UNREACHABLE */
  async #post({ subscription, authorization }: Test): Promise<number> {
    const { userAgent, platform } = this.#options;
    const { endpoint, p256dh, auth } = subscription;
    const { provider, randomFill } = platform;
    const message = utf8Encode(JSON.stringify(testMessage(hostOf(endpoint) ?? endpoint)));
    const body = encrypt(message, { publicKey: p256dh, authSecret: auth }, { provider, randomFill });
    const headers = {
      TTL: String(TEST_PUSH_MS_MAX / 1_000),
      Urgency: "high",
      "Content-Encoding": "aes128gcm",
      Authorization: authorization,
    };
    const statusCode = await userAgent.post(endpoint, headers, body);
    if (statusCode === 0)
      throw new GodwitError("ERR_SERVICE_UNREACHABLE", "the push service does not answer");
    return statusCode;
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
