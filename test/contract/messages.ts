// SPDX-License-Identifier: MIT
/**
 * The contract suite's words to a host in another process: one line of JSON each, bytes as `{"$bytes": base64url}`. Pure: a host
 * runs {@link answerLines} inside its script and only has to carry lines.
 */

import type { AgentEvent } from "../../src/agent/events.ts";
import { base64urlDecode, base64urlEncode } from "../../src/webpush/base64url.ts";
import { Operations, type OperationsOptions } from "./operations.ts";

export interface Call {
  readonly id: number;
  readonly do: keyof Operations;
  readonly with: unknown[];
}

export type Line =
  | { readonly id: number; readonly gives: unknown }
  | { readonly id: number; readonly fails: { readonly code: string; readonly message: string } }
  | { readonly event: AgentEvent };

export function encodeLine(value: Call | Line): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    member instanceof Uint8Array ? { $bytes: base64urlEncode(member) } : member,
  );
}

export function decodeLine<Value extends Call | Line>(line: string): Value {
  return JSON.parse(line, (_name, member: { $bytes?: string } | null) =>
    typeof member?.$bytes === "string" ? base64urlDecode(member.$bytes) : member,
  );
}

/** The host's side: takes a line, tells lines. */
export function answerLines(
  options: Omit<OperationsOptions, "tell">,
  tell: (line: string) => void,
): (line: string) => void {
  const operations = new Operations({ ...options, tell: (event) => tell(encodeLine({ event })) });
  return (line) => {
    const { id, do: name, with: parameters } = decodeLine<Call>(line);
    const operation = operations[name] as (...parameters: unknown[]) => unknown;
    new Promise((resolve) => resolve(operation.apply(operations, parameters))).then(
      (gives) => tell(encodeLine({ id, gives: gives ?? null })),
      (error: Error & { code?: string }) => {
        const fails = { code: String(error.code ?? error.name), message: error.message };
        tell(encodeLine({ id, fails }));
      },
    );
  };
}
