// One model and its latest pictures, drawn by the GPU where there is one, else by the processor.
import { enlarged } from "./enlarge.js";
import { fold } from "./folding.js";
import { GpuPainter } from "./gpu.js";
import { kernels } from "./kernel.js";
import { readModel } from "./model.js";
import { Network } from "./network.js";
import { paint, paintExactly, toPixels } from "./painting.js";
import { stylesOf } from "./styles.js";

/** @typedef {import("./painting.js").Field} Field */
/** @typedef {import("./styles.js").Wish} Wish */

/**
 * @typedef {object} Start
 * @property {ArrayBuffer} model the file
 * @property {ArrayBuffer | null} code of kernel.wasm
 * @property {"never" | "fast" | "always"} gpu whether to use the GPU: only one that is faster than the
 *   processor, as a rule (some are software)
 *
 * @typedef {object} Paint
 * @property {Wish} wish
 * @property {Field} field
 * @property {number} [samples] a side of a pixel, whose mean it is
 * @property {boolean} [exact] every pixel is evaluated
 * @property {string} [by] the filter that enlarges the native picture instead
 * @property {number} [nativeSamples] of that picture
 *
 * @typedef {object} Painted
 * @property {Uint8ClampedArray<ArrayBuffer>} pixels 8 bits, (height, width, 4)
 * @property {number | null} evaluated share of the pixels that the network evaluated; null: an enlargement
 *
 * @typedef {"gpu" | "compiled" | "plain"} Way how pixels are made
 */

const KEPT = 4; // latents
const LARGEST = 512; // samples of a side that are drawn at once
const RETRIES = 2; // devices that may be lost
const TRIAL = { pitch: 1 / 64, height: 64, width: 64 };
const SLOWEST = 60; // ms that a GPU may take for it; a processor takes 20

/** Pictures of one model; what was drawn last stays prepared. */
export class Studio {
  /** @param {(way: Way, why: string) => void} ontell told which way pixels are made from now on */
  constructor(ontell) {
    this.ontell = ontell;
    /** @type {Map<string, {network: Network, native: Uint8ClampedArray | null}>} */
    this.pictures = new Map();
    /** @type {GpuPainter | null} */
    this.gpu = null;
    this.lost = 0;
  }

  /** @param {Start} start */
  async open({ model, code, gpu }) {
    this.model = readModel(model);
    const { make, compiled } = await kernels(code);
    this.make = make;
    /** @type {Way} */
    this.way = compiled ? "compiled" : "plain";
    this.ontell(this.way, "");
    this.wanted = gpu;
    if (gpu !== "never") void this.seize(); // pictures are drawn meanwhile
  }

  /** Go over to the GPU, once its kernel is ready. */
  async seize() {
    const gpu = await GpuPainter.open((why) => this.lose(why));
    if (!gpu) return;
    try {
      const { network } = this.picture({ recipe: "0", truncation: 0, cutoff: null, label: 0 });
      const small = { y0: 0, x0: 0, pitch: 1 / 8, height: 8, width: 8 };
      await gpu.paint(network, small); // compiles the kernel
      const start = performance.now();
      if (this.wanted === "fast") await gpu.paint(network, { ...small, ...TRIAL });
      if (performance.now() - start > SLOWEST) throw new Error("the processor is faster");
      this.gpu = gpu;
      this.ontell("gpu", "");
    } catch {
      gpu.close();
    }
  }

  /** @param {string} why */
  lose(why) {
    this.gpu = null;
    this.ontell(this.way ?? "plain", why || "The GPU is busy with other things.");
    if (++this.lost <= RETRIES) void this.seize();
  }

  /**
   * A latent, ready to be painted.
   * @param {Wish} wish
   */
  picture(wish) {
    if (!this.model || !this.make) throw new Error("not opened");
    const key = JSON.stringify(wish);
    const known = this.pictures.get(key);
    this.pictures.delete(key);
    const made = known ?? {
      network: new Network(fold(this.model, stylesOf(this.model, wish)), this.make),
      native: null,
    };
    this.pictures.set(key, made); // the newest last
    for (const oldest of this.pictures.keys()) {
      if (this.pictures.size <= KEPT) break;
      this.pictures.delete(oldest);
    }
    return made;
  }

