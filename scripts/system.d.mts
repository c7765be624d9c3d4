/** What tests use: Debian package → a program it brings, or with a slash a file. */
export const TEST_PACKAGES: Readonly<Record<string, string>>;
/** The same, to build and test the firmware. */
export const FIRMWARE_PACKAGES: Readonly<Record<string, string>>;
