// SPDX-License-Identifier: MIT
/** A proxy that speaks TLS in front of a push service that does not, and knows no WebSocket: upgrades are refused with 403. No tests here. */

import { request } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { type DevCertificate, loadDevCertificate } from "../../src/push-service/dev-ca.ts";

export class TlsFront {
  readonly certificate: DevCertificate;
  readonly port: number;
  /** Upgrades that were refused. */
  refused = 0;
  /** Where requests go. */
  servicePort = 0;
  readonly #server: Server;

  private constructor(server: Server, certificate: DevCertificate) {
    this.certificate = certificate;
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("request", (incoming, answer) => {
      const { method, url, headers } = incoming;
      const outgoing = request({ port: this.servicePort, method, path: url, headers }, (response) => {
        answer.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(answer);
      });
      outgoing.on("error", () => answer.destroy());
      incoming.pipe(outgoing);
    });
    server.on("upgrade", (_request, socket) => {
      this.refused++;
      socket.on("error", () => {});
      socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    });
  }

  /** @param directory for its certificate */
  static async listen(directory: string): Promise<TlsFront> {
    const certificate = await loadDevCertificate({ directory, nowMs: Date.now() });
    const server = createServer(certificate);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", () => resolve());
    });
    return new TlsFront(server, certificate);
  }

  get origin(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
