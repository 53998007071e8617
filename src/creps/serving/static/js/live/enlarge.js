// A small picture enlarged as any viewer would, to compare with; the filters are Pillow's.

/** @typedef {import("./painting.js").Field} Field */
/** @typedef {{first: number, weights: number[]}} Taps */

/** @param {number} x */
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** @type {Record<string, {reach: number, at: (x: number) => number}>} */
const FILTERS = {
  bicubic: {
    reach: 2,
    at(x) {
      const t = Math.abs(x);
      if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
      return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
    },
  },
  lanczos: { reach: 3, at: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/**
 * The part of an enlarged picture that a field shows; beyond the unit square it is transparent.
 * @param {Uint8ClampedArray} picture (side, side, 4)
 * @param {number} side
 * @param {string} by a filter
 * @param {Field} field
 * @returns {Uint8ClampedArray<ArrayBuffer>} (height, width, 4)
 */
export function enlarged(picture, side, by, { y0, x0, pitch, height, width }) {
  const rows = Array.from({ length: height }, (_, k) =>
    taps(y0 + (k + 0.5) * pitch, pitch, side, by),
  );
  const columns = Array.from({ length: width }, (_, k) =>
    taps(x0 + (k + 0.5) * pitch, pitch, side, by),
  );
  const across = new Float32Array(side * width * 4);
  columns.forEach((column, j) => {
    if (!column) return;
    for (let i = 0; i < side; i++)
      for (let c = 0; c < 4; c++)
        across[(i * width + j) * 4 + c] = column.weights.reduce(
          (sum, weight, k) => sum + weight * picture[(i * side + column.first + k) * 4 + c],
          0,
        );
  });
  const result = new Uint8ClampedArray(4 * height * width);
  rows.forEach((row, i) => {
    if (!row) return;
    for (let j = 0; j < width; j++) {
      if (!columns[j]) continue;
      for (let c = 0; c < 4; c++)
        result[(i * width + j) * 4 + c] = row.weights.reduce(
          (sum, weight, k) => sum + weight * across[((row.first + k) * width + j) * 4 + c],
          0,
        );
    }
  });
  return result;
}

/**
 * Which pixels of a picture one of its enlargement is made of.
 * @param {number} place plane units
 * @param {number} pitch of the enlargement
 * @param {number} side pixels of the picture
 * @param {string} by
 * @returns {Taps | null} null beyond the picture
 */
function taps(place, pitch, side, by) {
  if (place < 0 || place >= 1) return null;
  const center = place * side;
  if (by === "nearest") return { first: Math.floor(center), weights: [1] };
  const { reach, at } = FILTERS[by] ?? FILTERS.lanczos;
  const scale = Math.max(pitch * side, 1); // a picture that is reduced is averaged
  const first = Math.max(Math.floor(center - reach * scale + 0.5), 0);
  const end = Math.min(Math.floor(center + reach * scale + 0.5), side);
  const weights = Array.from({ length: end - first }, (_, k) =>
    at((first + k + 0.5 - center) / scale),
  );
  const sum = weights.reduce((a, b) => a + b, 0);
  return { first, weights: weights.map((weight) => weight / sum) };
}
