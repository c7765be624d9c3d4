import { existsSync } from "node:fs";
import { configDefaults, defineConfig } from "vitest/config";

/** Suites of whoever meets the user agent at its app socket, and what reaches an app through it: the same for `godwit agent` and for godwitd, where that was built. */
const AT_APP_SOCKET = [
  "test/end-to-end/app-socket*.test.ts",
  "test/end-to-end/apps-process.test.ts",
  "test/end-to-end/delivery.test.ts",
  "test/end-to-end/screens.test.ts",
  "test/cli/at-agent.test.ts",
  "test/end-to-end/idle.test.ts",
];
/** The same, of what godwitd alone has. */
const AT_GODWITD = ["test/firmware/helper.test.ts", "test/firmware/receive.test.ts"];
const GODWITD = `build/${process.env.GODWIT_FIRMWARE_BUILD ?? "firmware"}/godwitd`;
const isGodwitdBuilt = existsSync(new URL(GODWITD, import.meta.url));
if (!isGodwitdBuilt) console.warn(`${GODWITD} is missing: the suites of the app socket run on Node alone`);

export default defineConfig({
  test: {
    globalSetup: "test/temporary-directory.ts",
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: "forks",
    // Most of what takes long waits for something.
    maxWorkers: 3,
    projects: [
      {
        extends: true,
        test: {
          name: "node",
          include: ["test/**/*.test.ts"],
          // Where there is no godwitd they are here to be counted as skipped.
          exclude: [...configDefaults.exclude, ...(isGodwitdBuilt ? AT_GODWITD : [])],
        },
      },
      ...(isGodwitdBuilt
        ? [
            {
              extends: true as const,
              test: {
                name: "godwitd",
                include: [...AT_APP_SOCKET, ...AT_GODWITD],
                env: { TEST_AGENT: "godwitd" },
              },
            },
          ]
        : []),
    ],
  },
});
