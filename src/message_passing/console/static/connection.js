// Polls the node's state every second, and reports when it goes, comes back, or restarts.

import { get, Refused, TokenWanted } from "./api.js";

const EVERY = 1000;
const SLOWLY = 5000; // after a minute without an answer

export class Connection {
  /** `on` has state(state, isNew), gone(seconds), token() and refused(sentence). */
  constructor(on) {
    this.on = on;
    this.identity = "";
    this.goneSince = 0;
    this.timer = 0;
    this.asking = false;
    this.watched = true;
  }

  /** Ask now, and then again and again. */
  async ask() {
    clearTimeout(this.timer);
    if (this.asking) return;
    this.asking = true;
    let again = EVERY;
    try {
      this.answered(await get("/state", {}, 5));
    } catch (error) {
      if (error instanceof TokenWanted) {
        again = 0; // until there is one
        this.on.token();
      } else if (error instanceof Refused) {
        again = SLOWLY;
        this.on.refused(error.message);
      } else {
        this.goneSince ||= Date.now();
        const seconds = (Date.now() - this.goneSince) / 1000;
        again = seconds > 60 ? SLOWLY : EVERY;
        this.on.gone(seconds);
      }
    }
    this.asking = false;
    if (again && this.watched) this.timer = setTimeout(() => this.ask(), again);
  }

  answered(state) {
    const identity = `${state.host} ${state.pid} ${state.started}`;
    const isNew = identity !== this.identity;
    this.identity = identity;
    this.goneSince = 0;
    this.on.state(state, isNew);
  }

  /** A hidden page does not poll the node until it is visible again. */
  watch(watched) {
    if (watched === this.watched) return;
    this.watched = watched;
    if (watched) this.ask();
    else clearTimeout(this.timer);
  }
}
