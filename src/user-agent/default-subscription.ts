// SPDX-License-Identifier: MIT
/** An owner's default subscription, made and ended from outside of its app: by the administrator, and for test messages. */

import type { AppReply, AppRequest, SubscriptionView } from "../agent/events.ts";
import { GodwitError } from "../errors.ts";
import type { UserAgent } from "./user-agent.ts";

type Asked = Pick<UserAgent, "request">;
type ReplyType = Exclude<AppReply["type"], "error">;

/**
 * The owner's default subscription, made when there is none.
 *
 * @throws {GodwitError} with the code the agent answers with; likewise {@link unsubscribe}
 */
export async function subscribe(
  userAgent: Asked,
  owner: string,
  options: Pick<Extract<AppRequest, { type: "subscribe" }>, "applicationServerKey" | "freshness">,
): Promise<SubscriptionView> {
  const request = {
    type: "subscribe" as const,
    userVisibleOnly: false,
    waToken: null,
    declarative: "auto" as const,
    allowAesgcm: false,
    ...options,
  };
  const { subscription } = await ask(userAgent, owner, request, "subscription");
  if (subscription === null) throw unexpected();
  return subscription;
}

/** Ends it. False when there is none. */
export async function unsubscribe(userAgent: Asked, owner: string): Promise<boolean> {
  const known = await ask(userAgent, owner, { type: "getSubscription", waToken: null }, "subscription");
  if (known.subscription === null) return false;
  const { subscriptionId } = known.subscription;
  return (await ask(userAgent, owner, { type: "unsubscribe", subscriptionId }, "unsubscribed")).existed;
}

/** @throws {GodwitError} for an error reply, and for another one than `expected` */
async function ask<Type extends ReplyType>(
  userAgent: Asked,
  owner: string,
  request: AppRequest,
  expected: Type,
): Promise<Extract<AppReply, { type: Type }>> {
  const reply = await userAgent.request(owner, request);
  if (reply.type === "error") throw new GodwitError(reply.code, reply.message);
  if (reply.type !== expected) throw unexpected();
  return reply as Extract<AppReply, { type: Type }>;
}

function unexpected(): GodwitError {
  return new GodwitError("ERR_SUBSCRIBE_ABORTED", "unexpected answer");
}
