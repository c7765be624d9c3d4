// SPDX-License-Identifier: MIT
/**
 * The simulation as a program: runs worlds of seeds, prints what became of them, and leaves out of a failing one all that it does not
 * need to fail. `npm run sim -- --help` says how.
 */

import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { GodwitError } from "../../src/errors.ts";
import type { TraceSink } from "../../src/node/trace/recorder.ts";
import { noEvents } from "./ledger.ts";
import { makePlan, type Plan } from "./plan.ts";
import { describeReplay, replayTrace } from "./replay.ts";
import { type Outcome, World } from "./world.ts";

const HELP = `usage: npm run sim -- [--seeds A-B | --seed N [--keep I,J,…] [--record DIR]] [--events N] [--json]
       npm run sim -- --replay FILE

  --seeds A-B   runs these seeds; a failing one is shrunk (default 1-256)
  --seed N      runs one seed and prints its trace, the same bytes each time
  --keep I,J,…  of its actions only these, counted from 0 ("none": none at all)
  --record DIR  writes what happens to each device's agent into DIR, as godwit agent --record does
  --replay FILE leads the agent through such a file: 0 when its effects are the same, 1 with the first that is not, 2 for a bad file
  --events N    goes on behind B until this many things have happened to messages
  --stop        at the first that fails
  --json        one JSON object: the figures
  --no-shrink   leaves failing seeds as they are
`;
/** Worlds tried to shrink one. */
const SHRINK_RUNS_MAX = 400;

/** What all runs together come to. */
interface Figures {
  seeds: number;
  messages: number;
  messageEvents: number;
  markedRepeats: number;
  calmMsMax: number;
  simulatedMs: number;
  readonly events: Record<string, number>;
  readonly failures: { readonly seed: number; readonly violation: string; readonly keep: string | null }[];
}

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    keep: { type: "string" },
    record: { type: "string" },
    replay: { type: "string" },
    events: { type: "string" },
    json: { type: "boolean", default: false },
    stop: { type: "boolean", default: false },
    "no-shrink": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

/** A promise of the sources that nobody catches would end their process. */
let unhandled: unknown = null;
process.on("unhandledRejection", (reason) => {
  unhandled ??= reason;
});

async function run(plan: Plan, write: ((line: string) => void) | null = null): Promise<Outcome> {
  unhandled = null;
  let outcome: Outcome;
  try {
    outcome = await new World(plan, write, recordingOf).run();
  } catch (error) {
    outcome = failed(plan.seed, `no exceptions: ${error instanceof Error ? error.stack : error}`);
  }
  if (unhandled === null || outcome.violation !== null) return outcome;
  const text = unhandled instanceof Error ? unhandled.stack : String(unhandled);
  return { ...outcome, violation: `no exceptions: ${text}` };
}

function failed(seed: number, violation: string): Outcome {
  return {
    seed,
    violation,
    hash: "",
    messages: 0,
    events: noEvents(),
    markedRepeats: 0,
    calmMs: null,
    simulatedMs: 0,
  };
}

/** Written at once: nothing of a world outlives its process. */
function recordingOf(device: string): TraceSink | null {
  if (values.record === undefined) return null;
  const path = join(values.record, `${device}.trace`);
  const write = (line: string): boolean => {
    appendFileSync(path, `${line}\n`);
    return true;
  };
  return { write, writeLast: write, end: (why) => void write(JSON.stringify({ end: why })) };
}

const ruleOf = (violation: string | null) => violation?.split(":", 1)[0] ?? null;

/** The fewest actions found, by leaving out ever smaller parts, with which the same rule is broken. */
async function shrink(plan: Plan, rule: string | null): Promise<number[]> {
  let kept = plan.actions.map((_, at) => at);
  let runs = 0;
  const fails = async (tried: readonly number[]): Promise<boolean> => {
    runs++;
    return ruleOf((await run(keep(plan, tried))).violation) === rule;
  };
  for (let size = Math.ceil(kept.length / 2); size >= 1 && runs < SHRINK_RUNS_MAX; ) {
    let isSmaller = false;
    for (let from = 0; from < kept.length && runs < SHRINK_RUNS_MAX; ) {
      const tried = [...kept.slice(0, from), ...kept.slice(from + size)];
      if (await fails(tried)) {
        kept = tried;
        isSmaller = true;
      } else from += size;
    }
    if (size === 1 && !isSmaller) break;
    size = isSmaller && size > 1 ? size : Math.max(1, Math.floor(size / 2));
  }
  return kept;
}

