// Creating elements. Anything from a message or a name is inserted as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element: el("p", {class: "x", onclick: f}, "text", another). Strings become text nodes. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

/** Set an element's text, if it differs, to avoid needless layout. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Keep one element per key in `parent`, in the order given; `make(key)` for new ones. Focus stays where it is. */
export function keep(parent, known, keys, make) {
  const wanted = new Set(keys);
  for (const [key, element] of known) {
    if (!wanted.has(key)) {
      element.remove();
      known.delete(key);
    }
  }
  let before = parent.firstElementChild;
  for (const key of keys) {
    let element = known.get(key);
    if (!element) {
      element = make(key);
      known.set(key, element);
    }
    if (element === before) before = before.nextElementSibling;
    else parent.insertBefore(element, before);
  }
}
