// The compute kernel of a network's pixels in WGSL, written for its shape.
//
// One invocation is one pixel. Its features lie in workgroup memory, four channels a vector; a layer
// reads each once and keeps all of its outputs in registers meanwhile. The loops over levels and
// inputs stay loops: unrolled, drivers would compile for minutes.
import { filled } from "./folding.js";

/** @typedef {import("./folding.js").Folded} Folded */
/** @typedef {import("./folding.js").Layer} Layer */

const MEMORY = 16384; // bytes that every device has for a workgroup
const NO_LIMIT = 3e38;

/** @param {Folded} folded */
const pixelLayers = ({ decoders, toColor, refinement }) => [
  ...decoders.flat(),
  toColor,
  ...refinement.flatMap(({ layers, emit }) => [...layers, /** @type {Layer} */ (emit)]),
];

/** @param {number} count vectors of four that hold so many channels */
const vectors = (count) => filled(count) / 4;

/**
 * Invocations of a workgroup: as many as its memory has room for.
 * @param {Folded} folded
 */
export function lanesOf(folded) {
  const widest = Math.max(folded.channels, ...pixelLayers(folded).map(({ outputs }) => outputs));
  return Math.min(2 ** Math.floor(Math.log2(MEMORY / (widest * 4))), 64);
}

/**
 * All weights as 4 x 4 matrices (columns are inputs) and all biases, layer by layer.
 * @param {Folded} folded
 * @returns {{weights: Float32Array<ArrayBuffer>, biases: Float32Array<ArrayBuffer>}}
 */
export function packedWeights(folded) {
  const layers = pixelLayers(folded);
  const size = (/** @type {Layer} */ { inputs, outputs }) => filled(inputs) * outputs;
  const weights = new Float32Array(layers.reduce((sum, layer) => sum + size(layer), 0));
  const biases = new Float32Array(layers.reduce((sum, { outputs }) => sum + outputs, 0));
  let [weight, bias] = [0, 0];
  for (const layer of layers) {
    const row = layer.inputs * 4; // of four outputs
    for (let o = 0; o < layer.outputs / 4; o++)
      weights.set(
        layer.weight.subarray(o * row, (o + 1) * row),
        weight + o * filled(layer.inputs) * 4,
      );
    biases.set(layer.bias, bias);
    weight += size(layer);
    bias += layer.outputs;
  }
  return { weights, biases };
}

/**
 * The kernel. Bindings: 0 height and width, 1 and 2 the lines of rows and columns (lines, levels,
 * thickness, channels), 3 and 4 `packedWeights`, 5 the pixels, four bytes each.
 * @param {Folded} folded
 * @returns {string}
 */
