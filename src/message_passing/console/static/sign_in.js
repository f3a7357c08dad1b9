// The sign-in form for the node's token, and signing out.

import { useToken } from "./api.js";
import { byId, say } from "./dom.js";

let given = () => {};

/** Ask for the token; `trouble` says what was wrong with the last one, `then` is called when there is a new one. */
export function askForToken(trouble, then) {
  given = then;
  byId("sign-in").hidden = false;
  say(byId("sign-in-node"), location.host);
  say(byId("token-trouble"), trouble);
  const field = byId("token");
  if (trouble) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
  field.focus();
}

export function hideSignIn() {
  byId("sign-in").hidden = true;
  show(false);
}

function show(yes) {
  byId("token").type = yes ? "text" : "password";
  byId("token-show").setAttribute("aria-pressed", String(yes));
  say(byId("token-show"), yes ? "Hide" : "Show");
}

byId("token-show").addEventListener("click", () => show(byId("token").type === "password"));

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(byId("token").value);
  byId("token").value = "";
  show(false);
  given();
});

byId("sign-out").addEventListener("click", () => {
  useToken("");
  location.reload(); // nothing of what was shown stays
});
