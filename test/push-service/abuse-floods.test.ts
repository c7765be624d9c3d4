// SPDX-License-Identifier: MIT
// Goal: floods of tokens, registrations, frames and POSTs end with the right code, in bounded memory, and nobody else notices.
// Method: a real service process with a small quota, an attacker with an address of its own, a device beside it that receives.

import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  DEVICE_POSTS_BURST_MAX,
  ENDPOINT_POSTS_BURST_MAX,
  LINK_FRAMES_BURST_MAX,
  TOKENS_PER_ADDRESS_BURST_MAX,
} from "../../src/limits.ts";
import { AbusedService, expectUnharmed, HAS_ADDRESSES } from "./abused-service.ts";

const DEVICE_MESSAGES = 100;
let service: AbusedService;
beforeAll(async () => {
  if (HAS_ADDRESSES) service = await AbusedService.start("--device-messages", String(DEVICE_MESSAGES));
});
afterAll(() => service?.stop());

/** How often each `status/errno` was answered. */
async function answers(count: number, ask: (i: number) => ReturnType<AbusedService["ask"]>) {
  const seen: Record<string, number> = {};
  for (let i = 0; i < count; i += 25) {
    const some = Array.from({ length: 25 }, (_, k) => ask(i + k));
    for (const { status, errno, headers } of await Promise.all(some)) {
      const key = errno === undefined ? String(status) : `${status}/${errno}`;
      seen[key] = (seen[key] ?? 0) + 1;
      if (status === 429) expect(Number(headers["retry-after"])).toBeGreaterThan(0);
    }
  }
  return seen;
}

describe.runIf(HAS_ADDRESSES)("a flood of", () => {
  test("tokens leaves an address with its burst, and 429", async () => {
    let seen: Record<string, number> = {};
    const figures = await service.besides("2000 tokens", async () => {
      seen = await answers(2_000, () => service.ask("POST", "/v1/token"));
    });
    const { 200: issued = 0, "429/312": refused = 0, ...others } = seen;
    expect([others, issued + refused]).toEqual([{}, 2_000]);
    expect(issued).toBeGreaterThanOrEqual(TOKENS_PER_ADDRESS_BURST_MAX);
    expect(issued).toBeLessThan(TOKENS_PER_ADDRESS_BURST_MAX + 60);
    expectUnharmed(figures);
  }, 60_000);

  test("registrations ends their link, and their device may come again", async () => {
    const { device, uaToken } = await service.subscribed("127.0.0.70");
    const figures = await service.besides("20000 registrations", async () => {
      const closed = once(device.webSocket, "close");
      const registrationId = new Uint8Array(16);
      for (let ref = 2; ref < 20_000; ref++) {
        new DataView(registrationId.buffer).setUint32(0, ref);
        device.send({ type: "registerWa", ref, registrationId, applicationServerKey: null });
      }
      expect((await closed)[0]).toBe(1013);
    });
    const again = service.upgrade(uaToken, "127.0.0.70");
    await once(again, "open");
    again.terminate();
    expect(await service.metric("godwit_push_registrations_total")).toBeLessThan(LINK_FRAMES_BURST_MAX + 100);
    expectUnharmed(figures);
  }, 60_000);

  test("POSTs to one endpoint leaves it with its burst, then 429", async () => {
    const { endpoint, device } = await service.subscribed("127.0.0.71");
    device.webSocket.on("message", () => {});
    let seen: Record<string, number> = {};
    const figures = await service.besides("3000 POSTs to one endpoint", async () => {
      seen = await answers(3_000, () => service.post(endpoint, "127.0.0.71", { TTL: "0" }));
    });
    const { 201: taken = 0, "429/303": refused = 0, ...others } = seen;
    expect([others, taken + refused]).toEqual([{}, 3_000]);
    expect(taken).toBeGreaterThanOrEqual(ENDPOINT_POSTS_BURST_MAX);
    expect(taken).toBeLessThan(ENDPOINT_POSTS_BURST_MAX + 600);
    expectUnharmed(figures);
  }, 60_000);

  test("POSTs to a device that is away leaves it with its quota, then 429", async () => {
    const { device, endpoint, uaToken } = await service.subscribed("127.0.0.72");
    await device.close();
    let seen: Record<string, number> = {};
    const figures = await service.besides("250 POSTs to a device that is away", async () => {
      seen = await answers(250, () => service.post(endpoint, "127.0.0.72"));
    });
    expect(seen).toEqual({ 201: DEVICE_MESSAGES, "429/302": 250 - DEVICE_MESSAGES });
    expect(250).toBeLessThan(DEVICE_POSTS_BURST_MAX);
    const back = service.upgrade(uaToken, "127.0.0.72");
    await once(back, "open");
    back.terminate();
    expectUnharmed(figures);
  }, 60_000);
});
