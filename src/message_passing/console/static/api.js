// Asking the node: one place that knows about the token and what can go wrong.

const KEY = "message-passing-token";
let token = "";

/** The node wants a token, or another one. */
export class TokenWanted extends Error {}

/** The node answered that the question was wrong; its sentence is for people, `status` the answer's. */
export class Refused extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** Not now: too many others ask. */
export class Busy extends Error {}

/** Take the token from the address (`#token=...`), which is then cleared, or from this tab's memory. */
export function findToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) {
    history.replaceState(null, "", location.pathname + location.search);
    useToken(given);
    return;
  }
  try {
    token = sessionStorage.getItem(KEY) ?? "";
  } catch {
    token = ""; // storage is switched off: the token lives as long as the page
  }
}

/** Use this token from now on. */
export function useToken(text) {
  token = text.trim();
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // as above
  }
}

export const hasToken = () => token !== "";

/** The query with what is given; lists become several, empty ones none. */
function withQuery(path, query = {}) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== "" && one !== null && one !== undefined) words.append(name, one);
    }
  }
  const text = words.toString();
  return text ? `${path}?${text}` : path;
}

/** Ask, and check that it was answered. Raises TokenWanted, Refused, Busy, or what `fetch` raises when nobody is there. */
export async function ask(path, query, signal) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(withQuery(path, query), { headers, signal, cache: "no-store", credentials: "omit" });
  if (answer.ok) return answer;
  if (answer.status === 401) throw new TokenWanted();
  let sentence = `the node answered ${answer.status}`;
  try {
    sentence = (await answer.json()).error ?? sentence;
  } catch {
    // not one of its own answers
  }
  if (answer.status === 503) throw new Busy(sentence);
  if (answer.status >= 500) throw new Error(sentence);
  throw new Refused(sentence, answer.status);
}

/** The decoded answer, given up after some seconds. */
export async function get(path, query, seconds = 8) {
  const answer = await ask(path, query, AbortSignal.timeout(seconds * 1000));
  return answer.json();
}
