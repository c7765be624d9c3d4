// SPDX-License-Identifier: MIT
// Goal: the C host's MQTT links do what the protocol and the agent ask of them, with any broker, and a hostile one can only end
// them. Method: a bridge in another process; a broker of the test's own that speaks byte by byte, and Mosquitto.

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from "node:tls";
import { connectAsync, type MqttClient } from "mqtt";
import mqttPacket, { type Packet } from "mqtt-packet";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  LINK_QUEUED_BYTES_MAX,
  MQTT_CLOSE_MS,
  MQTT_PACKET_BYTES_MAX,
  OPEN_TIMEOUT_MS,
} from "../../src/limits.ts";
import type { DevCertificate } from "../../src/push-service/dev-ca.ts";
import { BEARER } from "../contract/operations.ts";
import { Inbox, makeCertificate, Servers } from "../contract/servers.ts";
import { isMosquittoInstalled } from "../push-service/mosquitto.ts";
import { buildContractScript, type DriverSubject, isFirmwareBuilt, startDriver } from "./driver.ts";

if (!isFirmwareBuilt) console.warn("test/firmware/mqtt.test.ts is skipped: the firmware is not built");

const ids = { linkId: 7 };
const DEVICE = { username: "device1", topic: "push/device1" };
const UP = "push/device1/up";
const DOWN = "push/device1/down";
const gone = (cause: string, httpStatus: number | null = null) => ({
  type: "linkClosed",
  ...ids,
  cause,
  httpStatus,
  retryAfterS: null,
});

type PacketOf<Cmd extends Packet["cmd"]> = Extract<Packet, { readonly cmd: Cmd }>;

/** One connection at the broker. */
class Peer {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  readonly #packets = new Inbox<Packet>();

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.on("close", resolve));
    socket.on("error", () => {});
    const parser = mqttPacket.parser();
    parser.on("packet", (packet) => this.#packets.add(packet));
    socket.on("data", (chunk) => {
      try {
        parser.parse(chunk);
      } catch {
        // What is no MQTT is a packet nobody sees.
      }
    });
  }

  /** The next packet, which is of that kind. */
  async next<Cmd extends Packet["cmd"]>(cmd: Cmd): Promise<PacketOf<Cmd>> {
    const packet = await this.#packets.next();
    expect(packet.cmd).toBe(cmd);
    return packet as PacketOf<Cmd>;
  }

  /** Packets nobody took. */
  get rest(): readonly Packet[] {
    return this.#packets.items;
  }

  send(packet: Packet): void {
    this.socket.write(mqttPacket.generate(packet));
  }

  /** As far as the subscription, which gets the answer `granted`. */
  async greet(granted = 1): Promise<PacketOf<"connect">> {
    const connect = await this.next("connect");
    this.send({ cmd: "connack", returnCode: 0, sessionPresent: false });
    const { messageId = 0, subscriptions } = await this.next("subscribe");
    expect(subscriptions).toMatchObject([{ topic: DOWN, qos: 1 }]);
    this.send({ cmd: "suback", messageId, granted: [granted] });
    return connect;
  }

  publish(topic: string, payload: Uint8Array, qos: 0 | 1 | 2 = 0): void {
    const messageId = qos === 0 ? {} : { messageId: 99 };
    this.send({
      cmd: "publish",
      topic,
      payload: Buffer.from(payload),
      qos,
      dup: false,
      retain: false,
      ...messageId,
    });
  }
}

class Broker {
  readonly accepted = new Inbox<Peer>();
  readonly #server: Server;
  readonly #scheme: string;

  constructor(tls: TlsOptions | null = null) {
    this.#scheme = tls === null ? "mqtt" : "mqtts";
    const accept = (socket: Socket) => this.accepted.add(new Peer(socket));
    this.#server = tls === null ? createServer(accept) : createTlsServer(tls, accept);
  }

  async listen(port = 0, address = "127.0.0.1"): Promise<this> {
    this.#server.listen(port, address);
    await once(this.#server, "listening");
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  urlAs(host: string): string {
    return `${this.#scheme}://${host}:${this.port}`;
  }

  close(): void {
    this.#server.close();
  }
}

let directory: string;
let state: string;
let script: string;
let certificate: DevCertificate;
let host: DriverSubject;
let brokers: Broker[];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "godwit-mqtt-"));
  script = await buildContractScript(directory);
  certificate = await makeCertificate();
  writeFileSync(join(directory, "ca.pem"), certificate.ca);
});
afterAll(() => rmSync(directory, { recursive: true }));

