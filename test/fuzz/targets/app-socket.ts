// SPDX-License-Identifier: MIT
/**
 * What peers say at the app socket of a whole user agent, in virtual time, with a push service that answers as it should. An input is lines: a
 * peer's digit and its message, `t` for a minute that passes, `p` with the plaintext of a push message, `c` with the digit of a peer that goes.
 * Each request is answered once at most, with a listed error and never with one of our inside; no peer is told another's token; in the
 * end the agent stops. No tests here.
 */

import type { AgentEvent } from "../../../src/agent/events.ts";
import { utf8Decode, utf8Encode } from "../../../src/bytes.ts";
import { APP_ANSWER_BYTES_MAX, APP_REQUEST_BYTES_MAX } from "../../../src/limits.ts";
import { nodeProvider } from "../../../src/node/crypto.ts";
import { AppSocket } from "../../../src/user-agent/app-socket.ts";
import type { Machine, PeerSocket, Platform } from "../../../src/user-agent/platform.ts";
import { startUserAgent } from "../../../src/user-agent/start.ts";
import type { UserAgent } from "../../../src/user-agent/user-agent.ts";
import { base64urlDecode } from "../../../src/webpush/base64url.ts";
import { encrypt } from "../../../src/webpush/encrypt.ts";
import type { Upstream } from "../../../src/wire/dialect.ts";
import { godwitDialect } from "../../../src/wire/godwit.ts";
import { ALL_CODES } from "../../error-codes.ts";
import { mutateJson } from "../json.ts";
import { Random } from "../random.ts";
import { holds, same, type Target } from "../target.ts";

const OWNERS = ["kiosk.clock", "https://news.example"] as const;
const LINES_MAX = 40;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const target: Target = {
  name: "app-socket",
  covers: [
    "src/user-agent/",
    "src/agent/app-requests.ts",
    "src/agent/choices.ts",
    "src/agent/permissions.ts",
  ],
  inputBytesMax: 16_384,
  inputMsMax: 2000,
  words: [
    ...[
      "id",
      "type",
      "role",
      "owner",
      "token",
      "app",
      "page",
      "shell",
      "admin",
      "hello",
      "challenge",
      "attach",
      "handlesPush",
    ],
    ...[
      "subscribe",
      "getSubscription",
      "unsubscribe",
      "subscriptionId",
      "permissionState",
      "requestPermission",
      "waToken",
    ],
    ...[
      "showNotification",
      "deliveryId",
      "title",
      "options",
      "getNotifications",
      "tag",
      "closeNotification",
      "notificationId",
    ],
    ...[
      "setAppBadge",
      "badge",
      "handled",
      "failed",
      "displayed",
      "displayFailed",
      "pageSecret",
      "activate",
      "action",
      "dismiss",
    ],
    ...[
      "answerPermission",
      "permission",
      "granted",
      "denied",
      "prompt",
      "answerNavigation",
      "allowed",
      "status",
      "stats",
      "radio",
    ],
    ...[
      "notifications",
      "setPermission",
      "setPaused",
      "paused",
      "setOptedOut",
      "optedOut",
      "clearData",
      "removeSubscription",
    ],
    ...[
      "factoryReset",
      "installed",
      "installApp",
      "start",
      "tokenFile",
      "uninstallApp",
      "dashboardLink",
      "testPush",
      "watch",
    ],
    ...[
      "applicationServerKey",
      "userVisibleOnly",
      "declarative",
      "auto",
      "allowAesgcm",
      "freshness",
      "urgent",
      ...OWNERS,
    ],
    ...["\n0", "\n1", "\n2", "\n3", "\n4", "\nt\n", "\np", "\nc1\n"],
  ],
  seeds: () => SEEDS.map(utf8Encode),
  mutate: mutateLines,
  run,
};

