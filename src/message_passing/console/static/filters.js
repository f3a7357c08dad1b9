// The filters of the live messages: search, level, component, a condition, and fields as chips that can be removed.

import { byId, el } from "./dom.js";
import { nameOf, oneLine } from "./words.js";

export class Filters {
  /** `changed()` is called when a filter changes, and `soon()` before that, while the user types. */
  constructor(changed, soon) {
    this.changed = changed;
    this.fields = []; // ["service=shop", ...]
    this.search = byId("search");
    this.level = byId("level");
    this.at = byId("at");
    this.condition = byId("condition");
    this.components = "";
    let typing = 0;
    for (const [input, pause] of [[this.search, 300], [this.condition, 800]]) {
      input.addEventListener("input", () => {
        soon();
        clearTimeout(typing);
        typing = setTimeout(changed, pause); // a condition is rarely whole before its last word
      });
    }
    this.level.addEventListener("change", changed);
    this.at.addEventListener("change", changed);
    byId("field-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.addTyped();
    });
  }

  /** The parameters for `/tail`. */
  query() {
    const [search, where] = [this.search, this.condition].map((one) => one.value.trim());
    return { at: this.at.value, level: this.level.value, field: this.fields, search, where };
  }

  addTyped() {
    const input = byId("field-input");
    const text = input.value.trim();
    const path = text.slice(0, Math.max(0, text.indexOf("="))).trim();
    input.setCustomValidity(path ? "" : "Write it as name=value, for example service=shop");
    if (!input.reportValidity()) {
      input.addEventListener("input", () => input.setCustomValidity(""), { once: true });
      return;
    }
    input.value = "";
    this.add(path, text.slice(text.indexOf("=") + 1).trim());
  }

  /** Require this field to have this value, instead of a value that was required before. */
  add(path, value) {
    const word = `${path}=${value}`;
    if (this.fields.includes(word)) return;
    this.fields = [...this.fields.filter((one) => !one.startsWith(`${path}=`)), word];
    this.show();
    this.changed();
  }

  remove(word) {
    this.fields = this.fields.filter((one) => one !== word);
    this.show();
    this.changed();
    (byId("chips").querySelector("button") ?? byId("field-input")).focus();
  }

  show() {
    const chips = this.fields.map((word) => {
      const name = oneLine(word, 120);
      const label = `Remove the filter ${name}`;
      return el("li", {}, el("button", { type: "button", class: "chip", "aria-label": label, onclick: () => this.remove(word) }, `${name} \u00d7`));
    });
    byId("chips").replaceChildren(...chips);
    byId("chips").hidden = !chips.length;
  }

  /** Offer the components to look at: those that run in workers cannot be. */
  offer(state) {
    const components = state.components.filter((one) => !one.in_workers);
    const ids = components.map((one) => [one.id, `${nameOf(one)}${one.label === one.id ? "" : ` (${oneLine(one.label, 60)})`}`]);
    const seen = JSON.stringify(ids);
    if (seen === this.components) return;
    this.components = seen;
    const { value } = this.at;
    const options = ids.map(([id, words]) => el("option", { value: id }, words));
    this.at.replaceChildren(...options);
    this.at.value = ids.some(([id]) => id === value) ? value : state.shown_at;
    if (this.at.value !== value) this.changed();
  }

  /** The filters in words. */
  words() {
    const parts = [];
    if (this.level.value) parts.push(`at least ${this.level.value}`);
    parts.push(...this.fields.map((word) => oneLine(word, 60)));
    if (this.search.value.trim()) parts.push(`with \u201c${oneLine(this.search.value.trim(), 60)}\u201d`);
    if (this.condition.value.trim()) parts.push(`such that ${oneLine(this.condition.value.trim(), 120)}`);
    return parts.join(", ");
  }
}

