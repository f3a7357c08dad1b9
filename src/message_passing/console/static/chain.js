// The section with the chain: the drawing, error chains apart, workers, and the details of the chosen component.

import { withCommands } from "./copy.js";
import { byId, el, keep, say } from "./dom.js";
import { Drawing } from "./drawing.js";
import { losses } from "./counters.js";
import { count, nameOf, percent, rate, visible } from "./words.js";

/** One route: where it leads, how many messages took it, and when. */
const routed = ({ to, matched, when }) => `${to.map(visible).join(", ") || "none (filtered out)"}: ${count(matched)}${when ? `, when ${visible(when)}` : to.length ? ", all others" : ""}`;

export class ChainSection {
  /** `on` has tail(id) and history(id), which show more of a component. */
  constructor(on) {
    this.on = on;
    this.chosen = "";
    this.state = null;
    this.workers = new Map();
    const choose = (id, card) => {
      this.choose(id === this.chosen ? "" : id, card);
      if (this.chosen) byId("details-title").focus({ preventScroll: true });
    };
    this.main = new Drawing(byId("chain-drawing"), choose);
    this.errors = new Drawing(byId("error-chain-drawing"), choose);
    byId("details-close").addEventListener("click", () => this.close());
    byId("details-tail").addEventListener("click", () => on.tail(this.chosen));
    byId("details-history").addEventListener("click", () => on.history(this.chosen));
    byId("chain-section").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
    new ResizeObserver(() => this.place()).observe(byId("chain-section"));
  }

  choose(id) {
    this.chosen = id;
    if (this.state) this.show(this.state);
    this.place();
  }

  /** Close what is open, with the focus where it was opened. */
  close() {
    const card = this.card();
    this.choose("");
    card?.querySelector("button").focus({ preventScroll: true });
  }

  card() {
    return this.main.known.get(this.chosen) ?? this.errors.known.get(this.chosen);
  }

  /** The panel opens right below its card, as far as there is room beside it. */
  place() {
    const card = this.card();
    const panel = byId("details");
    if (!card || panel.hidden) return;
    const section = byId("chain-section").getBoundingClientRect();
    const at = card.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.left - section.left, section.width - panel.offsetWidth - 8));
    Object.assign(panel.style, { left: `${left}px`, top: `${at.bottom - section.top + 8}px` });
  }

  show(state) {
    this.state = state;
    const slow = state.slowest;
    const errors = state.components.filter((one) => one.errors);
    this.main.show(state.drawings.chain, state.components.filter((one) => !one.errors), this.chosen, slow);
    byId("error-chain").hidden = !errors.length;
    if (errors.length) this.errors.show(state.drawings.errors, errors, this.chosen, slow);
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
      ["Routes", (one.routes ?? []).map(routed).join("\n")],
      ["Lost", lost ? `${count(lost)} (${why}), now ${rate(one.lost_rate)}` : "0"],
      ["Buffered", one.capacity ? `${count(one.buffered)} of ${count(one.capacity)}` : count(one.buffered)],
      ["Utilization", (one.utilization ?? null) === null ? "" : `${percent(one.utilization)} of ${one.in_workers ? "the workers\u2019" : "the chain\u2019s"} time`],
      ["Endpoints", one.endpoints.map(visible).join(", ")],
      ["Problems", (one.problems ?? []).join("\n")],
      ["Notes", one.notes.join("\n")],
    ].filter(([, text]) => text);
    const list = byId("details-list");
    const texts = rows.flat();
    if (list.children.length !== texts.length) list.replaceChildren(...texts.map((_, i) => el(i % 2 ? "dd" : "dt")));
    texts.forEach((text, i) => {
      const element = list.children[i];
      if (element.dataset.text === text) return;
      element.dataset.text = text;
      element.replaceChildren(...text.split("\n").flatMap((line, n) => (n ? ["\n", ...withCommands(line)] : withCommands(line))));
    });
  }
}