beforeEach(() => {
  if (!isFirmwareBuilt) return;
  brokers = [];
  state = mkdtempSync(join(directory, "state-"));
  host = startDriver(script, { args: ["--state", state, "--ca-file", join(directory, "ca.pem")] });
});
afterEach(async () => {
  if (!isFirmwareBuilt) return;
  for (const broker of brokers) broker.close();
  await host.end();
});

/** The same with a sanitizer that keeps less of what was freed, so that memory can be measured. */
async function restartLean(): Promise<void> {
  await host.end();
  const args = ["--state", state, "--ca-file", join(directory, "ca.pem")];
  host = startDriver(script, { args, env: { ASAN_OPTIONS: "quarantine_size_mb=1" } });
}

async function startBroker(tls: TlsOptions | null = null): Promise<Broker> {
  const broker = await new Broker(tls).listen();
  brokers.push(broker);
  return broker;
}

/** A link that is being opened, and the broker's end of it. */
async function dialled(broker: Broker | null = null, name = "127.0.0.1"): Promise<Peer> {
  const to = broker ?? (await startBroker());
  await host.operations.openLink({ ...ids, url: to.urlAs(name), mqtt: DEVICE });
  return to.accepted.next();
}

/** The same, open. */
async function opened(broker: Broker | null = null, name = "127.0.0.1"): Promise<Peer> {
  const peer = await dialled(broker, name);
  await peer.greet();
  expect(await host.events.next("linkOpened")).toEqual({ type: "linkOpened", ...ids });
  return peer;
}

/** Sends until the link is closed as overflowing; returns how often. */
async function sendUntilFull(frame: Uint8Array, qos: 0 | 1): Promise<number> {
  let isClosed = false;
  const closing = host.events.next("linkClosed").then((event) => {
    isClosed = true;
    return event;
  });
  let sent = 0;
  for (; !isClosed && sent * frame.length < 32 * LINK_QUEUED_BYTES_MAX; sent++)
    await host.operations.send(ids.linkId, frame, qos);
  expect(await closing).toEqual(gone("overflow"));
  return sent;
}

/** First byte and announced length of a packet. */
function announced(first: number, bytes: number): Buffer {
  const header = [first];
  for (let left = bytes; header.length === 1 || left > 0; left >>= 7)
    header.push((left & 0x7f) | (left >> 7 > 0 ? 0x80 : 0));
  return Buffer.from(header);
}

/** A line of /proc/PID/status: KiB, or a count. */
function status(name: string): number {
  const text = readFileSync(`/proc/${host.pid}/status`, "utf8");
  return Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(text)?.[1]);
}

