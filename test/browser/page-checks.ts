// SPDX-License-Identifier: MIT
/** What tests ask of any page: what assistive technology gets, where the keyboard stops, contrast, what goes over its sockets. No tests here. */

import type { Page } from "playwright-core";

export interface TreeNode {
  readonly role: string;
  readonly name: string;
  /** Of a heading, else null. */
  readonly level: number | null;
}

/** The accessibility tree in document order, without what is ignored. */
export async function accessibilityTree(page: Page): Promise<readonly TreeNode[]> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  const byId = new Map(nodes.map((node) => [node.nodeId, node]));
  const found: TreeNode[] = [];
  const walk = (id: string): void => {
    const node = byId.get(id);
    if (node === undefined) return;
    if (!node.ignored) {
      const level = node.properties?.find(({ name }) => name === "level")?.value.value;
      const [role, name] = [node.role, node.name].map((value) => String(value?.value ?? ""));
      found.push({ role: role ?? "", name: name ?? "", level: typeof level === "number" ? level : null });
    }
    for (const child of node.childIds ?? []) walk(child);
  };
  if (nodes[0] !== undefined) walk(nodes[0].nodeId);
  await session.detach();
  return found;
}

export interface TabStop {
  /** Its label, or its text. */
  readonly name: string;
  /** It has an outline, and lies in the window. */
  readonly isSeen: boolean;
}

const STOPS_MAX = 200;

/** Every place the Tab key stops at, from the top until it leaves the page. */
export async function tabStops(page: Page): Promise<readonly TabStop[]> {
  await page.evaluate("document.activeElement.blur(), getSelection().removeAllRanges(), scrollTo(0, 0)");
  const stops: TabStop[] = [];
  while (stops.length < STOPS_MAX) {
    await page.keyboard.press("Tab");
    const stop = (await page.evaluate(`(() => {
      const at = document.activeElement;
      if (at === document.body) return null;
      const { outlineStyle, outlineWidth } = getComputedStyle(at);
      const { top, bottom } = at.getBoundingClientRect();
      const name = at.getAttribute("aria-label") ?? at.labels?.[0]?.textContent ?? at.textContent;
      const isSeen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && bottom > 0 && top < innerHeight;
      return { name, isSeen };
    })()`)) as TabStop | null;
    if (stop === null) return stops;
    stops.push(stop);
  }
  throw new Error(`the Tab key does not leave the page within ${STOPS_MAX} stops`);
}

/** Texts whose contrast is below WCAG's AA (4.5, or 3 for large ones), with the ratio. Those of disabled controls need none. */
export async function contrastFaults(page: Pick<Page, "evaluate">): Promise<readonly string[]> {
  return (await page.evaluate(`(() => {
    // "rgb(…)" up to 255, or "color(srgb …)" up to 1.
    const channels = (color) => {
      const [r, g, b, alpha = 1] = color.match(/[\\d.]+/g).map(Number);
      const max = color.startsWith("color(srgb") ? 1 : 255;
      return [r / max, g / max, b / max, alpha];
    };
    const luminance = (rgb) => {
      const [r, g, b] = rgb.slice(0, 3).map((share) => {
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
      for (let at = element; at !== null; at = at.parentElement) {
        const color = channels(getComputedStyle(at).backgroundColor);
        if (color[3] === 1) return color;
      }
      return [1, 1, 1, 1];
    };
    const faults = [];
    for (const element of document.body.querySelectorAll("*")) {
      const texts = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim() !== "");
      if (texts.length === 0 || !element.checkVisibility({ visibilityProperty: true })) continue;
      if (element.closest(":disabled, option, svg")) continue;
      const { color, fontSize, fontWeight } = getComputedStyle(element);
      const [one, other] = [luminance(channels(color)), luminance(ground(element))].sort((a, b) => b - a);
      const ratio = (one + 0.05) / (other + 0.05);
      const px = parseFloat(fontSize);
      const isLarge = px >= 24 || (px >= 18.66 && Number(fontWeight) >= 700);
      if (ratio < (isLarge ? 3 : 4.5)) faults.push(ratio.toFixed(2) + " " + texts[0].data.trim());
    }
    return faults;
  })()`)) as string[];
}

/** What went over the page's WebSockets. */
export interface Frames {
  /** `type` of each request. */
  readonly sent: readonly string[];
  readonly sockets: number;
  until(isEnough: (sent: readonly string[]) => boolean): Promise<void>;
}

/** Call before the page is opened. */
export function framesOf(page: Page): Frames {
  const sent: string[] = [];
  let sockets = 0;
  let answers = 0;
  const waiting = new Set<() => void>();
  page.on("websocket", (socket) => {
    sockets++;
    socket.on("framesent", ({ payload }) => sent.push(String(JSON.parse(String(payload)).type)));
    socket.on("framereceived", ({ payload }) => {
      if ("id" in JSON.parse(String(payload))) answers++;
      for (const look of [...waiting]) look();
    });
  });
  return {
    sent,
    get sockets() {
      return sockets;
    },
    until: (isEnough) =>
      new Promise((resolve) => {
        const look = () => {
          // All of them answered.
          if (!isEnough(sent) || answers < sent.length) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}
