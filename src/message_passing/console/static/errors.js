// The section with the latest errors, fetched when the node counts more of them.

import { get } from "./api.js";
import { byId, el, keep, say } from "./dom.js";
import { count, iso, visible, when } from "./words.js";

const FIRST = 10;

export class Errors {
  constructor() {
    this.seen = -1;
    this.asking = false;
    this.long = false; // all are shown
    this.all = [];
    this.known = new Map(); // elements by what they show: those that stay keep the focus
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
    const byKey = new Map(shown.map((one) => [`${one.since} ${one.component} ${one.error}`, one]));
    keep(byId("error-list"), this.known, [...byKey.keys()], item);
    for (const [key, one] of byKey) update(this.known.get(key), one);
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

function item() {
  const head = el("p", {}, el("time"), " ", el("b"), el("span"));
  return el("li", {}, head, el("p", { class: "error" }), el("pre", { tabindex: 0, role: "group", "aria-label": "The message" }));
}

function update(element, { time, component, error, message, times, since }) {
  const [head, words, text] = element.children;
  const [moment, where, often] = head.children;
  moment.setAttribute("datetime", iso(time));
  say(moment, when(time));
  say(where, visible(component));
  say(often, times > 1 ? `, ${count(times)} times since ${when(since)}` : "");
  say(words, visible(error));
  say(text, visible((typeof message === "string" ? message : JSON.stringify(message ?? "")).slice(0, 2000)));
  text.hidden = !message;
}
