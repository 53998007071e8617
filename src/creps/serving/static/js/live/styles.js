// Styles of a picture: seeds to latents, latents to styles, mixed and truncated, as Python does it.
// The grammar of recipes is that of `creps render --styles` (docs/rendering.md).
import { ModelError } from "./model.js";
import { latent } from "./random.js";

/** @typedef {import("./model.js").Model} Model */

/**
 * @typedef {object} Wish what an identifier says of styles
 * @property {string} recipe such as 7, 7..12@0.4, 7~12@0.4, 7+12:4-8,10
 * @property {number} truncation
 * @property {number | null} cutoff how many leading styles are truncated; null: all
 * @property {number | null} label class; null: none chosen
 *
 * @typedef {{seeds: number[], position: number, joint: string}} Walk
 */

const EPSILON = 1e-8;
const GAIN = Math.SQRT2;
export const SLOPE = 0.2;
const PARALLEL = 1e-7; // radians: closer to 0 or pi, two directions do not span a plane
const LAST_SEED = 2 ** 32 - 1;
const NUMBER = String.raw`\d+(?:\.\d+)?(?:e-?\d+)?`;
const SEED = String.raw`\d{1,10}`;
const WALK = new RegExp(`^(${SEED}(?:\\.\\.${SEED})*|${SEED}(?:~${SEED})*)(?:@(${NUMBER}))?$`);
const LAYERS = /^(\d{1,4})(?:-(\d{1,4}))?$/;

/** A recipe that says nothing, or nothing that this model has; the message is a sentence. */
export class RecipeError extends Error {}

/**
 * The styles of a picture.
 * @param {Model} model
 * @param {Wish} wish
 * @returns {Float32Array} (K, D)
 * @throws {RecipeError}
 */
export function stylesOf(model, { recipe, truncation, cutoff, label }) {
  const { w_dim: width } = model.config;
  const count = styleCount(model.config);
  if (!Number.isFinite(truncation)) throw new RecipeError(`There is no variety ${truncation}.`);
  const how = { truncation, cutoff: cutoff ?? count, label };
  const [base, ...mixes] = recipe.split("+");
  const styles = walked(model, walkOf(base), how);
  for (const mix of mixes) {
    const [way, words] = mix.split(":");
    const other = walked(model, walkOf(way), how);
    for (const layer of layersOf(words ?? "", count))
      styles.set(other.subarray(layer * width, (layer + 1) * width), layer * width);
  }
  return styles;
}

/**
 * How many layers take a style.
 * @param {import("./model.js").Config} config
 */
export const styleCount = ({ resolution }) => 2 * (Math.log2(resolution) - 1) + 1;

/**
 * @param {string} text
 * @returns {Walk}
 */
function walkOf(text) {
  const match = WALK.exec(text);
  const joint = text.includes("~") ? "~" : "..";
  const seeds = match?.[1].split(joint).map(Number) ?? [];
  const position = Number(match?.[2] ?? 0);
  const right = seeds.length === 1 ? match?.[2] === undefined : match?.[2] !== undefined;
  if (!match || !right || position > seeds.length - 1)
    throw new RecipeError(`There is no picture "${text}".`);
  if (Math.max(...seeds) > LAST_SEED)
    throw new RecipeError(`Seeds end at ${LAST_SEED.toLocaleString("en")}.`);
  return { seeds, position, joint };
}

/**
 * @param {string} text
 * @param {number} count
 */
function layersOf(text, count) {
  return text.split(",").flatMap((word) => {
    const match = LAYERS.exec(word);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (!(first <= last && last < count))
      throw new RecipeError(`There are no layers "${text}": they are 0 to ${count - 1}.`);
    return Array.from({ length: last - first + 1 }, (_, k) => first + k);
  });
}

/**
 * @param {Model} model
 * @param {Walk} walk
 * @param {{truncation: number, cutoff: number, label: number | null}} how
 */
function walked(model, { seeds, position, joint }, how) {
  const first = Math.floor(position);
  const t = position - first;
  let ends = seeds
    .slice(first, first + (t ? 2 : 1))
    .map((seed) => ofClass(model.config, latent(seed, model.config.z_dim), how.label));
  if (t && joint === "~") ends = [turned(ends[0], ends[1], t)];
  const [from, to = from] = ends.map((z) => truncated(model, mapped(model, z, how.label), how));
  return from.map((value, k) => value + t * (to[k] - value));
}

/**
 * A latent like this of a class, where latents decide on it, as `Generator.of_class`.
 * @param {import("./model.js").Config} config
 * @param {Float32Array} z
 * @param {number | null} label
 */
