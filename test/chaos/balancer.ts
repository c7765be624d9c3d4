// SPDX-License-Identifier: MIT
// A TCP balancer: each connection goes to the next node that was ready when it was last asked, or to the one behind that when it
// does not take it. Knows nothing of HTTP but the question. No tests here.

import { once } from "node:events";
import { get } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Each node is asked this often, and is out when the answer takes longer than that. */
const ASK_EVERY_MS = 500;
const ANSWER_TIMEOUT_MS = 1_000;

/** What is behind the balancer; its port is another one after a restart, and 0 while there is none. */
export interface Backend {
  readonly port: number;
}

export class Balancer {
  readonly #backends: readonly Backend[];
  readonly #ready = new Set<Backend>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #asking: NodeJS.Timeout;
  #next = 0;

  private constructor(backends: readonly Backend[]) {
    this.#backends = backends;
    for (const backend of backends) this.#ready.add(backend);
    this.#server = createServer((socket) => this.#forward(socket));
    this.#asking = setInterval(() => {
      for (const backend of backends) this.#ask(backend);
    }, ASK_EVERY_MS);
  }

  static async start(backends: readonly Backend[]): Promise<Balancer> {
    const balancer = new Balancer(backends);
    balancer.#server.listen(0, "127.0.0.1");
    await once(balancer.#server, "listening");
    return balancer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    clearInterval(this.#asking);
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #ask(backend: Backend): void {
    const request = get({ host: "127.0.0.1", port: backend.port, path: "/readyz", agent: false });
    const timer = setTimeout(() => request.destroy(), ANSWER_TIMEOUT_MS);
    request.on("response", (response) => {
      response.resume();
      if (response.statusCode === 200) this.#ready.add(backend);
      else this.#ready.delete(backend);
    });
    request.on("error", () => this.#ready.delete(backend));
    request.on("close", () => clearTimeout(timer));
  }

  /** To the nodes that are ready, one after the other, until one takes it; to any where none is. */
  #forward(socket: Socket): void {
    this.#keep(socket);
    const ready = this.#backends.filter((backend) => this.#ready.has(backend));
    const among = ready.length > 0 ? ready : this.#backends;
    const first = this.#next++;
    this.#dial(
      socket,
      among.map((_, at) => among[(first + at) % among.length] as Backend),
    );
  }

  #dial(socket: Socket, [backend, ...others]: readonly Backend[]): void {
    if (backend === undefined) return void socket.destroy();
    const onward = connect({ host: "127.0.0.1", port: backend.port });
    this.#keep(onward);
    const retry = () => this.#dial(socket, others);
    onward.once("error", retry);
    socket.once("close", () => onward.destroy());
    onward.once("connect", () => {
      onward.off("error", retry);
      onward.once("close", () => socket.destroy());
      socket.pipe(onward).pipe(socket);
    });
  }

  #keep(socket: Socket): void {
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    // What follows is told by "close".
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }
}
