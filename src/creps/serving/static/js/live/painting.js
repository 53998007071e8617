// Pictures of a network: every pixel, or as few as it takes.
//
// Most of a picture is smooth. So pixels are evaluated on a coarse lattice first; halfway between
// them the cubic through four neighbors is compared with the network's own colors; only the cells in
// which it is off are looked at more closely, again and again, down to single pixels.

import { halfway } from "./halving.js";

/** @typedef {import("./network.js").Network} Network */

/**
 * @typedef {object} Field where the pixels of a picture lie
 * @property {number} y0 plane units: the edge of the first pixel
 * @property {number} x0
 * @property {number} pitch plane units of a pixel
 * @property {number} height pixels
 * @property {number} width
 */

/** Largest error at the places that are compared: half a gray level of 8 bits, of [-1, 1]. */
export const TOLERANCE = 0.5 / 127.5;
/** Pixels between the first samples. */
const STEP = 8;
/** Plane units between lines that are computed, at most. */
const COARSEST_LINES = 1 / 2048;
const ROWS = /** @type {const} */ ("rows");
const COLUMNS = /** @type {const} */ ("columns");

/**
 * The lines of both axes of a field, each computed.
 * @param {Network} network
 * @param {Field} field
 * @param {number} rows
 * @param {number} columns
 */
export function exactLines(network, field, rows, columns) {
  return network.lines(axes(field, rows, columns, 1));
}

/**
 * The lines of both axes of a field, as few computed as it takes: those between are interpolated,
 * and the colors of probes far from computed lines compared with the network's own.
 * @param {Network} network
 * @param {Field} field
 * @param {number} rows one more than a multiple of `STEP`
 * @param {number} columns
 */
export function fewLines(network, field, rows, columns) {
  let stride = STEP;
  while (stride * field.pitch > COARSEST_LINES) stride /= 2;
  for (; stride > 1; stride /= 2) {
    const wanted = axes(field, rows, columns, stride);
    const [probedRows, probedColumns] = [rows, columns].map((count) => probes(count, stride));
    const own = wanted.map(({ key, coordinates, axis }, k) => {
      const indices = k ? probedColumns : probedRows;
      const places = Float64Array.from(indices, (index) => coordinates[index]);
      return { key: `${key} probes`, coordinates: places, axis };
    });
    const [ys, xs, exactYs, exactXs] = network.lines([...wanted, ...own]);
    const all = probedRows.flatMap((row) => probedColumns.map((column) => [row, column]));
    const each = probedRows.flatMap((_, i) => probedColumns.map((_, j) => [i, j]));
    const [guess, truth] = [
      colorsAt(network, ys, xs, all),
      colorsAt(network, exactYs, exactXs, each),
    ];
    if (truth.every((color, k) => Math.abs(color - guess[k]) <= TOLERANCE)) return [ys, xs];
  }
  return exactLines(network, field, rows, columns);
}

/**
 * What to ask a network for.
 * @param {Field} field
 * @param {number} rows
 * @param {number} columns
 * @param {number} stride
 */
function axes({ y0, x0, pitch }, rows, columns, stride) {
  const places = (/** @type {number} */ start, /** @type {number} */ count) =>
    Float64Array.from({ length: count }, (_, k) => start + (k + 0.5) * pitch);
  const key = (/** @type {number} */ start, /** @type {number} */ count) =>
    `${start} ${pitch} ${count} ${stride}`;
  return [
    { key: `y ${key(y0, rows)}`, coordinates: places(y0, rows), axis: ROWS, stride },
    { key: `x ${key(x0, columns)}`, coordinates: places(x0, columns), axis: COLUMNS, stride },
  ];
}

/**
 * Indices halfway between computed lines, spread over an axis.
 * @param {number} count
 * @param {number} stride
 */
const probes = (count, stride) =>
  [0.1, 0.4, 0.6, 0.9].map((share) => {
    const cells = (count - 1) / stride;
    return Math.floor(share * cells) * stride + stride / 2;
  });

/**
 * Colors of few points.
 * @param {Network} network
 * @param {import("./network.js").Lines} ys
 * @param {import("./network.js").Lines} xs
 * @param {number[][]} places row and column of each
 */
function colorsAt(network, ys, xs, places) {
  const colors = new Float32Array(places.length * network.folded.colors);
  network.colors(ys, xs, Uint16Array.from(places.flat()), places.length, colors);
  return colors;
}

/**
 * Colors of every pixel (height, width, colors), each evaluated.
 * @param {Network} network
 * @param {Field} field
 * @returns {Float32Array}
 */
export function paintExactly(network, field) {
  const { height, width } = field;
  const [ys, xs] = exactLines(network, field, height, width);
  const points = new Uint16Array(2 * height * width);
  for (let k = 0, i = 0; i < height; i++)
    for (let j = 0; j < width; j++) {
      points[k++] = i;
      points[k++] = j;
    }
  const colors = new Float32Array(height * width * network.folded.colors);
  network.colors(ys, xs, points, height * width, colors);
  return colors;
}

/**
 * Colors of every pixel (height, width, colors), most of them interpolated within the tolerance.
 * @param {Network} network
 * @param {Field} field
 * @returns {{colors: Float32Array, evaluated: number}} `evaluated`: how many pixels were
 */
export function paint(network, field) {
  const lattice = new Lattice(network, field);
  let active = lattice.begin();
  for (let step = STEP; step > 1; step /= 2) active = lattice.halve(step, active);
  return { colors: lattice.cropped(), evaluated: lattice.evaluated };
}

