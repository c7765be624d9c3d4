// SPDX-License-Identifier: MIT
/**
 * Stands in for `vitest` inside QuickJS, where that does not run: collects suites and tests, then runs them one after the
 * other. Offers what the pure specs use; anything else of vitest is an error.
 */

import { caseName } from "./format.ts";

export { expect } from "./expect.ts";

type Body = () => unknown;
type CaseBody = (...parameters: never[]) => unknown;
type Hooks = Record<"beforeAll" | "beforeEach" | "afterEach" | "afterAll", Body[]>;

interface Suite {
  readonly name: string;
  readonly parent: Suite | null;
  readonly isSkipped: boolean;
  readonly hooks: Hooks;
  readonly items: (Suite | Test)[];
}

interface Test {
  readonly name: string;
  readonly isSkipped: boolean;
  readonly body: Body;
}

export interface TestReport {
  /** Suites and test, outermost first. */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly durationMs: number;
  /** Message and stack of a failure, else null. */
  readonly error: string | null;
}

const root = newSuite("", null, false);
let current = root;

/** Runs all that was collected. */
export async function runAll(): Promise<TestReport[]> {
  const reports: TestReport[] = [];
  await runSuite(root, "", reports);
  return reports;
}

export const describe = withVariants(addSuite);
export const suite = describe;
export const test = withVariants(addTest);
export const it = test;
export const beforeAll = (body: Body): void => void current.hooks.beforeAll.push(body);
export const beforeEach = (body: Body): void => void current.hooks.beforeEach.push(body);
export const afterEach = (body: Body): void => void current.hooks.afterEach.push(body);
export const afterAll = (body: Body): void => void current.hooks.afterAll.push(body);

/** No mocks here: specs pass in what they observe. */
export const vi = new Proxy(
  {},
  {
    get(_target, name) {
      throw new Error(`vi.${String(name)} is unknown to the QuickJS harness`);
    },
  },
);

/** Registers one suite or test. `options` may stand on either side of the body, as in vitest. */
type Register = (name: string, isSkipped: boolean, body: Body) => void;
type NameLike = string | { readonly name: string };

/** `register` with the forms vitest has for it: skip, todo, skipIf, runIf, each, for. */
function withVariants(register: Register) {
  const call =
    (isSkipped: boolean) =>
    (name: NameLike, ...rest: readonly unknown[]): void => {
      const { isSkippedByOption, body } = readArguments(rest);
      register(nameOf(name), isSkipped || isSkippedByOption, body);
    };
  const each =
    (isSpread: boolean, isSkipped: boolean) =>
    (table: readonly unknown[]) =>
    (name: NameLike, ...rest: readonly unknown[]): void => {
      if (!Array.isArray(table) || "raw" in table)
        throw new Error("the QuickJS harness knows arrays as tables only");
      const { isSkippedByOption, body } = readArguments(rest);
      for (const [index, item] of table.entries()) {
        const parameters = (isSpread && Array.isArray(item) ? item : [item]) as never[];
        const title = caseName(nameOf(name), Array.isArray(item) ? item : [item], index);
        register(title, isSkipped || isSkippedByOption, () => (body as CaseBody)(...parameters));
      }
    };
  const forms = (isSkipped: boolean) =>
    Object.assign(call(isSkipped), { each: each(true, isSkipped), for: each(false, isSkipped) });
  return Object.assign(forms(false), {
    skip: forms(true),
    skipIf: (condition: unknown) => forms(Boolean(condition)),
    runIf: (condition: unknown) => forms(!condition),
    todo: (name: NameLike) => register(nameOf(name), true, () => undefined),
  });
}

function nameOf(name: NameLike): string {
  return typeof name === "string" ? name : name.name;
}

function readArguments(rest: readonly unknown[]): { isSkippedByOption: boolean; body: Body } {
  const body = rest.find((item) => typeof item === "function") as Body | undefined;
  if (body === undefined) throw new Error("a test or suite without a body");
  const options = (rest.find((item) => typeof item === "object" && item !== null) ?? {}) as {
    skip?: boolean;
  };
  for (const name of Object.keys(options)) {
    if (name !== "skip" && name !== "timeout")
      throw new Error(`test option ${name} is unknown to the QuickJS harness`);
  }
  return { isSkippedByOption: options.skip === true, body };
}

function addSuite(name: string, isSkipped: boolean, body: Body): void {
  const outer = current;
  const added = newSuite(name, outer, isSkipped || outer.isSkipped);
  outer.items.push(added);
  current = added;
  try {
    if (body() instanceof Promise)
      throw new Error("an asynchronous describe is unknown to the QuickJS harness");
  } finally {
    current = outer;
  }
}

function addTest(name: string, isSkipped: boolean, body: Body): void {
  current.items.push({ name, isSkipped: isSkipped || current.isSkipped, body });
}

function newSuite(name: string, parent: Suite | null, isSkipped: boolean): Suite {
  return {
    name,
    parent,
    isSkipped,
    items: [],
    hooks: { beforeAll: [], beforeEach: [], afterEach: [], afterAll: [] },
  };
}

async function runSuite(group: Suite, prefix: string, reports: TestReport[]): Promise<void> {
  const startMs = Date.now();
  const hooksRun = !group.isSkipped && group.items.length > 0;
  const failed = hooksRun ? await failureOf(() => runBodies(group.hooks.beforeAll)) : null;
  if (failed !== null) reports.push(report(`${prefix}beforeAll`, "failed", startMs, failed));
  for (const item of group.items) {
    if ("items" in item) await runSuite(item, `${prefix}${item.name} > `, reports);
    else reports.push(await runTest(item, group, prefix, failed));
  }
  const afterwards = hooksRun ? await failureOf(() => runBodies(group.hooks.afterAll)) : null;
  if (afterwards !== null) reports.push(report(`${prefix}afterAll`, "failed", startMs, afterwards));
}

async function runTest(
  item: Test,
  group: Suite,
  prefix: string,
  inherited: string | null,
): Promise<TestReport> {
  const startMs = Date.now();
  const name = prefix + item.name;
  if (item.isSkipped) return report(name, "skipped", startMs, null);
  const failure =
    inherited ??
    (await failureOf(async () => {
      for (const outer of lineage(group)) await runBodies(outer.hooks.beforeEach);
      await item.body();
    }));
  const cleaning = await failureOf(async () => {
    for (const outer of lineage(group).reverse()) await runBodies(outer.hooks.afterEach.toReversed());
  });
  const error = failure ?? cleaning;
  return report(name, error === null ? "passed" : "failed", startMs, error);
}

function report(
  name: string,
  outcome: TestReport["outcome"],
  startMs: number,
  error: string | null,
): TestReport {
  return { name, outcome, durationMs: Date.now() - startMs, error };
}

/** From the root down to `group`. */
function lineage(group: Suite): Suite[] {
  return group.parent === null ? [group] : [...lineage(group.parent), group];
}

async function runBodies(bodies: readonly Body[]): Promise<void> {
  for (const body of bodies) await body();
}

async function failureOf(action: () => Promise<unknown>): Promise<string | null> {
  try {
    await action();
    return null;
  } catch (error) {
    if (!(error instanceof Error)) return `thrown: ${String(error)}`;
    const cause =
      error.cause instanceof Error ? `\ncaused by ${error.cause.name}: ${error.cause.message}` : "";
    return `${error.name}: ${error.message}${cause}\n${error.stack ?? ""}`;
  }
}
