// What a component's counters say: its losses, and how full it is. What is wrong with a node, it says itself: `verdict`.

import { count, visible } from "./words.js";

/** Messages that a component lost, and why: [lost, "3 queue full, 1 failed"]. */
export function losses(component) {
  const reasons = Object.entries(component.dropped).filter(([, number]) => number);
  if (component.failed) reasons.push(["failed", component.failed]);
  const lost = reasons.reduce((sum, [, number]) => sum + number, 0);
  return [lost, reasons.map(([reason, number]) => `${count(number)} ${visible(reason)}`).join(", ")];
}

/** How full it is, from 0 to 1; null when nothing bounds what it holds. */
export const fill = (component) => (component.full ? 1 : component.capacity ? Math.min(1, component.buffered / component.capacity) : null);
