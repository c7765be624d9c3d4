// SPDX-License-Identifier: MIT
/**
 * What peers say at the app socket of a whole user agent, in virtual time, with a push service that answers as it should. An input is lines: a
 * peer's digit and its message, `t` for a minute that passes, `p` with the plaintext of a push message, `c` with the digit of a peer that goes,
 * `m` with a digit and a message that is said many times at once, `d` with what a browser asks for at the loopback port, `f` for a disk
 * that is full until the next one; in front of all `a` and `k` with what the files of apps and of a token hold. Each request is answered once at most, with a listed error and never with one of
 * our inside; no peer is told another's token; the door lets in nobody whose page or name is not of this port; in the end the agent
 * stops. No tests here.
 */

import { createHmac } from "node:crypto";
import type { AgentEvent } from "../../../src/agent/events.ts";
import { APP_PATH, APP_SUBPROTOCOL } from "../../../src/apps/protocol.ts";
import { utf8Decode, utf8Encode } from "../../../src/bytes.ts";
import { GodwitError } from "../../../src/errors.ts";
import { APP_ANSWER_BYTES_MAX, APP_REQUEST_BYTES_MAX } from "../../../src/limits.ts";
import { nodeProvider } from "../../../src/node/crypto.ts";
import { AppSocket } from "../../../src/user-agent/app-socket.ts";
import type { ChildEnd, Machine, PeerSocket, Platform } from "../../../src/user-agent/platform.ts";
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
const PAGE_OWNER = "http://localhost:8000";
const PORT = 8440;
/** Under which name browsers find the port. */
const OWN_ORIGIN = `http://127.0.0.1:${PORT}`;
/** Digits of who comes over the loopback port: two pages, the dashboard, and pages like theirs that prove nothing by themselves. */
const PAGES: Readonly<Record<string, string>> = {
  5: OWNERS[1],
  6: PAGE_OWNER,
  7: OWN_ORIGIN,
  8: OWN_ORIGIN,
  9: OWNERS[1],
};
const LINES_MAX = 40;
/** More than are answered at once, or in a second. */
const TIMES = 300;
/** Of a minute; whatever is due every millisecond is not waited for. */
const STEPS_MAX = 100;
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
    ...[
      "code",
      "claims",
      "proof",
      "{proof}",
      "{session}",
      "path",
      "host",
      "origin",
      "method",
      "subprotocols",
    ],
    ...[
      "127.0.0.1:8440",
      "localhost:8440",
      "[::1]:8440",
      OWN_ORIGIN,
      PAGE_OWNER,
      "/v1/app",
      "godwit.app.v1",
      "null",
      "GET",
    ],
    ...[
      "\n0",
      "\n1",
      "\n2",
      "\n3",
      "\n4",
      "\n5",
      "\n6",
      "\n7",
      "\n8",
      "\n9",
      "\nt\n",
      "\np",
      "\nc1\n",
      "\nd{",
    ],
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
    () => lines.with(at, random.pick(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]) + line.slice(1)),
    () => (changed === null ? lines : lines.with(at, line.slice(0, 1) + utf8Decode(changed))),
    () => (changed === null ? lines : lines.with(at, line.slice(0, 1) + utf8Decode(changed))),
  ];
  return utf8Encode(random.pick(options)().join("\n"));
}