/** One line changes where it means something; or lines are put in, taken out and exchanged. */
function mutateLines(input: Uint8Array, random: Random): Uint8Array | null {
  const lines = utf8Decode(input).split("\n");
  const at = random.below(lines.length);
  const line = lines[at] ?? "";
  const changed = mutateJson(utf8Encode(line.slice(1)), target.words, random);
  const other = random.pick(random.pick(SEEDS).split("\n"));
  const options = [
    () => lines.toSpliced(at, 1),
    () => lines.toSpliced(at, 0, other),
    () => lines.toSpliced(at, 0, line),
    () => lines.with(at, random.pick(["0", "1", "2", "3", "4"]) + line.slice(1)),
    () => (changed === null ? lines : lines.with(at, line.slice(0, 1) + utf8Decode(changed))),
    () => (changed === null ? lines : lines.with(at, line.slice(0, 1) + utf8Decode(changed))),
  ];
  return utf8Encode(random.pick(options)().join("\n"));
}

async function run(input: Uint8Array): Promise<string> {
  const world = await World.start();
  const lines = utf8Decode(input).split("\n").slice(0, LINES_MAX);
  for (const line of lines) await world.take(line);
  await world.end();
  return [...world.outcomes].sort().slice(0, 3).join(" ");
}

/** A user agent, its app socket, and what they run on. */
class World {
  readonly outcomes = new Set<string>();
  readonly #random = new Random(1);
  readonly #timers = new Map<object, { atMs: number; action: () => void }>();
  readonly #files = new Map<string, string>();
  readonly #peers = new Map<string, Peer>();
  readonly #tokens: string[] = [];
  #nowMs = 1000;
  #dispatch: (event: AgentEvent) => void = () => {};
  #alarmAtMs = Number.POSITIVE_INFINITY;
  #linkId = 0;
  #lastChannel = 0;
  #lastId = 0;
  #agent: UserAgent | null = null;
  #socket: AppSocket | null = null;

