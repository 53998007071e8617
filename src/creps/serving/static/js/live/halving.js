// Cubic interpolation halfway between even samples.

/**
 * Fill in what lies halfway between samples on a line: the cubic through the two on either side, at an
 * end through the four nearest (two if there are no more).
 * @param {Float32Array} values
 * @param {{start: number, stride: number, size: number, end: number}} line a sample is `size` numbers,
 *   the next one is `stride` further; the last one is number `end`
 * @param {number} step samples from one that is known to the next
 */
export function halfway(values, { start, stride, size, end }, step) {
  const half = step / 2;
  const gap = step * stride;
  for (let k = half; k < end; k += step) {
    const before = start + (k - half) * stride;
    const after = before + half * stride;
    for (let c = 0; c < size; c++) {
      const p = before + c;
      let sum;
      if (end < 3 * step) sum = 8 * (values[p] + values[p + gap]);
      else if (k === half)
        sum = 5 * values[p] + 15 * values[p + gap] - 5 * values[p + 2 * gap] + values[p + 3 * gap];
      else if (k + half === end)
        sum = 5 * values[p + gap] + 15 * values[p] - 5 * values[p - gap] + values[p - 2 * gap];
      else sum = 9 * (values[p] + values[p + gap]) - values[p - gap] - values[p + 2 * gap];
      values[after + c] = sum / 16;
    }
  }
}
