// Losses and fill level from a component's counters. What is wrong with a node is in its own `verdict`.

import { count, visible } from "./words.js";

/** Why it lost how many: [["queue full", 3], ["failed", 1]]. */
export function reasons(component) {
  return [...Object.entries(component.dropped), ["failed", component.failed]].filter(([, number]) => number);
}

/** Messages that a component lost, and why: [lost, "3 queue full, 1 failed"]. */
export function losses(component) {
  const found = reasons(component);
  const lost = found.reduce((sum, [, number]) => sum + number, 0);
  return [lost, found.map(([reason, number]) => `${count(number)} ${visible(reason)}`).join(", ")];
}

/** How full it is, from 0 to 1; null without a bound; 1 if it drops messages because it is full. */
export const fill = (component) => (component.full ? 1 : component.capacity ? Math.min(1, component.buffered / component.capacity) : null);
