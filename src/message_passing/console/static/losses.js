// What was lost, by reason and by sender: since the start from the counters, or in a time from the node's ledger.

import { get } from "./api.js";
import { command } from "./copy.js";
import { reasons } from "./counters.js";
import { byId, el, say } from "./dom.js";
import { Polling } from "./polling.js";
import { count, messages, oneLine, visible, when } from "./words.js";

const EVERY = 5000;
const MOST = 8; // rows of each table
const NOT_ARRIVED = "did not arrive"; // the ledger's reason for what senders lost

export class Losses extends Polling {
  /** `on` has component(id), sender(name) and find(label), which lead to what a row is about. */
  constructor(on) {
    super(EVERY);
    this.on = on;
    this.state = null;
    this.senders = []; // who lost most, as the table of senders has them
    this.ledger = null; // what it answered; null while nobody asked for a time
    this.range = byId("losses-range");
    this.range.addEventListener("change", () => this.ask());
    byId("losses-unknown").lastElementChild.append("add the filter Follow, ", command("--filter Follow"), ".");
  }

  /** Another node, or the same one started again. */
  forget() {
    this.senders = [];
    this.ledger = this.state = null;
  }

  async ask() {
    clearTimeout(this.timer);
    await Promise.allSettled([this.askSenders(), this.askLedger()]);
    this.show();
    this.askLater();
  }

  async askSenders() {
    if (!this.state?.totals.lost_by_senders) return;
    const found = await get("/senders", { sort: "lost", limit: MOST });
    this.senders = found.senders.filter((one) => one.lost);
  }

  /** The ledger, which a node may be without: then there is nothing to choose. Its clock may be another than ours. */
  async askLedger() {
    const seconds = this.state?.ledger ? Number(this.range.value) : 0;
    const until = this.state?.time;
    this.ledger = seconds ? await get("/losses", { since: until - seconds, until: until + 1 }) : null;
  }

  follow(state) {
    const before = this.state;
    this.state = state;
    byId("losses-control").hidden = !state.ledger;
    if (!before || before.totals.lost_by_senders !== state.totals.lost_by_senders) this.soon();
    if (!this.range.value) this.show();
  }

  /** Senders have lost more: the table is worth a question, one a second at most. */
  soon() {
    this.wanted ??= setTimeout(async () => {
      this.wanted = undefined;
      await this.askSenders().catch(() => {});
      this.show();
    }, 1000);
  }

  show() {
    if (!this.state) return;
    const rows = this.ledger ? ledgerRows(this.ledger) : this.counted();
    const bySenders = this.state.totals.lost_by_senders;
    const here = this.ledger ? rows.lost : rows.here.reduce((sum, row) => sum + row.count, 0);
    const away = this.ledger ? rows.notArrived : (bySenders ?? 0);
    const since = this.ledger ? "in this time" : `since the start at ${when(this.state.started)}`;
    const parts = [here ? `${messages(here)} here` : "", away ? `${messages(away)} by senders` : ""].filter(Boolean);
    say(byId("losses-words"), parts.length ? `Lost ${since}: ${parts.join(", ")}.` : `Nothing lost here ${since}${bySenders === null ? "" : ", nor on the way"}.`);
    byId("losses-unknown").hidden = bySenders !== null;
    table("losses-here", rows.here, (row) => [link(row.name, () => this.on.component(row.name)), el("td", { class: "words" }, visible(row.reason))]);
    table("losses-senders", rows.senders, (row) => [link(row.label, () => (row.name === null ? this.on.find(row.label) : this.on.sender(row.name)), row.name)]);
  }

  counted() {
    const main = this.state.components.filter((one) => !one.errors);
    const here = main.flatMap((one) => reasons(one).map(([reason, lost]) => ({ name: one.id, reason, count: lost })));
    here.sort((a, b) => b.count - a.count);
    return { here, senders: this.senders.map((one) => ({ name: one.name, label: one.label ?? one.name, count: one.lost })) };
  }
}

/** As the ledger has them: by reason, among which what senders lost is one, and by sender. Of both it tells the
 * largest only: the sums are those of the minutes. */
function ledgerRows({ by_reason: byReason, by_sender: bySender, minutes }) {
  const here = byReason.filter((one) => one.reason !== NOT_ARRIVED);
  return {
    here: here.map((one) => ({ name: one.component, reason: one.reason, count: one.count })),
    senders: bySender.map((one) => ({ name: null, label: one.sender, count: one.count })),
    lost: minutes.reduce((sum, one) => sum + one.lost, 0),
    notArrived: minutes.reduce((sum, one) => sum + one.not_arrived, 0),
  };
}

function link(words, choose, title = null) {
  return el("th", { scope: "row" }, el("button", { type: "button", class: "link", title: title === null ? null : visible(title), onclick: choose }, oneLine(words, 80)));
}

/** Show the first rows, and how many more there are; rebuilt only when they change. */
function table(id, rows, cells) {
  const element = byId(id);
  const text = JSON.stringify(rows);
  element.hidden = !rows.length;
  if (element.dataset.rows === text) return;
  element.dataset.rows = text;
  const shown = rows.slice(0, MOST).map((row) => el("tr", {}, ...cells(row), el("td", { class: "bad" }, count(row.count))));
  const span = element.tHead.rows[0].cells.length;
  const more = rows.length - MOST;
  if (more > 0) shown.push(el("tr", {}, el("td", { colspan: span, class: "faint" }, `and ${count(more)} more`)));
  element.tBodies[0].replaceChildren(...shown);
}
