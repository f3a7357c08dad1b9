// One drawing of connected components. The node says in which column and row each stands; here that becomes pixels.

import { el, keep, say, svg } from "./dom.js";
import { fill, losses } from "./counters.js";
import { brief, count, nameOf, oneLine, percent, rate } from "./words.js";

const HEIGHT = 98; // of a card: the same for all
const LEAST = 110; // its width at least, and
const MOST = 200; // at most
const GAP = 57; // to the next column: room for a rate
const BELOW = 16; // to the next row
const DOWN = { least: 92, gap: 10, below: 44 }; // the same where the columns go downwards
const BEND = 16; // in which an edge turns; the rest of it is straight, with its rate beside
const SIGNS = { bad: "\u25b2", warn: "\u25c6", lost: "\u25b3" };

export class Drawing {
  /** In `box`; `choose(id, card)` is called when a component is chosen. */
  constructor(box, choose) {
    this.choose = choose;
    this.edges = svg("svg", { class: "edges", "aria-hidden": "true", focusable: "false" });
    this.cards = el("div", { class: "cards", role: "list" });
    this.frame = el("div", { class: "frame" }, this.edges, this.cards);
    box.append(this.frame);
    this.known = new Map();
    this.drawing = { columns: 0, rows: 0, spots: {}, edges: [] };
    this.components = new Map();
    this.drawn = "";
    new ResizeObserver(() => this.place()).observe(box);
    this.box = box;
  }

  /** Show these components as the node has drawn them; `chosen` is the id of the selected one. */
  show(drawing, components, chosen, slow) {
    this.drawing = drawing;
    this.components = new Map(components.map((one) => [one.id, one]));
    keep(this.cards, this.known, [...this.components.keys()], (id) => this.card(id));
    for (const [id, component] of this.components) update(this.known.get(id), component, id === chosen, slow === id);
    this.place();
  }

  card(id) {
    const name = el("button", { type: "button", class: "name", "aria-controls": "details", onclick: () => this.choose(id, this.known.get(id)) });
    const bar = el("span", { class: "bar", "aria-hidden": "true" }, el("i"));
    const part = (kind) => el("p", { class: kind });
    return el("div", { class: "card", role: "listitem" }, name, part("kind"), part("utilization"), part("note"), el("p", { class: "unseen" }), bar);
  }

  /** How large a card is, and where a spot of the layout is. */
  scale() {
    const { columns, rows } = this.drawing;
    const room = this.box.clientWidth - 16;
    const across = (room - (columns - 1) * GAP) / Math.max(1, columns);
    if (across >= LEAST || (columns === 1 && rows === 1)) {
      const width = Math.min(MOST, across);
      return { down: false, width, at: ([column, row]) => [column * (width + GAP), row * (HEIGHT + BELOW)] };
    }
    const beside = (room - (Math.ceil(rows) - 1) * DOWN.gap) / Math.max(1, rows);
    const width = Math.max(DOWN.least, Math.min(MOST, beside));
    return { down: true, width, at: ([column, row]) => [row * (width + DOWN.gap), column * (HEIGHT + DOWN.below)] };
  }

  /** Put the cards where they belong, and the edges between them. */
  place() {
    const scale = this.scale();
    const spots = new Map(Object.entries(this.drawing.spots));
    const corners = [...spots.values()].map(scale.at);
    const right = Math.max(0, ...corners.map(([x]) => x)) + scale.width;
    const bottom = Math.max(0, ...corners.map(([, y]) => y)) + HEIGHT;
    const shape = JSON.stringify([right, bottom, scale.width, this.drawing.spots]);
    if (shape !== this.drawn) {
      this.drawn = shape;
      this.frame.classList.toggle("down", scale.down);
      Object.assign(this.frame.style, { width: `${right}px`, height: `${bottom}px` });
      this.edges.setAttribute("width", right);
      this.edges.setAttribute("height", bottom);
      for (const [id, card] of this.known) {
        const [left, top] = scale.at(spots.get(id) ?? [0, 0]);
        Object.assign(card.style, { left: `${left}px`, top: `${top}px`, width: `${scale.width}px`, height: `${HEIGHT}px` });
      }
    }
    this.connect(scale, spots);
  }

  connect(scale, spots) {
    const found = this.drawing.edges.filter((edge) => spots.has(edge.from) && spots.has(edge.to) && this.components.has(edge.from) && this.components.has(edge.to));
    const into = new Map();
    for (const { to } of found) into.set(to, (into.get(to) ?? 0) + 1);
    const rates = new Map(found.map((edge) => [edge, edgeRate(this.components.get(edge.from), this.components.get(edge.to), into.get(edge.to))]));
    const most = Math.max(1, ...rates.values());
    found.sort((a, b) => rates.get(a) - rates.get(b)); // what flows is drawn over what does not
    const parts = [[], [], []];
    for (const edge of found) {
      const number = rates.get(edge);
      const condition = conditionOf(this.components.get(edge.to));
      const state = `${condition === "lost" ? "" : condition}${number ? "" : " still"}`;
      const width = number ? 1.5 + (2.5 * Math.log1p(number)) / Math.log1p(most) : 1.5;
      const corners = [edge.from, ...edge.via, edge.to].map((one) => scale.at(Array.isArray(one) ? one : spots.get(one)));
      const { d, tip, label } = way(corners, scale, edge.label);
      parts[0].push(svg("path", { class: `edge ${state}`, d, "stroke-width": width.toFixed(1) }));
      parts[1].push(svg("path", { class: `arrow ${state}`, d: tip }));
      parts[2].push(svg("text", { class: `rate${number ? "" : " still"}`, ...label }, rate(number)));
    }
    this.edges.replaceChildren(...parts.flat());
  }
}

