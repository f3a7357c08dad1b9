// The table of senders: who lost how much, and who is idle. The node sorts and searches; this shows the result.

import { get, Refused } from "./api.js";
import { command } from "./copy.js";
import { byId, el, say } from "./dom.js";
import { Polling } from "./polling.js";
import { count, duration, iso, messages, percent, visible } from "./words.js";

const EVERY = 2000;
const MOST = 100;
const DIRECTIONS = { lost: "descending", idle: "descending", received: "descending", name: "ascending" };

export class Senders extends Polling {
  /** `choose(name)` is called when a sender's messages are wanted. */
  constructor(choose) {
    super(EVERY);
    this.choose = choose;
    this.sort = "lost";
    this.turn = 0;
    this.search = byId("sender-search");
    this.ids = byId("sender-ids");
    this.ids.addEventListener("change", () => byId("sender-table").classList.toggle("ids", this.ids.checked));
    byId("sender-none").lastElementChild.append("add the filter Follow, ", command("--filter Follow"), ".");
    let typing = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.ask(), 250);
    });
    for (const button of byId("sender-table").querySelectorAll("button[data-sort]")) {
      button.addEventListener("click", () => {
        this.sort = button.dataset.sort;
        this.mark();
        this.ask();
      });
    }
    this.mark();
  }

  /** Show those whose name or label contains this. */
  find(text) {
    this.search.value = text;
    this.ask();
  }

  mark() {
    for (const button of byId("sender-table").querySelectorAll("button[data-sort]")) {
      const { sort } = button.dataset;
      const header = button.closest("th");
      if (sort === this.sort) header.setAttribute("aria-sort", DIRECTIONS[sort]);
      else header.removeAttribute("aria-sort");
    }
  }

  async ask() {
    clearTimeout(this.timer);
    const turn = (this.turn += 1);
    try {
      const found = await get("/senders", { sort: this.sort, search: this.search.value.trim(), limit: MOST });
      if (turn === this.turn) this.show(found);
    } catch (error) {
      if (error instanceof Refused && turn === this.turn) say(byId("sender-words"), error.message);
      // otherwise the node is gone, which the connection tells
    }
    if (turn === this.turn) this.askLater();
  }

  show({ totals, matching, senders, time }) {
    const none = totals === null;
    byId("sender-none").hidden = !none;
    byId("sender-some").hidden = none;
    if (none) return;
    const forgotten = totals.forgotten ? `, ${count(totals.forgotten)} forgotten` : "";
    const unstamped = totals.unstamped ? ` ${messages(totals.unstamped)} had no stamp, so their losses are unknown.` : "";
    const perhaps = totals.perhaps_lost ? ` (perhaps ${count(totals.perhaps_lost)} more)` : "";
    const ambiguous = totals.ambiguous ? ` ${messages(totals.ambiguous)} repeated an earlier number, as duplicates or after a restart: these senders\u2019 numbers are an estimate.` : "";
    const shown = senders.length < matching ? `The first ${count(senders.length)} of ${count(matching)}` : `${count(matching)}`;
    say(
      byId("sender-words"),
      `${shown} senders; of all: ${count(totals.received)} received, ${count(totals.lost)} lost in transit${perhaps}, ${count(totals.idle)} idle${forgotten}.${unstamped}${ambiguous}`,
    );
    const body = byId("sender-table").tBodies[0];
    while (body.rows.length > senders.length) body.lastElementChild.remove();
    while (body.rows.length < senders.length) body.append(this.row());
    senders.forEach((one, i) => fillRow(body.rows[i], one, time));
  }

  row() {
    const button = el("button", { type: "button", class: "link", title: "Show its messages", onclick: () => this.choose(button.closest("tr").dataset.name) });
    const cells = COLUMNS.map((label) => el("td", { role: "cell", "data-label": label }));
    return el("tr", { role: "row" }, el("th", { scope: "row", role: "rowheader" }, button, el("span", { class: "id" })), ...cells);
  }
}

const COLUMNS = ["Lost", "Idle for", "Received", "Late", "Duplicates", "Restarts", "Before"];

function fillRow(row, one, now) {
  row.dataset.name = one.name;
  const [name, lost, seen, received, late, duplicated, restarted, before] = row.cells;
  const button = name.firstElementChild;
  say(button, visible(one.label));
  say(name.lastElementChild, visible(one.name));
  say(received, count(one.received));
  const share = one.lost ? ` (${percent(one.lost / (one.lost + one.received))})` : "";
  say(lost, one.lost ? `\u25b2 ${count(one.lost)}${share}` : "0");
  lost.className = one.lost ? "bad" : "";
  say(seen, duration(now - one.seen));
  seen.setAttribute("title", iso(one.seen));
  say(late, count(one.late));
  say(duplicated, count(one.duplicated));
  say(restarted, count(one.restarted));
  say(before, count(one.before));
}
