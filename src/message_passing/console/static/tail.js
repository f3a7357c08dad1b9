// The section with live messages: newest first, held still while the user reads; says what it does not show.

import { hasToken } from "./api.js";
import { command, quoted } from "./copy.js";
import { byId, el, say } from "./dom.js";
import { Filters } from "./filters.js";
import { row } from "./row.js";
import { LIMIT, Stream, tooMuch } from "./stream.js";
import { count, messages } from "./words.js";

export class Tail {
  constructor() {
    this.list = byId("messages");
    this.button = byId("pause");
    this.paused = false;
    this.reading = false; // held because the list has the focus, is pointed at, or is not at its top
    this.frame = 0;
    this.sizes = []; // of the messages in the list, newest first
    this.size = 0;
    this.shown = this.unsent = this.meanwhile = 0;
    this.seconds = []; // [shown, not shown] of the last seconds
    this.filters = new Filters(() => this.follow(), () => this.busy(true));
    this.stream = new Stream({ changed: () => this.later(), opened: () => this.tell(""), trouble: (text) => this.tell(text) });
    this.button.addEventListener("click", () => this.toggle());
    byId("clear").addEventListener("click", () => this.clear());
    this.list.addEventListener("focusin", () => this.hold(true));
    this.list.addEventListener("focusout", (event) => this.hold(this.list.contains(event.relatedTarget)));
    this.list.addEventListener("toggle", () => this.hold(this.list.contains(document.activeElement)), true);
    this.list.addEventListener("pointermove", (event) => event.pointerType !== "touch" && this.hold(true));
    this.list.addEventListener("pointerleave", () => this.hold(this.list.contains(document.activeElement)));
    this.list.addEventListener("scroll", () => this.hold(this.list.matches(":hover") || this.list.contains(document.activeElement)));
    setInterval(() => this.count(), 1000);
  }

  /** Follow the filters; messages shown for earlier filters are removed. */
  follow() {
    this.clear();
    this.paused = this.reading = false;
    this.mark();
    this.busy(true);
    this.stream.follow(this.filters.query());
    const text = this.command();
    const element = byId("tail-command");
    if (element.dataset.text !== text) element.replaceChildren(command(text));
    element.dataset.text = text;
  }

  /** What shows the same in a terminal. */
  command() {
    const { at, level, field, search, where } = this.filters.query();
    const words = ["message-passing", "tail", location.origin];
    for (const [name, values] of Object.entries({ at: [at], level: [level], field, search: [search], where: [where] })) {
      for (const value of values) if (value) words.push(`--${name}`, quoted(value));
    }
    if (hasToken()) words.push("--token", "env:TOKEN");
    return words.join(" ");
  }

  /** Whether what is shown is not yet what is asked for. */
  busy(yes) {
    this.list.setAttribute("aria-busy", String(yes));
  }

  /** Show what this component is given. */
  lookAt(id) {
    this.filters.at.value = id;
    this.follow();
  }

  /** The node restarted: mark it between the messages, and continue. */
  restarted() {
    if (this.list.children.length) this.insert([el("li", { class: "divider" }, "The node restarted")], [0]);
    this.stream.follow(this.filters.query());
  }

  /** Where senders connect to, shown until the first message arrives. */
  offer(state) {
    this.filters.offer(state);
    const inputs = state.components.filter((one) => one.kind === "input" && !one.errors && one.listens);
    const endpoints = inputs.flatMap((one) => one.endpoints).slice(0, 3);
    const text = endpoints.join(" ");
    const element = byId("messages-where");
    if (element.dataset.text === text) return;
    element.dataset.text = text;
    element.replaceChildren(...(text ? [" Senders connect to ", ...endpoints.map((one) => command(one))] : []));
  }

  watch(watched) {
    if (!watched) this.stream.stop();
    else if (!this.stream.running) this.stream.follow(this.filters.query());
  }

