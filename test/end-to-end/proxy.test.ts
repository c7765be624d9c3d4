// SPDX-License-Identifier: MIT
// Goal: the agent goes through the proxy that the environment names, for its token and for its connection, and past it where
// NO_PROXY says so; what the proxy says itself is never taken for the push service's word. Method: a CONNECT proxy of a few lines on loopback, the real agent process with HTTPS_PROXY.

import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sender, type ServiceProcess, Stage } from "./stage.ts";

const NEWS = "https://news.example";

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
let proxy: ConnectProxy;
beforeEach(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
  proxy = await ConnectProxy.start();
  stage.defer(() => proxy.close());
});
afterEach(() => stage.close());

test.each([
  ["HTTPS_PROXY", {}],
  ["https_proxy", {}],
  ["ALL_PROXY", {}],
  ["HTTPS_PROXY", { NO_PROXY: "other.example, 127.0.0.1" }],
])("token and connection go through %s, %o", async (name, more) => {
  const agent = await start({ [name]: proxy.url, ...more });
  const subscription = await agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  await sender.send(subscription, "through the proxy");
  await agent.pushed("through the proxy");
  // The token, the link, and its canaries.
  expect(proxy.targets.length).toBeGreaterThanOrEqual(2);
  expect(new Set(proxy.targets)).toEqual(new Set([`localhost:${service.port}`]));
});

test("NO_PROXY leads past it", async () => {
  const agent = await start({ HTTPS_PROXY: proxy.url, NO_PROXY: "localhost" });
  const subscription = await agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  await sender.send(subscription, "direct");
  await agent.pushed("direct");
  expect(proxy.targets).toEqual([]);
});

test("a tunnel that breaks is made again", async () => {
  const agent = await start({ HTTPS_PROXY: proxy.url });
  const subscription = await agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  proxy.cut();
  await agent.reported("linkClosed");
  await sender.send(subscription, "again");
  await agent.pushed("again");
  expect(proxy.targets.length).toBeGreaterThanOrEqual(3);
});

describe("a proxy that answers CONNECT itself", () => {
  test("is not taken for the push service: the token is asked for again soon", async () => {
    proxy.answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    const agent = await start({ HTTPS_PROXY: proxy.url });
    const subscribed = agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
    const fault = await agent.reported("fault");
    proxy.answer = null;
    const subscription = await subscribed;
    await sender.send(subscription, "at last");
    await agent.pushed("at last");
    expect(fault.code).toBe("ERR_SERVICE_UNREACHABLE");
  });

  test("cannot hand out a UA token", async () => {
    const body = JSON.stringify({ uaToken: "forged", uaid: "00".repeat(16) });
    proxy.answer = `HTTP/1.1 201 Created\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const agent = await start({ HTTPS_PROXY: proxy.url });
    const subscribed = agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
    await agent.stdout.match(/"type":"(fault|token)"/);
    expect(agent.reports("token")).toEqual([]);
    proxy.answer = null;
    await subscribed;
  });

  test("cannot make the agent give its UA token up", async () => {
    const agent = await start({ HTTPS_PROXY: proxy.url });
    const subscription = await agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
    proxy.answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    proxy.cut();
    await proxy.answered(2);
    proxy.answer = null;
    await sender.send(subscription, "the same subscription");
    await agent.pushed("the same subscription");
    expect(agent.reports("token")).toHaveLength(1);
  });
});

function start(environment: NodeJS.ProcessEnv) {
  return stage.agent({ service, stateDirectory: stage.newDirectory(), owners: [NEWS], environment });
}

/** An HTTP proxy that knows CONNECT only (RFC 9110 §9.3.6). */
class ConnectProxy {
  /** Every tunnel made, in order. */
  readonly targets: string[] = [];
  /** What it says instead of making a tunnel. */
  answer: string | null = null;
  #answers = 0;
  #wake: () => void = () => {};
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    server.on("connect", (request, socket: Socket, head) => {
      socket.on("error", () => socket.destroy());
      if (this.answer !== null) {
        socket.end(this.answer);
        this.#answers++;
        this.#wake();
        return;
      }
      this.targets.push(request.url ?? "");
      const [host = "", port] = (request.url ?? "").split(":");
      const upstream = connect(Number(port), host, () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        upstream.write(head);
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on("error", () => socket.destroy());
      for (const end of [socket, upstream]) {
        this.#sockets.add(end);
        end.on("close", () => this.#sockets.delete(end));
      }
    });
  }

  static async start(): Promise<ConnectProxy> {
    const server = createServer((_request, response) => response.writeHead(405).end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new ConnectProxy(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves once it answered that often itself. */
  async answered(count: number): Promise<void> {
    while (this.#answers < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Breaks every tunnel. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
