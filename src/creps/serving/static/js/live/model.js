// A model's file, as `creps.save` writes it: safetensors, whose metadata says what network it is.

/**
 * @typedef {object} Config what shapes a network, as `CrepsConfig` has it
 * @property {number} resolution
 * @property {number[]} [period]
 * @property {number} img_channels
 * @property {number} z_dim
 * @property {number} w_dim
 * @property {number} label_dim
 * @property {boolean} [class_from_latent] whether latents decide on the class
 * @property {number} mapping_layers
 * @property {number} channel_base
 * @property {number} channel_max
 * @property {number} thickness
 * @property {number} line_channels
 * @property {string} composition
 * @property {number[]} decoder_widths
 * @property {number[]} refinement_widths
 * @property {number} clamp
 *
 * @typedef {object} Model
 * @property {Config} config
 * @property {string} weights what distinguishes these weights from all others
 * @property {(name: string, ...shape: number[]) => Float32Array} tensor not to be changed
 */

const FORMAT = "creps-model";
const VERSION = 1;
const LONGEST_HEADER = 2 ** 24; // bytes
const AGAIN = "Reload the page to fetch it again.";

/** A model that cannot be drawn; the message is a sentence for the visitor. */
export class ModelError extends Error {}

/**
 * Read a model.
 * @param {ArrayBuffer} file
 * @returns {Model}
 * @throws {ModelError} for a file that is cut or damaged, or of another kind
 */
export function readModel(file) {
  const { header, start } = readHeader(file);
  const { family, config, weights_id: weights } = readDocument(header.__metadata__?.creps);
  if (family !== "creps" || config.composition === "dense")
    throw new ModelError(`This page draws CREPS networks with lines; the model is a ${family}.`);
  /** @type {Map<string, Float32Array>} */
  const known = new Map();
  return {
    config,
    weights,
    tensor(name, ...shape) {
      const values = known.get(name) ?? read(name, shape);
      known.set(name, values);
      return values;
    },
  };

  /**
   * @param {string} name
   * @param {number[]} shape
   */
  function read(name, shape) {
    const { dtype = "", shape: found = [], data_offsets: [from, to] = [0, 0] } = header[name] ?? {};
    const count = shape.reduce((a, b) => a * b, 1);
    if (`${found}` !== `${shape}`)
      throw new ModelError(`The model's file has no ${name} of ${shape.join(" x ")}. ${AGAIN}`);
    const kind = READERS[dtype];
    if (!kind || to - from !== count * kind.bytes || start + to > file.byteLength)
      throw new ModelError(`The model's file is cut or damaged. ${AGAIN}`);
    return kind.values(file.slice(start + from, start + to));
  }
}

/**
 * @param {ArrayBuffer} file
 * @returns {{header: any, start: number}}
 */
function readHeader(file) {
  try {
    const length = Number(new DataView(file).getBigUint64(0, true));
    if (length > LONGEST_HEADER) throw new RangeError("not a header");
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
    const end = Object.values(header).map((each) => each.data_offsets?.[1] ?? 0);
    if (8 + length + Math.max(...end) !== file.byteLength) throw new RangeError("cut");
    return { header, start: 8 + length };
  } catch {
    throw new ModelError(`The model's file is cut or damaged. ${AGAIN}`);
  }
}

/**
 * @param {string | undefined} text
 * @returns {any}
 */
function readDocument(text) {
  let document;
  try {
    document = JSON.parse(text ?? "");
  } catch {
    throw new ModelError(`The model's file does not say which network it is. ${AGAIN}`);
  }
  if (document?.format !== FORMAT || document.version !== VERSION)
    throw new ModelError(`The model's file is of another version than this page. ${AGAIN}`);
  return document;
}

const READERS =
  /** @type {Record<string, {bytes: number, values: (data: ArrayBuffer) => Float32Array}>} */ ({
    F32: { bytes: 4, values: (data) => new Float32Array(data) },
    F16: { bytes: 2, values: (data) => fromHalf(new Uint16Array(data)) },
    BF16: { bytes: 2, values: (data) => asFloats(new Uint16Array(data), (bits) => bits << 16) },
  });

/**
 * @param {Uint16Array} halves
 * @param {(bits: number) => number} widen to the bits of a float32
 */
function asFloats(halves, widen) {
  const words = new Uint32Array(halves.length);
  for (let k = 0; k < halves.length; k++) words[k] = widen(halves[k]);
  return new Float32Array(words.buffer);
}

/** @param {Uint16Array} halves IEEE 754 binary16 */
function fromHalf(halves) {
  const numbers = asFloats(halves, (bits) => {
    const [sign, rest] = [(bits & 0x8000) << 16, bits & 0x7fff];
    return sign | (rest >= 0x7c00 ? 0x7f800000 | (rest << 13) : (rest << 13) + (112 << 23));
  });
  for (let k = 0; k < halves.length; k++)
    if ((halves[k] & 0x7c00) === 0)
      numbers[k] = (halves[k] & 0x8000 ? -1 : 1) * (halves[k] & 1023) * 2 ** -24; // subnormal, zero
  return numbers;
}
