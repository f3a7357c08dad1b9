// One drawing of connected components: cards in layers, and edges with their rates between them.

import { el, keep, say, svg } from "./dom.js";
import { layout } from "./layout.js";
import { fill, losses } from "./counters.js";
import { brief, count, nameOf, oneLine, percent, rate } from "./words.js";

const LAYER = 120; // pixels that a layer needs at least, and the gap to the next one: as in chain.css
const GAP = 50;
const SIGNS = { bad: "\u25b2", warn: "\u25c6", lost: "\u25b3", "": "" };

export class Drawing {
  /** In `box`; `choose(id)` is called when a component is chosen. */
  constructor(box, choose) {
    this.choose = choose;
    this.edges = svg("svg", { class: "edges", "aria-hidden": "true", focusable: "false" });
    this.grid = el("div", { class: "cards", role: "list" });
    this.frame = el("div", { class: "frame" }, this.edges, this.grid);
    box.append(this.frame);
    this.known = new Map();
    this.found = { columns: [], rows: 1, edges: [] };
    new ResizeObserver(() => this.place()).observe(box);
    this.box = box;
  }

  /** Show these components; `chosen` is the id of the one that is looked at. */
  show(components, chosen, slow) {
    this.found = layout(components);
    const byId = new Map(this.found.columns.flat().map((one) => [one.id, one.component]));
    keep(this.grid, this.known, [...byId.keys()], (id) => (byId.get(id) ? this.card(id) : gap()));
    for (const [id, component] of byId) {
      if (component) update(this.known.get(id), component, id === chosen, slow === id);
    }
    this.place();
  }

  card(id) {
    const name = el("button", { type: "button", class: "name", onclick: () => this.choose(id) });
    const part = (kind) => el("p", { class: kind }, el("span", { class: "bar", "aria-hidden": "true" }, el("i")), el("span"));
    const kind = el("span", { class: "kind" });
    const head = el("p", { class: "head" }, name, kind);
    return el("div", { class: "card", role: "listitem" }, head, el("p", { class: "rates" }, el("span"), " ", el("span")), part("buffered"), part("utilization"), el("p", { class: "flag" }), el("p", { class: "unseen" }));
  }

  /** Put the cards where they belong and draw the edges between them. */
  place() {
    const { columns, rows } = this.found;
    const needed = columns.length * (LAYER + GAP); // the padding of the box is less than the gap too many
    const down = this.box.clientWidth < needed - GAP / 2; // then the layers go downwards
    this.frame.classList.toggle("down", down);
    this.grid.style.setProperty("--layers", columns.length);
    this.grid.style.setProperty("--halves", rows * 2);
    columns.forEach((column, index) => {
      column.forEach((one, position) => {
        const { style } = this.known.get(one.id);
        const across = `${rows - column.length + position * 2 + 1} / span 2`;
        style.gridColumn = down ? across : String(index + 1);
        style.gridRow = down ? String(index + 1) : across;
      });
    });
    this.connect(down);
  }

  connect(down) {
    this.edges.setAttribute("width", this.grid.scrollWidth);
    this.edges.setAttribute("height", this.grid.scrollHeight);
    const most = Math.max(1, ...this.found.edges.map((edge) => edge.rate));
    const labels = [];
    const edges = [...this.found.edges].sort((a, b) => a.rate - b.rate); // what flows is drawn over what does not
    const lines = edges.map((edge) => {
      const ids = [edge.from.id, ...edge.via, edge.to.id];
      const { d, middle } = way(ids.map((id) => this.known.get(id)), down);
      const state = edge.rate ? "" : " still";
      const width = edge.rate ? 1.5 + (3 * Math.log1p(edge.rate)) / Math.log1p(most) : 1.5;
      labels.push(label(edge, middle, down));
      return svg("path", { class: `edge ${edge.to.condition}${state}`, d, "stroke-width": width.toFixed(1) });
    });
    const heads = edges.map((edge) => arrow(this.known.get(edge.to.id), down, edge));
    this.edges.replaceChildren(...lines, ...heads, ...labels);
  }
}

