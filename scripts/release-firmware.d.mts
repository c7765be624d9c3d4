// SPDX-License-Identifier: MIT
/** Writes the release's tarball into `directory`, and its hash beside it; returns the tarball's path. */
export function releaseFirmware(directory: string): string;
