// The arithmetic of the page in WebAssembly SIMD, compiled by `make web` with AssemblyScript.
// Addresses are in bytes; features are (channels, positions) in float32, rows without gaps.
// (Relaxed SIMD, which multiplies and adds in one instruction, was no faster when measured.)

function sumOf(sum: v128, a: v128, b: v128): v128 {
  return f32x4.add(sum, f32x4.mul(a, b));
}

function finished(y: v128, slope: v128, clamp: v128): v128 {
  const active = f32x4.max(y, f32x4.mul(y, slope));
  return f32x4.max(f32x4.min(active, clamp), f32x4.neg(clamp));
}

/**
 * y = clip(leaky(weight x + bias)), four outputs at eight positions at a time.
 *
 * `outputs` is a multiple of 4, `positions` of 8; weights are (outputs / 4, inputs, 4). A slope of 1
 * is linear, a clamp of infinity clips nothing.
 */
export function layer(
  x: usize,
  y: usize,
  weight: usize,
  bias: usize,
  inputs: i32,
  outputs: i32,
  positions: i32,
  slope: f32,
  clamp: f32,
): void {
  const row: usize = (<usize>positions) << 2;
  const slopes = f32x4.splat(slope);
  const clamps = f32x4.splat(clamp);
  for (let o = 0; o < outputs; o += 4) {
    for (let p: usize = 0; p < row; p += 32) {
      let a0 = v128.load32_splat(bias);
      let a1 = v128.load32_splat(bias, 4);
      let a2 = v128.load32_splat(bias, 8);
      let a3 = v128.load32_splat(bias, 12);
      let b0 = a0;
      let b1 = a1;
      let b2 = a2;
      let b3 = a3;
      let w = weight;
      let from = x + p;
      for (let i = 0; i < inputs; i++) {
        const xa = v128.load(from);
        const xb = v128.load(from, 16);
        let each = v128.load32_splat(w);
        a0 = sumOf(a0, each, xa);
        b0 = sumOf(b0, each, xb);
        each = v128.load32_splat(w, 4);
        a1 = sumOf(a1, each, xa);
        b1 = sumOf(b1, each, xb);
        each = v128.load32_splat(w, 8);
        a2 = sumOf(a2, each, xa);
        b2 = sumOf(b2, each, xb);
        each = v128.load32_splat(w, 12);
        a3 = sumOf(a3, each, xa);
        b3 = sumOf(b3, each, xb);
        w += 16;
        from += row;
      }
      let to = y + p;
      v128.store(to, finished(a0, slopes, clamps));
      v128.store(to, finished(b0, slopes, clamps), 16);
      to += row;
      v128.store(to, finished(a1, slopes, clamps));
      v128.store(to, finished(b1, slopes, clamps), 16);
      to += row;
      v128.store(to, finished(a2, slopes, clamps));
      v128.store(to, finished(b2, slopes, clamps), 16);
      to += row;
      v128.store(to, finished(a3, slopes, clamps));
      v128.store(to, finished(b3, slopes, clamps), 16);
    }
    weight += (<usize>inputs) << 4;
    bias += 16;
    y += row << 2;
  }
}

/**
 * Adds the map of one level at points that have a row and a column line each (CREPS, eq. 3).
 *
 * A line is (thickness, channels), channels a multiple of 4; `places` holds the addresses of both
 * lines of each point, `offset` leads from there to the level's line.
 */
export function compose(
  places: usize,
  y: usize,
  offset: usize,
  channels: i32,
  thickness: i32,
  positions: i32,
): void {
  const row: usize = (<usize>positions) << 2;
  const gap: usize = (<usize>channels) << 2;
  for (let p: usize = 0; p < row; p += 4) {
    let rows = <usize>load<u32>(places) + offset;
    let columns = <usize>load<u32>(places, 4) + offset;
    places += 8;
    let to = y + p;
    for (let n = 0; n < channels; n += 4) {
      let sum = f32x4.splat(0);
      let at: usize = 0;
      for (let d = 0; d < thickness; d++) {
        sum = sumOf(sum, v128.load(rows + at), v128.load(columns + at));
        at += gap;
      }
      store<f32>(to, load<f32>(to) + f32x4.extract_lane(sum, 0));
      to += row;
      store<f32>(to, load<f32>(to) + f32x4.extract_lane(sum, 1));
      to += row;
      store<f32>(to, load<f32>(to) + f32x4.extract_lane(sum, 2));
      to += row;
      store<f32>(to, load<f32>(to) + f32x4.extract_lane(sum, 3));
      to += row;
      rows += 16;
      columns += 16;
    }
  }
}