function keep(plan: Plan, indices: readonly number[]): Plan {
  return { ...plan, actions: plan.actions.filter((_, at) => indices.includes(at)) };
}

async function runSeed(seed: number): Promise<number> {
  const plan = makePlan(seed);
  const indices = values.keep === "none" ? [] : values.keep?.split(",").map(Number);
  const outcome = await run(indices === undefined ? plan : keep(plan, indices), (line) =>
    process.stdout.write(line),
  );
  console.log(`seed ${seed}: ${outcome.violation ?? "every rule held"}; trace ${outcome.hash}`);
  return outcome.violation === null ? 0 : 1;
}

function replay(path: string): number {
  try {
    const replayed = replayTrace(path);
    console.log(describeReplay(replayed));
    return replayed.difference === null ? 0 : 1;
  } catch (error) {
    if (!(error instanceof GodwitError)) throw error;
    console.error(`${error.code}: ${error.message}`);
    return 2;
  }
}

async function runSeeds(first: number, last: number, eventsMin: number): Promise<number> {
  const figures: Figures = {
    seeds: 0,
    messages: 0,
    messageEvents: 0,
    markedRepeats: 0,
    calmMsMax: 0,
    simulatedMs: 0,
    events: {},
    failures: [],
  };
  for (let seed = first; seed <= last || figures.messageEvents < eventsMin; seed++) {
    const plan = makePlan(seed);
    const outcome = await run(plan);
    add(figures, outcome);
    const { violation } = outcome;
    if (violation === null) continue;
    const kept = values["no-shrink"] ? null : (await shrink(plan, ruleOf(violation))).join(",") || "none";
    figures.failures.push({ seed, violation, keep: kept });
    const again = `npm run sim -- --seed ${seed}${kept === null ? "" : ` --keep ${kept}`}`;
    if (!values.json) console.log(`seed ${seed}: ${violation}\n  ${again}`);
    if (values.stop) break;
  }
  if (values.json) console.log(JSON.stringify(figures));
  else console.log(summary(figures));
  return figures.failures.length === 0 ? 0 : 1;
}

function add(figures: Figures, { messages, events, markedRepeats, calmMs, simulatedMs }: Outcome): void {
  figures.seeds++;
  figures.messages += messages;
  figures.markedRepeats += markedRepeats;
  figures.simulatedMs += simulatedMs;
  figures.calmMsMax = Math.max(figures.calmMsMax, calmMs ?? 0);
  for (const [name, count] of Object.entries(events)) {
    figures.events[name] = (figures.events[name] ?? 0) + count;
    figures.messageEvents += count;
  }
}

function summary({
  seeds,
  messages,
  messageEvents,
  events,
  markedRepeats,
  calmMsMax,
  simulatedMs,
  failures,
}: Figures): string {
  const counts = Object.entries(events).map(([name, count]) => `${count} ${name}`);
  return [
    `${seeds} seeds, ${failures.length} failed; ${(simulatedMs / 86_400_000).toFixed(1)} simulated days`,
    `${messages} messages, ${messageEvents} message-events: ${counts.join(", ")}`,
    `${markedRepeats} marked repeats; at most ${calmMsMax / 60_000} min from the last trouble to the last message`,
  ].join("\n");
}

/** `A-B`, or one number for both. */
function range(text: string): [number, number] {
  const [first = Number.NaN, last = first] = text.split("-").map(Number);
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) throw new Error(`no seeds: ${text}`);
  return [first, last];
}

if (values.help) console.log(HELP);
else if (values.replay !== undefined) process.exitCode = replay(values.replay);
else if (values.seed !== undefined) process.exitCode = await runSeed(Number(values.seed));
else process.exitCode = await runSeeds(...range(values.seeds ?? "1-256"), Number(values.events ?? 0));
