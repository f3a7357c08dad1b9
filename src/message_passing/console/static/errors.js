// The section with the last errors, asked for when the node counts more of them.

import { get } from "./api.js";
import { byId, el, say } from "./dom.js";
import { clock, count, iso, visible } from "./words.js";

const FIRST = 10;

export class Errors {
  constructor() {
    this.seen = -1;
    this.asking = false;
    this.long = false; // all are shown
    this.all = [];
    byId("errors-more").addEventListener("click", () => {
      this.long = true;
      this.show();
    });
  }

  forget() {
    this.seen = -1;
  }

  /** The node counts so many errors now. */
  async follow({ count: number }) {
    if (number === this.seen || this.asking) return;
    this.asking = true;
    try {
      const found = await get("/errors");
      this.seen = found.count;
      this.all = found.errors;
      this.show();
    } catch {
      // asked again with the next state
    }
    this.asking = false;
  }

  show() {
    const { all } = this;
    byId("errors-none").hidden = all.length > 0;
    const of = this.seen > all.length ? ` of ${count(this.seen)}` : "";
    say(byId("errors-words"), all.length ? `The last ${count(all.length)}${of}, newest first.` : "");
    const groups = grouped(all);
    const shown = this.long ? groups : groups.slice(0, FIRST);
    byId("error-list").replaceChildren(...shown.map(item));
    byId("errors-more").hidden = shown.length === groups.length;
    say(byId("errors-more"), `Show the other ${count(groups.length - shown.length)}`);
  }
}

/** The same error several times in a row is one entry: [{...the newest, times, since}]. */
function grouped(all) {
  const groups = [];
  for (const one of all) {
    const last = groups.at(-1);
    if (last && last.component === one.component && last.error === one.error) {
      last.times += 1;
      last.since = one.time;
    } else groups.push({ ...one, times: 1, since: one.time });
  }
  return groups;
}

function item({ time, component, error, message, times, since }) {
  const often = times > 1 ? `, ${count(times)} times since ${clock(since)}` : "";
  const head = el("p", {}, el("time", { datetime: iso(time) }, clock(time)), " ", el("b", {}, visible(component)), often);
  const text = message ? (typeof message === "string" ? message : JSON.stringify(message)) : "";
  return el("li", {}, head, el("p", { class: "error" }, visible(error)), text ? el("pre", { tabindex: 0, role: "group", "aria-label": "The message" }, visible(text.slice(0, 2000))) : null);
}
