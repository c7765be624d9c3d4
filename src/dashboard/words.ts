// SPDX-License-Identifier: MIT
/** What the dashboard says: times, spans, states, losses and reports as short English. Pure; times are arguments. */

import type { Report } from "../agent/events.ts";
import type { AgentStatus, KnownNetwork } from "../agent/status.ts";
import { spanText, threeDigits } from "../figures.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** "14:05", or "20 Nov, 14:05" on another day than `nowEpochMs`; local time. */
export function clockText(epochMs: number, nowEpochMs: number, hasSeconds = false): string {
  const at = new Date(epochMs);
  const time = [at.getHours(), at.getMinutes(), ...(hasSeconds ? [at.getSeconds()] : [])]
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
  const isToday = at.toDateString() === new Date(nowEpochMs).toDateString();
  return isToday ? time : `${at.getDate()} ${MONTHS[at.getMonth()]}, ${time}`;
}

/** Three significant digits; "–" for what is not known. */
export function numberText(value: number | null): string {
  return value === null ? "–" : threeDigits(value);
}

export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** A status, and when it came. */
export interface StatusAt {
  readonly status: AgentStatus;
  readonly atEpochMs: number;
}

/** "good": messages come. "busy": about to. "bad": they do not, and should. "calm": they do not, and need not. */
export type Tone = "good" | "busy" | "bad" | "calm";

export interface ConnectionWords {
  readonly tone: Tone;
  readonly title: string;
  readonly why: string | null;
}

/** How the connection is, and why. */
export function connectionWords({ status, atEpochMs }: StatusAt): ConnectionWords {
  const over = status.transport === "mqtt" ? "over MQTT" : "over WebSocket";
  const since =
    status.linkSinceEpochMs === null ? "" : ` since ${clockText(status.linkSinceEpochMs, atEpochMs)}`;
  const why = whyText(status);
  switch (status.link) {
    case "online":
      return { tone: "good", title: `Online ${over}${since}`, why: null };
    case "idle":
      return {
        tone: "calm",
        title: `Resting${since}`,
        why: why ?? "Nothing is subscribed, so no connection is needed.",
      };
    case "offline":
      return {
        tone: "bad",
        title: `No network${since}`,
        why: "The agent sleeps until there is one. Messages wait at the push service.",
      };
    case "token":
      return { tone: "busy", title: "Introducing this device to the push service", why };
    case "dialing":
    case "greeting":
      return { tone: "busy", title: `Connecting ${over}`, why };
    case "waiting": {
      const { retryInMs, isBehindPortal } = status;
      const next =
        retryInMs === null ? "" : `, next try at ${clockText(atEpochMs + retryInMs, atEpochMs, true)}`;
      return { tone: "bad", title: `${isBehindPortal ? "Behind a login page" : "Waiting"}${next}`, why };
    }
    case "stopped":
      return { tone: "bad", title: "The agent is stopping", why: null };
  }
}

function whyText({ lastLoss, lastFault, isBehindPortal }: AgentStatus): string | null {
  const portal = isBehindPortal
    ? ["This network wants a sign-in (captive portal), or something like one answers for the push service."]
    : [];
  const loss = lastLoss === null ? [] : [`${lossText(lastLoss)}.`];
  const fault = lastFault === null ? [] : [`${sentence(lastFault.text)} (${lastFault.code})`];
  const all = [...portal, ...loss, ...fault];
  return all.length === 0 ? null : all.join(" ");
}

const LOSSES: Readonly<Record<string, string>> = {
  refused: "The push service refused the connection",
  unreachable: "The push service could not be reached",
  tls: "The push service could not prove who it is (TLS)",
  reset: "The connection broke",
  closed: "The push service closed the connection",
  protocol: "The other end did not speak the protocol",
  overflow: "More was to be sent than the connection took",
  local: "This device could not use the connection",
};

/** Why a connection or a try ended; no full stop. */
export function lossText({ cause, httpStatus }: NonNullable<AgentStatus["lastLoss"]>): string {
  return `${LOSSES[cause] ?? `The connection ended (${cause})`}${httpStatus === null ? "" : `, HTTP ${httpStatus}`}`;
}

const STATES: Readonly<Record<string, string>> = {
  idle: "Not connected, and no connection is needed right now",
  offline: "There is no network",
  token: "Asking the push service for a token",
  dialing: "Dialing the push service",
  greeting: "Connected, saying hello",
  online: "Online",
  waiting: "Waiting for the next try",
  stopped: "Stopping",
};

/** One report as a sentence without full stop. Owners in it are anybody's choice of text. */
export function reportText(report: Report): string {
  switch (report.type) {
    case "token":
      return report.renewed ? "Got a fresh token of the push service" : "Introduced to the push service";
    case "state":
      return STATES[report.state] ?? report.state;
    case "registered":
      return `The push service knows this device as ${report.device}`;
    case "subscribed":
      return `${report.owner} subscribed`;
    case "unsubscribed":
      return `${report.owner} is no longer subscribed`;
    case "subscriptionLost":
      return `The push service lost the subscription of ${report.owner}`;
    case "received":
      return `A message of ${countText(report.bytes, "byte")} came${report.attempt > 1 ? ` (attempt ${report.attempt})` : ""}`;
    case "delivered":
      return `Handed to ${report.owner}${report.redelivered ? ", perhaps again" : ""}`;
    case "handled":
      return `${report.owner} dealt with a message`;
    case "shown":
      return `Notification of ${report.owner} shown, ${report.by === "app" ? "made by the app" : "as the sender declared it"}`;
    case "reset":
      return "Factory reset: everything is removed";
    case "acknowledged":
      return `${countText(report.messages, "message")} acknowledged (${report.code})`;
    case "dropped":
      return `A message was dropped: ${report.code}`;
    case "journaled":
      return `A message for ${report.owner} waits on this device`;
    case "linkClosed": {
      const next = report.retryInMs === null ? "" : `; next try in ${spanText(report.retryInMs)}`;
      return `${lossText(report)}${next}`;
    }
    case "fault":
      return `${sentence(report.text)} (${report.code})`;
    default:
      return String((report as { readonly type: unknown }).type);
  }
}

/** What is known of a network's idle timeout. */
export function timeoutText({ loMs, hiMs, isHiSure }: KnownNetwork): string {
  const survives = loMs === 0 ? "Nothing proven yet" : `Survives ${spanText(loMs)} of silence`;
  if (hiMs === null) return `${survives}; no failure seen`;
  return `${survives}; ${isHiSure ? "fails" : "may fail"} at ${spanText(hiMs)}`;
}

/** Networks are called what they call themselves. */
export function networkName(label: string): string {
  return label === "" ? "Unnamed network" : label;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