describe.skipIf(!isFirmwareBuilt)("with a broker that minds", () => {
  test("who it says it is, and what is to be said when it is gone", async () => {
    const peer = await dialled();
    expect(await peer.greet()).toMatchObject({
      protocolId: "MQTT",
      protocolVersion: 4,
      clean: true,
      keepalive: 0,
      clientId: DEVICE.username,
      username: DEVICE.username,
      password: Buffer.from(BEARER),
      will: { topic: UP, payload: Buffer.alloc(0), qos: 1, retain: false },
    });
    await host.events.next("linkOpened");
    expect(readdirSync(state)).toEqual([]);
  });

  test("frames of any size go both ways, also in pieces of one byte", async () => {
    const peer = await opened();
    for (const bytes of [0, 1, 127, 128, 4_096, 16_384]) {
      const frame = new Uint8Array(randomBytes(bytes));
      const packet = mqttPacket.generate({
        cmd: "publish",
        topic: DOWN,
        payload: Buffer.from(frame),
        qos: 0,
        dup: false,
        retain: false,
      });
      if (bytes > 200) peer.socket.write(packet);
      else for (const byte of packet) peer.socket.write(Buffer.of(byte));
      expect(await host.events.next("linkMessage")).toEqual({ type: "linkMessage", ...ids, frame });
      await host.operations.send(ids.linkId, frame, bytes % 2 === 0 ? 0 : 1);
      const { topic, payload, qos, retain } = await peer.next("publish");
      expect({ topic, payload: new Uint8Array(payload as Buffer), qos, retain }).toEqual({
        topic: UP,
        payload: frame,
        qos: bytes % 2,
        retain: false,
      });
    }
  });

  test("a message of QoS 1 is acknowledged; topics it did not ask for are nothing to it", async () => {
    const peer = await opened();
    peer.publish("push/device2/down", Uint8Array.of(1));
    peer.publish("push/device1/up", Uint8Array.of(2));
    peer.publish(`${DOWN}/more`, Uint8Array.of(3));
    peer.publish(DOWN, Uint8Array.of(4), 1);
    expect(await peer.next("puback")).toMatchObject({ messageId: 99 });
    // For something it never sent.
    peer.send({ cmd: "puback", messageId: 777 });
    expect(await host.events.next("linkMessage")).toMatchObject({ frame: Uint8Array.of(4) });
    expect(host.events.rest).toEqual([]);
  });

  test("a message that comes before the answer to the subscription is told", async () => {
    const peer = await dialled();
    await peer.next("connect");
    peer.send({ cmd: "connack", returnCode: 0, sessionPresent: false });
    const { messageId = 0 } = await peer.next("subscribe");
    peer.publish(DOWN, Uint8Array.of(5));
    peer.send({ cmd: "suback", messageId, granted: [0] });
    expect(await host.events.next("linkMessage")).toMatchObject({ frame: Uint8Array.of(5) });
    await host.events.next("linkOpened");
  });

  test.each(["mqtt", "mqtts"])(
    "what the network does not take at once goes out when it does: %s",
    async (scheme) => {
      const frame = new Uint8Array(randomBytes(16_000));
      const broker = await startBroker(scheme === "mqtts" ? certificate : null);
      const full = await opened(broker, "localhost");
      full.socket.pause();
      const framesMax = await sendUntilFull(frame, 0);
      full.socket.destroy();
      // The same once more, but for what the kernel may hold less this time: most of a megabyte waits in the process.
      const peer = await opened(broker, "localhost");
      peer.socket.pause();
      const frames = framesMax - 24;
      for (let i = 0; i < frames; i++) await host.operations.send(ids.linkId, frame, 0);
      peer.socket.resume();
      for (let i = 0; i < frames; i++)
        expect(Buffer.compare((await peer.next("publish")).payload as Buffer, frame)).toBe(0);
    },
  );

  test("closing waits for what is under way, and no longer than it may", async () => {
    const peer = await opened();
    await host.operations.send(ids.linkId, Uint8Array.of(1), 1);
    const { messageId } = await peer.next("publish");
    await host.operations.closeLink(ids.linkId);
    // In place of the last will, which a DISCONNECT takes back.
    expect(await peer.next("publish")).toMatchObject({ topic: UP, payload: Buffer.alloc(0), qos: 0 });
    expect(peer.rest).toEqual([]);
    peer.send({ cmd: "puback", ...(messageId === undefined ? {} : { messageId }) });
    await peer.next("disconnect");
    await peer.closed;

    const other = await opened();
    await host.operations.send(ids.linkId, Uint8Array.of(1), 1);
    await other.next("publish");
    const startMs = performance.now();
    await host.operations.closeLink(ids.linkId);
    await other.next("publish");
    await other.closed;
    expect(performance.now() - startMs).toBeGreaterThan(MQTT_CLOSE_MS - 100);
    expect(other.rest).toEqual([]);
    expect(host.events.rest).toEqual([]);
  });

  test("closed at any time before it is open, it just goes", async () => {
    const dialling = await dialled();
    await host.operations.closeLink(ids.linkId);
    await dialling.closed;
    const connected = await dialled();
    await connected.next("connect");
    connected.send({ cmd: "connack", returnCode: 0, sessionPresent: false });
    await connected.next("subscribe");
    await host.operations.closeLink(ids.linkId);
    await connected.next("publish");
    await connected.next("disconnect");
    await connected.closed;
    expect(host.events.rest).toEqual([]);
  });

  test("the next address of a name is dialled when nobody listens at the first", async () => {
    const broker = await startBroker();
    await opened(broker, "localhost");
  });

  test("a name nobody knows is unreachable", async () => {
    await host.operations.openLink({ ...ids, url: "mqtt://nobody.invalid:1883", mqtt: DEVICE });
    expect(await host.events.next("linkClosed")).toEqual(gone("unreachable"));
  });

  test("idle, it makes no system call", async () => {
    const peer = await opened();
    await host.operations.send(ids.linkId, Uint8Array.of(1), 1);
    await peer.next("publish");
    // Its last answer leaves it asleep, with a frame not yet acknowledged. The claim is about time on the wall.
    const count = () => status("voluntary_ctxt_switches") + status("nonvoluntary_ctxt_switches");
    await wait(200);
    const before = count();
    await wait(5_000);
    expect(count()).toBe(before);
    expect(status("Threads")).toBe(1);
  });
});

