// SPDX-License-Identifier: MIT
// Goal: tokens and endpoints that are replayed, guessed, or another device's get nobody anywhere, and guessing costs nobody else
// anything. Method: a real service process, a victim, an attacker that knows everything but the victim's secrets.

import { randomBytes, randomFillSync } from "node:crypto";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { REFUSALS_PER_ADDRESS_BURST_MAX } from "../../src/limits.ts";
import { nodeProvider } from "../../src/node/crypto.ts";
import { generateKeyPair } from "../../src/webpush/keys.ts";
import { signVapid } from "../../src/webpush/vapid.ts";
import { AbusedService, expectUnharmed, HAS_ADDRESSES } from "./abused-service.ts";
import { TestDevice } from "./bench.ts";

const ORIGIN = "https://push.example";
const VICTIM = "127.0.0.5";
const [victimKeys, attackerKeys] = [0, 1].map(() =>
  generateKeyPair((target) => randomFillSync(target), nodeProvider),
);
type Keys = ReturnType<typeof generateKeyPair>;

let service: AbusedService;
let victim: Awaited<ReturnType<AbusedService["subscribed"]>>;
let attacker: Awaited<ReturnType<AbusedService["subscribed"]>>;
beforeAll(async () => {
  if (!HAS_ADDRESSES) return;
  service = await AbusedService.start("--origin", ORIGIN);
  victim = await service.subscribed(VICTIM, victimKeys?.publicKey ?? null);
  attacker = await service.subscribed(undefined, attackerKeys?.publicKey ?? null);
});
afterAll(() => service?.stop());

function vapid(keys: Keys | undefined, claims: { sub?: string; act?: string } = {}): Record<string, string> {
  return {
    Authorization: signVapid({
      keys: keys as Keys,
      audience: ORIGIN,
      expiresS: Date.now() / 1000 + 200,
      ...(claims.sub === undefined ? {} : { subject: claims.sub }),
      claims: claims.act === undefined ? {} : { act: claims.act },
      provider: nodeProvider,
    }),
  };
}

const tokenOf = (url: string): string => url.slice(url.lastIndexOf("/") + 1);

describe.runIf(HAS_ADDRESSES)("replayed", () => {
  test("a uaToken that was renewed opens no link and gets no other one", async () => {
    const { json } = await service.ask("POST", "/v1/token");
    const old = String(json.uaToken);
    const renewed = await service.ask("POST", "/v1/token", { Authorization: `Bearer ${old}` });
    expect(renewed.json.uaid).toBe(json.uaid);
    await once(service.upgrade(String(renewed.json.uaToken)), "open");
    const [, response] = await once(service.upgrade(old), "unexpected-response");
    expect((response as { statusCode: number }).statusCode).toBe(401);
    const again = await service.ask("POST", "/v1/token", { Authorization: `Bearer ${old}` });
    expect(again.json.uaid).not.toBe(json.uaid);
  });

  test("a revoke token works once, and for its own endpoint only", async () => {
    const { endpoint } = await service.subscribed(undefined, attackerKeys?.publicKey ?? null);
    const { pathname } = new URL(endpoint);
    const headers = vapid(attackerKeys, { act: "revoke", sub: endpoint });
    const elsewhere = await service.ask("DELETE", new URL(attacker.endpoint).pathname, headers);
    expect(elsewhere).toMatchObject({ status: 403, errno: 305 });
    expect((await service.ask("DELETE", pathname, headers)).status).toBe(204);
    expect(await service.ask("DELETE", pathname, headers)).toMatchObject({ status: 403, errno: 306 });
  });
});

