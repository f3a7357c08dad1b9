// The live stream of messages from the node: reopened automatically, and counted whether shown or not.

import { ask, Busy, Refused, TokenWanted } from "./api.js";
import { readLines } from "./lines.js";

export const LIMIT = 200; // messages a second that are asked for: more than anybody reads
export const KEPT = 500; // messages that wait to be shown, and that stay in the page
const HEAVY = 16_000_000; // characters of them

export class Stream {
  /** `on` has changed(): something came; opened(): the node has begun; trouble(text): it has not, or no more. */
  constructor(on) {
    this.on = on;
    this.query = {};
    this.waiting = []; // newest last: {time, message, size}
    this.size = 0;
    this.came = 0; // since the last take()
    this.missed = 0;
    this.stopper = null;
    this.timer = 0;
  }

  /** Follow this query from now on. */
  follow(query) {
    this.query = query;
    this.stop();
    this.open(new AbortController());
  }

  stop() {
    clearTimeout(this.timer);
    this.stopper?.abort();
    this.stopper = null;
  }

  get running() {
    return this.stopper !== null;
  }

  async open(stopper) {
    this.stopper = stopper;
    try {
      const answer = await ask("/tail", { ...this.query, limit: LIMIT }, stopper.signal);
      let first = true;
      await readLines(answer.body, (value, size) => {
        if (stopper !== this.stopper) return;
        if (first) this.on.opened(); // its first line says that it looks from now on
        first = false;
        this.take(value, size);
      });
      if (stopper === this.stopper) this.on.trouble("The stream has ended; reconnecting.");
    } catch (error) {
      if (stopper !== this.stopper) return;
      if (error instanceof Refused) {
        this.on.trouble(error.message);
        return; // the same question would be refused again
      }
      if (error instanceof TokenWanted) return; // it is followed again when there is one
      this.on.trouble(error instanceof Busy ? `The node answered: ${error.message}.` : "No messages: the node is gone. Reconnecting.");
    }
    if (stopper === this.stopper) this.timer = setTimeout(() => this.open(new AbortController()), 1000);
  }

  take(value, size) {
    if (value.missed) this.missed += value.missed;
    else if ("message" in value) {
      this.came += 1;
      this.waiting.push({ time: value.time, message: value.message, size });
      this.size += size;
      while (this.waiting.length > KEPT || (this.size > HEAVY && this.waiting.length > 1)) {
        this.size -= this.waiting.shift().size;
      }
    } else return;
    this.on.changed();
  }

  /** What waits to be shown (oldest first), how many came, and how many the node did not send; all is then forgotten. */
  taken() {
    const { waiting, came, missed } = this;
    this.waiting = [];
    this.size = this.came = this.missed = 0;
    return { waiting, came, missed };
  }
}

/** Whether a list that weighs so much must lose its oldest. */
export const tooMuch = (length, size) => length > KEPT || (size > HEAVY && length > 1);
