// SPDX-License-Identifier: MIT
/** The dashboard's files by their paths: nothing else is ever read, whatever is asked for. */

export interface DashboardFileName {
  readonly name: string;
  /** Content-Type. */
  readonly type: string;
}

export const DASHBOARD_FILES: ReadonlyMap<string, DashboardFileName> = new Map([
  ["/", { name: "index.html", type: "text/html; charset=utf-8" }],
  ["/dashboard.js", { name: "dashboard.js", type: "text/javascript; charset=utf-8" }],
  ["/style.css", { name: "style.css", type: "text/css; charset=utf-8" }],
  ["/icon.svg", { name: "icon.svg", type: "image/svg+xml" }],
]);
