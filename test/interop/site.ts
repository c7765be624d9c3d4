// SPDX-License-Identifier: MIT
/** The web site of the page in `page/`, on loopback, and what its service workers told it. No tests here. */

import { readdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const PAGE = fileURLToPath(new URL("page", import.meta.url));
const TYPES: Readonly<Record<string, string>> = { html: "text/html", js: "text/javascript" };

/** Nothing waited for takes nearly this long; it only makes a failure readable. */
const WAIT_MS_MAX = 60_000;

export interface WorkerReport {
  readonly type: "push" | "change";
  /** Path of the worker's scope. */
  readonly scope: string;
  /** Of a push with a body. */
  readonly text: string | null;
}

export class Site {
  /** In the order they came. */
  readonly reports: WorkerReport[] = [];
  /** `http://localhost:PORT`, which browsers take for secure. */
  readonly origin: string;
  readonly #server: Server;
  readonly #waiting = new Set<() => void>();

  private constructor(server: Server) {
    this.#server = server;
    this.origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  }

  static async start(): Promise<Site> {
    const files = new Map(readdirSync(PAGE).map((name) => [`/${name}`, readFileSync(join(PAGE, name))]));
    const server = createServer(async (request, response) => {
      if (request.method === "POST") {
        await site.#take(request);
        response.writeHead(204).end();
        return;
      }
      const path = request.url === "/" ? "/index.html" : (request.url ?? "");
      const body = files.get(path);
      response.statusCode = body === undefined ? 404 : 200;
      response.setHeader("Content-Type", TYPES[path.split(".")[1] ?? ""] ?? "text/plain");
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const site = new Site(server);
    return site;
  }

  /** What the worker of one scope got, so far. */
  pushes(scope: string): (string | null)[] {
    return this.reports
      .filter((report) => report.type === "push" && report.scope === scope)
      .map(({ text }) => text);
  }

  /** Scopes whose workers were told that their subscription is void, so far. */
  get changes(): string[] {
    return this.reports.filter(({ type }) => type === "change").map(({ scope }) => scope);
  }

  /** Resolves once the worker of `scope` got `wanted`. */
  pushed(scope: string, wanted: string | null): Promise<void> {
    return this.#until(`a push ${wanted} for ${scope}`, () => this.pushes(scope).includes(wanted));
  }

  /** Resolves once the worker of `scope` was told that its subscription is void. */
  changed(scope: string): Promise<void> {
    return this.#until(`${scope} is told`, () => this.changes.includes(scope));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #until(what: string, isSo: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (done: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        done();
      };
      const look = (): void => {
        if (isSo()) settle(resolve);
      };
      const timer = setTimeout(() => {
        settle(() =>
          reject(new Error(`time is up before ${what}; there was ${JSON.stringify(this.reports)}`)),
        );
      }, WAIT_MS_MAX);
      this.#waiting.add(look);
      look();
    });
  }

  async #take(request: IncomingMessage): Promise<void> {
    this.reports.push(JSON.parse(await text(request)) as WorkerReport);
    for (const look of [...this.#waiting]) look();
  }
}