function ofClass({ label_dim, class_from_latent }, z, label) {
  if (!class_from_latent || label === null) return z;
  checkClass(label, label_dim);
  const deciding = z.subarray(0, label_dim);
  const largest = deciding.indexOf(Math.max(...deciding));
  const moved = Float32Array.from(z);
  [moved[largest], moved[label]] = [z[label], z[largest]];
  return moved;
}

/**
 * @param {number} label
 * @param {number} classes
 */
function checkClass(label, classes) {
  if (!(Number.isInteger(label) && label >= 0 && label < classes))
    throw new RecipeError(`There is no class ${label}: they are 0 to ${classes - 1}.`);
}

/**
 * w of a latent (StyleGAN, section 2).
 * @param {Model} model
 * @param {Float32Array} z
 * @param {number | null} chosen class
 */
function mapped({ config, tensor }, z, chosen) {
  const { label_dim, class_from_latent, w_dim: width } = config;
  const classes = class_from_latent ? 0 : label_dim;
  let x = normalized(z);
  if (classes) {
    const label = chosen ?? 0;
    checkClass(label, classes);
    const gain = 1 / Math.sqrt(classes);
    const weight = tensor("mapping.embed.weight", width, classes);
    const bias = tensor("mapping.embed.bias", width);
    x = Float32Array.of(
      ...x,
      ...normalized(bias.map((value, o) => weight[o * classes + label] * gain + value)),
    );
  }
  for (let k = 0; k < config.mapping_layers; k++) {
    const name = `mapping.layers.${k}`;
    const weight = tensor(`${name}.weight`, width, x.length);
    const gain = (GAIN * 0.01) / Math.sqrt(x.length);
    const y = product(weight, x, tensor(`${name}.bias`, width), { gain, biasGain: GAIN * 0.01 });
    x = y.map((value) => (value < 0 ? SLOPE * value : value));
  }
  return x;
}

/**
 * gain * weight x + biasGain * bias, sums in float64.
 * @param {Float32Array} weight (O, I)
 * @param {Float32Array} x (I)
 * @param {Float32Array} bias (O)
 * @param {{gain: number, biasGain: number}} gains
 */
export function product(weight, x, bias, { gain, biasGain }) {
  return bias.map((value, o) => {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += weight[o * x.length + i] * x[i];
    return sum * gain + value * biasGain;
  });
}

/** @param {Float32Array} x divided by its root mean square */
function normalized(x) {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + EPSILON);
  return x.map((value) => value * scale);
}

/**
 * w for each layer, the leading ones moved towards the average (StyleGAN, section B).
 * @param {Model} model
 * @param {Float32Array} w
 * @param {{truncation: number, cutoff: number}} how
 */
function truncated({ config, tensor }, w, { truncation, cutoff }) {
  const average = tensor("mapping.average", config.w_dim);
  const moved = average.map((value, k) => value + truncation * (w[k] - value));
  const styles = new Float32Array(styleCount(config) * w.length);
  for (let k = 0; k * w.length < styles.length; k++)
    styles.set(k < cutoff && truncation !== 1 ? moved : w, k * w.length);
  return styles;
}

/**
 * The latent on the great circle from one to another, as `creps.rendering.slerp`.
 * @param {Float32Array} a
 * @param {Float32Array} b
 * @param {number} t
 */
function turned(a, b, t) {
  const lengths = [Math.sqrt(dot(a, a)), Math.sqrt(dot(b, b))];
  const u = Float64Array.from(a, (value) => value / lengths[0]);
  const v = Float64Array.from(b, (value) => value / lengths[1]);
  const apart = u.map((value, k) => value - v[k]);
  const along = u.map((value, k) => value + v[k]);
  const angle = 2 * Math.atan2(Math.sqrt(dot(apart, apart)), Math.sqrt(dot(along, along)));
  const length = lengths[0] + t * (lengths[1] - lengths[0]);
  if (!(angle > PARALLEL && lengths[0] > 0 && lengths[1] > 0))
    return a.map((value, k) => value + t * (b[k] - value));
  if (angle > Math.PI - PARALLEL)
    throw new RecipeError("There is no way between opposite latents here.");
  const inward = dot(u, v);
  const aside = v.map((value, k) => value - inward * u[k]);
  const norm = Math.sqrt(dot(aside, aside));
  return a.map(
    (_, k) => length * (u[k] * Math.cos(t * angle) + (aside[k] / norm) * Math.sin(t * angle)),
  );
}

/**
 * @param {Float32Array | Float64Array} a
 * @param {Float32Array | Float64Array} b
 */
function dot(a, b) {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}

/** @param {unknown} error whether a visitor can be told what it says */
export const isPlain = (error) => error instanceof RecipeError || error instanceof ModelError;