/**
 * Samples along an axis that end whole cells of `STEP` pixels, four at least: what a cubic takes.
 * @param {number} pixels
 */
export const wholeCells = (pixels) => Math.max(Math.ceil((pixels - 1) / STEP), 3) * STEP + 1;

/** A picture that is known at some pixels; whole cells of `STEP` pixels, and one more at each end. */
class Lattice {
  /**
   * @param {Network} network
   * @param {Field} field
   */
  constructor(network, field) {
    this.network = network;
    this.field = field;
    this.bands = network.folded.colors;
    this.rows = wholeCells(field.height);
    this.columns = wholeCells(field.width);
    const [ys, xs] = fewLines(network, field, this.rows, this.columns);
    this.ys = ys;
    this.xs = xs;
    this.colors = new Float32Array(this.rows * this.columns * this.bands);
    this.points = new Uint16Array(2 * this.rows * this.columns);
    this.found = new Float32Array(this.colors.length);
    this.count = 0; // points that wait to be evaluated
    this.evaluated = 0;
  }

  /** @returns {Uint8Array} which cells are looked at more closely: all */
  begin() {
    for (let i = 0; i < this.rows; i += STEP)
      for (let j = 0; j < this.columns; j += STEP) this.ask(i, j);
    this.answer();
    return new Uint8Array(((this.rows - 1) / STEP) * ((this.columns - 1) / STEP)).fill(1);
  }

  /**
   * From samples `step` pixels apart to half of that.
   * @param {number} step
   * @param {Uint8Array} active cells of `step` pixels that are looked at
   * @returns {Uint8Array} the same for cells of half the size
   */
  halve(step, active) {
    const half = step / 2;
    const size = this.bands;
    const [down, across] = [(this.rows - 1) / step, (this.columns - 1) / step];
    const off = new Uint8Array(active.length);
    const looked = (/** @type {number} */ a, /** @type {number} */ b) =>
      a >= 0 && a < down && b >= 0 && b < across && active[a * across + b];

    const row = { stride: size, size, end: this.columns - 1 };
    for (let i = 0; i < this.rows; i += step)
      halfway(this.colors, { ...row, start: i * this.columns * size }, step);
    for (let a = 0; a <= down; a++)
      for (let b = 0; b < across; b++)
        if (looked(a - 1, b) || looked(a, b)) this.ask(a * step, b * step + half);
    this.answer((i, j) => {
      const [a, b] = [i / step, (j - half) / step];
      if (a > 0) off[(a - 1) * across + b] = 1;
      if (a < down) off[a * across + b] = 1;
    });

    const column = { stride: this.columns * size, size, end: this.rows - 1 };
    for (let j = 0; j < this.columns; j += half)
      halfway(this.colors, { ...column, start: j * size }, step);
    for (let a = 0; a < down; a++)
      for (let b = 0; b <= across; b++) {
        if (looked(a, b - 1) || looked(a, b)) this.ask(a * step + half, b * step);
        if (looked(a, b)) this.ask(a * step + half, b * step + half);
      }
    this.answer((i, j) => {
      const [a, b] = [(i - half) / step, j / step];
      if (b % 1) off[a * across + Math.floor(b)] = 1;
      else {
        if (b > 0) off[a * across + b - 1] = 1;
        if (b < across) off[a * across + b] = 1;
      }
    });

    const finer = new Uint8Array(4 * active.length);
    for (let a = 0; a < 2 * down; a++)
      for (let b = 0; b < 2 * across; b++) {
        const cell = (a >> 1) * across + (b >> 1);
        finer[a * 2 * across + b] = active[cell] & off[cell];
      }
    return finer;
  }

  /**
   * @param {number} i
   * @param {number} j
   */
  ask(i, j) {
    this.points[2 * this.count] = i;
    this.points[2 * this.count + 1] = j;
    this.count++;
  }

  /**
   * Evaluate what was asked for.
   * @param {(i: number, j: number) => void} [isOff] told where the cubic was off
   */
  answer(isOff) {
    const { bands, colors, columns, found, points } = this;
    this.network.colors(this.ys, this.xs, points, this.count, found);
    for (let k = 0; k < this.count; k++) {
      const [i, j] = [points[2 * k], points[2 * k + 1]];
      const to = (i * columns + j) * bands;
      let error = 0;
      for (let band = 0; band < bands; band++) {
        const color = found[k * bands + band];
        error = Math.max(error, Math.abs(color - colors[to + band]));
        colors[to + band] = color;
      }
      if (error > TOLERANCE) isOff?.(i, j);
    }
    this.evaluated += this.count;
    this.count = 0;
  }

  cropped() {
    const { height, width } = this.field;
    const row = width * this.bands;
    const colors = new Float32Array(height * row);
    for (let i = 0; i < height; i++) {
      const from = i * this.columns * this.bands;
      colors.set(this.colors.subarray(from, from + row), i * row);
    }
    return colors;
  }
}

/**
 * 8-bit pixels (height, width, 4): (x + 1) * 127.5, clipped, rounded to nearest as `to_uint8` does.
 * @param {Float32Array} colors (height, width, 1 or 3)
 * @param {number} bands
 * @returns {Uint8ClampedArray<ArrayBuffer>}
 */
export function toPixels(colors, bands) {
  const count = colors.length / bands;
  const pixels = new Uint8ClampedArray(4 * count).fill(255);
  for (let p = 0; p < count; p++)
    for (let c = 0; c < 3; c++)
      pixels[4 * p + c] = (colors[p * bands + (bands === 3 ? c : 0)] + 1) * 127.5; // rounds itself
  return pixels;
}
