// Single keys: / for the search, p to pause. They can be switched off, for people who use dictation or hit keys by accident.

import { byId } from "./dom.js";

const NAME = "message-passing-keys";

function remembered() {
  try {
    return localStorage.getItem(NAME) !== "off";
  } catch {
    return true; // storage is switched off
  }
}

/** `keys` are {"/": function, ...}; nothing happens while the user types, or with Ctrl, Alt or Meta. */
export function listen(keys) {
  const box = byId("keys-on");
  box.checked = remembered();
  box.addEventListener("change", () => {
    try {
      localStorage.setItem(NAME, box.checked ? "on" : "off");
    } catch {
      // then for this time only
    }
  });
  document.addEventListener("keydown", (event) => {
    if (!box.checked || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = Object.hasOwn(keys, event.key) ? keys[event.key] : null;
    if (!act || byId("console").hidden) return;
    event.preventDefault();
    act();
  });
}
