// A button that copies, and commands in sentences with one beside them.

import { el } from "./dom.js";
import { visible } from "./words.js";

const SHOWN = 2000; // milliseconds for which the result is shown

/** A button that copies `text`, or its result if it is a function. */
export function copyButton(text, words = "Copy") {
  const button = el("button", { type: "button", class: "copy" }, words);
  let timer = 0;
  button.addEventListener("click", async () => {
    const done = await copy(typeof text === "function" ? text() : text);
    button.textContent = done ? "Copied" : "Copying blocked";
    clearTimeout(timer);
    timer = setTimeout(() => (button.textContent = words), SHOWN);
  });
  return button;
}

/** The clipboard API exists for https and localhost only; elsewhere the old way may work. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = el("textarea", { class: "unseen", "aria-hidden": "true", tabindex: -1 });
    field.value = text;
    const before = document.activeElement;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    before?.focus({ preventScroll: true });
    return done;
  }
}

/** A command as code, with a button that copies it. */
export function command(text) {
  const code = el("code", {}, visible(text));
  return el("span", { class: "command" }, code, " ", copyButton(() => text));
}

const COMMAND = /`([^`]{1,400})`|(?<=: )(message-passing [\x20-\x7e]{1,400})$/g;
const OURS = /^message-passing(?: (?:[\w@%+=:,./*-]|'[\x20-\x26\x28-\x7e]*')+)+$/; // one command, which nothing follows

/** A sentence, its commands as code; those of ours can be copied. It may contain untrusted text, and what is copied will be run. */
export function withCommands(text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(COMMAND)) {
    const words = found[1] ?? found[2];
    parts.push(visible(text.slice(from, found.index)));
    parts.push(OURS.test(words) ? command(words) : el("code", {}, visible(words)));
    from = found.index + found[0].length;
  }
  return [...parts, visible(text.slice(from))];
}

/** A word as a POSIX shell takes it. */
export const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
