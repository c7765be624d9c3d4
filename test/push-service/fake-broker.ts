// SPDX-License-Identifier: MIT
// A broker for tests that does what it is told to, also what no honest one does: it obeys dynamic-security commands, or
// swallows them, refuses, cuts connections, and speaks for devices. No tests here.

import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import mqttPacket, { type IPublishPacket, type Packet } from "mqtt-packet";
import type { PushServiceOptions } from "../../src/push-service/service-options.ts";
import type { Downstream, Upstream } from "../../src/wire/dialect.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";

const RESPONSES = "$CONTROL/dynamic-security/v1/response";

export interface DynsecCommand {
  readonly command: string;
  readonly username?: string;
  readonly password?: string;
  readonly correlationData: string;
  readonly [member: string]: unknown;
}

/** True: obeyed. False: never answered. */
type Verdict = boolean;

export class FakeBroker {
  /** CONNACK codes of the next connections; then 0. */
  readonly refusals: number[] = [];
  readonly commands: DynsecCommand[] = [];
  /** Frames to devices in the order they came, with those sent twice. */
  readonly down: { readonly device: string; readonly message: Downstream; readonly isDup: boolean }[] = [];
  /** By user name; outlives connections. */
  readonly clients = new Map<string, { textdescription?: unknown; disabled: boolean }>();
  connections = 0;
  /** Whether publishes to devices get their PUBACK. */
  acknowledges = true;
  isObeyed: (command: DynsecCommand) => Verdict = () => true;
  readonly #server: Server;
  #socket: Socket | null = null;
  #hasRole = false;

  private constructor() {
    this.#server = createServer((socket) => this.#opened(socket));
  }

  static async start(): Promise<FakeBroker> {
    const broker = new FakeBroker();
    broker.#server.listen(0, "127.0.0.1");
    await once(broker.#server, "listening");
    return broker;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  get mqtt(): NonNullable<PushServiceOptions["mqtt"]> {
    return { broker: { url: this.url, username: "service", password: "only-for-this-test" } };
  }

  /** In the name of a device; several frames go in one segment. */
  up(device: string, frames: readonly (Upstream | null)[], isRetained = false): void {
    const packets = frames.map((frame) =>
      mqttPacket.generate({
        cmd: "publish",
        topic: `godwit/v1/${device}/up`,
        payload: frame === null ? Buffer.alloc(0) : Buffer.from(godwitDialect.encodeUpstream(frame)),
        qos: 0,
        dup: false,
        retain: isRetained,
      }),
    );
    this.#socket?.write(Buffer.concat(packets));
  }

  /** What one device was told. */
  told(device: string): Downstream["type"][] {
    return this.down.filter((frame) => frame.device === device).map(({ message }) => message.type);
  }

  cut(): void {
    this.#socket?.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #opened(socket: Socket): void {
    this.#socket = socket;
    this.connections++;
    socket.on("error", () => {});
    const parser = mqttPacket.parser();
    socket.on("data", (chunk) => parser.parse(chunk));
    parser.on("packet", (packet) => this.#received(socket, packet));
  }

  #received(socket: Socket, packet: Packet): void {
    const write = (reply: Packet) => socket.write(mqttPacket.generate(reply));
    switch (packet.cmd) {
      case "connect": {
        const returnCode = this.refusals.shift() ?? 0;
        write({ cmd: "connack", returnCode, sessionPresent: false });
        if (returnCode !== 0) socket.end();
        return;
      }
      case "pingreq":
        return void write({ cmd: "pingresp" });
      case "disconnect":
        return void socket.end();
      case "subscribe":
        return void write({
          cmd: "suback",
          ...(packet.messageId === undefined ? {} : { messageId: packet.messageId }),
          granted: packet.subscriptions.map(() => 1),
        });
      case "publish":
        return this.#published(packet, write);
    }
  }

  #published(packet: IPublishPacket, write: (reply: Packet) => void): void {
    const { topic, messageId } = packet;
    const isDown = topic.endsWith("/down");
    if (messageId !== undefined && (!isDown || this.acknowledges)) write({ cmd: "puback", messageId });
    if (isDown) {
      const message = godwitDialect.parseDownstream(new Uint8Array(packet.payload as Buffer));
      this.down.push({ device: topic.split("/")[2] ?? "", message, isDup: packet.dup });
      return;
    }
    const { commands } = JSON.parse(String(packet.payload)) as { commands: DynsecCommand[] };
    for (const command of commands) {
      this.commands.push(command);
      if (!this.isObeyed(command)) continue;
      const { correlationData } = command;
      const payload = JSON.stringify({ responses: [{ correlationData, ...this.#obey(command) }] });
      write({ cmd: "publish", topic: RESPONSES, payload, qos: 0, dup: false, retain: false });
    }
  }

  #obey({ command, username = "", textdescription }: DynsecCommand): Record<string, unknown> {
    const client = this.clients.get(username);
    switch (command) {
      case "addClientRole": {
        const error = this.#hasRole ? { error: "Client is already in this role" } : {};
        this.#hasRole = true;
        return error;
      }
      case "createClient":
        this.clients.set(username, { textdescription, disabled: false });
        return {};
      case "getClient":
        return client ? { data: { client: { username, ...client } } } : { error: "Client not found" };
      case "modifyClient":
      case "disableClient":
      case "enableClient":
        if (client === undefined) return { error: "Client not found" };
        if (command === "modifyClient") client.textdescription = textdescription;
        else client.disabled = command === "disableClient";
        return {};
      default:
        return {};
    }
  }
}