const gap = () => el("div", { class: "gap", "aria-hidden": "true" });

function update(card, one, chosen, slow) {
  const [head, rates, buffered, utilization, flag, unseen] = card.children;
  const state = one.condition;
  card.className = `card ${state}${chosen ? " chosen" : ""}`;
  const [name, kind] = head.children;
  say(name, nameOf(one));
  name.setAttribute("aria-pressed", String(chosen));
  say(kind, one.label === one.id ? one.kind : oneLine(one.label, 80));
  say(rates.firstElementChild, one.kind === "input" ? "" : `in ${rate(one.in_rate)}`);
  say(rates.lastElementChild, one.kind === "output" ? "" : `out ${rate(one.out_rate)}`);
  const full = fill(one);
  meter(buffered, full, full !== null ? `buffered ${count(one.buffered)} of ${brief(one.capacity)}` : one.buffered ? `buffered ${count(one.buffered)}` : "");
  meter(utilization, one.utilization ?? null, one.utilization === null || one.utilization === undefined ? "" : `utilization ${percent(one.utilization)}${slow ? " (slowest)" : ""}`);
  utilization.classList.toggle("warn", slow);
  const [lost] = losses(one);
  const words = { bad: `losing ${rate(one.lost_rate)}`, warn: full >= 0.95 ? "full" : "filling up", lost: "", "": "" }[state];
  const sum = lost ? `${words ? ", " : ""}lost ${count(lost)}` : "";
  flag.hidden = !state;
  say(flag, state ? `${SIGNS[state]} ${words}${sum}` : "");
  say(unseen, one.outputs.length ? `Sends messages to ${one.outputs.map((id) => oneLine(id, 80)).join(", ")}.` : "");
}

function meter(element, share, text) {
  const [bar, words] = element.children;
  element.hidden = !text;
  bar.hidden = share === null;
  bar.firstChild.style.width = `${Math.min(1, share ?? 0) * 100}%`;
  say(words, text);
}

/** The line through the middles of these elements, and a point in the first free gap for its label. */
function way(elements, down) {
  const spots = elements.map((element) => ({
    enter: down ? [element.offsetLeft + element.offsetWidth / 2, element.offsetTop] : [element.offsetLeft, element.offsetTop + element.offsetHeight / 2],
    leave: down
      ? [element.offsetLeft + element.offsetWidth / 2, element.offsetTop + element.offsetHeight]
      : [element.offsetLeft + element.offsetWidth, element.offsetTop + element.offsetHeight / 2],
  }));
  let d = `M${spots[0].leave}`;
  for (let i = 1; i < spots.length; i += 1) {
    const [x, y] = spots[i - 1].leave;
    const [toX, toY] = spots[i].enter;
    const bend = down ? [x, (y + toY) / 2, toX, (y + toY) / 2] : [(x + toX) / 2, y, (x + toX) / 2, toY];
    d += `C${bend} ${toX},${toY}`;
    if (i < spots.length - 1) d += `L${spots[i].leave}`;
  }
  const [x, y] = spots[0].leave;
  const [toX, toY] = spots[1].enter;
  return { d, middle: [(x + toX) / 2, (y + toY) / 2] };
}

function label(edge, [x, y], down) {
  const place = down ? { x: x + 8, y: y + 4, "text-anchor": "start" } : { x, y: y - 7, "text-anchor": "middle" };
  return svg("text", { class: `rate${edge.rate ? "" : " still"}`, ...place }, rate(edge.rate));
}

function arrow(element, down, edge) {
  const x = down ? element.offsetLeft + element.offsetWidth / 2 : element.offsetLeft;
  const y = down ? element.offsetTop : element.offsetTop + element.offsetHeight / 2;
  const d = down ? `M${x},${y}l-5,-8h10z` : `M${x},${y}l-8,-5v10z`;
  return svg("path", { class: `arrow ${edge.to.condition}${edge.rate ? "" : " still"}`, d });
}
