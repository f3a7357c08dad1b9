// Puts the parts of the page together: one connection to the node, and what each part does with its state.

import { findToken, hasToken } from "./api.js";
import { ChainSection } from "./chain.js";
import { Connection } from "./connection.js";
import { byId, say } from "./dom.js";
import { Errors } from "./errors.js";
import { History } from "./history.js";
import { showGone, showHeadline } from "./headline.js";
import { listen } from "./keys.js";
import { Losses } from "./losses.js";
import { Senders } from "./senders.js";
import { askForToken, hideSignIn } from "./sign_in.js";
import { Tail } from "./tail.js";
import { clock, duration } from "./words.js";

const HIDDEN = 30_000; // so long a page may be hidden before it leaves the node alone

const tail = new Tail();
const history = new History();
const errors = new Errors();
const ofSender = (name) => {
  tail.filters.add("sender", name);
  show("messages-section");
};
const senders = new Senders(ofSender);
const findSender = (label) => {
  senders.find(label);
  show("senders-section");
};
const chain = new ChainSection({
  tail: (id) => {
    tail.lookAt(id);
    show("messages-section");
  },
  history: (id) => {
    history.lookAt(id);
    show("history-section");
  },
});
const losses = new Losses({ component: (id) => go(id), sender: ofSender, find: findSender });
let started = false; // a first state has come
let restarted = "";

function show(id) {
  const section = byId(id);
  section.scrollIntoView();
  section.querySelector("h2").focus({ preventScroll: true });
}

/** Lead to what a sentence at the top is about. */
function go(where) {
  if (where === "senders" || where === "errors") {
    show(`${where}-section`);
    return;
  }
  if (where !== "chain") chain.choose(where);
  show("chain-section");
}

function run(running) {
  history.run(running);
  senders.run(running);
  losses.run(running);
  tail.watch(running);
}

/** What is announced to screen readers, and what changes too often for that. */
function status(kind, text, more = "") {
  byId("status").className = kind;
  say(byId("status-words"), text);
  say(byId("status-more"), more);
}

const connection = new Connection({
  state(state, isNew) {
    hideSignIn();
    byId("console").hidden = false;
    byId("sections").hidden = byId("keyboard-section").hidden = false;
    byId("sign-out").hidden = !hasToken();
    tail.offer(state);
    history.offer(state.components);
    if (isNew) {
      errors.forget();
      losses.forget();
      history.forget();
      if (started) {
        restarted = ` The node restarted at ${clock(state.started)}.`;
        chain.choose("");
        tail.restarted();
      }
    }
    started = true;
    status("live", `Connected.${restarted}`);
    showHeadline(state, go);
    losses.follow(state);
    chain.show(state);
    errors.follow(state.errors);
    byId("console").classList.remove("stale");
    run(true);
  },
  gone(seconds) {
    status("gone", "The node is gone, trying again.", seconds < 3 ? "" : `No answer for ${duration(seconds)}.`);
    showGone(Date.now() - seconds * 1000);
    byId("console").classList.add("stale");
  },
  refused(sentence) {
    status("gone", `The node refused this page: ${sentence}`);
  },
  token() {
    run(false);
    const text = hasToken() ? "The node does not know this token." : "The node requires a token.";
    status("waiting", text);
    byId("console").hidden = true;
    byId("sections").hidden = byId("keyboard-section").hidden = true;
    askForToken(hasToken() ? text : "", () => connection.ask());
  },
});

let leaving = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  const watch = (watched) => {
    connection.watch(watched);
    if (started) run(watched);
  };
  if (document.hidden) leaving = setTimeout(() => watch(false), HIDDEN);
  else watch(true);
});

listen({
  "/": () => byId("search").focus(),
  p: () => tail.toggle(),
});

addEventListener("hashchange", () => {
  if (!location.hash.startsWith("#token=")) return;
  findToken();
  connection.ask();
});
findToken();
connection.ask();
