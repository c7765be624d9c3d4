// SPDX-License-Identifier: MIT
/** Figures as people read them, the same on the dashboard and in the terminal. Pure. */

/** 65_000 → "1 min 5 s"; at most two units. */
export function spanText(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const units = [
    ["d", 86_400],
    ["h", 3_600],
    ["min", 60],
    ["s", 1],
  ] as const;
  let restS = Math.round(ms / 1_000);
  const parts: string[] = [];
  for (const [unit, seconds] of units) {
    const count = Math.floor(restS / seconds);
    restS -= count * seconds;
    if (count > 0 || parts.length > 0) parts.push(`${count} ${unit}`);
  }
  return parts
    .slice(0, 2)
    .filter((part) => !part.startsWith("0 "))
    .join(" ");
}

/** Three significant digits, and all of a larger number's whole ones. */
export function threeDigits(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
