// SPDX-License-Identifier: MIT
export function mermaid(
  table: Readonly<Record<string, Readonly<Record<string, string>>>>,
  first: string,
): string;
export function replaceBetween(document: string, name: string, text: string): string;
