// Requests to the node: the one place that handles the token and errors.

const KEY = "message-passing-token";
let token = "";

/** The node requires a token, or rejected this one. */
export class TokenWanted extends Error {}

/** The node rejected the request; the message is for people, `status` is the response's. */
export class Refused extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** Not now: too many requests. */
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

/** The query string of these parameters; lists are repeated, empty ones omitted. */
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

/** Send a request and check the response. Throws TokenWanted, Refused, Busy, or what `fetch` throws when nothing is there. */
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

/** The decoded answer; abandoned after some seconds. */
export async function get(path, query, seconds = 8) {
  const answer = await ask(path, query, AbortSignal.timeout(seconds * 1000));
  return answer.json();
}
