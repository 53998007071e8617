// A folded network in the memory of a kernel: lines of coordinates, and colors where lines meet.
import { layersOf } from "./folding.js";
import { halfway } from "./halving.js";

/** @typedef {import("./folding.js").Folded} Folded */
/** @typedef {import("./folding.js").Layer} Layer */
/** @typedef {import("./kernel.js").Kernel} Kernel */
/** @typedef {"rows" | "columns"} Axis */

/**
 * @typedef {object} Lines the lines of some coordinates; valid until the network drops its lines
 * @property {number} address of the first one
 * @property {number} count
 */

/** Points that are composed at once: features of 128 channels then stay in a core's first cache. */
export const POINTS = 64;
const LINE_POSITIONS = 64; // coordinates times thickness
const LINES_KEPT = 2 ** 24; // bytes
const MOST_LINES = 1100; // that one picture asks for: two axes of 512 places, their ends, and probes

export class Network {
  /**
   * @param {Folded} folded
   * @param {import("./kernel.js").MakeKernel} makeKernel
   */
  constructor(folded, makeKernel) {
    this.folded = folded;
    const layers = [...layersOf(folded)];
    const { levels, channels, thickness, source } = folded;
    /** Bytes from a line to the next, and from a level's line to the next level's. */
    this.levelBytes = channels * thickness * 4;
    this.lineBytes = levels * this.levelBytes;
    const batch = Math.ceil(Math.max(LINE_POSITIONS, thickness) / thickness);
    this.batch = batch; // coordinates
    this.positions = Math.ceil((batch * thickness) / 8) * 8;
    const widest = Math.max(
      source.length / (2 * thickness),
      ...layers.map(({ outputs }) => outputs),
    );
    const held = layers.map(({ weight, bias }) => weight.byteLength + bias.byteLength);
    const stretch = widest * Math.max(POINTS, this.positions) * 4;
    const room = Math.max(LINES_KEPT, MOST_LINES * this.lineBytes);
    const parts = [...held, stretch, stretch, stretch, POINTS * 8, room];
    const starts = [0];
    for (const part of parts) starts.push(starts[starts.length - 1] + Math.ceil(part / 16) * 16);

    this.kernel = makeKernel(starts[starts.length - 1]);
    /** @type {Map<Layer, {weight: number, bias: number}>} */
    this.places = new Map();
    layers.forEach((layer, k) => {
      const [weight, bias] = [starts[k], starts[k] + layer.weight.byteLength];
      this.kernel.floats.set(layer.weight, weight / 4);
      this.kernel.floats.set(layer.bias, bias / 4);
      this.places.set(layer, { weight, bias });
    });
    const [a, b, total, points, lines, end] = starts.slice(layers.length);
    this.stretches = [a, b];
    this.total = total;
    this.points = points;
    this.room = { start: lines, next: lines, end };
    /** @type {Map<string, Lines>} */
    this.kept = new Map();
  }

  /**
   * The lines of coordinates, computed once; asked for together, all of them are valid.
   *
   * With a stride only every so many lines are computed, those between are interpolated; strides are
   * powers of two, counts one more than a multiple of them.
   * @param {{key: string, coordinates: Float64Array, axis: Axis, stride?: number}[]} wanted
   * @returns {Lines[]}
   */
  lines(wanted) {
    const bytes = wanted.map(({ coordinates }) => coordinates.length * this.lineBytes);
    const missing = wanted.reduce(
      (sum, { key }, k) => sum + (this.kept.has(key) ? 0 : bytes[k]),
      0,
    );
    if (this.room.next + missing > this.room.end) this.drop();
    return wanted.map(({ key, coordinates, axis, stride = 1 }, k) => {
      const known = this.kept.get(key);
      if (known) return known;
      const made = { address: this.room.next, count: coordinates.length };
      this.room.next += bytes[k];
      const nodes = coordinates.filter((_, index) => index % stride === 0);
      for (let first = 0; first < nodes.length; first += this.batch)
        this.fill(nodes.subarray(first, first + this.batch), axis, {
          address: made.address + first * stride * this.lineBytes,
          step: stride * this.lineBytes,
        });
      const size = this.lineBytes / 4;
      const line = { start: made.address / 4, stride: size, size, end: made.count - 1 };
      for (let step = stride; step > 1; step /= 2) halfway(this.kernel.floats, line, step);
      this.kept.set(key, made);
      return made;
    });
  }

  /** Drop all lines. */
  drop() {
    this.kept.clear();
    this.room.next = this.room.start;
  }

  /**
   * Lines of few coordinates, written to an address (sections 3.2 and 3.3).
   * @param {Float64Array} coordinates
   * @param {Axis} axis
   * @param {{address: number, step: number}} to bytes: of the first line, and to the next
   */
  fill(coordinates, axis, { address, step }) {
    const { floats } = this.kernel;
    const { blocks, levels, channels, thickness } = this.folded;
    let x = this.waves(coordinates, axis);
    let level = levels - blocks.filter(({ emit }) => emit).length;
    floats.fill(0, this.total / 4, this.total / 4 + channels * this.positions);
    for (const { layers, emit } of blocks) {
      x = this.through(layers, x, this.positions);
      if (!emit) continue;
      const emitted = this.through([emit], x, this.positions) / 4;
      this.turn(); // the features are needed again
      const total = this.total / 4;
      for (let k = 0; k < channels * this.positions; k++) floats[total + k] += floats[emitted + k];
      if (level >= 0) {
        for (let s = 0; s < coordinates.length; s++) {
          const to = (address + s * step + level * this.levelBytes) / 4;
          for (let d = 0; d < thickness; d++)
            for (let n = 0; n < channels; n++)
              floats[to + d * channels + n] =
                floats[total + n * this.positions + s * thickness + d];
        }
      }
      level++;
    }
  }