describe.skipIf(!isFirmwareBuilt)("with a broker that refuses", () => {
  test.each([
    [1, 403],
    [2, 403],
    [3, 503],
    [4, 401],
    [5, 401],
    [99, 403],
  ])("CONNACK %i counts as %i", async (code, httpStatus) => {
    const peer = await dialled();
    await peer.next("connect");
    peer.socket.write(Buffer.of(0x20, 2, 0, code));
    expect(await host.events.next("linkClosed")).toEqual(gone("refused", httpStatus));
    await peer.closed;
  });

  test("SUBACK 0x80 counts as 403", async () => {
    const peer = await dialled();
    await peer.greet(0x80);
    expect(await host.events.next("linkClosed")).toEqual(gone("refused", 403));
    await peer.closed;
  });

  test("a SUBACK without any code ends the link: nothing is read behind its end (CVE-2024-10525)", async () => {
    const peer = await dialled();
    await peer.next("connect");
    peer.send({ cmd: "connack", returnCode: 0, sessionPresent: false });
    const { messageId = 0 } = await peer.next("subscribe");
    peer.socket.write(Buffer.of(0x90, 2, messageId >> 8, messageId & 0xff));
    // Later releases of the library refuse it themselves, those before hand it to us.
    expect([gone("protocol"), gone("refused", 403)]).toContainEqual(await host.events.next("linkClosed"));
    await peer.closed;
  });
});

/** What ends a link as a broker's mistake, sent once the link is open. */
const MISTAKES: readonly (readonly [string, Buffer])[] = [
  ["an announcement of 256 MB", announced(0x30, 268_435_455)],
  ["a packet one byte too large", announced(0x30, MQTT_PACKET_BYTES_MAX + 1)],
  ["a length of five bytes", Buffer.of(0x30, 0x80, 0x80, 0x80, 0x80, 0x01)],
  [
    "a message of QoS 2",
    mqttPacket.generate({
      cmd: "publish",
      topic: DOWN,
      payload: "x",
      qos: 2,
      messageId: 1,
      dup: false,
      retain: false,
    }),
  ],
  ["a message of QoS 3", Buffer.concat([announced(0x36, 8), Buffer.alloc(8)])],
  ["a topic longer than its packet", Buffer.concat([announced(0x30, 4), Buffer.of(0xff, 0xff, 0x61, 0x62)])],
  ["a topic that is no text", Buffer.concat([announced(0x30, 5), Buffer.of(0, 2, 0xff, 0xfe, 1)])],
  [
    "a CONNECT",
    mqttPacket.generate({
      cmd: "connect",
      clientId: "x",
      protocolId: "MQTT",
      protocolVersion: 4,
      clean: true,
      keepalive: 0,
    }),
  ],
  ["a second CONNACK", Buffer.of(0x20, 2, 0, 0)],
  ["a packet of the reserved type", Buffer.of(0x00, 0)],
  ["an empty PUBACK", Buffer.of(0x40, 0)],
  ["HTTP", Buffer.from(`HTTP/1.1 400 Bad Request\r\n\r\n${"-".repeat(200)}`)],
];

