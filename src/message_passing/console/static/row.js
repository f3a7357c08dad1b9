// One message in the list: a line, and everything in it when it is opened.

import { copyButton } from "./copy.js";
import { el } from "./dom.js";
import { flat, from, level, madeAt, text, traceback } from "./fields.js";
import { clock, count, iso, oneLine, span, visible } from "./words.js";

const LONG = 20_000; // characters of a text that are shown at first

/** An element for the list. `choose(path, value)` is called when a field is clicked. */
export function row({ time, message }, choose) {
  const { name, weight } = level(message);
  const made = madeAt(message);
  const summary = el(
    "summary",
    {},
    el("time", { datetime: made === null ? null : iso(made) }, made === null ? "\u2013" : clock(made, true)),
    el("time", { class: "arrived", datetime: iso(time) }, clock(time, true)),
    el("span", { class: `level ${weight}` }, oneLine(name, 12)),
    el("span", { class: "from" }, oneLine(from(message), 80)),
    el("span", { class: "text" }, oneLine(text(message))),
  );
  const details = el("details", {}, summary);
  const fillOnce = () => {
    if (details.open && details.children.length === 1) details.append(opened(message, made, time, choose));
  };
  details.addEventListener("toggle", fillOnce);
  return el("li", { class: weight }, details);
}

/** All that is in a message: its traceback, its fields, and the whole of it as JSON. */
function opened(message, made, time, choose) {
  const whole = typeof message === "string" ? message : JSON.stringify(message, null, 2);
  const trace = traceback(message);
  const fields = flat(message);
  return el(
    "div",
    { class: "opened" },
    el("p", { class: "faint" }, made === null ? `Arrived ${iso(time)}; it has no time of its own.` : `Sent ${iso(made)}, arrived ${iso(time)}, ${span(time - made)}.`),
    trace ? el("h3", {}, "Traceback") : null,
    trace ? long(trace) : null,
    fields.length ? el("h3", {}, "Fields: click one to filter by its value") : null,
    fields.length ? el("ul", { class: "fields" }, ...fields.map((pair) => field(pair, choose))) : null,
    el("h3", {}, typeof message === "string" ? "Text: not a JSON object" : "JSON"),
    long(whole),
    copyButton(whole, "Copy the message"),
  );
}

function field([path, value], choose) {
  const words = typeof value === "string" ? value : JSON.stringify(value);
  const content = [el("b", {}, oneLine(path, 100)), " ", el("span", {}, oneLine(words, 200))];
  return el("li", {}, el("button", { type: "button", class: "field", onclick: () => choose(path, words) }, ...content));
}

/** A text as it is, its beginning at first when it is long. */
function long(text) {
  const pre = el("pre", { tabindex: 0, role: "group", "aria-label": "Text, scrollable" }, visible(text.slice(0, LONG)));
  if (text.length <= LONG) return pre;
  const more = el("button", { type: "button" }, `Show the other ${count(text.length - LONG)} characters`);
  more.addEventListener("click", () => {
    pre.textContent = visible(text);
    pre.focus();
    more.remove();
  });
  return el("div", {}, pre, more);
}