export function shader(folded) {
  const { levels, thickness, channels, decoders, toColor, refinement } = folded;
  const lanes = lanesOf(folded);
  const layers = pixelLayers(folded);
  const widest = Math.max(channels, ...layers.map(({ outputs }) => outputs)) / 4;
  const hidden = new Set(
    [...decoders.flat(), ...refinement.flatMap(({ layers }) => layers)].map(
      ({ outputs }) => outputs / 4,
    ),
  );
  const limit = (/** @type {Layer} */ { clamp }) => `${Math.min(clamp, NO_LIMIT)}f`;
  const at = new Map();
  let [matrix, bias] = [0, 0];
  for (const layer of layers) {
    at.set(layer, { matrix, bias });
    matrix += vectors(layer.inputs) * (layer.outputs / 4);
    bias += layer.outputs / 4;
  }
  const call = (/** @type {Layer} */ layer, from = { matrix: 0, bias: 0 }, base = "") => {
    const own = at.get(layer);
    const first = `${base && "weight + "}${own.matrix - from.matrix}u, ${base && "bias + "}${own.bias - from.bias}u`;
    return `layer${layer.outputs / 4}(lane, ${vectors(layer.inputs)}u, ${first}, ${layer.slope}f, ${limit(layer)})`;
  };
  const added = (/** @type {Layer} */ layer) => {
    const own = at.get(layer);
    return `color += emitted(lane, ${vectors(layer.inputs)}u, ${own.matrix}u, ${own.bias}u, ${limit(layer)});`;
  };
  const [first = []] = decoders;
  const sizes = {
    matrix: first.reduce((sum, { inputs, outputs }) => sum + vectors(inputs) * (outputs / 4), 0),
    bias: first.reduce((sum, { outputs }) => sum + outputs / 4, 0),
  };

  return `const LANES = ${lanes}u;
const LEVELS = ${levels}u;
const THICKNESS = ${thickness}u;
const VECTORS = ${channels / 4}u;  // of a line
@group(0) @binding(0) var<uniform> size: vec2u;
@group(0) @binding(1) var<storage, read> rows: array<vec4f>;
@group(0) @binding(2) var<storage, read> columns: array<vec4f>;
@group(0) @binding(3) var<storage, read> weights: array<mat4x4f>;
@group(0) @binding(4) var<storage, read> biases: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> pixels: array<u32>;
var<workgroup> features: array<vec4f, ${lanes * widest}>;

fn leaky(y: vec4f, slope: f32, limit: f32) -> vec4f {
  return clamp(max(y, slope * y), vec4f(-limit), vec4f(limit));
}
${[...hidden].map(layerFunction).join("")}
fn emitted(lane: u32, inputs: u32, weight: u32, bias: u32, limit: f32) -> vec4f {
  var y = biases[bias];
  for (var i = 0u; i < inputs; i++) {
    y += weights[weight + i] * features[i * LANES + lane];
  }
  return clamp(y, vec4f(-limit), vec4f(limit));
}

fn decode(lane: u32, level: u32) {
  let weight = level * ${sizes.matrix}u;
  let bias = level * ${sizes.bias}u;
${first.map((layer) => `  ${call(layer, { matrix: 0, bias: 0 }, "level")};\n`).join("")}}

fn compose(lane: u32, level: u32, row: u32, column: u32) {
  let y = (row * LEVELS + level) * THICKNESS * VECTORS;
  let x = (column * LEVELS + level) * THICKNESS * VECTORS;
  for (var n = 0u; n < VECTORS; n++) {
    var sum = vec4f(0);
    for (var d = 0u; d < THICKNESS; d++) {
      sum += rows[y + d * VECTORS + n] * columns[x + d * VECTORS + n];
    }
    features[n * LANES + lane] += sum;
  }
}

@compute @workgroup_size(${lanes})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let p = id.x;
  if (p >= size.x * size.y) {
    return;
  }
  for (var n = 0u; n < VECTORS; n++) {
    features[n * LANES + lane] = vec4f(0);
  }
  for (var level = 0u; level < LEVELS; level++) {
${decoders.length > 1 ? "    if (level > 0u) {\n      decode(lane, level - 1u);\n    }\n" : ""}    compose(lane, level, p / size.y, p % size.y);
  }
${decoders.length ? "  decode(lane, LEVELS - 1u);\n" : ""}  var color = vec4f(0);
  ${[
    added(toColor),
    ...refinement.flatMap(({ layers, emit }) => [
      ...layers.map((layer) => `${call(layer)};`),
      added(/** @type {Layer} */ (emit)),
    ]),
  ].join("\n  ")}
  pixels[p] = pack4x8unorm(vec4f(color.${folded.colors === 3 ? "rgb" : "rrr"} * 0.5 + 0.5, 1.0));
}
`;
}

/**
 * A hidden layer of 4 x `outputs` channels.
 * @param {number} outputs
 */
function layerFunction(outputs) {
  const each = (/** @type {(o: number) => string} */ line) =>
    Array.from({ length: outputs }, (_, o) => `${o % 2 ? "" : "\n"}  ${line(o)}`)
      .join("")
      .slice(1);
  return `
fn layer${outputs}(lane: u32, inputs: u32, weight: u32, bias: u32, slope: f32, limit: f32) {
${each((o) => `var y${o} = biases[bias + ${o}u];`)}
  for (var i = 0u; i < inputs; i++) {
    let x = features[i * LANES + lane];
    let w = weight + i;
${each((o) => `  y${o} += weights[w + ${o}u * inputs] * x;`)}
  }
${each((o) => `features[${o}u * LANES + lane] = leaky(y${o}, slope, limit);`)}
}
`;
}
