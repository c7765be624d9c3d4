// SPDX-License-Identifier: MIT
// Goal: whatever happens to devices, networks, flash, clocks, apps and the push service, every rule of the agent holds. Method: worlds of
// the real parts over simulated time, each from one seed (`npm run sim`), in a process of their own, since time and randomness are theirs.

import { expect, test } from "vitest";
import { bundled, run } from "./program.ts";

const program = await bundled();

test("every rule holds in 256 worlds", { timeout: 300_000 }, async () => {
  const { output } = await run(program, "--seeds", "1-256", "--json", "--no-shrink");
  const { seeds, events, markedRepeats, failures } = JSON.parse(output);
  expect(failures).toEqual([]);
  expect(seeds).toBe(256);
  // Worlds in which little happens would prove little.
  for (const count of Object.values(events)) expect(count).toBeGreaterThan(1_000);
  expect(markedRepeats).toBeGreaterThan(100);
});

test.each(["14", "112"])("seed %s runs the same each time, to the last byte", async (seed) => {
  const [first, second] = await Promise.all([run(program, "--seed", seed), run(program, "--seed", seed)]);
  expect(first.output.length).toBeGreaterThan(10_000);
  expect(second).toEqual(first);
});

test("actions that are left out leave what the others draw as it is", async () => {
  const { output, status } = await run(program, "--seed", "14", "--keep", "none");
  expect(status).toBe(0);
  expect(output).not.toContain(" posts ");
  const whole = await run(program, "--seed", "14");
  const beginning = output.slice(0, output.indexOf("* calm")).split("\n").slice(0, 40);
  expect(whole.output.split("\n").slice(0, 40)).toEqual(beginning);
});