  static async start(): Promise<World> {
    const world = new World();
    const platform = world.#platform();
    const journal = {
      read: async () => [],
      append: async () => {},
      checkpoint: async () => {},
      close: async () => {},
    };
    const agent = await startUserAgent(
      {
        ...{
          serviceUrl: "https://push.example",
          deviceId: "fuzz",
          mqttUrls: [],
          watchNetwork: false,
          jitter: () => 0.5,
        },
        permission: (owner) => (owner === OWNERS[0] ? "granted" : "ask"),
      },
      platform,
      (dispatch) => world.#machine(dispatch),
      () => journal,
    );
    world.#agent = agent;
    world.#socket = await AppSocket.open({
      ...{ userAgent: agent, platform, bootId: "boot", pageOrigins: ["http://localhost:8000"] },
      processes: {
        start: (_argv, _environment, ended) => ({
          signal: () => world.#after(0, () => ended({ type: "exit", code: 0 })),
        }),
      },
      files: {
        path: (name) => `/state/${name}`,
        read: async (name) => world.#files.get(name) ?? null,
        write: async (name, text) => void world.#files.set(name, text),
      },
    });
    world.#socket.loopbackDoor.handleListening(8440);
    world.#socket.start();
    const admin = world.#peer("4");
    for (const [id, owner] of OWNERS.entries()) {
      const answer = await admin.ask({
        id: 1_000_000 + id,
        type: "installApp",
        owner,
        start: id === 0 ? ["/bin/app"] : null,
      });
      world.#tokens.push(answer.token as string);
    }
    return world;
  }

  async take(line: string): Promise<void> {
    const rest = line.slice(1);
    const kind = line[0] ?? "";
    if (kind === "t") this.#pass(60_000);
    else if (kind === "p") this.#push(rest);
    else if (kind === "c") this.#peers.get(rest)?.hangUp();
    else if (/[0-4]/.test(kind)) this.#peer(kind).say(rest);
    await turn();
    this.#pass(0);
    await turn();
    for (const peer of this.#peers.values()) for (const outcome of peer.outcomes) this.outcomes.add(outcome);
  }

  async end(): Promise<void> {
    for (const peer of this.#peers.values()) this.#checkSecrets(peer);
    let isOver = false;
    const over = this.#socket?.close().then(() => this.#agent?.close());
    over?.then(() => {
      isOver = true;
    });
    for (let turns = 0; turns < 200 && !isOver; turns++) {
      this.#pass(1000);
      await turn();
    }
    holds("the agent stops", isOver);
  }

  /** Tokens are the administrator's to hand out, and nobody else hears of any. */
  #checkSecrets(peer: Peer): void {
    const secrets = [...this.#files.values()].map((text) => text.trim()).filter((text) => text.length === 43);
    const all = [...secrets, ...this.#tokens];
    if (peer.digit !== "4")
      holds("nobody is told a token", !peer.said.some((text) => all.some((secret) => text.includes(secret))));
    else
      holds(
        "the administrator is told no secret of the agent",
        !peer.said.some((text) => secrets.some((secret) => text.includes(secret))),
      );
  }

  /** Comes and proves who it is, unless it is a stranger or has been here. */
  #peer(digit: string): Peer {
    const known = this.#peers.get(digit);
    if (known !== undefined && !known.isGone) return known;
    const peer = new Peer(digit);
    this.#peers.set(digit, peer);
    this.#socket?.arrive(peer.socket, { origin: null, ownOrigin: null, settle: () => {} });
    const token = (name: string): string => this.#files.get(name)?.trim() ?? "";
    if (digit === "1")
      peer.say(
        JSON.stringify({ id: 0, type: "hello", role: "app", owner: OWNERS[0], token: this.#tokens[0] }),
      );
    if (digit === "2")
      peer.say(
        JSON.stringify({ id: 0, type: "hello", role: "app", owner: OWNERS[1], token: this.#tokens[1] }),
      );
    if (digit === "3")
      peer.say(JSON.stringify({ id: 0, type: "hello", role: "shell", token: token("shell.token") }));
    if (digit === "4")
      peer.say(JSON.stringify({ id: 0, type: "hello", role: "admin", token: token("admin.token") }));
    return peer;
  }

  #platform(): Platform {
    return {
      now: () => ({ monotonicMs: this.#nowMs, epochMs: 1_700_000_000_000 + this.#nowMs, epochTrusted: true }),
      monotonicMs: () => this.#nowMs,
      epochMs: () => 1_700_000_000_000 + this.#nowMs,
      after: (delayMs, action) => this.#after(delayMs, action),
      randomFill: (bytes) => bytes.set(this.#random.bytes(bytes.length)),
      provider: nodeProvider,
      sign: (keys, data) => nodeProvider.sign(keys, data),
    };
  }

  #after(delayMs: number, action: () => void): () => void {
    const key = {};
    this.#timers.set(key, { atMs: this.#nowMs + delayMs, action });
    return () => void this.#timers.delete(key);
  }

  #pass(ms: number): void {
    this.#nowMs += ms;
    for (const [key, { atMs, action }] of [...this.#timers]) {
      if (atMs > this.#nowMs || !this.#timers.delete(key)) continue;
      action();
    }
    if (this.#alarmAtMs > this.#nowMs) return;
    this.#alarmAtMs = Number.POSITIVE_INFINITY;
    this.#dispatch({ type: "alarm" });
  }

  /** A network without faults, and the push service at its other end. */
  #machine(dispatch: (event: AgentEvent) => void): Machine {
    this.#dispatch = dispatch;
    const later = (event: AgentEvent): void => void this.#after(0, () => dispatch(event));
    return {
      openLink: ({ linkId }) => {
        this.#linkId = linkId;
        later({ type: "linkOpened", linkId });
        this.#tell({
          ...{
            type: "registered",
            status: 200,
            uaid: new Uint8Array(16),
            freshUaToken: null,
            idleLimitS: null,
          },
          ...{ reconnectSpreadS: 0, canary: null, epochMs: 0, storeEpoch: 3, channels: null, lastId: 0 },
        });
      },
      send: ({ frame }) => this.#answer(godwitDialect.parseUpstream(frame)),
      ping: ({ linkId }) => later({ type: "linkPong", linkId }),
      closeLink: () => {},
      setAlarm: ({ alarm }) => {
        this.#alarmAtMs = alarm?.atMs ?? Number.POSITIVE_INFINITY;
      },
      stayAwake: () => {},
      httpRequest: ({ requestId }) =>
        later({
          ...{ type: "httpResponse", requestId, status: 200, cause: null, retryAfterS: null },
          body: JSON.stringify({ uaToken: "dG9rZW4", uaid: "0".repeat(32) }),
        }),
      watchNetwork: async () => {},
      post: async () => 201,
      close: () => {},
    };
  }

  #answer(message: Upstream): void {
    if (message.type === "registerWa")
      this.#tell({
        ...{ type: "waRegistered", ref: message.ref, status: 200, channel: ++this.#lastChannel },
        ...{ endpoint: `https://push.example/p/${this.#lastChannel}`, expirationTime: null },
      });
    if (message.type === "unregisterWa")
      this.#tell({ type: "waUnregistered", ref: message.ref, status: 200, channel: message.channel });
    if (message.type === "unregisterUa") this.#tell({ type: "bye", reason: "unregistered", retryAfterS: 0 });
    if (message.type === "getAllMessages") this.#tell({ type: "drained", ref: message.ref });
    if (message.type === "probe") this.#tell({ type: "probeReply", nonce: message.nonce });
  }

  #tell(message: Parameters<typeof godwitDialect.encodeDownstream>[0]): void {
    const linkId = this.#linkId;
    this.#after(0, () =>
      this.#dispatch({ type: "linkMessage", linkId, frame: godwitDialect.encodeDownstream(message) }),
    );
  }

  /** To the subscription that was told of last. */
  #push(text: string): void {
    const told = [...this.#peers.values()].flatMap((peer) => peer.subscriptions).at(-1);
    if (told === undefined) return;
    const keys = { publicKey: base64urlDecode(told.p256dh), authSecret: base64urlDecode(told.auth) };
    const plaintext = utf8Encode(text).subarray(0, 3993);
    const randomFill = (bytes: Uint8Array): void => bytes.set(this.#random.bytes(bytes.length));
    this.#tell({
      ...{
        type: "notification",
        id: ++this.#lastId,
        attempt: 1,
        channel: Number(told.endpoint.split("/").at(-1)),
        ttlLeftS: 60,
      },
      ...{ urgency: "normal", saysNotification: false, topic: null },
      body: text === "" ? null : encrypt(plaintext, keys, { randomFill, provider: nodeProvider }),
    });
  }
}

