// A small chart over time, drawn as SVG: lines or bars, two axes, and a mark where somebody points.

import { svg } from "./dom.js";
import { clock, minute, tick } from "./words.js";

const LEFT = 52;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 22;

/** A round number not below this one, whose half is round too. */
function roundUp(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 3, 4, 6, 8, 10].map((one) => one * power).find((one) => one >= number * 0.999);
}

export class Chart {
  /** In `box`; `lines` are [{css, bars}], one for each value of a step, bars on top of each other; `point(index or -1)` when somebody points at one. */
  constructor(box, { lines, height, point }) {
    this.lines = lines;
    this.height = height;
    this.title = svg("title", { id: `${box.id}-title` });
    this.description = svg("desc", { id: `${box.id}-desc` });
    this.drawn = svg("g");
    this.mark = svg("line", { class: "mark", y1: TOP, y2: height - BOTTOM, visibility: "hidden" });
    this.root = svg("svg", { class: "chart", role: "img", "aria-labelledby": `${box.id}-title ${box.id}-desc`, height }, this.title, this.description, this.drawn, this.mark);
    box.append(this.root);
    this.box = box;
    this.steps = [];
    this.root.addEventListener("pointermove", (event) => point(this.near(event.clientX)));
    this.root.addEventListener("pointerleave", () => point(-1));
    new ResizeObserver(() => this.draw()).observe(box);
  }

  /** Show these steps over the time from `from` to `to`; `words` say what they are and what is to be seen. */
  show(steps, from, to, [title, description]) {
    Object.assign(this, { steps, from, to: Math.max(to, from + 1) });
    this.title.textContent = title;
    this.description.textContent = description;
    this.draw();
  }

  x(time) {
    return LEFT + ((this.width - LEFT - RIGHT) * (time - this.from)) / (this.to - this.from);
  }

  y(value) {
    return this.height - BOTTOM - ((this.height - TOP - BOTTOM) * value) / this.top;
  }

  near(clientX) {
    const x = clientX - this.root.getBoundingClientRect().left;
    let best = -1;
    let least = 40;
    this.steps.forEach((step, i) => {
      const away = Math.abs(this.x((step.from + step.to) / 2) - x);
      if (away < least) [best, least] = [i, away];
    });
    return best;
  }

  /** Show at which step somebody points; -1 for none. */
  pointAt(index) {
    const step = this.steps[index];
    this.mark.setAttribute("visibility", step ? "visible" : "hidden");
    if (!step) return;
    const x = this.x((step.from + step.to) / 2);
    this.mark.setAttribute("x1", x);
    this.mark.setAttribute("x2", x);
  }

  draw() {
    this.width = this.box.clientWidth;
    if (!this.width || this.from === undefined) return;
    this.root.setAttribute("width", this.width);
    const stacked = this.lines.every((line) => line.bars);
    const most = Math.max(0, ...this.steps.flatMap((step) => (stacked ? step.values.reduce((a, b) => a + b, 0) : step.values)));
    this.top = most > 0 ? roundUp(most) : 1;
    this.drawn.replaceChildren(...this.axes(), ...this.lines.flatMap((line, i) => (line.bars ? this.bars(line, i) : this.line(line, i))));
  }

  axes() {
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      const y = this.y(this.top * share);
      parts.push(svg("line", { class: "grid", x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y }));
      parts.push(svg("text", { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, tick(this.top * share)));
    }
    const room = Math.max(2, Math.floor((this.width - LEFT) / 80));
    const every = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800].find((one) => (this.to - this.from) / one <= room) ?? 3600;
    const words = every < 60 ? clock : minute;
    for (let time = Math.ceil(this.from / every) * every; time <= this.to; time += every) {
      parts.push(svg("line", { class: "grid", x1: this.x(time), x2: this.x(time), y1: TOP, y2: this.height - BOTTOM }));
      parts.push(svg("text", { class: "tick", x: Math.min(this.x(time), this.width - 20), y: this.height - 6, "text-anchor": "middle" }, words(time)));
    }
    return parts;
  }

  line({ css }, index) {
    let d = "";
    let last = null;
    for (const step of this.steps) {
      const together = last !== null && step.from - last < 5; // a gap stays a gap
      d += `${together ? "L" : "M"}${this.x((step.from + step.to) / 2).toFixed(1)},${this.y(step.values[index]).toFixed(1)}`;
      last = step.to;
    }
    return [svg("path", { class: `line ${css}`, d })];
  }

  bars({ css }, index) {
    let d = "";
    for (const step of this.steps.filter((one) => one.values[index] > 0)) {
      const x = this.x(step.from);
      const under = step.values.slice(0, index).reduce((a, b) => a + b, 0);
      const foot = under ? Math.min(this.y(under), this.y(0) - 2) : this.y(0);
      const y = Math.min(this.y(under + step.values[index]), foot - 2); // a single loss can be seen too
      d += `M${x.toFixed(1)},${foot.toFixed(1)}V${y.toFixed(1)}H${Math.max(x + 2, this.x(step.to)).toFixed(1)}V${foot.toFixed(1)}Z`;
    }
    return [svg("path", { class: `bars ${css}`, d })];
  }
}
