// What a picture is compared with, and the bar that says so.
import { button, find, make, select } from "./dom.js";
import { fitting, identifier } from "./picture.js";

/** @typedef {import("./link.js").Comparison} Comparison */
/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./server.js").Model} Model */

const FILTERS = /** @type {Record<string, string>} */ ({
  lanczos: "Lanczos enlargement",
  bicubic: "bicubic enlargement",
  nearest: "plain pixels",
});

/** @type {Readonly<Comparison>} */
export const USUAL = Object.freeze({ rival: "lanczos", layout: "curtain", split: 0.5 });

/**
 * The picture at the other side of a comparison.
 * @param {Picture} picture
 * @param {Comparison} comparison
 * @param {Model[]} models
 * @returns {import("./stage.js").Rival | null} null when there is no such thing here
 */
export function rivalOf(picture, { rival, layout, split }, models) {
  const own = models.find(({ name }) => name === picture.model);
  if (!own) return null;
  if (Object.hasOwn(FILTERS, rival)) {
    const { pin, resolution } = own;
    return {
      layout,
      split,
      id: identifier(picture, { pin, by: rival }),
      captions: [
        "Drawn at this size",
        `${FILTERS[rival][0].toUpperCase()}${FILTERS[rival].slice(1)} of ${resolution} × ${resolution}`,
      ],
    };
  }
  const other = models.find(({ name }) => `model ${name}` === rival);
  if (!other || other === own) return null;
  const { name, pin } = other;
  return {
    layout,
    split,
    id: identifier(fitting({ ...picture, model: name }, other), { pin }),
    captions: [own.name, name],
  };
}

/**
 * @param {{models: Model[], state: () => {picture: Picture, comparison: Comparison | null}, change: (comparison: Comparison | null) => void}} options
 * @returns {() => void} shows the state
 */
export function compareBar({ models, state, change }) {
  const bar = find("#compare-bar", HTMLFormElement);
  const now = () => state().comparison ?? USUAL;
  button("compare").addEventListener("click", () =>
    change(state().comparison ? null : { ...USUAL }),
  );
  button("compare-close").addEventListener("click", () => {
    change(null);
    button("compare").focus();
  });
  bar.addEventListener("submit", (event) => event.preventDefault());
  bar.addEventListener("change", () => {
    const layout = bar.elements.namedItem("layout");
    const value = layout instanceof RadioNodeList ? layout.value : "curtain";
    change({
      ...now(),
      rival: select("rival").value,
      layout: value === "beside" ? "beside" : "curtain",
    });
  });
  return () => {
    const { picture, comparison } = state();
    bar.hidden = comparison === null;
    button("compare").setAttribute("aria-pressed", String(comparison !== null));
    const others = models.filter(({ name }) => name !== picture.model);
    select("rival").replaceChildren(
      ...Object.entries(FILTERS).map(([value, text]) => make("option", { value }, text)),
      ...others.map(({ name }) => make("option", { value: `model ${name}` }, `model ${name}`)),
    );
    select("rival").value = now().rival;
    for (const each of bar.querySelectorAll("input")) each.checked = each.value === now().layout;
  };
}
