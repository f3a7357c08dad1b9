// The section with the last hour: what came in, went out and was lost, of the whole node or of one component.

import { get } from "./api.js";
import { Chart } from "./chart.js";
import { byId, el, say } from "./dom.js";
import { Past } from "./past.js";
import { Polling } from "./polling.js";
import { clock, count, nameOf, rate } from "./words.js";

const EVERY = 5000;
const NAMES = ["In", "Out", "Lost here", "Lost by senders"];
const LEGEND = ["in", "out", "lost", "senders"];

export class History extends Polling {
  constructor() {
    super(EVERY);
    this.past = new Past();
    this.components = [];
    this.offered = "";
    this.steps = [];
    const point = (index) => this.point(index);
    this.rates = new Chart(byId("chart-rates"), { lines: [{ css: "in" }, { css: "out" }], height: 190, point });
    this.lost = new Chart(byId("chart-lost"), { lines: [{ css: "lost", bars: true }, { css: "senders", bars: true }], height: 96, point });
    this.of = byId("history-of");
    this.range = byId("history-range");
    this.of.addEventListener("change", () => this.show());
    this.range.addEventListener("change", () => this.show());
    byId("history-table-box").addEventListener("toggle", () => this.table());
  }

  /** The chain's components have become these. */
  offer(components) {
    this.components = components;
    const seen = JSON.stringify(components.map((one) => one.id));
    if (seen === this.offered) return;
    this.offered = seen;
    const { value } = this.of;
    const options = components.map((one) => el("option", { value: one.id }, nameOf(one)));
    this.of.replaceChildren(el("option", { value: "" }, "the whole node"), ...options);
    this.of.value = components.some((one) => one.id === value) ? value : "";
  }

  lookAt(id) {
    this.of.value = id;
    this.show();
  }

  forget() {
    this.past.forget();
    if (this.running) this.ask();
  }

  async ask() {
    clearTimeout(this.timer);
    try {
      this.past.add(await get("/history", { seconds: this.past.wanted() }, 15));
      this.show();
    } catch {
      // the node is gone, which the connection tells
    }
    this.askLater();
  }

  /** What the lines are made of. Senders lose messages on their way to the node, not to one of its components. */
  sources() {
    const id = this.of.value;
    if (id) return [...["received", "passed", "lost"].map((name) => ({ name, ids: [id] })), { name: "none", ids: [] }];
    const main = this.components.filter((one) => !one.errors);
    const of = (kind) => main.filter((one) => one.kind === kind).map((one) => one.id);
    return [
      { name: "received", ids: of("input") },
      { name: "passed", ids: of("output") },
      { name: "lost", ids: main.map((one) => one.id) },
      { name: "senders" },
    ];
  }

  show() {
    const seconds = Number(this.range.value);
    const end = this.past.times.at(-1);
    if (end === undefined) return;
    const from = Math.max(end - seconds, Math.min(this.past.times[0], end - 60)); // a young node's history is short
    this.steps = this.past.steps(end - from, this.sources());
    const of = this.of.selectedOptions[0].textContent;
    const only = (wanted) => this.steps.map((step) => ({ ...step, values: wanted.map((i) => step.values[i]) }));
    this.rates.show(only([0, 1]), from, end, [`Messages a second in and out of ${of}`, this.words([0, 1])]);
    this.lost.show(only([2, 3]), from, end, [`Messages a second lost by ${of}`, this.words([2, 3])]);
    this.point(-1);
    this.table();
  }

  /** The chart in words. */
  words(lines) {
    if (!this.steps.length) return "No data yet.";
    const parts = lines.map((line) => {
      const top = this.steps.reduce((best, step) => (step.values[line] > best.values[line] ? step : best));
      const last = this.steps.at(-1);
      return `${NAMES[line]}: now ${rate(last.values[line])}, at most ${rate(top.values[line])} at ${clock(top.to)}.`;
    });
    return `From ${clock(this.steps[0].from)} to ${clock(this.steps.at(-1).to)}. ${parts.join(" ")}`;
  }

  /** The values at the step under the pointer, or now, in words. */
  point(index) {
    this.rates.pointAt(index);
    this.lost.pointAt(index);
    const step = this.steps[index] ?? this.steps.at(-1);
    if (!step) return;
    const when = this.steps[index] ? clock(step.to) : "Now";
    NAMES.forEach((name, line) => say(byId(`legend-${LEGEND[line]}`), `${name} ${rate(step.values[line])}`));
    say(byId("legend-when"), when);
  }

  /** The same for people who cannot see the chart, when the table is open: newest first. */
  table() {
    if (!byId("history-table-box").open) return;
    const seconds = Math.min(Number(this.range.value), this.past.times.at(-1) - this.past.times[0]);
    const rows = this.past.steps(seconds, this.sources(), 12).reverse();
    const cells = (step) => step.values.map((value) => el("td", {}, value < 10 ? rate(value) : `${count(value)}/s`));
    const body = rows.map((step) => el("tr", {}, el("th", { scope: "row" }, `${clock(step.from)} to ${clock(step.to)}`), ...cells(step)));
    byId("history-table").tBodies[0].replaceChildren(...body);
  }
}