describe.skipIf(!isFirmwareBuilt)("with a hostile broker", () => {
  test.each(MISTAKES)("%s ends the link", async (_what, bytes) => {
    const peer = await opened();
    const before = status("VmSize");
    peer.socket.write(bytes);
    expect(await host.events.next("linkClosed")).toEqual(gone("protocol"));
    await peer.closed;
    expect(status("VmPeak") - before).toBeLessThan(65_536);
  });

  test("the largest packet there may be is read", async () => {
    const peer = await opened();
    const topic = Buffer.from(DOWN);
    const payload = new Uint8Array(randomBytes(MQTT_PACKET_BYTES_MAX - 2 - topic.length));
    peer.socket.write(
      Buffer.concat([announced(0x30, MQTT_PACKET_BYTES_MAX), Buffer.of(0, topic.length), topic, payload]),
    );
    expect(await host.events.next("linkMessage")).toEqual({ type: "linkMessage", ...ids, frame: payload });
  });

  test.each(["end", "resetAndDestroy"] as const)("dropped in the middle of a packet: %s", async (how) => {
    const peer = await opened();
    peer.socket.write(Buffer.concat([announced(0x30, 1_000), Buffer.alloc(500)]), () => peer.socket[how]());
    expect(await host.events.next("linkClosed")).toEqual(gone(how === "end" ? "closed" : "reset"));
  });

  test("one that never answers is given up after its time", async () => {
    const startMs = performance.now();
    const peer = await dialled();
    await peer.next("connect");
    expect(await host.events.next("linkClosed")).toEqual(gone("unreachable"));
    expect(performance.now() - startMs).toBeGreaterThan(OPEN_TIMEOUT_MS - 1_000);
    await peer.closed;
  });

  test("one that asks for answers and does not read them", async () => {
    await restartLean();
    const peer = await opened();
    peer.socket.pause();
    const before = status("VmRSS");
    // Each wants a PUBCOMP.
    const flood = Buffer.concat(
      Array.from({ length: 10_000 }, (_, i) => Buffer.of(0x62, 2, 1 + (i >> 8), i & 255)),
    );
    const closing = host.events.next("linkClosed");
    let isClosed = false;
    closing.then(() => {
      isClosed = true;
    });
    while (!isClosed) {
      if (!peer.socket.write(flood)) await Promise.race([once(peer.socket, "drain"), closing, peer.closed]);
    }
    expect(await closing).toEqual(gone("overflow"));
    expect(status("VmRSS") - before).toBeLessThan(32_768);
  });

  test("one that acknowledges nothing is sent so much and no more", async () => {
    await opened();
    const frame = new Uint8Array(16_000);
    const frames = LINK_QUEUED_BYTES_MAX / frame.length;
    // One or two more may be on their way to the host when it tells.
    const sent = await sendUntilFull(frame, 1);
    expect(sent).toBeGreaterThan(frames);
    expect(sent).toBeLessThan(frames + 4);
  });
});

describe.skipIf(!isFirmwareBuilt)("over TLS", () => {
  test("the name is asked for and checked, and the second link resumes the session", async () => {
    const names: (string | false)[] = [];
    const broker = await startBroker(certificate);
    const resumed: boolean[] = [];
    for (let i = 0; i < 2; i++) {
      const peer = await opened(broker, "localhost");
      const socket = peer.socket as TLSSocket & { readonly servername: string | false };
      names.push(socket.servername);
      resumed.push(socket.isSessionReused());
      peer.publish(DOWN, Uint8Array.of(i));
      expect(await host.events.next("linkMessage")).toMatchObject({ frame: Uint8Array.of(i) });
      await host.operations.closeLink(ids.linkId);
      await peer.next("publish");
      await peer.next("disconnect");
      await peer.closed;
    }
    expect(names).toEqual(["localhost", "localhost"]);
    expect(resumed).toEqual([false, true]);
  });

  test("many frames in few records are all read", async () => {
    const peer = await opened(await startBroker(certificate), "localhost");
    const frames = Array.from({ length: 400 }, (_, i) => new Uint8Array(randomBytes(1 + ((i * 97) % 700))));
    peer.socket.cork();
    for (const frame of frames) peer.publish(DOWN, frame);
    peer.socket.uncork();
    for (const frame of frames) expect((await host.events.next("linkMessage")).frame).toEqual(frame);
  });

  test("an announcement of 256 MB ends the link", async () => {
    const peer = await opened(await startBroker(certificate), "localhost");
    peer.socket.write(announced(0x30, 268_435_455));
    expect(await host.events.next("linkClosed")).toEqual(gone("protocol"));
  });

  test.skipIf(process.getuid?.() !== 0)("at port 443 it says in TLS what it speaks", async () => {
    const asked = new Inbox<readonly string[]>();
    const alpn: TlsOptions = {
      ALPNCallback: ({ protocols }) => {
        asked.add(protocols);
        return protocols[0];
      },
    };
    const broker = await new Broker({ ...certificate, ...alpn }).listen(443, "127.0.0.3");
    brokers.push(broker);
    await host.operations.openLink({ ...ids, url: "mqtts://127.0.0.3:443", mqtt: DEVICE });
    expect(await asked.next()).toEqual(["mqtt"]);
    // Its certificate is for other addresses.
    expect(await host.events.next("linkClosed")).toEqual(gone("tls"));
  });

  test("a certificate for another name, one nobody signed, and no TLS at all", async () => {
    const elsewhere = await new Broker(certificate).listen(0, "127.0.0.2");
    brokers.push(elsewhere);
    await host.operations.openLink({ ...ids, url: elsewhere.urlAs("127.0.0.2"), mqtt: DEVICE });
    expect(await host.events.next("linkClosed")).toEqual(gone("tls"));
    const stranger = await startBroker(await makeCertificate());
    await host.operations.openLink({ ...ids, url: stranger.urlAs("localhost"), mqtt: DEVICE });
    expect(await host.events.next("linkClosed")).toEqual(gone("tls"));
    const plain = await startBroker();
    await host.operations.openLink({ ...ids, url: `mqtts://localhost:${plain.port}`, mqtt: DEVICE });
    (await plain.accepted.next()).socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    expect(await host.events.next("linkClosed")).toEqual(gone("tls"));
  });
});

