// SPDX-License-Identifier: MIT
/**
 * One device that receives: push service (TLS, LMDB) and user agent in this process, everything that happens on the screen,
 * in the apps and at the service written down in one order, and an application server that says of a message what it likes.
 * No tests here.
 */

import { Agent, request } from "node:https";
import webPush from "web-push";
import type { Report } from "../../src/agent/events.ts";
import type { PushEvent } from "../../src/apps/events.ts";
import type { PushSubscription, PushSubscriptionOptionsInit } from "../../src/apps/push-manager.ts";
import type { AppBadge, GodwitNotification } from "../../src/declarative/index.ts";
import { ACK_GATHER_MS, ACK_GATHER_WINDOW_MS } from "../../src/limits.ts";
import type { AppHandle } from "../../src/node/app-handle.ts";
import { createUserAgent, type UserAgent, type UserAgentOptions } from "../../src/node/user-agent.ts";
import {
  createPushService,
  loadDevCertificate,
  newKeyring,
  openLmdbStore,
  type PushService,
  type Store,
} from "../../src/push-service/index.ts";
import type { ShownNotification } from "../../src/user-agent/display.ts";
import type { AckCode } from "../../src/wire/dialect.ts";
import type { Stage } from "./stage.ts";

/** Nothing waited for takes nearly this long; it only makes a failure readable. */
const WAIT_MS_MAX = 20_000;
/** Tests send faster than application servers may. */
const UNLIMITED = { burstMax: 10_000, perMinute: 10_000 };
/** Reports after which an acknowledgement goes. */
const OUTCOMES: readonly Report["type"][] = ["shown", "handled", "dropped"];
const startTimer = setTimeout;
const stopTimer = clearTimeout;

/** What was seen, in the order it happened. */
export type Seen =
  | ({ readonly type: "show" } & ShownNotification)
  | { readonly type: "close"; readonly notificationId: number }
  | { readonly type: "badge"; readonly owner: string; readonly badge: AppBadge }
  | { readonly type: "open"; readonly owner: string; readonly url: string }
  /** `event` is the one the handler got. */
  | { readonly type: "push"; readonly owner: string; readonly event: PushEvent }
  | {
      readonly type: "click";
      readonly owner: string;
      readonly notification: GodwitNotification;
      readonly action: string;
    }
  | { readonly type: "start"; readonly owner: string }
  /** At the service: so many messages left its store. */
  | { readonly type: "acknowledged"; readonly code: AckCode; readonly messages: number }
  | { readonly type: "report"; readonly report: Report };

type SeenOf<Type extends Seen["type"]> = Extract<Seen, { type: Type }>;

export type Handler = (event: PushEvent) => unknown;

/** What is POSTed besides the encrypted body. */
export interface Letter {
  /** null: no body at all. */
  readonly plaintext: string | Uint8Array | null;
  readonly contentType?: string | null;
  /** Changes the encrypted body. */
  readonly damage?: (body: Uint8Array) => Uint8Array;
  readonly ttlS?: number;
}

export type ReceiverOptions = Omit<Partial<UserAgentOptions>, "startApp"> & {
  /** Default: seen as "start". Null: nobody hears of it, so that an app socket opened later does. */
  readonly startApp?: ((owner: string) => void) | null;
};

export class Receiver {
  #owners = 0;
  readonly seen: Seen[] = [];
  readonly stateDirectory: string;
  readonly service: PushService;
  readonly store: Store;
  readonly #stage: Stage;
  readonly #ca: string;
  readonly #options: ReceiverOptions;
  readonly #https: Agent;
  readonly #keys = webPush.generateVAPIDKeys();
  readonly #looks = new Set<() => void>();
  #sent = 0;
  #userAgent: UserAgent | null = null;

