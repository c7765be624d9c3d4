// SPDX-License-Identifier: MIT
/** Asking the agent for an owner and getting the one answer that fits, or an error. */

import type { AppReply, AppRequest } from "../agent/events.ts";
import { GodwitError } from "../errors.ts";
import type { UserAgent } from "./user-agent.ts";

type Asked = Pick<UserAgent, "request">;
type ReplyType = Exclude<AppReply["type"], "error">;

/** @throws {GodwitError} for an error reply, and for another one than `expected` */
export async function ask<Type extends ReplyType>(
  userAgent: Asked,
  owner: string,
  request: AppRequest,
  expected: Type,
): Promise<Extract<AppReply, { type: Type }>> {
  const reply = await userAgent.request(owner, request);
  if (reply.type === "error") throw new GodwitError(reply.code, reply.message);
  if (reply.type !== expected) throw new GodwitError("ERR_SUBSCRIBE_ABORTED", "unexpected answer");
  return reply as Extract<AppReply, { type: Type }>;
}

/** Ends the owner's default subscription. False when there is none. */
export async function unsubscribe(userAgent: Asked, owner: string): Promise<boolean> {
  const known = await ask(userAgent, owner, { type: "getSubscription", waToken: null }, "subscription");
  if (known.subscription === null) return false;
  const { subscriptionId } = known.subscription;
  return (await ask(userAgent, owner, { type: "unsubscribe", subscriptionId }, "unsubscribed")).existed;
}
