// SPDX-License-Identifier: MIT
/** One way to say what happened, what of it still matters, and how a request is answered. Pure. */

import type { ErrorCode } from "../errors.ts";
import type { AppReply, Effect, Report } from "./events.ts";
import type { AgentStatus } from "./status.ts";

/** The effect that tells people `report`. */
export function reported(report: Report): Effect {
  return { type: "report", report };
}

/** The effect that answers a request or a choice. */
export function replied(requestId: number, reply: AppReply): Effect {
  return { type: "appReply", requestId, reply };
}

/** The same with an error. */
export function refused(requestId: number, code: ErrorCode, message: string): Effect {
  return replied(requestId, { type: "error", code, message });
}

/** What went wrong since the agent was last registered. */
export class Troubles {
  #lastFault: AgentStatus["lastFault"] = null;
  #lastLoss: AgentStatus["lastLoss"] = null;

  get read(): Pick<AgentStatus, "lastFault" | "lastLoss"> {
    return { lastFault: this.#lastFault, lastLoss: this.#lastLoss };
  }

  handleEffect(effect: Effect): void {
    if (effect.type !== "report") return;
    const { report } = effect;
    if (report.type === "fault") this.#lastFault = { code: report.code, text: report.text };
    else if (report.type === "linkClosed")
      this.#lastLoss = { cause: report.cause, httpStatus: report.httpStatus };
    // What was wrong with the connection is right again.
    else if (report.type === "registered") this.#lastFault = this.#lastLoss = null;
  }
}
