// The figures at the top: what comes in, goes out and is lost, and how the process is; and what needs attention.

import { byId, el, keep, say } from "./dom.js";
import { losses } from "./counters.js";
import { bytes, count, duration, percent, rate, visible } from "./words.js";

const SIGNS = { bad: "\u25b2", warn: "\u25c6", note: "\u2022", good: "\u2713" };
const WORDS = { bad: "Urgent: ", warn: "Look: ", note: "Note: ", good: "" };
const MOST = 8;

const known = new Map();
const items = new Map();

function figures(state) {
  const main = state.components.filter((one) => !one.errors);
  const sum = (list, name) => list.reduce((all, one) => all + one[name], 0);
  const lost = main.reduce((all, one) => all + losses(one)[0], 0);
  const { cpu, memory, threads } = state.process;
  return [
    ["In", rate(sum(main.filter((one) => one.kind === "input"), "in_rate"))],
    ["Out", rate(sum(main.filter((one) => one.kind === "output"), "out_rate"))],
    ["Lost", rate(sum(main, "lost_rate"))],
    ["Lost in all", count(lost)],
    ["Buffered", count(sum(main, "buffered"))],
    ["Processor", percent(cpu)],
    ["Memory", bytes(memory)],
    ["Loop delay", state.loop_delay === null ? "over 1 s" : `${Math.round(state.loop_delay * 1000)} ms`],
    ["Threads", count(threads)],
    ["Up for", duration(state.time - state.started)],
  ];
}

/** Show the figures, and the sentences about what needs attention; `go(where)` leads to what one is about. */
export function showVitals(state, go) {
  document.title = `${visible(state.host)} \u2013 ${state.title}`;
  say(byId("host"), `${visible(state.host)}, process ${state.pid}, version ${state.version}`);
  const values = new Map(figures(state));
  keep(byId("figures"), known, [...values.keys()], (name) => el("div", {}, el("dt", {}, name), el("dd")));
  for (const [name, value] of values) say(known.get(name).lastElementChild, value);

  const found = state.verdict;
  const more = found.length - MOST;
  const sentences = new Map(found.slice(0, MOST).map((one, i) => [`${i}`, one]));
  keep(byId("verdict"), items, [...sentences.keys()], () => sentence(go));
  for (const [key, one] of sentences) {
    const item = items.get(key);
    item.className = one.weight;
    const button = item.lastElementChild;
    button.dataset.where = one.where;
    say(item.firstElementChild, SIGNS[one.weight]);
    say(button.firstElementChild, WORDS[one.weight]);
    say(button.lastElementChild, visible(one.text));
  }
  byId("verdict-more").hidden = more <= 0;
  say(byId("verdict-more"), `And ${count(Math.max(0, more))} more: see the components.`);
}

function sentence(go) {
  const button = el("button", { type: "button", class: "link" }, el("span", { class: "unseen" }), el("span"));
  button.addEventListener("click", () => go(button.dataset.where));
  return el("li", {}, el("span", { class: "sign", "aria-hidden": "true" }), button);
}
