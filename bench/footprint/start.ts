// SPDX-License-Identifier: MIT
/** Time from the start of a program until it dials: a listener of ours stands where the push service would. */

import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type FootprintStage, within } from "./stage.ts";

/** Milliseconds until the agent, which has a subscription in `state`, connects. */
export async function startMs(
  stage: FootprintStage,
  command: readonly string[],
  state: string,
): Promise<number> {
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const dialed = once(server, "connection");
  const { port } = server.address() as AddressInfo;
  const startedMs = performance.now();
  const where = ["--service", `https://localhost:${port}`, "--ca", stage.caFile, "--state", state];
  const child = stage.spawn([...command, ...where]);
  try {
    await within("it dials", dialed);
    return performance.now() - startedMs;
  } finally {
    child.kill("SIGTERM");
    await once(child, "exit");
    server.close();
  }
}
