// What an operator should know first, in sentences, from the node's state. The worst comes first.

import { count, duration, messages, nameOf, percent, rate, visible } from "./words.js";

const FULL = 0.5; // share of a component's room from which it counts as filling up
const SLOW = 0.5; // share of the chain's time from which a component is called slow

/** Messages that a component lost, and why: [lost, "3 queue full, 1 failed"]. */
export function losses(component) {
  const reasons = Object.entries(component.dropped).filter(([, number]) => number);
  if (component.failed) reasons.push(["failed", component.failed]);
  const lost = reasons.reduce((sum, [, number]) => sum + number, 0);
  return [lost, reasons.map(([reason, number]) => `${count(number)} ${visible(reason)}`).join(", ")];
}

/** How full it is, from 0 to 1; null when nothing bounds what it holds. */
export const fill = (component) => (component.capacity ? Math.min(1, component.held / component.capacity) : null);

/** The component in which the chain spends most of its time, when that is a lot; else null. */
export function slowest(components) {
  const timed = components.filter((one) => one.busy !== null && one.busy !== undefined);
  const most = timed.reduce((best, one) => (!best || one.busy > best.busy ? one : best), null);
  return most && most.busy >= SLOW ? most : null;
}

/** What state a component is in: "bad" (losing now), "lost" (has lost), "warn" (filling up) or "". */
export function condition(component) {
  if (component.lost_rate > 0) return "bad";
  if ((fill(component) ?? 0) >= FULL) return "warn";
  return losses(component)[0] ? "lost" : "";
}

/** [{weight: "bad" | "warn" | "note" | "good", text, where: id of the component or of a section}] */
export function verdict(state) {
  const found = [];
  const add = (weight, text, where) => found.push({ weight, text, where });
  if (state.stopping) add("warn", "The node is stopping.", "chain");
  else if (!state.ready) add("warn", "The node is not ready yet.", "chain");
  for (const one of state.components) {
    const name = nameOf(one);
    const [lost, why] = losses(one);
    if (one.lost_rate > 0) add("bad", `${name} is losing ${rate(one.lost_rate)}; so far ${why}.`, one.id);
    else if (lost) add("warn", `${name} has lost ${messages(lost)}: ${why}. None in the last second.`, one.id);
    const full = fill(one);
    if (full !== null && full >= FULL) {
      const how = full >= 0.95 ? "is full" : "is filling up";
      add(full >= 0.95 ? "bad" : "warn", `${name} ${how}: ${count(one.held)} of ${count(one.capacity)} messages are buffered.`, one.id);
    }
    for (const note of one.notes) add("note", `${name}: ${visible(note)}`, one.id);
  }
  ofSenders(state.senders, add);
  if (state.lag === null) add("warn", "The chain has not responded for a second: it is blocked.", "chain");
  else if (state.lag > 0.2) add("warn", `The event loop is delayed by ${Math.round(state.lag * 1000)} ms.`, "chain");
  const slow = slowest(state.components);
  if (slow) add("warn", `${nameOf(slow)} is the slowest component: it takes ${percent(slow.busy)} of ${slow.in_workers ? "the workers'" : "the chain's"} time.`, slow.id);
  for (const one of state.workers) {
    if (!one.ready) add("warn", `Worker ${one.number} is not ready.`, "chain");
  }
  if (state.errors.last) ofErrors(state, add);
  const order = ["bad", "warn", "note"];
  found.sort((a, b) => order.indexOf(a.weight) - order.indexOf(b.weight));
  if (!found.length) add("good", "All is well: nothing was lost, and no queue is filling up.", "chain");
  return found;
}

function ofSenders(senders, add) {
  if (!senders) return;
  if (senders.lost) {
    add("warn", `${messages(senders.lost)} did not arrive from their senders: see who, in the table.`, "senders");
  }
  if (senders.silent) {
    add("note", `${count(senders.silent)} of ${count(senders.senders)} senders ${senders.silent === 1 ? "is" : "are"} idle.`, "senders");
  }
}

function ofErrors(state, add) {
  const { last, count: number } = state.errors;
  const ago = duration(state.time - last.time);
  const sum = number === 1 ? "1 error" : `${count(number)} errors`;
  add("warn", `${sum}; the last ${ago} ago, in ${visible(last.component)}: ${visible(last.error).slice(0, 200)}`, "errors");
}
