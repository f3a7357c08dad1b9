// The last hour's counters, second by second, as the node gave them; and summed up for a chart.

const KEEP = 3600;

export class Past {
  constructor() {
    this.forget();
  }

  forget() {
    this.added = 0; // when, by the page's own clock
    this.times = [];
    this.components = {}; // id -> {received: [], passed: [], lost: []}
    this.senders = []; // lost by senders
  }

  /** How many seconds are to be asked for: all at first, then only what is new. The node's clock may be another. */
  wanted() {
    return this.times.length ? Math.min(KEEP, Math.ceil((performance.now() - this.added) / 1000) + 3) : KEEP;
  }

  /** Add what the node answered. */
  add(answer) {
    this.added = performance.now();
    const last = this.times.at(-1) ?? -Infinity;
    const from = answer.times.findIndex((time) => time > last);
    if (from < 0) return;
    const before = this.times.length;
    this.times.push(...answer.times.slice(from));
    for (const [id, columns] of Object.entries(answer.components)) {
      const known = (this.components[id] ??= { received: [], passed: [], lost: [] });
      for (const name of Object.keys(known)) {
        while (known[name].length < before) known[name].push(0); // it was not there until now
        known[name].push(...columns[name].slice(from));
      }
    }
    const bySenders = answer.lost_by_senders ?? answer.times.map(() => 0);
    this.senders.push(...bySenders.slice(from));
    const old = this.times.length - KEEP;
    for (const columns of Object.values(this.components)) {
      for (const column of Object.values(columns)) {
        while (column.length < this.times.length) column.push(0); // it is not there any more
        if (old > 0) column.splice(0, old);
      }
    }
    if (old > 0) {
      this.times.splice(0, old);
      this.senders.splice(0, old);
    }
  }

  /**
   * The last `seconds` in at most about `most` steps: [{from, to, values: [messages a second, ...]}], one value for each of
   * `lines`: [{name: "received", ids: [...]}, ...], or {name: "senders"} for what senders lost. A step that has not ended is left out, unless there is no other.
   */
  steps(seconds, lines, most = 240) {
    const end = this.times.at(-1);
    if (end === undefined) return [];
    const width = Math.max(1, Math.ceil(seconds / most));
    const columns = lines.map(({ name, ids }) => (name === "senders" ? [this.senders] : ids.map((id) => this.components[id]?.[name]).filter(Boolean)));
    const found = [];
    for (let i = 1; i < this.times.length; i += 1) {
      if (this.times[i] < end - seconds) continue;
      const slot = Math.floor(this.times[i] / width);
      let step = found.at(-1);
      if (!step || step.slot !== slot) {
        step = { slot, from: this.times[i - 1], to: 0, values: lines.map(() => 0) };
        found.push(step);
      }
      step.to = this.times[i];
      columns.forEach((of, line) => {
        for (const column of of) step.values[line] += column[i];
      });
    }
    if (width > 1 && found.length > 1) found.pop();
    for (const step of found) {
      const took = Math.max(0.001, step.to - step.from);
      step.values = step.values.map((sum) => sum / took);
    }
    return found;
  }
}
