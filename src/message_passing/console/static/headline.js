// What is said first: the node's state in a word and a sentence, the figures behind it, and what needs attention.

import { withCommands } from "./copy.js";
import { byId, el, keep, say } from "./dom.js";
import { brief, bytes, count, duration, percent, rate, visible, when } from "./words.js";

const STATES = {
  ok: ["\u2713", "OK"],
  degraded: ["\u25c6", "Degraded"],
  losing: ["\u25b2", "Losing messages"],
  idle: ["\u25cb", "Idle"],
  down: ["\u25a0", "Down"],
  gone: ["\u25a0", "Not reachable"],
};
const SIGNS = { bad: "\u25b2", warn: "\u25c6", note: "\u2022", good: "\u2713" };
const WORDS = { bad: "Urgent: ", warn: "Look: ", note: "Note: ", good: "" };
const MOST = 8;

const figures = new Map();
const facts = new Map();
const items = new Map();

/** The main figures: [name, value, remark, whether it is bad]. */
function figuresOf(state) {
  const main = state.components.filter((one) => !one.errors);
  const sum = (kind, name) => main.filter((one) => one.kind === kind).reduce((all, one) => all + one[name], 0);
  const { received, passed, dropped, failed, lost_by_senders: bySenders } = state.totals;
  const here = dropped + failed;
  const where = bySenders === null ? "here; on the way: unknown" : `${brief(here)} here, ${brief(bySenders)} by senders`;
  return [
    ["In", rate(sum("input", "in_rate") || sum("input", "out_rate")), `${count(received)} in all`],
    ["Out", rate(sum("output", "out_rate") || sum("output", "in_rate")), `${count(passed)} in all`],
    ["Newest message", ageOf(state), state.last_message ? `the last came at ${when(state.last_message)}` : ""],
    ["Backlog", count(state.backlog), "messages buffered"],
    ["Lost", count(here + (bySenders ?? 0)), where, here + (bySenders ?? 0) > 0],
  ];
}

/** By the newest message's own time, which it may not have. */
function ageOf({ last_message: last, newest_age: age }) {
  if (last === null) return "none yet";
  return age === null ? "of unknown age" : age < 1 ? "< 1 s old" : `${duration(age)} old`;
}

/** The process's figures. */
function processOf(state) {
  const { cpu, memory, threads } = state.process;
  return [
    ["Up for", duration(state.time - state.started)],
    ["CPU", percent(cpu)],
    ["Memory", bytes(memory)],
    ["Threads", count(threads)],
    ["Loop delay", state.loop_delay === null ? "over 1 s" : `${Math.round(state.loop_delay * 1000)} ms`],
    ["Process", String(state.pid)],
    ["Version", state.version],
    ["Config", state.config ? visible(state.config) : "command line"],
  ];
}

function showState(kind, text) {
  const [sign, word] = STATES[kind] ?? STATES.degraded;
  byId("headline").className = kind;
  say(byId("headline-sign"), sign);
  say(byId("headline-word"), word);
  if (text.startsWith(`${word}: `)) text = text.slice(word.length + 2);
  const element = byId("headline-text");
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(...withCommands(text));
}

/** The node does not answer: the page shows its last state. */
export function showGone(since) {
  showState("gone", `No answer since ${when(since / 1000)}. Everything below is as it was then.`);
}

/** Show the state, the figures and the sentences about what needs attention; `go(where)` leads to what one is about. */
export function showHeadline(state, go) {
  const name = state.name || state.title;
  const { state: kind, text } = state.headline;
  document.title = `${STATES[kind]?.[0] ?? ""} ${visible(name)} on ${visible(state.host)}`;
  say(byId("node-name"), visible(name));
  say(byId("host"), `on ${visible(state.host)}`);
  showState(kind, text);

  const values = new Map(figuresOf(state).map((one) => [one[0], one]));
  keep(byId("figures"), figures, [...values.keys()], (label) => el("div", {}, el("dt", {}, label), el("dd"), el("dd", { class: "more" })));
  for (const [label, [, value, more, bad]] of values) {
    const [, main, small] = figures.get(label).children;
    say(main, value);
    say(small, more);
    main.className = bad ? "bad" : "";
  }
  const known = new Map(processOf(state));
  keep(byId("process"), facts, [...known.keys()], (label) => el("div", {}, el("dt", {}, label), " ", el("dd")));
  for (const [label, value] of known) say(facts.get(label).lastElementChild, value);
  showFindings(state.verdict.filter((one) => !saidElsewhere(one)), go);
}

/** What the headline and the sections right below it say already. */
const saidElsewhere = ({ weight, where }) => weight === "good" || where === "errors" || (where === "senders" && weight === "warn");

function showFindings(found, go) {
  const sentences = new Map(found.slice(0, MOST).map((one, i) => [`${i}`, one]));
  keep(byId("verdict"), items, [...sentences.keys()], () => sentence(go));
  for (const [key, one] of sentences) {
    const item = items.get(key);
    const [sign, words, button] = item.children;
    item.className = one.weight;
    button.dataset.where = one.where;
    say(sign, SIGNS[one.weight]);
    if (words.dataset.text !== one.text) {
      words.dataset.text = one.text;
      const hear = el("span", { class: "unseen" }, WORDS[one.weight]);
      words.replaceChildren(hear, ...withCommands(one.text));
    }
  }
  byId("verdict").hidden = !found.length;
  byId("verdict-more").hidden = found.length <= MOST;
  say(byId("verdict-more"), `And ${count(Math.max(0, found.length - MOST))} more: see the components.`);
}

function sentence(go) {
  const button = el("button", { type: "button", class: "link" }, "Show");
  button.addEventListener("click", () => go(button.dataset.where));
  return el("li", {}, el("span", { class: "sign", "aria-hidden": "true" }), el("p"), button);
}
