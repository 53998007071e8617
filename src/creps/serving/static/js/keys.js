// Keys; they work while no field is being filled in and no dialog is open.
import { find, make, part } from "./dom.js";
import { alone } from "./stage.js";

/** @typedef {{keys: string[], shown: string[], says: string, does: (event: KeyboardEvent) => void, held?: boolean}} Key
 *   `held`: it goes on while the key is held down
 */

/** @param {Key[]} table */
export function keyboard(table) {
  part("keys").append(
    ...table.flatMap(({ shown, says }) => [
      make("dt", {}, ...shown.map((each) => make("kbd", {}, each))),
      make("dd", {}, says),
    ]),
  );
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]") || !free(event.target, event.key)) return;
    const found = table.find(({ keys }) =>
      keys.includes(event.key.length === 1 ? event.key.toLowerCase() : event.key),
    );
    if (!found) return;
    event.preventDefault();
    if (found.held || !event.repeat) found.does(event);
  });
}

/**
 * Whether the focused element leaves a key to the page.
 * @param {EventTarget | null} target
 * @param {string} key
 */
function free(target, key) {
  if (!(target instanceof Element)) return true;
  if (target.matches("select, input:not([type=range]):not([type=radio]), textarea")) return false;
  return !(/^Arrow|^Home$/.test(key) && target.closest("input, [role=tab], [role=slider]"));
}

/**
 * The page's keys.
 * @param {object} does
 * @param {import("./stage.js").Stage} does.stage
 * @param {() => void} does.full
 * @param {(step: number, held: boolean) => void} does.seed
 */
export function standardKeys({ stage, full, seed }) {
  const press = (/** @type {string} */ id) => () => find(`#${id}`, HTMLButtonElement).click();
  /** @type {Record<string, [number, number]>} */
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  keyboard([
    {
      keys: Object.keys(ways),
      shown: ["←", "→", "↑", "↓"],
      says: "move",
      does: (event) => stage.pan(...ways[event.key]),
      held: true,
    },
    { keys: ["+", "="], shown: ["+"], says: "closer", does: () => stage.zoom(1.5), held: true },
    {
      keys: ["-", "_"],
      shown: ["−"],
      says: "further away",
      does: () => stage.zoom(1 / 1.5),
      held: true,
    },
    { keys: ["0", "Home"], shown: ["0"], says: "the whole picture", does: () => stage.home() },
    {
      keys: ["r"],
      shown: ["R", "⇧R"],
      says: "turn right, left",
      does: (event) => stage.turn(event.shiftKey ? -1 : 1),
      held: true,
    },
    { keys: ["m"], shown: ["M"], says: "mirror", does: press("mirror") },
    {
      keys: ["n"],
      shown: ["N", "⇧N"],
      says: "next picture, previous",
      does: (event) => seed(event.shiftKey ? -1 : 1, event.repeat),
      held: true,
    },
    { keys: ["s"], shown: ["S"], says: "surprise me", does: press("surprise") },
    { keys: ["c"], shown: ["C"], says: "compare", does: press("compare") },
    { keys: ["d"], shown: ["D"], says: "download", does: press("download") },
    { keys: ["l"], shown: ["L"], says: "copy a link to this view", does: press("link") },
    { keys: ["f"], shown: ["F"], says: "full screen", does: full },
    {
      keys: ["h"],
      shown: ["H"],
      says: "the picture alone",
      does: () => alone(),
    },
    { keys: ["Escape"], shown: ["Esc"], says: "everything again", does: () => alone(false) },
    { keys: ["?"], shown: ["?"], says: "this list", does: press("help") },
  ]);
}
