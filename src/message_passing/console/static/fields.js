// What a message says: its level, text and sender in any of the field sets that the log handler can send.

import { LEVELS, NAMES } from "./vocabulary.js";

const TEXTS = [...NAMES.message, "text", "msg", "exception"];
const SERVICES = [...NAMES.service, "@fields.service"];
const LOGGERS = [...NAMES.logger.filter((name) => name !== "name"), "component"]; // any message may have a name
const SENDERS = ["sender", "@fields.sender", "Attributes.sender", ...NAMES.host];
const UNITS = [[1e8, 1e11, 1], [1e11, 1e14, 1e3], [1e14, 1e17, 1e6], [1e17, 1e20, 1e9]];
const RUN = /:[0-9a-f]{16}$/;
const TRACES = [...NAMES.traceback, "exc_text", "exc_info", "traceback", "stack_trace", "stack", "@fields.stack", "exception"];

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const own = (value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined);

/** The value at a dotted path, by the rule of the node's `dotted.value_at`: `a.b.c` is found in {"a.b": {"c": 1}} too. */
export function at(message, path) {
  const whole = own(message, path);
  if (whole !== undefined) return whole;
  for (let dot = path.indexOf("."); dot >= 0; dot = path.indexOf(".", dot + 1)) {
    const found = at(own(message, path.slice(0, dot)), path.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
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
  const number = Number(at(message, "level_number") ?? LEVELS[name.toUpperCase()] ?? (name || 20));
  const weight = number >= 40 ? "bad" : number >= 30 ? "warn" : number < 20 ? "faint" : "";
  return { name, weight };
}

/** One line for the list: what it says, else all of it. */
export function text(message) {
  if (!isObject(message)) return typeof message === "string" ? message : JSON.stringify(message);
  return first(message, TEXTS) || JSON.stringify(message).slice(0, 1000);
}

/** Who sent it, according to the message: its service and host, else its logger, else the sender's name. */
export function from(message) {
  const service = first(message, SERVICES);
  const host = first(message, NAMES.host);
  if (service) return host ? `${service}@${host}` : service;
  return first(message, LOGGERS) || first(message, SENDERS).replace(RUN, "");
}

/** Its own time in seconds, by the rule of the node's `message_time`; null if it has none. */
export function madeAt(message) {
  for (const path of NAMES.time) {
    let value = at(message, path);
    if (typeof value === "string" && value.length <= 64) value = timeOfText(value, path === "@timestamp");
    const unit = typeof value === "number" && UNITS.find(([low, high]) => value >= low && value < high);
    if (unit) return value / unit[2];
  }
  return null;
}

function timeOfText(text, utc) {
  if (/^\d{1,20}(\.\d{1,20})?$/.test(text)) return Number(text);
  const zone = /(z|[+-]\d\d(:?\d\d)?)$/i.test(text.slice(10));
  return zone || utc ? Date.parse(zone ? text : `${text}Z`) / 1000 : null;
}

/** Its traceback, or "". */
export function traceback(message) {
  for (const path of TRACES) {
    const found = at(message, path);
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
