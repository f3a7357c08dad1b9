// The base of a section that polls the node while it is visible: a subclass defines `ask`.

export class Polling {
  constructor(every) {
    this.every = every; // milliseconds between two polls
    this.timer = 0;
    this.running = false;
  }

  /** Start or stop polling. */
  run(running) {
    if (running === this.running) return;
    this.running = running;
    if (running) this.ask();
    else clearTimeout(this.timer);
  }

  askLater() {
    clearTimeout(this.timer);
    if (this.running) this.timer = setTimeout(() => this.ask(), this.every);
  }
}
