// SPDX-License-Identifier: MIT
/** What specs of people's choices look at: owners, changes told to apps, what the push service is asked to end. Pure. */

import { NEWS } from "./online.ts";
import type { Device } from "./world.ts";

export const CHAT = "chat.app";

export const declared = (title: string, extra = "") =>
  `{"web_push":8030,"notification":{"title":"${title}","navigate":"/read"}${extra}}`;

export const ownerOf = (device: Device, owner = NEWS) =>
  device.status.owners.find((one) => one.owner === owner);

/** Answers every UnregisterWA there was, and returns their channels. */
export function answerUnregister(device: Device, status: 200 | 503 = 200): number[] {
  const sent = device.upstream.filter((message) => message.type === "unregisterWa");
  for (const { ref, channel } of sent) device.send({ type: "waUnregistered", ref, status, channel });
  return sent.map(({ channel }) => channel);
}

export function changesOf(device: Device) {
  return device.effects.filter((effect) => effect.type === "subscriptionChange");
}
