// SPDX-License-Identifier: MIT
// Goal: a group commits whole; an operation that fails by itself leaves it, a commit that fails ends all writing. Method: a
// database of a few lines that fails on command, in place of LMDB.

import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { GroupCommit } from "../../src/push-service/store/group-commit.ts";

/** Runs transactions; one that throws, or whose commit fails, changes nothing. */
class FakeDatabase {
  committed: string[] = [];
  commits = 0;
  isBroken = false;
  #written: string[] = [];

  transactionSync<T>(run: () => T): T {
    this.#written = [];
    const result = run();
    this.commits++;
    if (this.isBroken) throw Object.assign(new Error("MDB_PANIC"), { code: -30795 });
    this.committed.push(...this.#written);
    return result;
  }

  write(text: string): void {
    this.#written.push(text);
  }
}

function newGroup() {
  const database = new FakeDatabase();
  return { database, group: new GroupCommit({ database, directory: tmpdir(), freeBytesMin: 0 }) };
}

test("operations of one turn are one commit", async () => {
  const { database, group } = newGroup();
  await Promise.all([group.run(() => database.write("a")), group.run(() => database.write("b"))]);
  expect([database.committed, database.commits]).toEqual([["a", "b"], 1]);
});

test("an operation that throws is refused alone, and leaves nothing behind", async () => {
  const { database, group } = newGroup();
  const results = await Promise.allSettled([
    group.run(() => database.write("a")),
    group.run(() => {
      database.write("half");
      throw new RangeError("no integer");
    }),
    group.run(() => database.write("c")),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(database.committed).toEqual(["a", "c"]);
});

test("a failed commit refuses its whole group", async () => {
  const { database, group } = newGroup();
  database.isBroken = true;
  const results = await Promise.allSettled([group.run(() => 1), group.run(() => 2)]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});

test("an error of the database inside an operation counts as a failed commit", async () => {
  const { database, group } = newGroup();
  const full = group.run(() => {
    throw Object.assign(new Error("MDB_MAP_FULL"), { code: -30792 });
  });
  await expect(full).rejects.toMatchObject({ code: "ERR_STORE" });
  await expect(group.run(() => database.write("a"))).rejects.toMatchObject({ code: "ERR_STORE" });
});

test("nothing is written after a failed commit", async () => {
  const { database, group } = newGroup();
  database.isBroken = true;
  await expect(group.run(() => 1)).rejects.toMatchObject({ code: "ERR_STORE" });
  database.isBroken = false;
  await expect(group.run(() => database.write("a"))).rejects.toMatchObject({ code: "ERR_STORE" });
  expect(database.committed).toEqual([]);
});
