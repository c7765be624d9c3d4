// SPDX-License-Identifier: MIT
/** The dashboard's files as build.mjs leaves them; headers are the listener's. */

import { existsSync, readFileSync } from "node:fs";
import { DASHBOARD_FILES } from "../user-agent/dashboard-files.ts";

export interface DashboardFile {
  /** Content-Type. */
  readonly type: string;
  readonly body: Uint8Array;
}

/** Seen from dist/, from dist/chunks/ and from src/node/. */
const PLACES = ["./dashboard/", "../dashboard/", "../../dist/dashboard/"] as const;

/** What lies at `path` ("/", "/dashboard.js"), or null. Read anew each time: it is asked for once a visit, and needs no memory. */
export function dashboardFile(path: string): DashboardFile | null {
  const file = DASHBOARD_FILES.get(path);
  const directory = PLACES.map((place) => new URL(place, import.meta.url)).find((url) =>
    existsSync(new URL("dashboard.js", url)),
  );
  if (file === undefined || directory === undefined) return null;
  return { type: file.type, body: readFileSync(new URL(file.name, directory)) };
}