/** The other end of one connection. */
class Peer {
  readonly digit: string;
  readonly said: string[] = [];
  readonly outcomes = new Set<string>();
  readonly subscriptions: { endpoint: string; p256dh: string; auth: string }[] = [];
  readonly #asked = new Map<unknown, number>();
  readonly #waiting = new Map<unknown, (result: Record<string, unknown>) => void>();
  #handlers: Parameters<PeerSocket["listen"]>[0] | null = null;
  isGone = false;

  constructor(digit: string) {
    this.digit = digit;
  }

  readonly socket: PeerSocket = {
    bufferedBytes: 0,
    send: (text) => this.#hear(text),
    close: () => this.hangUp(),
    terminate: () => this.hangUp(),
    pause: () => {},
    resume: () => {},
    listen: (handlers) => {
      this.#handlers = handlers;
    },
  };

  say(text: string): void {
    const message = text.slice(0, APP_REQUEST_BYTES_MAX / 3);
    const id = idOf(message);
    this.#asked.set(id, (this.#asked.get(id) ?? 0) + 1);
    this.#handlers?.message(message === "binary" ? null : message);
  }

  async ask(request: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
    const answered = new Promise<Record<string, unknown>>((resolve) =>
      this.#waiting.set(request.id, resolve),
    );
    this.say(JSON.stringify(request));
    return answered;
  }

