// SPDX-License-Identifier: MIT
/** The dashboard's files as build.mjs leaves them; headers are the listener's. */

import { existsSync, readFileSync } from "node:fs";

export interface DashboardFile {
  /** Content-Type. */
  readonly type: string;
  readonly body: Uint8Array;
}

/** Nothing else is ever read, whatever is asked for. */
const FILES: ReadonlyMap<string, { readonly name: string; readonly type: string }> = new Map([
  ["/", { name: "index.html", type: "text/html; charset=utf-8" }],
  ["/dashboard.js", { name: "dashboard.js", type: "text/javascript; charset=utf-8" }],
  ["/style.css", { name: "style.css", type: "text/css; charset=utf-8" }],
  ["/icon.svg", { name: "icon.svg", type: "image/svg+xml" }],
]);

/** Seen from dist/, from dist/chunks/ and from src/node/. */
const PLACES = ["./dashboard/", "../dashboard/", "../../dist/dashboard/"] as const;

/** What lies at `path` ("/", "/dashboard.js"), or null. Read anew each time: it is asked for once a visit, and needs no memory. */
export function dashboardFile(path: string): DashboardFile | null {
  const file = FILES.get(path);
  const directory = PLACES.map((place) => new URL(place, import.meta.url)).find((url) =>
    existsSync(new URL("dashboard.js", url)),
  );
  if (file === undefined || directory === undefined) return null;
  return { type: file.type, body: readFileSync(new URL(file.name, directory)) };
}