describe.runIf(HAS_ADDRESSES)("of another device", () => {
  test("a sender's token does not open the endpoint of another key", async () => {
    expect((await service.post(attacker.endpoint, undefined, vapid(attackerKeys))).status).toBe(201);
    for (const headers of [vapid(attackerKeys), {}]) {
      const answer = await service.post(victim.endpoint, undefined, headers);
      expect(answer).toMatchObject({ status: 401, errno: 109 });
    }
  });

  test("message ids are acknowledged in vain, and channels ended in vain", async () => {
    const posted = await service.post(victim.endpoint, VICTIM, vapid(victimKeys));
    expect(posted.status).toBe(201);
    const { id } = await victim.device.next("notification");
    attacker.device.send({ type: "ack", ranges: [[1, 1_000_000]], code: "ok" });
    attacker.device.send({ type: "unregisterWa", ref: 9, channel: victim.channel });
    await attacker.device.quiet();
    await victim.device.close();
    const back = new TestDevice(service.upgrade(victim.uaToken, VICTIM));
    await back.next("registered");
    expect(await back.next("notification")).toMatchObject({ id, attempt: 2 });
    back.send({ type: "ack", ranges: [[id, id]], code: "ok" });
    expect((await service.post(victim.endpoint, VICTIM, vapid(victimKeys))).status).toBe(201);
    expect(await back.next("notification")).toMatchObject({ channel: victim.channel });
    // Its own channel, which has the same number, is what the attacker ended.
    expect((await service.post(attacker.endpoint, undefined, vapid(attackerKeys))).status).toBe(410);
  });

  test("one kind of token is never good as another", async () => {
    const posted = await service.post(victim.endpoint, VICTIM, vapid(victimKeys));
    const location = tokenOf(String(posted.headers.location));
    const [uaToken, endpoint] = [victim.uaToken, tokenOf(victim.endpoint)];
    for (const token of [location, uaToken]) {
      expect(await service.ask("POST", `/p/${token}`, { TTL: "1" })).toMatchObject({
        status: 404,
        errno: 102,
      });
    }
    for (const token of [endpoint, uaToken]) {
      expect(await service.ask("DELETE", `/m/${token}`)).toMatchObject({ errno: 307 });
    }
    for (const token of [endpoint, location]) {
      const [, response] = await once(service.upgrade(token), "unexpected-response");
      expect((response as { statusCode: number }).statusCode).toBe(401);
    }
  });
});

describe.runIf(HAS_ADDRESSES)("guessed", () => {
  test("endpoints are 404, however near they are to one that exists", async () => {
    const good = Buffer.from(tokenOf(victim.endpoint), "base64url");
    const errnos = new Map<number | undefined, number>();
    const figures = await service.besides("4000 guessed endpoints", async () => {
      for (let i = 0; i < 4_000; i += 20) {
        const guesses = Array.from({ length: 20 }, (_, k) => {
          if ((i + k) % 2 === 0) return randomBytes(good.length);
          const near = Buffer.from(good);
          const bit = ((i + k) >> 1) % (good.length * 8);
          near[bit >> 3] = (near[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          return near;
        });
        const asked = guesses.map((guess) =>
          service.ask("POST", `/p/${guess.toString("base64url")}`, { TTL: "60", ...vapid(victimKeys) }),
        );
        for (const { errno } of await Promise.all(asked)) errnos.set(errno, (errnos.get(errno) ?? 0) + 1);
      }
    });
    expect([...errnos.keys()].sort()).toEqual([102, 316]);
    expect(errnos.get(102)).toBeGreaterThanOrEqual(REFUSALS_PER_ADDRESS_BURST_MAX);
    expectUnharmed(figures);
  }, 60_000);

  test("signatures are 401, and beyond a rate 429 before anybody looks at them", async () => {
    const headers = vapid(victimKeys);
    const { pathname } = new URL(victim.endpoint);
    const errnos = new Map<number | undefined, number>();
    const before = await service.metric("process_cpu_seconds_total");
    const figures = await service.besides("4000 guessed signatures", async () => {
      for (let i = 0; i < 4_000; i += 20) {
        const asked = Array.from({ length: 20 }, (_, k) => {
          const text = String(i + k).padStart(4, "A");
          const Authorization = headers.Authorization?.replace(/.{5}(?=, k=)/, `${text}A`) ?? "";
          return service.ask("POST", pathname, { TTL: "60", Authorization }, null, "127.0.0.73");
        });
        for (const { errno } of await Promise.all(asked)) errnos.set(errno, (errnos.get(errno) ?? 0) + 1);
      }
    });
    const cpuMs = Math.round(((await service.metric("process_cpu_seconds_total")) - before) * 1000);
    console.info(`4000 guessed signatures: ${cpuMs} ms of processor time`);
    expect([...errnos.keys()].sort()).toEqual([109, 316]);
    expect(errnos.get(109)).toBeGreaterThanOrEqual(REFUSALS_PER_ADDRESS_BURST_MAX);
    expect(errnos.get(109)).toBeLessThan(2 * REFUSALS_PER_ADDRESS_BURST_MAX);
    expectUnharmed(figures);
  }, 60_000);
});
