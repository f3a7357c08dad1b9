// Numbers, times and unusual characters in readable form.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const two = (number) => String(number).padStart(2, "0");

/** 1234567 as 1,234,567. */
export const count = (number) => whole.format(number ?? 0);

/** The same for narrow places: 1.23M. */
export const brief = (number) => (Math.abs(number) < 10000 ? whole.format(number) : short.format(number));

/** A number at an axis, exact enough that its half differs: 0.05, 1.5, 150, 12.5K. */
export const tick = (number) => (number < 100 ? String(Number(number.toPrecision(3))) : brief(Number(number.toPrecision(3))));

/** Messages a second: 0, 0.4, 12, 1,234, 12.3K. */
export function rate(number) {
  if (!number) return "0/s";
  if (number < 0.05) return "<0.1/s";
  return `${number < 10 ? Number(number.toFixed(1)) : brief(number)}/s`;
}

/** "1 message", "2 messages". */
export const messages = (number) => `${count(number)} message${number === 1 ? "" : "s"}`;

/** A share of one: 0.314 as 31 %. */
export function percent(share) {
  if (share > 0 && share < 0.01) return "<1 %";
  return `${Math.round(share * 100)} %`;
}

export function bytes(number) {
  if (!Number.isFinite(number)) return "unknown";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (number >= 1000 && unit < units.length - 1) {
    number /= 1000;
    unit += 1;
  }
  return `${number < 10 && unit ? number.toFixed(1) : Math.round(number)} ${units[unit]}`;
}

/** So many seconds: 42 s, 3 min, 2 h 5 min, 3 days. */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 100) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/** How long after it was sent a message came: "12 ms later", "3.2 s later"; clocks may differ. */
export function span(seconds) {
  const size = Math.abs(seconds);
  const text = size < 1 ? `${Math.round(size * 1000)} ms` : size < 10 ? `${size.toFixed(1)} s` : duration(size);
  return `${text} ${seconds < 0 ? "earlier: the clocks differ" : "later"}`;
}

/** The time of day, in the reader's zone: 03:12:44, or with milliseconds. */
export function clock(seconds, fine = false) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return "";
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return fine ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

/** The time of day, and the date where it is not today's. */
export function when(seconds) {
  const date = new Date(seconds * 1000);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return date.toDateString() === new Date().toDateString() ? clock(seconds) : `${day} ${clock(seconds)}`;
}

/** Hours and minutes. */
export const minute = (seconds) => clock(seconds).slice(0, 5);

/** Date and time for a machine. */
export function iso(seconds) {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}

// What would be invisible, turn the direction of what follows, or be taken for something else. Newlines and tabs are kept.
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{e0000}-\u{e0fff}\u{f0000}-\u{10ffff}]/gu;

function shown(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code); // the pictures of control characters: ␛
  if (code === 0x7f) return "\u2421";
  return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
}

/** Untrusted text with nothing hidden in it. */
export const visible = (text) => String(text).replace(HIDDEN, shown);

/** The same on one line, and not longer than that. */
export function oneLine(text, longest = 400) {
  const cut = String(text).slice(0, longest);
  return visible(cut.replace(/\s+/g, " ")) + (String(text).length > longest ? " \u2026" : "");
}

/** A component's name: its name in the chain, else its type. */
export const nameOf = (component) => oneLine(component.id, 80);
