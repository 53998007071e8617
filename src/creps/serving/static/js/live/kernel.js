// The two operations that nearly all time goes into, on a memory of their own: in WebAssembly SIMD
// (kernel.wasm, from web/kernel.ts), or as plain JavaScript where a browser has no such thing.

/**
 * @typedef {object} Kernel
 * @property {Float32Array} floats the memory; addresses are in bytes
 * @property {Uint32Array} words the same memory
 * @property {(x: number, y: number, weight: number, bias: number, inputs: number, outputs: number, positions: number, slope: number, clamp: number) => void} layer
 * @property {(places: number, y: number, offset: number, channels: number, thickness: number, positions: number) => void} compose
 *
 * @typedef {(bytes: number) => Kernel} MakeKernel a kernel with so much memory
 */

const PAGE = 65536; // bytes

/**
 * The kernel that this browser can have.
 * @param {ArrayBuffer | null} code of kernel.wasm
 * @returns {Promise<{make: MakeKernel, compiled: boolean}>}
 */
export async function kernels(code) {
  try {
    const module = await WebAssembly.compile(/** @type {ArrayBuffer} */ (code));
    compiledKernel(module, PAGE);
    return { make: (bytes) => compiledKernel(module, bytes), compiled: true };
  } catch {
    return { make: plainKernel, compiled: false };
  }
}

/**
 * @param {WebAssembly.Module} module
 * @param {number} bytes
 * @returns {Kernel}
 */
function compiledKernel(module, bytes) {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const { layer, compose } = /** @type {any} */ (exports);
  return {
    floats: new Float32Array(memory.buffer),
    words: new Uint32Array(memory.buffer),
    layer,
    compose,
  };
}

/**
 * The plain twin: the same arguments, the same sums.
 * @param {number} bytes
 * @returns {Kernel}
 */
export function plainKernel(bytes) {
  const memory = new ArrayBuffer(Math.ceil(bytes / PAGE) * PAGE);
  const floats = new Float32Array(memory);
  const words = new Uint32Array(memory);
  return {
    floats,
    words,
    layer(x, y, weight, bias, inputs, outputs, positions, slope, clamp) {
      const sums = new Float32Array(positions);
      for (let o = 0; o < outputs; o++) {
        sums.fill(floats[bias / 4 + o]);
        const own = weight / 4 + (o >> 2) * inputs * 4 + (o & 3);
        for (let i = 0; i < inputs; i++) {
          const scale = floats[own + 4 * i];
          const from = x / 4 + i * positions;
          for (let p = 0; p < positions; p++) sums[p] += scale * floats[from + p];
        }
        const to = y / 4 + o * positions;
        for (let p = 0; p < positions; p++) {
          const active = Math.max(sums[p], slope * sums[p]);
          floats[to + p] = Math.max(Math.min(active, clamp), -clamp);
        }
      }
    },
    compose(places, y, offset, channels, thickness, positions) {
      for (let p = 0; p < positions; p++) {
        const row = (words[places / 4 + 2 * p] + offset) / 4;
        const column = (words[places / 4 + 2 * p + 1] + offset) / 4;
        for (let n = 0; n < channels; n++) {
          let sum = 0;
          for (let at = n; at < channels * thickness; at += channels)
            sum += floats[row + at] * floats[column + at];
          floats[y / 4 + n * positions + p] += sum;
        }
      }
    },
  };
}