  private constructor(
    stage: Stage,
    { service, store, ca }: { service: PushService; store: Store; ca: string },
    options: ReceiverOptions,
  ) {
    this.#stage = stage;
    this.service = service;
    this.store = store;
    this.#ca = ca;
    this.#options = options;
    this.stateDirectory = stage.newDirectory();
    this.#https = new Agent({ ca, keepAlive: true });
    stage.defer(() => this.#https.destroy());
  }

  /** @param wrap puts something around the service's store */
  static async open(
    stage: Stage,
    options: ReceiverOptions = {},
    wrap: (store: Store) => Store = (store) => store,
  ): Promise<Receiver> {
    const tls = await loadDevCertificate({ directory: stage.newDirectory(), nowMs: Date.now() });
    const store = wrap(await openLmdbStore({ directory: stage.newDirectory() }));
    const seeing: { receiver: Receiver | null } = { receiver: null };
    const service = createPushService({
      tls,
      store,
      keyring: newKeyring(),
      reconnectSpreadS: 0,
      endpointRate: UNLIMITED,
      deviceRate: UNLIMITED,
      log: (event) => {
        if (event.event !== "acknowledged") return;
        const { code, messages } = event;
        seeing.receiver?.note({ type: "acknowledged", code, messages });
      },
    });
    stage.defer(() => service.close());
    await service.listen();
    const receiver = new Receiver(stage, { service, store, ca: tls.ca }, options);
    seeing.receiver = receiver;
    await receiver.start();
    return receiver;
  }

  get userAgent(): UserAgent {
    if (this.#userAgent === null) throw new Error("no user agent is running");
    return this.#userAgent;
  }

  /** A user agent on the same state. */
  async start(options: ReceiverOptions = {}): Promise<void> {
    const note = (owner: string): void => this.note({ type: "start", owner });
    const { startApp = note, ...others } = { ...this.#options, ...options };
    const userAgent = await createUserAgent({
      serviceUrl: this.service.origin,
      stateDirectory: this.stateDirectory,
      ca: this.#ca,
      permission: () => "granted",
      jitter: () => 0,
      display: {
        show: (shown) => this.note({ type: "show", ...shown }),
        close: (notificationId) => this.note({ type: "close", notificationId }),
        setBadge: (owner, badge) => this.note({ type: "badge", owner, badge }),
        openUrl: (owner, url) => this.note({ type: "open", owner, url }),
      },
      onReport: (report) => this.note({ type: "report", report }),
      ...(startApp === null ? {} : { startApp }),
      ...others,
    });
    this.#userAgent = userAgent;
    this.#stage.defer(() => userAgent.close());
  }

  /** Ends in order, and starts again on the same state. */
  async restart(options: ReceiverOptions = {}): Promise<void> {
    await this.userAgent.close();
    await this.start(options);
  }

  /** An app whose handler notes each message first; null takes the handler away. */
  app(owner: string, handler?: Handler | null): AppHandle {
    const app = this.userAgent.app(owner);
    app.onnotificationclick = ({ notification, action }) =>
      this.note({ type: "click", owner, notification, action });
    // What a developer is told is no news here; the console would be full of it.
    app.onwarning ??= (event) => event.preventDefault();
    if (handler === undefined) return app;
    app.onpush =
      handler === null
        ? null
        : (event) => {
            this.note({ type: "push", owner, event });
            return handler(event);
          };
    return app;
  }

  subscribe(owner: string, init: PushSubscriptionOptionsInit = {}): Promise<PushSubscription> {
    const applicationServerKey = this.#keys.publicKey;
    return this.userAgent.app(owner).pushManager.subscribe({ applicationServerKey, ...init });
  }

  /** Encrypts with `web-push` and POSTs; resolves once the service has it. */
  async post(subscription: PushSubscription, letter: Letter): Promise<void> {
    const { plaintext, contentType = null, damage = (body: Uint8Array) => body, ttlS = 600 } = letter;
    const vapid = { vapidDetails: { subject: "mailto:sender@news.example", ...this.#keys }, TTL: ttlS };
    const { endpoint, headers, body } =
      plaintext === null
        ? webPush.generateRequestDetails(subscription.toJSON(), undefined, vapid)
        : webPush.generateRequestDetails(subscription.toJSON(), Buffer.from(plaintext), vapid);
    // web-push writes a Content-Type of its own over the sender's.
    const { "Content-Type": _, ...others } = headers as Record<string, string>;
    const content = body === null ? new Uint8Array(0) : damage(new Uint8Array(body));
    const ownHeaders = {
      ...others,
      "Content-Length": content.length,
      ...(contentType === null ? {} : { "Content-Type": contentType }),
    };
    const status = await new Promise<number>((resolve, reject) => {
      const options = { method: "POST", headers: ownHeaders, agent: this.#https };
      const outgoing = request(endpoint, options, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      });
      outgoing.on("error", reject);
      outgoing.end(content);
    });
    if (status !== 201) throw new Error(`the push service answered ${status}`);
    this.#sent++;
  }

  /** A new owner each time: nothing is left of the test before. */
  async newApp(handler: Handler | null = null) {
    const owner = `https://app${++this.#owners}.example`;
    const app = this.app(owner, handler);
    return { owner, app, subscription: await this.subscribe(owner) };
  }

  /** A declared message, received; what it shows. */
  async show(subscription: PushSubscription, notification: object, members: object = {}) {
    const seen = await this.receive(subscription, {
      plaintext: declared({ ...notification }, { ...members }),
    });
    const shown = ofType(seen, "show").at(-1);
    if (shown === undefined) throw new Error("nothing was shown");
    return shown;
  }

  /** POSTs, waits until the service is rid of the message, and resolves to all that was seen meanwhile. */
  async receive(subscription: PushSubscription, letter: Letter): Promise<Seen[]> {
    const from = this.seen.length;
    await this.post(subscription, letter);
    await this.empty();
    return this.seen.slice(from);
  }

  /**
   * POSTs, and resolves to all that was seen until the device had done with the message. Quicker than {@link receive} where
   * many follow each other: acknowledgements gather. For handlers that show nothing themselves.
   */
  async deal(subscription: PushSubscription, letter: Letter): Promise<Seen[]> {
    const from = this.seen.length;
    await this.post(subscription, letter);
    return this.until("the message is dealt with", (all) => {
      const seen = all.slice(from);
      const isOpaque = ofType(seen, "push").every(({ event }) => event.notification === null);
      const isOver = ofType(seen, "report").some(
        ({ report }) =>
          report.type === "dropped" ||
          (report.type === "shown" && report.messageId !== null) ||
          (report.type === "handled" && isOpaque),
      );
      return isOver ? seen : null;
    });
  }

  /** Messages that left the service's store, by what they were acknowledged with. */
  get acknowledged(): Readonly<Record<AckCode, number>> {
    const sums = { ok: 0, undecryptable: 0, rejected: 0 };
    for (const { code, messages } of ofType(this.seen, "acknowledged")) sums[code] += messages;
    return sums;
  }

  /** Resolves once every message sent so far was acknowledged, and checks that the store is empty. */
  async empty(): Promise<void> {
    await this.until(`${this.#sent} messages acknowledged`, () => {
      const { ok, undecryptable, rejected } = this.acknowledged;
      return ok + undecryptable + rejected >= this.#sent || null;
    });
    const left = await this.store.countMessages();
    if (left !== 0) throw new Error(`${left} messages are still at the service`);
  }

  /** Resolves to what `find` makes of what was seen as soon as that is not null; asked again after each thing seen. */
  until<T>(what: string, find: (seen: readonly Seen[]) => T | null): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = find(this.seen);
        if (found === null) return;
        stopTimer(timer);
        this.#looks.delete(look);
        resolve(found);
      };
      const timer = startTimer(() => {
        this.#looks.delete(look);
        const last = this.seen.slice(-15).map((one) => JSON.stringify(one));
        reject(new Error(`time is up before ${what}; seen last:\n${last.join("\n")}`));
      }, WAIT_MS_MAX);
      this.#looks.add(look);
      look();
    });
  }

  /** The first thing of one type behind the first `from`, there already or still to come. */
  next<Type extends Seen["type"]>(
    type: Type,
    from = 0,
    isIt: (one: SeenOf<Type>) => boolean = () => true,
  ): Promise<SeenOf<Type>> {
    return this.until(
      `${type} behind ${from}`,
      (seen) => ofType(seen.slice(from), type).find((one) => isIt(one)) ?? null,
    );
  }

  note(one: Seen): void {
    this.seen.push(one);
    for (const look of [...this.#looks]) look();
    // Where time can be skipped, nobody waits for acknowledgements that gather.
    if (one.type === "report" && OUTCOMES.includes(one.report.type))
      void globalThis.moreRequests?.skip({ ms: ACK_GATHER_MS + ACK_GATHER_WINDOW_MS });
  }
}

export function ofType<Type extends Seen["type"]>(seen: readonly Seen[], type: Type): SeenOf<Type>[] {
  return seen.filter((one): one is SeenOf<Type> => one.type === type);
}

/** What a person and the app noticed: titles shown, what handlers were given, badges. */
export function effectsOf(seen: readonly Seen[]) {
  return {
    shown: ofType(seen, "show").map(({ notification }) => notification.title),
    pushes: ofType(seen, "push").map(({ event }) => ({
      data: event.data?.text() ?? null,
      title: event.notification?.title ?? null,
    })),
    badges: ofType(seen, "badge").map(({ badge }) => badge),
  };
}

/** A declarative message of the standard as JSON text. */
export function declared(
  notification: Readonly<Record<string, unknown>>,
  members: Readonly<Record<string, unknown>> = {},
): string {
  return JSON.stringify({
    web_push: 8030,
    notification: { title: "Declared", navigate: "/declared", ...notification },
    ...members,
  });
}
