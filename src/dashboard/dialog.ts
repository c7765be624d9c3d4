// SPDX-License-Identifier: MIT
/** Asks before something that cannot be undone. */

import { h } from "./dom.ts";

export interface Question {
  readonly title: string;
  readonly text: string;
  /** What the button says that does it. */
  readonly verb: string;
  /** To be typed first; null: the button is enough. */
  readonly typed: string | null;
}

/** Resolves to true when the person wants it done. */
export function confirmed({ title, text, verb, typed }: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const entry = h("input", {
      id: "typed",
      type: "text",
      autofocus: true,
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
    });
    const go = h("button", { type: "button", class: "danger", onclick: () => end(true) }, verb);
    const stay = h(
      "button",
      { type: "button", autofocus: typed === null, onclick: () => end(false) },
      "Cancel",
    );
    const field = h("p", {}, h("label", { for: "typed" }, "To go on, type ", h("b", {}, typed ?? "")), entry);
    const dialog = h(
      "dialog",
      { "aria-labelledby": "asked", "aria-describedby": "asked-text" },
      h("h2", { id: "asked" }, title),
      h("p", { id: "asked-text" }, text),
      typed === null ? null : field,
      h("p", { class: "row end" }, stay, go),
    );
    let isWanted = false;
    const end = (wanted: boolean): void => {
      isWanted = wanted;
      dialog.close();
    };
    if (typed !== null) {
      go.disabled = true;
      entry.oninput = () => {
        go.disabled = entry.value.trim() !== typed;
      };
    }
    // Also by the Escape key.
    dialog.onclose = () => {
      dialog.remove();
      resolve(isWanted);
    };
    document.body.append(dialog);
    dialog.showModal();
  });
}
