// SPDX-License-Identifier: MIT
/** A host under test, as the contract suite sees it: operations that are answered, and events that can be waited for. */

import type { AgentEvent } from "../../src/agent/events.ts";
import { answerLines, type Call, decodeLine, encodeLine, type Line } from "./messages.ts";
import type { OperationsOptions, RemoteOperations } from "./operations.ts";

export interface Subject {
  readonly operations: RemoteOperations;
  readonly events: EventLog;
  /** Ends it. */
  end(): Promise<void>;
}

type Type = AgentEvent["type"];
type EventOf<Of extends Type> = Extract<AgentEvent, { readonly type: Of }>;

/** Every event so far; what was taken is gone. */
export class EventLog {
  readonly #events: AgentEvent[] = [];
  #heard: (() => void) | null = null;

  add(event: AgentEvent): void {
    this.#events.push(event);
    this.#heard?.();
  }

  /** The next event of that type, of all that were not taken. One wait at a time. */
  async next<Of extends Type>(type: Of): Promise<EventOf<Of>> {
    for (;;) {
      const at = this.#events.findIndex((event) => event.type === type);
      if (at >= 0) return this.#events.splice(at, 1)[0] as EventOf<Of>;
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  /** Those nobody took. */
  get rest(): readonly AgentEvent[] {
    return this.#events;
  }
}

/** Carries lines to a host and back; what it says is to be given to the function returned. */
export function subjectOf(tell: (line: string) => void, end: () => Promise<void>) {
  const events = new EventLog();
  const open = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let lastId = 0;
  const call = (name: Call["do"], parameters: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = ++lastId;
      open.set(id, { resolve, reject });
      tell(encodeLine({ id, do: name, with: parameters }));
    });
  const operations = new Proxy({} as RemoteOperations, {
    get:
      (_target, name) =>
      (...parameters: unknown[]) =>
        call(name as Call["do"], parameters),
  });
  const hear = (text: string): void => {
    const line = decodeLine<Line>(text);
    if ("event" in line) return events.add(line.event);
    const waiting = open.get(line.id);
    open.delete(line.id);
    if ("gives" in line) waiting?.resolve(line.gives);
    else waiting?.reject(Object.assign(new Error(line.fails.message), { code: line.fails.code }));
  };
  /** The host is gone. */
  const lose = (why: string): void => {
    for (const { reject } of open.values()) reject(new Error(why));
    open.clear();
  };
  const subject: Subject = { operations, events, end };
  return { subject, hear, lose };
}

/** A host in this process, through the same lines. */
export function localSubject(options: Omit<OperationsOptions, "tell">, end: () => void = () => {}): Subject {
  const { subject, hear } = subjectOf(
    (line) => answer(line),
    async () => {
      await subject.operations.close();
      end();
    },
  );
  const answer = answerLines(options, hear);
  return subject;
}