/** Messages a second over the edge between two components, as far as their counters tell. */
const edgeRate = (from, to, into) => (into === 1 ? to.in_rate : from.out_rate / Math.max(1, from.outputs.length));

function update(card, one, chosen, slow) {
  const [name, kind, utilization, note, unseen, bar] = card.children;
  card.className = `card ${conditionOf(one)}${chosen ? " chosen" : ""}${slow ? " slow" : ""}`;
  say(name, nameOf(one));
  name.setAttribute("aria-expanded", String(chosen));
  say(kind, one.label === one.id ? one.kind : oneLine(one.label, 80));
  const share = one.utilization ?? null;
  say(utilization, share === null ? "" : `utilization ${percent(share)}`);
  bar.firstChild.style.width = `${Math.min(1, share ?? 0) * 100}%`;
  say(note, noteOf(one, slow));
  say(unseen, one.outputs.length ? `Sends messages to ${one.outputs.map((id) => oneLine(id, 80)).join(", ")}.` : "");
}

/** The condition as the node reports it, or bad if it has problems. */
const conditionOf = (one) => (one.problems?.length ? "bad" : one.condition);

/** The most important fact about it. */
function noteOf(one, slow) {
  const [lost] = losses(one);
  const full = fill(one);
  const buffered = !one.capacity ? `${count(one.buffered)} buffered` : `${count(one.buffered)} of ${brief(one.capacity)} buffered`;
  const problems = one.problems?.length ?? 0;
  const parts = [];
  if (problems) parts.push(problems === 1 ? "a problem" : `${problems} problems`);
  if (one.lost_rate) parts.push(`losing ${rate(one.lost_rate)}`);
  else if (full >= 0.95) parts.push(lost ? "full" : `full: ${buffered}`);
  else if (full >= 0.5) parts.push(lost ? "filling" : buffered);
  if (lost) parts.push(`lost ${count(lost)}`);
  if (parts.length) return `${SIGNS[conditionOf(one)] ?? SIGNS.warn} ${parts.join(", ")}`;
  if (slow) return `${SIGNS.warn} slowest`;
  return one.buffered ? buffered : "";
}

/** The line through these corners of cards and free spots, its tip, and where its label is beside it. */
function way(corners, { down, width }, side) {
  const turn = ([x, y]) => (down ? [y, x] : [x, y]); // along the flow, and across it
  const [long, wide] = down ? [HEIGHT, width] : [width, HEIGHT];
  const point = (along, across) => (down ? `${across},${along}` : `${along},${across}`);
  const spots = corners.map(turn).map(([along, across]) => [along, across + wide / 2]);
  let [at, across] = [spots[0][0] + long, spots[0][1]];
  let d = `M${point(at, across)}`;
  let label;
  spots.slice(1).forEach(([to, next], i) => {
    const gap = to - at;
    const bend = Math.min(BEND, gap / 2);
    const early = i > 0 || side === "end"; // it turns at once, and is straight then
    const [first, last] = side === "middle" && i === 0 ? [at, to] : early ? [at, at + bend] : [to - bend - 6, to - 6];
    const half = (first + last) / 2;
    d += `L${point(first, across)}C${point(half, across)} ${point(half, next)} ${point(last, next)}L${point(to, next)}`;
    if (i === 0) label = labelAt({ at, to, across, next, side, down });
    const isLast = i === spots.length - 2;
    if (!isLast) d += `L${point(to + long, next)}`;
    [at, across] = [to + long, next];
  });
  const [end, middle] = spots.at(-1);
  return { d, tip: `M${point(end, middle)}L${point(end - 8, middle - 5)}L${point(end - 8, middle + 5)}Z`, label };
}

/** Beside the straight part, on the side away from where the edge turns. */
function labelAt({ at, to, across, next, side, down }) {
  const line = side === "start" ? across : side === "end" ? next : (across + next) / 2;
  const comes = side === "start" ? next < across : across < next; // the bend is on the side of smaller numbers
  if (down) {
    const along = side === "start" ? at + 14 : to - 16;
    return comes || across === next ? { x: line + 7, y: along, "text-anchor": "start" } : { x: line - 7, y: along, "text-anchor": "end" };
  }
  const y = comes && across !== next ? line + 15 : line - 7;
  return side === "start" ? { x: at + 5, y, "text-anchor": "start" } : { x: to - 9, y, "text-anchor": "end" };
}
