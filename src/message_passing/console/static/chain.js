// The section with the chain: the drawing, error chains apart, workers, and all about the component that was chosen.

import { byId, el, keep, say } from "./dom.js";
import { Drawing } from "./drawing.js";
import { losses } from "./counters.js";
import { count, nameOf, rate, visible } from "./words.js";

export class ChainSection {
  /** `on` has tail(id) and history(id), which show more of a component. */
  constructor(on) {
    this.on = on;
    this.chosen = "";
    this.state = null;
    this.workers = new Map();
    const choose = (id) => this.choose(id === this.chosen ? "" : id);
    this.main = new Drawing(byId("chain-drawing"), choose);
    this.errors = new Drawing(byId("error-chain-drawing"), choose);
    byId("details-close").addEventListener("click", () => this.choose(""));
    byId("details-tail").addEventListener("click", () => on.tail(this.chosen));
    byId("details-history").addEventListener("click", () => on.history(this.chosen));
  }

  choose(id) {
    this.chosen = id;
    if (this.state) this.show(this.state);
  }

  show(state) {
    this.state = state;
    const slow = state.slowest;
    const errors = state.components.filter((one) => one.errors);
    this.main.show(state.components.filter((one) => !one.errors), this.chosen, slow);
    byId("error-chain").hidden = !errors.length;
    if (errors.length) this.errors.show(errors, this.chosen, slow);
    this.showWorkers(state.workers);
    this.showDetails(state.components.find((one) => one.id === this.chosen));
  }

  showWorkers(workers) {
    byId("workers").hidden = !workers.length;
    const byNumber = new Map(workers.map((one) => [one.number, one]));
    keep(byId("worker-list"), this.workers, [...byNumber.keys()], () => el("li"));
    for (const [number, one] of byNumber) {
      const item = this.workers.get(number);
      item.className = one.ready ? "" : "warn";
      const state = one.ready ? `${count(one.outstanding)} in flight` : "\u25c6 not ready";
      say(item, `Worker ${number}: process ${one.pid ?? "none"}, ${state}`);
    }
  }

  showDetails(one) {
    byId("details").hidden = !one;
    if (!one) return;
    byId("details-tail").hidden = one.in_workers;
    const [lost, why] = losses(one);
    say(byId("details-title"), nameOf(one));
    const rows = [
      ["Type", one.label === one.id ? one.kind : `${visible(one.label)} (${one.kind})`],
      ["Received", `${count(one.received)}, now ${rate(one.in_rate)}`],
      ["Passed on", `${count(one.passed)}, now ${rate(one.out_rate)}`],
      ["Filtered out", `${count(one.filtered)}, not a loss`],
      ["Lost", lost ? `${count(lost)} (${why}), now ${rate(one.lost_rate)}` : "0"],
      ["Buffered", one.capacity ? `${count(one.buffered)} of ${count(one.capacity)}` : count(one.buffered)],
      ["Endpoints", one.endpoints.map(visible).join(", ")],
      ["Notes", one.notes.map(visible).join("\n")],
    ].filter(([, text]) => text);
    const list = byId("details-list");
    const texts = rows.flat();
    if (list.children.length !== texts.length) list.replaceChildren(...texts.map((_, i) => el(i % 2 ? "dd" : "dt")));
    texts.forEach((text, i) => say(list.children[i], text));
  }
}