  /**
   * @param {Paint} asked
   * @returns {Promise<Painted>}
   */
  async paint({ wish, field, samples = 1, exact = false, by, nativeSamples = 1 }) {
    const picture = this.picture(wish);
    if (!by) return this.pixels(picture.network, field, { samples, exact });
    const side = this.model?.config.resolution ?? 1;
    const whole = { y0: 0, x0: 0, pitch: 1 / side, height: side, width: side };
    const how = { samples: nativeSamples, exact };
    picture.native ??= (await this.pixels(picture.network, whole, how)).pixels;
    return { pixels: enlarged(picture.native, side, by, field), evaluated: null };
  }

  /**
   * Pixels of a field of any size, part by part.
   * @param {Network} network
   * @param {Field} field
   * @param {{samples: number, exact: boolean}} how
   * @returns {Promise<Painted>}
   */
  async pixels(network, field, how) {
    const side = Math.floor(LARGEST / how.samples);
    const { y0, x0, pitch, height, width } = field;
    if (height <= side && width <= side) return this.part(network, field, how);
    const pixels = new Uint8ClampedArray(4 * height * width);
    let evaluated = 0;
    for (let top = 0; top < height; top += side)
      for (let left = 0; left < width; left += side) {
        const size = {
          height: Math.min(side, height - top),
          width: Math.min(side, width - left),
        };
        const place = { y0: y0 + top * pitch, x0: x0 + left * pitch, pitch };
        const part = await this.part(network, { ...place, ...size }, how);
        evaluated += ((part.evaluated ?? 0) * size.height * size.width) / (height * width);
        for (let i = 0; i < size.height; i++)
          pixels.set(
            part.pixels.subarray(4 * i * size.width, 4 * (i + 1) * size.width),
            4 * ((top + i) * width + left),
          );
      }
    return { pixels, evaluated };
  }

  /**
   * Pixels of at most `LARGEST` samples a side.
   * @param {Network} network
   * @param {Field} field
   * @param {{samples: number, exact: boolean}} how
   * @returns {Promise<Painted>}
   */
  async part(network, field, { samples, exact }) {
    const fine = {
      ...field,
      pitch: field.pitch / samples,
      height: field.height * samples,
      width: field.width * samples,
    };
    const { gpu } = this;
    /** @type {Uint8ClampedArray<ArrayBuffer> | null} */
    let pixels = null;
    if (gpu) {
      try {
        pixels = await gpu.paint(network, fine, exact);
      } catch (error) {
        if (this.gpu === gpu) {
          gpu.close();
          this.lose(error instanceof Error ? error.message : `${error}`);
        }
      }
    }
    let evaluated = 1;
    if (!pixels) {
      const sparse = exact ? null : paint(network, fine);
      const colors = sparse ? sparse.colors : paintExactly(network, fine);
      if (sparse) evaluated = Math.min(sparse.evaluated / (fine.height * fine.width), 1);
      pixels = toPixels(colors, network.folded.colors);
    }
    return { pixels: samples === 1 ? pixels : reduced(pixels, field, samples), evaluated };
  }
}

/**
 * Pixels whose samples are averaged.
 * @param {Uint8ClampedArray} pixels (height * samples, width * samples, 4)
 * @param {Field} field
 * @param {number} samples
 */
function reduced(pixels, { height, width }, samples) {
  const result = new Uint8ClampedArray(4 * height * width);
  for (let i = 0; i < height; i++)
    for (let j = 0; j < width; j++)
      for (let c = 0; c < 4; c++) {
        let sum = 0;
        for (let a = 0; a < samples; a++)
          for (let b = 0; b < samples; b++)
            sum += pixels[((i * samples + a) * width * samples + j * samples + b) * 4 + c];
        result[(i * width + j) * 4 + c] = sum / samples ** 2;
      }
  return result;
}