  toggle() {
    const still = this.paused || this.reading;
    this.paused = !still;
    this.reading = false;
    if (still) this.list.scrollTop = 0; // what comes is above what was read
    if (still && this.list.contains(document.activeElement)) this.button.focus();
    this.mark();
    this.later();
  }

  /** Hold the list still while it is used; it continues when the focus leaves and no message is open. */
  hold(here) {
    const reading = !this.paused && (here || this.list.scrollTop > 0 || this.list.querySelector("details[open]") !== null);
    if (reading === this.reading) return;
    this.reading = reading;
    this.mark();
    this.later();
  }

  clear() {
    this.list.replaceChildren();
    this.sizes = [];
    this.size = this.shown = this.unsent = this.meanwhile = 0;
    this.stream.taken();
    this.seconds = [];
    this.count();
  }

  mark() {
    const still = this.paused || this.reading;
    this.button.setAttribute("aria-pressed", String(still));
    say(this.button, still ? "Resume" : "Pause");
    this.list.classList.toggle("still", still);
    if (!still) this.meanwhile = 0;
    this.words();
  }

  /** Show what has come with the next frame: once, however much comes until then. */
  later() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    if (this.paused || this.reading) return; // the stream keeps the newest, and counts
    const { waiting, came, missed } = this.stream.taken();
    const choose = (path, value) => this.filters.add(path, value);
    this.insert(waiting.map((one) => row(one, choose)).reverse(), waiting.map((one) => one.size).reverse());
    this.book(waiting.length, missed + came - waiting.length);
  }

  insert(rows, sizes) {
    if (!rows.length) return;
    this.list.prepend(...rows);
    this.sizes.unshift(...sizes);
    this.size += sizes.reduce((a, b) => a + b, 0);
    while (tooMuch(this.sizes.length, this.size)) {
      this.size -= this.sizes.pop();
      this.list.lastElementChild.remove();
    }
    byId("messages-none").hidden = true;
  }

  book(shown, unsent) {
    this.shown += shown;
    this.unsent += unsent;
    this.now = [(this.now?.[0] ?? 0) + shown, (this.now?.[1] ?? 0) + unsent];
  }

  /** Once a second: what came in the last seconds, in words. */
  count() {
    if (this.paused || this.reading) {
      const { came, missed } = this.stream;
      this.meanwhile = came + missed;
    }
    this.seconds = [...this.seconds, this.now ?? [0, 0]].slice(-3);
    this.now = null;
    byId("messages-none").hidden = this.list.children.length > 0;
    this.words();
  }

  words() {
    const seconds = this.seconds.length || 1;
    const [shown, unsent] = this.seconds.reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]).map((sum) => sum / seconds);
    const wanted = this.filters.words();
    let text;
    if (this.paused || this.reading) {
      text = `${this.paused ? "Paused" : "Held while you read"}. ${messages(this.meanwhile)} arrived meanwhile.`;
    } else if (unsent >= 1) {
      text = `Shows ${count(shown)} of about ${count(shown + unsent)} messages a second: at most ${LIMIT}. Not shown so far: ${count(this.unsent)}.`;
    } else {
      text = `Shows all: ${count(shown)} a second.${this.unsent ? ` Not shown before: ${count(this.unsent)}.` : ""}`;
    }
    say(byId("tail-words"), `${text} ${count(this.shown)} shown in total.`);
    say(byId("messages-none").firstElementChild, wanted ? `No message yet that is ${wanted}.` : "No message yet.");
    byId("messages-where").hidden = Boolean(wanted);
  }

  /** What is wrong with the stream; "" if nothing is. */
  tell(text) {
    const element = byId("tail-state");
    element.hidden = !text;
    const wrong = text.startsWith("where: "); // the node's name of the parameter
    say(element, wrong ? text.replace("where", "Condition") : text);
    this.filters.condition.setAttribute("aria-invalid", String(wrong));
    this.busy(false);
  }
}
