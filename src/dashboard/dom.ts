// SPDX-License-Identifier: MIT
/**
 * Elements from data, and a page brought up to date without losing focus, selection or what is folded open. Text becomes text
 * nodes and never markup.
 */

const SVG = "http://www.w3.org/2000/svg";

export type Child = Node | string | null | readonly Child[];
type Value = string | number | boolean | null | ((event: Event) => void);
export type Props = Readonly<Record<string, Value>>;

/** Members an element has as properties, not as attributes. */
const HANDLERS = ["onclick", "onchange", "oninput"] as const;

/**
 * An element. `on…` is a handler, which must not hold on to the element: {@link update} gives it to the one that is there.
 * True is an empty attribute, false and null are none. `key` tells children apart that come and go.
 */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  props: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  return fill(document.createElement(tag), props, children);
}

export function svg(
  tag: "svg" | "rect" | "line" | "title",
  props: Props = {},
  ...children: Child[]
): SVGElement {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill<E extends Element>(element: E, props: Props, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") Object.assign(element, { [name]: value });
    else if (name === "checked") Object.assign(element, { checked: value });
    else if (value !== null && value !== false)
      element.setAttribute(name === "key" ? "data-key" : name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child instanceof Node || typeof child === "string") element.append(child);
    else if (child !== null) append(element, child);
  }
}

/** Makes the children of `target` what `children` are, keeping every element that is still there. */
export function update(target: Element, ...children: readonly Child[]): void {
  const next = document.createElement("div");
  append(next, children);
  patchChildren(target, next);
}

function patchChildren(target: Element, source: Element): void {
  const next = [...source.childNodes];
  const keys = new Set(next.map(keyOf));
  let old = target.firstChild;
  for (const child of next) {
    // What has gone does not shift what stays.
    while (old !== null && keyOf(old) !== null && !keys.has(keyOf(old))) old = removed(old);
    if (old !== null && isSame(old, child)) {
      patch(old, child);
      old = old.nextSibling;
      continue;
    }
    const moved = keyOf(child) === null ? undefined : [...target.childNodes].find((at) => isSame(at, child));
    if (moved === undefined) target.insertBefore(child, old);
    else {
      target.insertBefore(moved, old);
      patch(moved, child);
    }
  }
  while (old !== null) old = removed(old);
}

function removed(node: ChildNode): ChildNode | null {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function isSame(one: Node, other: Node): boolean {
  return one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
}

function keyOf(node: Node): string | null {
  return node instanceof Element ? node.getAttribute("data-key") : null;
}

function patch(old: ChildNode, next: ChildNode): void {
  if (!(old instanceof Element) || !(next instanceof Element)) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return;
  }
  // The person opened it.
  for (const { name } of [...old.attributes])
    if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of next.attributes)
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of HANDLERS) Object.assign(old, { [name]: (next as HTMLElement)[name] });
  if (old instanceof HTMLInputElement && next instanceof HTMLInputElement) old.checked = next.checked;
  patchChildren(old, next);
}

/** The element with that id, which index.html has. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no ${id}`);
  return element;
}
