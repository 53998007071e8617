// A network folded for one latent: weights modulated and demodulated, every gain within them; what
// `creps.networks` does in `Prepared`. Output channels are filled up to a multiple of 4.
import { SLOPE, product } from "./styles.js";

/**
 * @typedef {object} Layer y = clip(leaky(weight x + bias))
 * @property {Float32Array} weight (outputs / 4, inputs, 4)
 * @property {Float32Array} bias
 * @property {number} inputs
 * @property {number} outputs a multiple of 4
 * @property {number} slope 1: linear
 * @property {number} clamp
 *
 * @typedef {{layers: Layer[], emit: Layer | null}} Block
 *
 * @typedef {object} Folded
 * @property {number} levels L: how many levels of lines are composed
 * @property {number} thickness D
 * @property {number} channels N of a line, filled up
 * @property {number} colors
 * @property {Float32Array} frequencies (C / 2, D), cycles a plane unit
 * @property {number[]} period plane units (y, x) after which pictures repeat, 0 where they do not
 * @property {Float32Array} source what the features are multiplied by (C, 2 D), rows' columns first
 * @property {Block[]} blocks
 * @property {Layer[][]} decoders
 * @property {Layer} toColor
 * @property {Block[]} refinement
 */

const GAIN = Math.SQRT2;
const EPSILON = 1e-8;
const LINE_SCALE = Math.SQRT1_2;

/** @param {number} count up to the next multiple of 4 */
export const filled = (count) => Math.ceil(count / 4) * 4;

/**
 * Fold a network.
 * @param {import("./model.js").Model} model
 * @param {Float32Array} styles (K, D)
 * @returns {Folded}
 */
export function fold({ config, tensor }, styles) {
  const { w_dim: width, thickness, line_channels: channels, img_channels: colors } = config;
  const clamp = config.clamp || Infinity;
  const depth = Math.log2(config.resolution) - 1; // blocks: levels 4, 8, ..., resolution
  const wide = (/** @type {number} */ k) =>
    Math.max(Math.min(Math.floor(config.channel_base / 2 ** (k + 2)), config.channel_max), 1);
  const style = (/** @type {number} */ k) => styles.subarray(k * width, (k + 1) * width);

  const affine = (/** @type {string} */ name, /** @type {number} */ k, /** @type {number} */ n) =>
    product(tensor(`${name}.weight`, n, width), style(k), tensor(`${name}.bias`, n), {
      gain: 1 / Math.sqrt(width),
      biasGain: 1,
    });
  const linear = (
    /** @type {string} */ name,
    /** @type {number} */ inputs,
    /** @type {number} */ outputs,
    active = true,
  ) => {
    const gain = active ? GAIN : 1;
    const scale = gain / Math.sqrt(inputs);
    const weight = tensor(`${name}.weight`, outputs, inputs).map((value) => value * scale);
    const bias = tensor(`${name}.bias`, outputs).map((value) => value * gain);
    return packed(weight, bias, { inputs, slope: active ? SLOPE : 1, clamp: Infinity });
  };
  const modulated = (
    /** @type {string} */ name,
    /** @type {number} */ k,
    /** @type {number} */ inputs,
    /** @type {number} */ outputs,
    { emits = false, scale = 1 } = {},
  ) => {
    const weight = tensor(`${name}.weight`, outputs, inputs).slice();
    const bias = tensor(`${name}.bias`, outputs).slice();
    const scales = affine(`${name}.affine`, k, inputs);
    for (let o = 0; o < outputs; o++) {
      const row = weight.subarray(o * inputs, (o + 1) * inputs);
      let square = 0;
      for (let i = 0; i < inputs; i++) {
        row[i] *= scales[i];
        square += row[i] * row[i];
      }
      const gain = emits ? scale / Math.sqrt(inputs) : GAIN / Math.sqrt(square + EPSILON);
      for (let i = 0; i < inputs; i++) row[i] *= gain;
      bias[o] *= emits ? scale : GAIN;
    }
    return packed(weight, bias, { inputs, slope: emits ? 1 : SLOPE, clamp: clamp * scale });
  };

  const source = affine("input.affine", 0, wide(0) * 2 * thickness);
  const inputWeight = tensor("input.weight", wide(0), 2 * thickness);
  for (let k = 0; k < source.length; k++) source[k] *= inputWeight[k] / Math.sqrt(wide(0));

  /** @type {Block[]} */
  const blocks = Array.from({ length: depth }, (_, j) => {
    const widths = j ? [wide(j - 1), wide(j), wide(j)] : [wide(0), wide(0)];
    const layers = widths
      .slice(1)
      .map((outputs, k) =>
        modulated(`blocks.${j}.layers.${k}`, Math.max(2 * j - 1, 1) + k, widths[k], outputs),
      );
    const emits = j > 0 || depth === 1;
    const how = { emits, scale: LINE_SCALE };
    const emit = emits && modulated(`blocks.${j}.emit`, 2 * j + 1, wide(j), channels, how);
    return { layers, emit: emit || null };
  });
  const levels = config.composition === "once" ? 1 : Math.max(depth - 1, 1);
  const count = config.composition === "sum" ? 0 : levels;
  const through = [channels, ...config.decoder_widths, channels];
  const decoders = Array.from({ length: count }, (_, j) =>
    through.slice(1).map((outputs, k) => linear(`decoders.${j}.${k}`, through[k], outputs)),
  );
  const refinement = config.refinement_widths.map((outputs, j) => {
    const inputs = j ? config.refinement_widths[j - 1] : channels;
    const name = `refinement.${j}`;
    return {
      layers: [
        modulated(`${name}.layers.0`, 2 * depth, inputs, outputs),
        modulated(`${name}.layers.1`, 2 * depth, outputs, outputs),
      ],
      emit: modulated(`${name}.to_rgb`, 2 * depth, outputs, colors, { emits: true }),
    };
  });
  return {
    levels,
    thickness,
    channels: filled(channels),
    colors,
    period: config.period ?? [0, 0], // files of earlier versions have none
    frequencies: tensor("input.frequencies", wide(0) / 2, thickness),
    source,
    blocks,
    decoders,
    toColor: linear("to_rgb", channels, colors, false),
    refinement,
  };
}

/**
 * A layer with its weights in the order in which the kernel reads them.
 * @param {Float32Array} weight (O, I)
 * @param {Float32Array} bias (O)
 * @param {{inputs: number, slope: number, clamp: number}} rest
 * @returns {Layer}
 */
function packed(weight, bias, { inputs, slope, clamp }) {
  const outputs = filled(bias.length);
  const order = new Float32Array(outputs * inputs);
  const shifts = new Float32Array(outputs);
  shifts.set(bias);
  for (let o = 0; o < bias.length; o++)
    for (let i = 0; i < inputs; i++)
      order[((o >> 2) * inputs + i) * 4 + (o & 3)] = weight[o * inputs + i];
  return { weight: order, bias: shifts, inputs, outputs, slope, clamp };
}

/**
 * Every layer, in order.
 * @param {Folded} folded
 */
export function* layersOf({ blocks, decoders, toColor, refinement }) {
  for (const block of [...blocks, ...refinement]) {
    yield* block.layers;
    if (block.emit) yield block.emit;
  }
  for (const decoder of decoders) yield* decoder;
  yield toColor;
}