describe.skipIf(!isFirmwareBuilt || !isMosquittoInstalled)("with Mosquitto", () => {
  let mosquitto: ChildProcess;
  let port: number;
  let sender: MqttClient;
  /** What the device published. */
  let told: Inbox<{ readonly payload: Buffer; readonly qos: number }>;

  beforeEach(async () => {
    const servers = new Servers();
    port = await servers.freePort();
    const plainPort = await servers.freePort();
    const folder = mkdtempSync(join(directory, "mosquitto-"));
    mkdirSync(folder, { recursive: true });
    for (const name of ["cert", "key"] as const) writeFileSync(join(folder, name), certificate[name]);
    const lines = [
      `listener ${plainPort} 127.0.0.1`,
      `listener ${port} 127.0.0.1`,
      `certfile ${join(folder, "cert")}`,
      `keyfile ${join(folder, "key")}`,
      "allow_anonymous true",
      "max_packet_size 16640",
      ...(process.getuid?.() === 0 ? ["user root"] : []),
    ];
    writeFileSync(join(folder, "mosquitto.conf"), lines.join("\n"));
    const path = [process.env.PATH ?? "", "/usr/sbin", "/usr/local/sbin"].join(":");
    mosquitto = spawn("mosquitto", ["-c", join(folder, "mosquitto.conf"), "-v"], { env: { PATH: path } });
    await new Promise<void>((resolve, reject) => {
      let log = "";
      mosquitto.once("exit", () => reject(new Error(`mosquitto: ${log}`)));
      mosquitto.stderr?.on("data", (chunk) => {
        log += String(chunk);
        if (log.includes(" running")) resolve();
      });
    });
    mosquitto.removeAllListeners("exit");
    sender = await connectAsync(`mqtt://127.0.0.1:${plainPort}`, { reconnectPeriod: 0 });
    told = new Inbox();
    sender.on("message", (_topic, payload, { qos }) => told.add({ payload, qos }));
    await sender.subscribeAsync(UP, { qos: 1 });
  });
  afterEach(async () => {
    await sender.endAsync(true);
    const exited = once(mosquitto, "exit");
    mosquitto.kill("SIGKILL");
    await exited;
  });

  async function enter(): Promise<void> {
    await host.operations.openLink({ ...ids, url: `mqtts://localhost:${port}`, mqtt: DEVICE });
    await host.events.next("linkOpened");
  }

  test("a thousand frames go each way, in order", async () => {
    await enter();
    const frames = Array.from(
      { length: 1_000 },
      (_, i) => new Uint8Array(randomBytes(1 + ((i * 37) % 2_000))),
    );
    for (const frame of frames) sender.publish(DOWN, Buffer.from(frame), { qos: 1 });
    for (const frame of frames) expect((await host.events.next("linkMessage")).frame).toEqual(frame);
    for (const frame of frames) {
      await host.operations.send(ids.linkId, frame, 1);
      expect((await told.next()).payload).toEqual(Buffer.from(frame));
    }
    await host.operations.closeLink(ids.linkId);
    expect((await told.next()).payload).toEqual(Buffer.alloc(0));
  });

  test("killed, it is missed: the last will", async () => {
    await enter();
    process.kill(host.pid, "SIGKILL");
    expect(await told.next()).toEqual({ payload: Buffer.alloc(0), qos: 1 });
    await expect(host.end()).rejects.toThrow("SIGKILL");
    host = startDriver(script);
  });

  test("ended without a goodbye from the script, it is missed as well", async () => {
    await enter();
    await host.end();
    expect(await told.next()).toEqual({ payload: Buffer.alloc(0), qos: 1 });
    host = startDriver(script);
  });
});
