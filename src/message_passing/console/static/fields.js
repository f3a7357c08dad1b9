// What a message says: its level, text and sender in any of the field sets that the log handler can send.

const NAMES = {
  level: ["level", "log.level", "@fields.level", "SeverityText", "levelname", "severity"],
  text: ["message", "@message", "Body", "text", "msg", "event", "exception"],
  from: ["sender", "service", "service.name", "@fields.sender", "@fields.service", "Attributes.sender", "component", "logger", "@source_host"],
};

const TRACES = [
  ["exception", "traceback"],
  ["error.stack_trace"],
  ["error", "stack_trace"],
  ["@fields", "exception", "traceback"],
  ["Attributes", "exception.stacktrace"],
  ["exc_text"],
  ["exc_info"],
  ["traceback"],
  ["stack_trace"],
  ["stack"],
  ["@fields", "stack"],
  ["exception"],
];

const LEVELS = { TRACE: 5, DEBUG: 10, INFO: 20, NOTICE: 25, WARN: 30, WARNING: 30, ERROR: 40, ERR: 40, CRITICAL: 50, FATAL: 50, ALERT: 60, EMERGENCY: 70, EMERG: 70 };

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const own = (value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined);

/** The value at a dotted path; a key with dots in it is found as such, as the node does. */
export function at(message, path) {
  const whole = own(message, path);
  if (whole !== undefined) return whole;
  const dot = path.indexOf(".");
  return dot < 0 ? undefined : at(own(message, path.slice(0, dot)), path.slice(dot + 1));
}

function first(message, names) {
  for (const name of names) {
    const found = at(message, name);
    if (typeof found === "string" || typeof found === "number") return String(found);
  }
  return "";
}

/** The level as the message names it, and how it is shown: trouble, warning or nothing. */
export function level(message) {
  const name = first(message, NAMES.level);
  const number = Number(at(message, "level_number") ?? LEVELS[name.toUpperCase()] ?? name);
  const weight = number >= 40 ? "bad" : number >= 30 ? "warn" : number < 20 ? "faint" : "";
  return { name, weight };
}

/** One line for the list: what it says, else all of it. */
export function text(message) {
  if (!isObject(message)) return typeof message === "string" ? message : JSON.stringify(message);
  return first(message, NAMES.text) || JSON.stringify(message).slice(0, 1000);
}

/** Who sent it, as far as the message says so. */
export const from = (message) => first(message, NAMES.from);

/** Its traceback, or "". */
export function traceback(message) {
  for (const path of TRACES) {
    const found = path.reduce(own, message);
    const lines = Array.isArray(found) ? found.map(String).join("\n") : found;
    if (typeof lines === "string" && lines.includes("\n")) return lines;
  }
  return "";
}

/** Its plain values by dotted path, at most `most`: [["extra.order", 12], ...]. */
export function flat(message, most = 200) {
  const found = [];
  const waiting = isObject(message) ? [["", message]] : [];
  while (waiting.length && found.length < most) {
    const [prefix, object] = waiting.shift();
    for (const [key, value] of Object.entries(object)) {
      const path = prefix + key;
      if (isObject(value)) waiting.push([`${path}.`, value]);
      else if (value !== null && !Array.isArray(value) && found.length < most) found.push([path, value]);
    }
  }
  return found;
}