async function run(input: Uint8Array): Promise<string> {
  const lines = utf8Decode(input).split("\n").slice(0, LINES_MAX);
  const world = new World();
  while (lines[0] !== undefined && world.takeFile(lines[0])) lines.shift();
  try {
    await world.start();
  } catch (error) {
    if (error instanceof GodwitError && error.code === "ERR_CONFIG") return error.code;
    throw error;
  }
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
  readonly #pageSecrets = new Map<string, string>();
  /** What the dashboard was given for its code, "" before. */
  #session = "";
  #isFull = false;
  #nowMs = 1000;
  #dispatch: (event: AgentEvent) => void = () => {};
  #alarmAtMs = Number.POSITIVE_INFINITY;
  #linkId = 0;
  #lastChannel = 0;
  #lastId = 0;
  #agent: UserAgent | null = null;
  #socket: AppSocket | null = null;

  /** True when `line` is what a file holds from the beginning. */
  takeFile(line: string): boolean {
    if (!/^[ak]/.test(line)) return false;
    this.#files.set(line.startsWith("a") ? "apps.json" : "page.key", line.slice(1));
    return true;
  }

  /** @throws {GodwitError} ERR_CONFIG for files that hold something else */
  async start(): Promise<void> {
    const platform = this.#platform();
    const write = async (): Promise<void> => {
      if (this.#isFull) throw new GodwitError("ERR_JOURNAL_FULL", "the disk is full");
    };
    const journal = { read: async () => [], append: write, checkpoint: write, close: async () => {} };
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
      (dispatch) => this.#machine(dispatch),
      () => journal,
    );
    this.#agent = agent;
    this.#socket = await AppSocket.open({
      ...{ userAgent: agent, platform, bootId: "boot", pageOrigins: [PAGE_OWNER] },
      served: (path) => (path === "/" ? { type: "text/html", body: "a page" } : null),
      processes: { start: (argv, _environment, ended) => this.#startProcess(argv, ended) },
      files: {
        path: (name) => `/state/${name}`,
        read: async (name) => this.#files.get(name) ?? null,
        write: async (name, text) => void this.#files.set(name, text),
      },
    });
    this.#socket.loopbackDoor.handleListening(PORT);
    this.#socket.start();
    const admin = await this.#peer("4");
    for (const [id, owner] of OWNERS.entries()) {
      const start = id === 0 ? ["/bin/app"] : null;
      const answer = await admin.ask({ id: 1_000_000 + id, type: "installApp", owner, start });
      this.#tokens.push(answer.token as string);
    }
    for (const [id, owner] of [OWNERS[1], PAGE_OWNER].entries()) {
      const answer = await admin.ask({ id: 1_000_010 + id, type: "pageSecret", owner });
      this.#pageSecrets.set(owner, answer.secret as string);
    }
  }

  /** One runs until it is told to end, unless its name says how it ends. */
  #startProcess(argv: readonly string[], ended: (how: ChildEnd) => void): { signal: () => void } {
    const end = (how: ChildEnd): void => void this.#after(0, () => ended(how));
    if (argv[0] === "/bin/false") end({ type: "exit", code: 1 });
    if (argv[0] === "/bin/killed") end({ type: "signal", name: "SIGKILL" });
    if (argv[0] === "/bin/none") end({ type: "notStarted", code: "ENOENT" });
    return { signal: () => end({ type: "exit", code: 0 }) };
  }

  async take(line: string): Promise<void> {
    const rest = line.slice(1);
    const kind = line[0] ?? "";
    if (kind === "t") await this.#passMinute();
    else if (kind === "p") this.#push(rest);
    else if (kind === "c") this.#peers.get(rest)?.hangUp();
    else if (kind === "d") this.#knock(rest);
    else if (kind === "f") this.#isFull = !this.#isFull;
    else if (/^m[0-9]/.test(line)) this.#speak(await this.#peer(rest[0] ?? ""), rest.slice(1), TIMES);
    else if (/[0-9]/.test(kind)) this.#speak(await this.#peer(kind), rest, 1);
    await turn();
    this.#pass(0);
    await turn();
    for (const peer of this.#peers.values()) {
      if (peer.fault !== null) throw peer.fault;
      for (const outcome of peer.outcomes) this.outcomes.add(outcome);
    }
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
  async #peer(digit: string): Promise<Peer> {
    const known = this.#peers.get(digit);
    if (known !== undefined && !known.isGone) return known;
    const origin = PAGES[digit] ?? null;
    const code = digit === "7" ? await this.#dashboardCode() : "";
    const peer = new Peer(digit);
    this.#peers.set(digit, peer);
    const { loopbackDoor, unixDoor } = this.#socket as AppSocket;
    const door = origin === null ? unixDoor : loopbackDoor;
    const asked = { path: APP_PATH, host: `127.0.0.1:${PORT}`, origin, subprotocols: APP_SUBPROTOCOL };
    holds("who comes is let in", door.refusal(asked) === null);
    const settle = door.await(() => peer.hangUp());
    this.#socket?.arrive(peer.socket, { ...door.placeOf(asked), settle });
    const greet = (hello: object): void => peer.say(JSON.stringify({ id: 0, type: "hello", ...hello }));
    const token = (name: string): string => this.#files.get(name)?.trim() ?? "";
    if (digit === "1") greet({ role: "app", owner: OWNERS[0], token: this.#tokens[0] });
    if (digit === "2") greet({ role: "app", owner: OWNERS[1], token: this.#tokens[1] });
    if (digit === "3") greet({ role: "shell", token: token("shell.token") });
    if (digit === "4") greet({ role: "admin", token: token("admin.token") });
    if (digit === "5" || digit === "6") {
      peer.say(JSON.stringify({ id: 0, type: "challenge" }));
      greet({ role: "page", owner: origin, proof: this.#proof(peer) });
    }
    if (digit === "7") {
      greet({ role: "admin", code });
      this.#session = peer.session ?? this.#session;
    }
    return peer;
  }

  #speak(peer: Peer, text: string, times: number): void {
    const said = text.includes("{") ? this.#spelled(peer, text) : text;
    for (let count = 0; count < times; count++) peer.say(said);
  }

  /** Words in braces: the proof of the peer's page, one by another page's secret, a session, the last numbers it heard. */
  #spelled(peer: Peer, text: string): string {
    const words: Readonly<Record<string, () => string>> = {
      "{proof}": () => this.#proof(peer),
      "{stolen}": () => this.#proofBy(this.#pageSecrets.get(PAGE_OWNER) ?? "", peer),
      "{session}": () => this.#session.slice(0, this.#session.lastIndexOf(".")),
    };
    return text
      .replace(/\{(proof|stolen|session)\}/g, (word) => words[word]?.() ?? word)
      .replace(/"\{(\w+)\}"/g, (found, name: keyof Peer["heard"]) => peer.heard[name] ?? found);
  }

  /** Of the page the peer comes from; of the dashboard's session where that is ourselves. */
  #proof(peer: Peer): string {
    const origin = PAGES[peer.digit] ?? "";
    return this.#proofBy(this.#pageSecrets.get(origin) ?? this.#session.split(".").at(-1) ?? "", peer);
  }

  #proofBy(secret: string, { challenge }: Peer): string {
    return createHmac("sha256", secret).update(`${challenge}\0${OWN_ORIGIN}`).digest("base64url");
  }

  async #dashboardCode(): Promise<string> {
    const admin = await this.#peer("4");
    const told = admin.hasMet ? await admin.tryToAsk({ id: 1_000_020, type: "dashboardLink" }) : null;
    return String(told?.url ?? "").split("#code=")[1] ?? "";
  }

  /** What a browser asks for: a file, and to become a WebSocket. */
  #knock(text: string): void {
    const asked = membersOf(text);
    const textOf = (name: string): string | null => (typeof asked[name] === "string" ? asked[name] : null);
    const [host, origin, path] = [textOf("host"), textOf("origin"), textOf("path") ?? APP_PATH];
    const door = this.#socket?.loopbackDoor;
    if (door === undefined) return;
    const isOurs = ["127.0.0.1", "localhost", "[::1]"].some((name) => host === `${name}:${PORT}`);
    const answer = door.answer({ method: textOf("method") ?? "GET", path, host });
    holds("a status of a door", [200, 403, 404, 405].includes(answer.status));
    holds("files are for those who meant this port", answer.status !== 200 || isOurs);
    const refusal = door.refusal({ path, host, origin, subprotocols: textOf("subprotocols") });
    const isPage =
      origin === null || origin === `http://${host}` || origin === PAGE_OWNER || isSecure(origin);
    holds("a status of a refusal", [null, 400, 403, 404].includes(refusal));
    holds("sockets are for pages that may come", refusal !== null || (isOurs && isPage));
    this.outcomes.add(`${answer.status} ${refusal}`);
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

  /** From one thing that is due to the next, as on a device. */
  async #passMinute(): Promise<void> {
    const endMs = this.#nowMs + 60_000;
    for (let steps = 0; steps < STEPS_MAX && this.#nowMs < endMs; steps++) {
      const dueMs = Math.min(endMs, this.#alarmAtMs, ...[...this.#timers.values()].map(({ atMs }) => atMs));
      this.#pass(Math.max(0, dueMs - this.#nowMs));
      await turn();
    }
    this.#pass(Math.max(0, endMs - this.#nowMs));
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
  /** What it was challenged with last, and the session it was given; null before. */
  challenge: string | null = null;
  session: string | null = null;
  /** Numbers as JSON. */
  readonly heard: { notification?: string; delivery?: string; subscription?: string } = {};
  readonly #asked = new Map<unknown, number>();
  readonly #waiting = new Map<unknown, (result: Record<string, unknown>) => void>();
  #handlers: Parameters<PeerSocket["listen"]>[0] | null = null;
  isGone = false;
  /** What did not hold, first. */
  fault: unknown = null;

  constructor(digit: string) {
    this.digit = digit;
  }

  readonly socket: PeerSocket = {
    bufferedBytes: 0,
    send: (text) => {
      try {
        this.#hear(text);
      } catch (error) {
        // Whoever sends may make an answer of it.
        this.fault ??= error;
      }
    },
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

  /** True when its hello was taken, and it may ask. */
  get hasMet(): boolean {
    return !this.isGone && !this.said[0]?.includes('"error"');
  }

  /** Null for what is refused, or comes too late. */
  async tryToAsk(request: Readonly<Record<string, unknown>>): Promise<Record<string, unknown> | null> {
    return Promise.race([this.ask(request), turn().then(() => null)]);
  }

  #note(told: { notificationId?: number; deliveryId?: number; subscriptionId?: number }): void {
    if (told.notificationId !== undefined) this.heard.notification = String(told.notificationId);
    if (told.deliveryId !== undefined) this.heard.delivery = String(told.deliveryId);
    if (told.subscriptionId !== undefined) this.heard.subscription = String(told.subscriptionId);
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
    if (event === "push" || event === "show") this.#note(JSON.parse(text));
    if (event !== undefined) return void this.outcomes.add(event);
    const left = (this.#asked.get(id ?? null) ?? 0) - 1;
    // What cannot be read has no id, or one that is none.
    if (id !== null) holds(`one answer to each request: ${text}`, left >= 0);
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
      | { subscriptionId: number; endpoint: string; p256dh: string; auth: string }
      | null
      | undefined;
    const page = PAGES[this.digit];
    if (page !== undefined && typeof result?.owner === "string") same("whose page it is", result.owner, page);
    if (told) this.subscriptions.push(told);
    const keys = result?.keys as { p256dh: string; auth: string } | undefined;
    if (keys !== undefined) this.subscriptions.push({ endpoint: String(result?.endpoint), ...keys });
    if (told) this.#note(told);
    if (Array.isArray(result?.notifications)) this.#note(result.notifications[0] ?? {});
    if (typeof result?.challenge === "string") this.challenge = result.challenge;
    if (typeof result?.session === "string") this.session = result.session;
    this.#waiting.get(id)?.(result ?? {});
  }
}

function isSecure(origin: string): boolean {
  return URL.canParse(origin) && new URL(origin).origin === origin && origin.startsWith("https:");
}

function membersOf(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
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
const plain =
  '{"web_push":8030,"notification":{"title":"T","navigate":"https://other.example/","actions":[{"action":"a","title":"A","navigate":"https://x.example/"}]},"app_badge":3}';
const granted = '4{"id":1,"type":"setPermission","owner":"kiosk.clock","permission":"granted"}';
const SEEDS: readonly string[] = [
  `1{"id":2,"type":"attach","handlesPush":true}\n1${subscribe}\nt\nphello\n1{"id":3,"type":"showNotification","deliveryId":null,"title":"T","options":{"body":"b","tag":"t"}}\n1{"id":4,"type":"getNotifications"}\n1{"id":5,"type":"setAppBadge","badge":4}\n1{"id":6,"type":"unsubscribe","subscriptionId":1}`,
  `3{"id":1,"type":"pageSecret","owner":"http://localhost:8000"}\n1${subscribe}\nt\np${declared}\n3{"id":2,"type":"displayed","notificationId":1}\n3{"id":3,"type":"activate","notificationId":1,"action":""}\n3{"id":4,"type":"answerNavigation","notificationId":1,"action":"","allowed":true}\n3{"id":5,"type":"dismiss","notificationId":1}\nt`,
  `4{"id":1,"type":"watch"}\n2{"id":1,"type":"requestPermission"}\n4{"id":2,"type":"answerPermission","owner":"https://news.example","permission":"granted"}\n2${subscribe}\nt\n4{"id":3,"type":"status"}\n4{"id":4,"type":"stats","radio":"lte"}\n4{"id":5,"type":"setPaused","owner":null,"paused":true}\n4{"id":6,"type":"factoryReset"}\nt`,
  `4{"id":1,"type":"subscribe","owner":"kiosk.clock"}\nt\n4{"id":2,"type":"setPermission","owner":"kiosk.clock","permission":"denied"}\n4{"id":3,"type":"clearData","owner":"kiosk.clock"}\n4{"id":4,"type":"uninstallApp","owner":"kiosk.clock"}\n4{"id":5,"type":"installed"}\n4{"id":6,"type":"dashboardLink"}\n4{"id":7,"type":"testPush"}\nt\n4{"id":8,"type":"notifications"}`,
  `0{"id":1,"type":"challenge"}\n0{"id":2,"type":"hello","role":"page","owner":"https://news.example","proof":"AAAA"}\n0not json\n1binary\nc1\n1{"id":9,"type":"permissionState"}`,
  `1{"id":2,"type":"attach","handlesPush":true}\n1${subscribe}\nt\np\n1{"id":3,"type":"handled","deliveryId":1}\npdata\n1{"id":4,"type":"failed","deliveryId":2}\n4{"id":5,"type":"removeSubscription","subscriptionId":1}\n4{"id":6,"type":"setOptedOut","owner":"kiosk.clock","optedOut":true}\nt\nt`,
  `5${subscribe}\nt\nphello\n6{"id":2,"type":"requestPermission"}\n4{"id":1,"type":"answerPermission","owner":"${PAGE_OWNER}","permission":"granted"}\n6${subscribe}\nt\nphello\nc5\n5{"id":2,"type":"getSubscription","waToken":null}\n4{"id":2,"type":"factoryReset"}\nt\n6{"id":3,"type":"permissionState"}`,
  `7{"id":1,"type":"status"}\nc7\n9{"id":1,"type":"challenge"}\n9{"id":2,"type":"hello","role":"page","owner":"https://news.example","proof":"{proof}"}\n9{"id":3,"type":"permissionState"}\nc9\n9{"id":1,"type":"challenge"}\n9{"id":2,"type":"hello","role":"page","owner":"${PAGE_OWNER}","proof":"{stolen}"}\n7{"id":2,"type":"watch"}\n7{"id":3,"type":"installed"}`,
  `7{"id":1,"type":"status"}\nc8\n8{"id":1,"type":"challenge"}\n8{"id":2,"type":"hello","role":"admin","claims":"{session}","proof":"{proof}","code":null,"token":null}\n8{"id":3,"type":"status"}`,
  `d{"method":"GET","path":"/?x","host":"127.0.0.1:8440"}\nd{"path":"/v1/app","host":"localhost:8440","origin":"${OWN_ORIGIN}","subprotocols":"godwit.app.v1"}\nd{"method":"POST","path":"/","host":"[::1]:8440","origin":"${PAGE_OWNER}"}\nd{"path":"/v1/app","host":"evil.example:8440","origin":"http://evil.example:8440","subprotocols":"godwit.app.v1"}\nd{"path":"/none","host":"evil.example","origin":"https://news.example"}`,
  `3{"id":1,"type":"attach"}\nm1{"id":1,"type":"permissionState"}\nm1{"id":2,"type":"requestPermission"}\nm2{"id":1,"type":"requestPermission"}\nt`,
  `${granted}\n3{"id":9,"type":"attach"}\n1{"id":1,"type":"showNotification","deliveryId":null,"title":"T","options":{"actions":[{"action":"a","title":"A"}]}}\n1{"id":2,"type":"getNotifications","tag":null}\n3{"id":1,"type":"activate","notificationId":"{notification}","action":"a"}\n1{"id":3,"type":"closeNotification","notificationId":"{notification}"}\n1{"id":4,"type":"subscribe","userVisibleOnly":true,"declarative":"auto","allowAesgcm":false,"applicationServerKey":"*"}`,
  `1{"id":2,"type":"attach","handlesPush":true}\n1${subscribe}\nt\nphello\n1{"id":3,"type":"showNotification","deliveryId":"{delivery}","title":"T","options":{}}\n1{"id":4,"type":"handled","deliveryId":"{delivery}"}\nf\nphello\n1{"id":5,"type":"unsubscribe","subscriptionId":"{subscription}"}\n4{"id":1,"type":"setPaused","owner":null,"paused":true}\nf\nt`,
  `4{"id":1,"type":"installApp","owner":"kiosk.clock","start":["/bin/false"],"tokenFile":null}\n4{"id":9,"type":"subscribe","owner":"kiosk.clock"}\nt\nphello\nt\nt\n4{"id":2,"type":"installApp","owner":"kiosk.clock","start":["/bin/none","a"],"tokenFile":"/x"}\nt\n4{"id":3,"type":"installApp","owner":"kiosk.clock","start":["/bin/killed"],"tokenFile":null}\nt\nt`,
  `a{"apps":[{"owner":"mail","start":["/bin/app"],"tokenFile":null,"tokenDigest":"x"}]}\nk${"A".repeat(43)}\n4{"id":1,"type":"installed"}`,
  `3{"id":1,"type":"attach"}\n4{"id":1,"type":"subscribe","owner":"kiosk.clock"}\nt\np${plain}\n3{"id":2,"type":"displayed","notificationId":"{notification}"}\n3{"id":3,"type":"activate","notificationId":"{notification}","action":""}\n3{"id":4,"type":"answerNavigation","notificationId":"{notification}","action":"","allowed":true}\np${plain}\n3{"id":5,"type":"displayFailed","notificationId":"{notification}"}\n3{"id":6,"type":"activate","notificationId":"{notification}","action":"a"}\nc3\nt\n1{"id":2,"type":"permissionState"}`,
];