  /**
   * Styled Fourier features; phases are float64 until whole turns are taken away.
   * @param {Float64Array} coordinates
   * @param {Axis} axis
   */
  waves(coordinates, axis) {
    const { floats } = this.kernel;
    const { frequencies, source, thickness, period: periods } = this.folded;
    const period = periods[axis === "rows" ? 0 : 1];
    // Whole waves a period, of places less whole periods: what repeats is the same to the last bit.
    // What rounding takes from a frequency is its phase, as in `Waves` of creps.networks.
    const places = period
      ? coordinates.map((place) => (((place % period) + period) % period) / period)
      : coordinates;
    const exact = period ? Float64Array.from(frequencies, (each) => each * period) : frequencies;
    const waves = period ? exact.map((each) => Math.round(each)) : exact;
    const phases = period ? exact.map((each, k) => each - waves[k]) : null;
    const half = frequencies.length / thickness;
    const x = this.turn();
    const own = axis === "rows" ? 0 : thickness;
    for (let c = 0; c < half; c++) {
      const sines = x / 4 + c * this.positions;
      const cosines = x / 4 + (c + half) * this.positions;
      for (let s = 0; s < coordinates.length; s++) {
        for (let d = 0; d < thickness; d++) {
          const wave = c * thickness + d;
          const turns = waves[wave] * places[s] + (phases ? phases[wave] : 0);
          const phase = (turns - Math.round(turns)) * (2 * Math.PI);
          const scale = c * 2 * thickness + own + d;
          floats[sines + s * thickness + d] = Math.sin(phase) * source[scale];
          floats[cosines + s * thickness + d] =
            Math.cos(phase) * source[scale + half * 2 * thickness];
        }
      }
    }
    return x;
  }

  /**
   * Colors of points where lines meet, in [-1, 1].
   * @param {Lines} rows
   * @param {Lines} columns
   * @param {Uint16Array} points row and column of each point
   * @param {number} count of points
   * @param {Float32Array} colors (count, colors)
   */
  colors(rows, columns, points, count, colors) {
    const { words, floats } = this.kernel;
    const { colors: bands } = this.folded;
    for (let first = 0; first < count; first += POINTS) {
      const some = Math.min(POINTS, count - first);
      const positions = Math.ceil(some / 8) * 8;
      for (let p = 0; p < positions; p++) {
        const k = 2 * (first + Math.min(p, some - 1));
        words[this.points / 4 + 2 * p] = rows.address + points[k] * this.lineBytes;
        words[this.points / 4 + 2 * p + 1] = columns.address + points[k + 1] * this.lineBytes;
      }
      this.compose(positions);
      for (let p = 0; p < some; p++)
        for (let band = 0; band < bands; band++) {
          const color = floats[this.total / 4 + band * positions + p];
          colors[(first + p) * bands + band] = Math.min(Math.max(color, -1), 1);
        }
    }
  }

  /**
   * Eq. 3 to 6, color and refinement of the points that are laid out; colors end in `total`.
   * @param {number} positions
   */
  compose(positions) {
    const { floats } = this.kernel;
    const { levels, channels, thickness, decoders, toColor, refinement } = this.folded;
    let fused = this.turn();
    floats.fill(0, fused / 4, fused / 4 + channels * positions);
    for (let level = 0; level < levels; level++) {
      if (level && decoders.length) fused = this.through(decoders[level - 1], fused, positions);
      const offset = level * this.levelBytes;
      this.kernel.compose(this.points, fused, offset, channels, thickness, positions);
    }
    if (decoders.length) fused = this.through(decoders[decoders.length - 1], fused, positions);
    this.into(this.total, toColor, fused, positions);
    for (const { layers, emit } of refinement) {
      fused = this.through(layers, fused, positions);
      const added = this.through([/** @type {Layer} */ (emit)], fused, positions) / 4;
      this.turn();
      const total = this.total / 4;
      for (let k = 0; k < toColor.outputs * positions; k++) floats[total + k] += floats[added + k];
    }
  }

  /** The stretch of memory that was not used last. */
  turn() {
    this.stretches.reverse();
    return this.stretches[0];
  }

  /**
   * Features after layers, from one stretch to the other and back.
   * @param {Layer[]} layers
   * @param {number} x
   * @param {number} positions
   */
  through(layers, x, positions) {
    for (const layer of layers) {
      const y = this.turn();
      this.into(y, layer, x, positions);
      x = y;
    }
    return x;
  }

  /**
   * @param {number} y
   * @param {Layer} layer
   * @param {number} x
   * @param {number} positions
   */
  into(y, layer, x, positions) {
    const { weight, bias } = /** @type {{weight: number, bias: number}} */ (this.places.get(layer));
    const { inputs, outputs, slope, clamp } = layer;
    this.kernel.layer(x, y, weight, bias, inputs, outputs, positions, slope, clamp);
  }
}
