// SPDX-License-Identifier: MIT
/**
 * Benchmark `growth`: how each cost grows with what it should not grow with. On the device subscriptions and queued messages, in the
 * push service queued messages and connected devices; each many beside few, in turns.
 */

import { dispatchRows, startRows } from "./growth/dispatch.ts";
import { drainRows } from "./growth/drain.ts";
import { serviceRows } from "./growth/service.ts";
import { type MeasureOptions, part, type Row } from "./harness.ts";

const SUITE = "growth";

export async function run(options: MeasureOptions): Promise<Row[]> {
  if (options.isCounted) return drainRows(SUITE, options);
  return [
    ...dispatchRows(SUITE, options),
    ...startRows(SUITE, options),
    ...(await part("growth by drained messages", () => drainRows(SUITE, options))),
    ...(await part("growth of the push service", () => serviceRows(SUITE, options))),
  ];
}
