// The part of the page's address after "#": which picture, which view, which comparison.
// (`#id=portraits%3A7` is understood too)
//   #portraits:7;t=0.7&at=0.41,0.38&span=0.05&turn=30&mirror=1&with=lanczos&layout=curtain&split=0.5

/**
 * @typedef {object} View
 * @property {number} y center, plane units
 * @property {number} x
 * @property {number} span plane units of the shorter side of what is seen
 * @property {number} turn degrees clockwise, 0 to 360
 * @property {boolean} mirror left and right are swapped, before it is turned
 *
 * @typedef {object} Comparison
 * @property {string} rival "lanczos", "bicubic", "nearest", or "model NAME"
 * @property {"beside" | "curtain"} layout
 * @property {number} split where the curtain hangs, 0 to 1
 */

/** @type {Readonly<View>} */
export const WHOLE = Object.freeze({ y: 0.5, x: 0.5, span: 1, turn: 0, mirror: false });

/**
 * A number with the digits that a hundredth of a pixel of the view needs.
 * @param {number} value
 * @param {number} span
 */
function digits(value, span) {
  return String(Number(value.toFixed(Math.min(Math.max(Math.ceil(-Math.log10(span)) + 6, 6), 18))));
}

/**
 * @param {string} id
 * @param {View} view
 * @param {Comparison | null} comparison
 */
export function writeLink(id, view, comparison) {
  const words = [id];
  if (view.y !== WHOLE.y || view.x !== WHOLE.x || view.span !== WHOLE.span) {
    words.push(
      `at=${digits(view.y, view.span)},${digits(view.x, view.span)}`,
      `span=${Number(view.span.toPrecision(6))}`,
    );
  }
  const turn = Number(view.turn.toFixed(3)) % 360;
  if (turn) words.push(`turn=${turn}`);
  if (view.mirror) words.push("mirror=1");
  if (comparison) {
    words.push(`with=${comparison.rival.replace(" ", ":")}`, `layout=${comparison.layout}`);
    if (comparison.layout === "curtain") words.push(`split=${Number(comparison.split.toFixed(4))}`);
  }
  return `#${words.join("&")}`;
}

/**
 * What a link says; what it does not say, or says wrongly, is as usual.
 * @param {string} hash
 * @returns {{id: string, view: View, comparison: Comparison | null}}
 */
export function readLink(hash) {
  const [id = "", ...words] = hash
    .replace(/^#(id=)?/, "")
    .split("&")
    .map(decoded);
  const given = new Map(
    words.map(
      (word) =>
        /** @type {[string, string]} */ ([word.split("=")[0], word.slice(word.indexOf("=") + 1)]),
    ),
  );
  const number = (/** @type {string | undefined} */ text, /** @type {number} */ otherwise) =>
    text !== undefined && text !== "" && Number.isFinite(Number(text)) ? Number(text) : otherwise;
  const [y, x] = (given.get("at") ?? "").split(",");
  const span = number(given.get("span"), WHOLE.span);
  const rival = given.get("with");
  return {
    id,
    view: {
      y: number(y, WHOLE.y),
      x: number(x, WHOLE.x),
      span: span > 0 ? span : WHOLE.span,
      turn: ((number(given.get("turn"), 0) % 360) + 360) % 360,
      mirror: given.get("mirror") === "1",
    },
    comparison: rival
      ? {
          rival: rival.replace(/^model:/, "model "),
          layout: given.get("layout") === "beside" ? "beside" : "curtain",
          split: Math.min(Math.max(number(given.get("split"), 0.5), 0), 1),
        }
      : null,
  };
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
