// How far in the visitor is, measured by what the model was trained on.
import { input, part } from "./dom.js";

/** @typedef {import("./server.js").Model} Model */

const LOWEST = -3; // doublings of the training size

/**
 * A ratio in words: 0.5, 3.4, 12, 4,096, 1.2 million, 157 million.
 * @param {number} ratio
 * @returns {string}
 */
export function times(ratio) {
  if (ratio >= 1e12) return ratio.toExponential(1).replace("e+", " × 10^");
  if (ratio >= 1e9) return `${times(ratio / 1e9)} billion`;
  if (ratio >= 1e6) return `${times(ratio / 1e6)} million`;
  if (ratio >= 10) return Math.round(ratio).toLocaleString("en");
  return ratio.toFixed(ratio < 1 ? 2 : 1);
}

/**
 * The size at which the picture is seen, in words.
 * @param {number} scale screen pixels of a side of the whole picture
 * @param {{trained: number, detail: number}} model pixels a side of whole pictures in training, and
 *   of the largest ones that it saw windows of
 */
export function inWords(scale, { trained, detail }) {
  if (scale < 0.95 * trained) return `${times(scale / trained)}× its training size`;
  if (scale > 1.05 * Math.max(detail, trained))
    return `${times(scale / Math.max(detail, trained))}× beyond training size`;
  return detail > trained ? "Within its training sizes" : "At its training size";
}

/**
 * How much of what is seen the model evaluated, in words.
 * @param {number | null} share
 */
const evaluatedInWords = (share) =>
  share === null ? "" : `${(100 * share).toFixed(share > 0.995 ? 0 : 1)} % of the pixels evaluated`;

/**
 * Keep the read-out and its slider in step with the stage.
 * @param {import("./stage.js").Stage} stage
 * @param {{deepest: number, model: () => Model}} options
 * @returns {() => void} to be called when the model has changed
 */
export function readout(stage, { deepest, model }) {
  const slider = input("zoom");
  const update = () => {
    const { trained, detail } = model();
    const scale = stage.main.scale();
    const octaves = Math.log2(scale / trained);
    const side = Math.round(scale).toLocaleString("en");
    const words = inWords(scale, model());
    part("scale").textContent = words;
    part("readout").title =
      `Trained at ${trained} × ${trained} pixels` +
      (detail > trained ? `, with windows of pictures of ${detail} pixels` : "") +
      `. At this zoom the whole picture is ${side} pixels a side.`;
    slider.value = String(octaves);
    slider.setAttribute("aria-valuetext", words);
  };
  const ticks = () => {
    const { trained, detail } = model();
    slider.min = String(LOWEST);
    slider.max = String(deepest + 8 - Math.log2(trained));
    const at = (/** @type {number} */ octaves) =>
      `${((octaves - LOWEST) / (Number(slider.max) - LOWEST)) * 100}%`;
    part("tick-native").style.left = at(0);
    part("tick-detail").style.left = at(Math.log2(detail / trained));
    part("tick-detail").hidden = detail <= trained;
    update();
  };
  slider.addEventListener("input", () => {
    const view = stage.view();
    const { span } = stage.main.view(true); // as the scale: both may be on their way
    const aim = model().trained * 2 ** Number(slider.value);
    stage.look({ ...view, span: (span * stage.main.scale()) / aim }, true);
  });
  stage.listeners.push(update);
  stage.main.viewer.addHandler("update-viewport", () => {
    const words = evaluatedInWords(stage.main.evaluated());
    if (part("evaluated").textContent !== words) part("evaluated").textContent = words;
  });
  ticks();
  return ticks;
}