  hangUp(): void {
    if (this.isGone) return;
    this.isGone = true;
    queueMicrotask(() => this.#handlers?.closed());
  }

  #hear(text: string): void {
    this.said.push(text);
    holds("what is said is bounded", text.length <= APP_ANSWER_BYTES_MAX);
    const { id, result, error, event } = JSON.parse(text) as {
      id?: unknown;
      result?: Record<string, unknown> | null;
      error?: { code: string; name: string; message: string };
      event?: string;
    };
    if (event !== undefined) return void this.outcomes.add(event);
    const left = (this.#asked.get(id ?? null) ?? 0) - 1;
    // What cannot be read has no id, or one that is none.
    if (id !== null) holds("one answer to each request", left >= 0);
    this.#asked.set(id ?? null, left);
    if (error !== undefined) {
      holds(`a listed code: ${error.code}`, ALL_CODES.includes(error.code));
      holds(`an error of our inside: ${text}`, error.message !== "the request failed");
      holds("errors have names", error.name !== "");
      this.outcomes.add(error.code);
      return;
    }
    same("an answer has one part", typeof result, "object");
    const told = result?.subscription as
      | { endpoint: string; p256dh: string; auth: string }
      | null
      | undefined;
    if (told) this.subscriptions.push(told);
    this.#waiting.get(id)?.(result ?? {});
  }
}

function idOf(text: string): unknown {
  try {
    const id = (JSON.parse(text) as { id?: unknown } | null)?.id;
    return typeof id === "number" && Number.isSafeInteger(id) && id >= 0 ? id : null;
  } catch {
    return null;
  }
}

const subscribe =
  '{"id":1,"type":"subscribe","userVisibleOnly":true,"declarative":"auto","allowAesgcm":false,"applicationServerKey":null}';
const declared =
  '{"web_push":8030,"notification":{"title":"T","navigate":"https://other.example/","actions":[{"action":"a","title":"A","navigate":"https://x.example/"}]},"mutable":true,"app_badge":3}';
const SEEDS: readonly string[] = [
  `1{"id":2,"type":"attach","handlesPush":true}\n1${subscribe}\nt\nphello\n1{"id":3,"type":"showNotification","deliveryId":null,"title":"T","options":{"body":"b","tag":"t"}}\n1{"id":4,"type":"getNotifications"}\n1{"id":5,"type":"setAppBadge","badge":4}\n1{"id":6,"type":"unsubscribe","subscriptionId":1}`,
  `3{"id":1,"type":"pageSecret","owner":"http://localhost:8000"}\n1${subscribe}\nt\np${declared}\n3{"id":2,"type":"displayed","notificationId":1}\n3{"id":3,"type":"activate","notificationId":1,"action":""}\n3{"id":4,"type":"answerNavigation","notificationId":1,"action":"","allowed":true}\n3{"id":5,"type":"dismiss","notificationId":1}\nt`,
  `4{"id":1,"type":"watch"}\n2{"id":1,"type":"requestPermission"}\n4{"id":2,"type":"answerPermission","owner":"https://news.example","permission":"granted"}\n2${subscribe}\nt\n4{"id":3,"type":"status"}\n4{"id":4,"type":"stats","radio":"lte"}\n4{"id":5,"type":"setPaused","owner":null,"paused":true}\n4{"id":6,"type":"factoryReset"}\nt`,
  `4{"id":1,"type":"subscribe","owner":"kiosk.clock"}\nt\n4{"id":2,"type":"setPermission","owner":"kiosk.clock","permission":"denied"}\n4{"id":3,"type":"clearData","owner":"kiosk.clock"}\n4{"id":4,"type":"uninstallApp","owner":"kiosk.clock"}\n4{"id":5,"type":"installed"}\n4{"id":6,"type":"dashboardLink"}\n4{"id":7,"type":"testPush"}\nt\n4{"id":8,"type":"notifications"}`,
  `0{"id":1,"type":"challenge"}\n0{"id":2,"type":"hello","role":"page","owner":"https://news.example","proof":"AAAA"}\n0not json\n1binary\nc1\n1{"id":9,"type":"permissionState"}`,
  `1{"id":2,"type":"attach","handlesPush":true}\n1${subscribe}\nt\np\n1{"id":3,"type":"handled","deliveryId":1}\npdata\n1{"id":4,"type":"failed","deliveryId":2}\n4{"id":5,"type":"removeSubscription","subscriptionId":1}\n4{"id":6,"type":"setOptedOut","owner":"kiosk.clock","optedOut":true}\nt\nt`,
];
