// Where the components of a chain stand: layers from `outputs`, and an order within each that crosses few edges.

/**
 * Returns {columns, rows, edges}: columns of [{id, component}], where a component of null keeps a place free for an
 * edge that passes; edges as {from, to, via: [ids of such places]}.
 */
export function layout(components) {
  const known = new Map(components.map((one) => [one.id, one]));
  const sources = new Map(components.map((one) => [one.id, []]));
  const links = [];
  for (const one of components) {
    for (const to of new Set(one.outputs)) {
      if (!known.has(to)) continue;
      sources.get(to).push(one.id);
      links.push([one.id, to]);
    }
  }
  const layer = depths(components, known, sources);
  const columns = [];
  for (const one of components) (columns[layer.get(one.id)] ??= []).push({ id: one.id, component: one });
  const before = new Map(components.map((one) => [one.id, [...sources.get(one.id)]]));
  const edges = links.map(([from, to]) => {
    const via = [];
    for (let between = layer.get(from) + 1; between < layer.get(to); between += 1) {
      const id = `${from}\n${to}\n${between}`;
      columns[between].push({ id, component: null });
      before.set(id, [via.at(-1) ?? from]);
      via.push(id);
    }
    if (via.length) before.get(to).push(via.at(-1));
    return { from: known.get(from), to: known.get(to), via, rate: edgeRate(known.get(from), known.get(to), sources) };
  });
  order(columns, before, known);
  return { columns, rows: Math.max(1, ...columns.map((column) => column.length)), edges };
}

/** How many steps each component is from the inputs, at most; an input stands right before what it leads to. */
function depths(components, known, sources) {
  const layer = new Map();
  const visit = (id, onTheWay) => {
    if (layer.has(id)) return layer.get(id);
    if (onTheWay.has(id)) return 0; // a loop, which a chain never has: still drawn
    onTheWay.add(id);
    const before = sources.get(id).map((source) => visit(source, onTheWay) + 1);
    onTheWay.delete(id);
    layer.set(id, Math.max(0, ...before));
    return layer.get(id);
  };
  for (const one of components) visit(one.id, new Set());
  for (const one of components) {
    const next = one.outputs.filter((id) => known.has(id)).map((id) => layer.get(id));
    if (one.kind === "input" && next.length) layer.set(one.id, Math.max(0, Math.min(...next) - 1));
  }
  const used = [...new Set(layer.values())].sort((a, b) => a - b);
  for (const [id, depth] of layer) layer.set(id, used.indexOf(depth));
  return layer;
}

/** Each column in the order of what stands before it, and then in the order that this hands messages out. */
function order(columns, before, known) {
  const row = new Map();
  for (const column of columns) {
    const weight = (one) => {
      const sources = before.get(one.id).filter((id) => row.has(id));
      if (!sources.length) return 0;
      const turn = Math.max(0, known.get(sources[0])?.outputs.indexOf(one.component?.id ?? one.id.split("\n")[1]) ?? 0);
      return sources.reduce((sum, id) => sum + row.get(id), 0) / sources.length + turn / 1000;
    };
    const weights = new Map(column.map((one) => [one, weight(one)]));
    column.sort((a, b) => weights.get(a) - weights.get(b));
    column.forEach((one, position) => row.set(one.id, position));
  }
}

/** Messages a second over the edge between two components, as far as their counters tell. */
function edgeRate(from, to, sources) {
  if (sources.get(to.id).length === 1) return to.in_rate;
  return from.out_rate / Math.max(1, from.outputs.length);
}
