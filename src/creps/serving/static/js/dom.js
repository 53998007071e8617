// Small helpers for the page's elements.

/**
 * The one element that a selector names.
 * @template {Element} T
 * @param {string} selector
 * @param {new () => T} kind what it must be
 * @param {ParentNode} [root]
 * @returns {T}
 */
export function find(selector, kind, root = document) {
  const element = root.querySelector(selector);
  if (!(element instanceof kind)) throw new Error(`the page has no ${kind.name} ${selector}`);
  return element;
}

/** @param {string} id */
export const button = (id) => find(`#${id}`, HTMLButtonElement);
/** @param {string} id */
export const input = (id) => find(`#${id}`, HTMLInputElement);
/** @param {string} id */
export const select = (id) => find(`#${id}`, HTMLSelectElement);
/** @param {string} id */
export const part = (id) => find(`#${id}`, HTMLElement);

/**
 * A new element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Whether the visitor wants things to stay still. */
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

let closing = 0;

/**
 * Say something for a few seconds; screen readers say it too.
 * @param {string} text
 */
export function say(text) {
  const toast = part("toast");
  toast.textContent = text;
  toast.classList.add("shown");
  clearTimeout(closing);
  closing = window.setTimeout(() => toast.classList.remove("shown"), 3500 + 40 * text.length);
}

/**
 * Texts as paragraphs, one at each blank line, with their addresses as links.
 * @param {string[]} texts empty ones are left out
 */
export function paragraphs(texts) {
  const parts = texts
    .flatMap((text) => text.split(/\n\s*\n/))
    .map((text) => text.replace(/\s+/g, " ").trim());
  return parts.filter(Boolean).map((text) => make("p", {}, ...linked(text)));
}

/**
 * @param {string} text
 * @returns {Node[]}
 */
function linked(text) {
  return text
    .split(/(https?:\/\/[^\s)]+[^\s).,;])/)
    .map((piece) =>
      /^https?:/.test(piece)
        ? make("a", { href: piece, target: "_blank", rel: "noopener noreferrer" }, piece)
        : document.createTextNode(piece),
    );
}

/**
 * Credits in one line: the first sentence before any address, and the license.
 * @param {string} credits
 * @param {string} license
 */
export function creditLine(credits, license) {
  const who = credits
    .split(/https?:|\n\s*\n/)[0]
    .replace(/\s+/g, " ")
    .trim();
  return [who, license].filter(Boolean).join(" · ");
}
