// SPDX-License-Identifier: MIT
// Goal: every host's HTTP requests are answered once, bounded in size and time. Method: real servers, well-behaved and not.

import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { HTTP_RESPONSE_BYTES_MAX } from "../../src/limits.ts";
import { BEARER } from "./operations.ts";
import { makeCertificate } from "./servers.ts";
import { type Stage, settled } from "./stage.ts";

export function describeRequests(stage: Stage): void {
  const request = { requestId: 5, method: "POST" } as const;
  const answer = (status: number, more: object = {}) => ({
    type: "httpResponse",
    requestId: 5,
    status,
    cause: null,
    retryAfterS: null,
    body: "",
    ...more,
  });
  const noAnswer = (cause: string) => answer(0, { cause, body: null });

  describe("HTTP requests", () => {
    test.each(["GET", "POST"] as const)(
      "%s: the bearer goes out, status and body come in",
      async (method) => {
        const { url, asked } = await stage.servers.http((_request, response) =>
          response.writeHead(201, { "Retry-After": "60" }).end('{"uaToken":"ä"}'),
        );
        await stage.host.operations.httpRequest({ ...request, method, url });
        const { request: got, body } = await asked.next();
        expect([got.method, got.url, body.length]).toEqual([method, "/path?q=1", 0]);
        expect(got.headers).toMatchObject({ authorization: `Bearer ${BEARER}`, accept: "application/json" });
        if (method === "POST") expect(got.headers["content-length"]).toBe("0");
        const told = { retryAfterS: 60, body: '{"uaToken":"ä"}' };
        expect(await stage.host.events.next("httpResponse")).toEqual(answer(201, told));
      },
    );

    test.each([204, 302, 401, 500])("status %i is an answer", async (status) => {
      const { url } = await stage.servers.http((_request, response) =>
        response.writeHead(status, { Location: "/other" }).end(),
      );
      await stage.host.operations.httpRequest({ ...request, url });
      expect(await stage.host.events.next("httpResponse")).toEqual(answer(status));
    });

    test("in chunks, and as long as may be", async () => {
      const body = "x".repeat(HTTP_RESPONSE_BYTES_MAX);
      const { url } = await stage.servers.http((_request, response) => {
        response.write(body.slice(0, 100));
        response.end(body.slice(100));
      });
      await stage.host.operations.httpRequest({ ...request, url });
      expect(await stage.host.events.next("httpResponse")).toEqual(answer(200, { body }));
    });

    test.each(["chunked", "declared"])("one byte more, %s: overflow", async (kind) => {
      const body = "x".repeat(HTTP_RESPONSE_BYTES_MAX + 1);
      const { url } = await stage.servers.http((_request, response) => {
        if (kind === "chunked") response.write(body.slice(0, 1));
        response.end(kind === "chunked" ? body.slice(1) : body);
      });
      await stage.host.operations.httpRequest({ ...request, url });
      expect(await stage.host.events.next("httpResponse")).toEqual(noAnswer("overflow"));
    });

    test("nobody listens: refused", async () => {
      await stage.host.operations.httpRequest({
        ...request,
        url: `http://127.0.0.1:${await stage.servers.freePort()}/`,
      });
      expect(await stage.host.events.next("httpResponse")).toEqual(noAnswer("refused"));
    });

    test("no answer in time: unreachable", async () => {
      const { port } = await stage.servers.silent();
      await stage.host.operations.httpRequest({
        ...request,
        url: `http://127.0.0.1:${port}/`,
        timeoutMs: 50,
      });
      expect(await stage.host.events.next("httpResponse")).toEqual(noAnswer("unreachable"));
    });

    test("a server nobody vouches for: tls", async () => {
      const { url } = await stage.servers.http(
        (_request, response) => response.end(),
        await makeCertificate(),
      );
      await stage.host.operations.httpRequest({ ...request, url });
      expect(await stage.host.events.next("httpResponse")).toEqual(noAnswer("tls"));
    });

    test("over TLS", async () => {
      const { url } = await stage.servers.http((_request, response) => response.end("hi"), stage.certificate);
      await stage.host.operations.httpRequest({ ...request, url });
      expect(await stage.host.events.next("httpResponse")).toEqual(answer(200, { body: "hi" }));
    });

    test("an address that is none: local", async () => {
      await stage.host.operations.httpRequest({ ...request, url: "gopher:/x" });
      expect(await stage.host.events.next("httpResponse")).toEqual(noAnswer("local"));
    });

    test("several at a time are kept apart", async () => {
      const late: (() => void)[] = [];
      const { url } = await stage.servers.http(({ url = "" }, response) => {
        if (url.endsWith("first")) late.push(() => response.end(url));
        else response.end(url);
      });
      await stage.host.operations.httpRequest({ ...request, requestId: 1, url: `${url}first` });
      await stage.host.operations.httpRequest({ ...request, requestId: 2, url: `${url}second` });
      expect(await stage.host.events.next("httpResponse")).toMatchObject({
        requestId: 2,
        body: "/path?q=1second",
      });
      for (const end of late) end();
      expect(await stage.host.events.next("httpResponse")).toMatchObject({
        requestId: 1,
        body: "/path?q=1first",
      });
    });

    test("a test message goes out whole; its status comes back, 0 for none", async () => {
      const { url, asked } = await stage.servers.http((_request, response) =>
        response.writeHead(201).end("no matter"),
      );
      const body = new Uint8Array(randomBytes(4096));
      const headers = { TTL: "60", "Content-Encoding": "aes128gcm", Authorization: "vapid t=a, k=b" };
      const status = stage.host.operations.post(url, headers, body);
      const got = await asked.next();
      expect(got.body).toEqual(body);
      expect(got.request.method).toBe("POST");
      expect(got.request.headers).toMatchObject({
        ttl: "60",
        "content-encoding": "aes128gcm",
        authorization: "vapid t=a, k=b",
        "content-length": "4096",
      });
      expect(await status).toBe(201);
      const nowhere = `http://127.0.0.1:${await stage.servers.freePort()}/`;
      expect(await stage.host.operations.post(nowhere, {}, body)).toBe(0);
      expect(stage.host.events.rest).toEqual([]);
    });

    test("closing aborts what is under way, and tells nothing", async () => {
      const { url, asked } = await stage.servers.http(() => {});
      await stage.host.operations.httpRequest({ ...request, url });
      const { request: incoming } = await asked.next();
      const ended = new Promise((resolve) => incoming.socket.once("close", resolve));
      const posted = stage.host.operations.post(url, {}, Uint8Array.of(1));
      await asked.next();
      await stage.host.operations.close();
      await ended;
      expect(await posted).toBe(0);
      await settled(stage);
      expect(stage.host.events.rest).toEqual([]);
    });
  });
}
