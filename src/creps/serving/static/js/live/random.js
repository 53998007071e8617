// The latent of a seed: numpy's RandomState(seed).randn(count), draw by draw.

const SIZE = 624;
const SHIFT = 397;

/**
 * Numbers of the Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998).
 * @param {number} seed 0 to 2^32 - 1
 * @returns {() => number} 32 random bits
 */
function twister(seed) {
  const state = new Uint32Array(SIZE);
  state[0] = seed;
  for (let i = 1; i < SIZE; i++) {
    const last = state[i - 1] ^ (state[i - 1] >>> 30);
    state[i] = Math.imul(1812433253, last) + i;
  }
  let next = SIZE;
  const twist = () => {
    for (let i = 0; i < SIZE; i++) {
      const bits = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7fffffff);
      state[i] = state[(i + SHIFT) % SIZE] ^ (bits >>> 1) ^ (bits & 1 ? 0x9908b0df : 0);
    }
    next = 0;
  };
  return () => {
    if (next === SIZE) twist();
    let bits = state[next++];
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    return (bits ^ (bits >>> 18)) >>> 0;
  };
}

/**
 * Standard normal numbers by the polar method (Marsaglia and Bray, 1964), the second of a pair first.
 *
 * The same as `creps.latents`: all bits but those of the logarithm's last float64 digit are equal, so
 * after rounding to float32 a number differs only if it lies within that digit of a rounding
 * boundary, about one number in 10^9.
 * @param {number} seed 0 to 2^32 - 1
 * @param {number} count
 * @returns {Float32Array}
 */
export function latent(seed, count) {
  const bits = twister(seed);
  const uniform = () => ((bits() >>> 5) * 67108864 + (bits() >>> 6)) / 9007199254740992;
  const numbers = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    let x = 0;
    let y = 0;
    let square = 0;
    do {
      x = 2 * uniform() - 1;
      y = 2 * uniform() - 1;
      square = x * x + y * y;
    } while (square >= 1 || square === 0);
    const scale = Math.sqrt((-2 * Math.log(square)) / square);
    numbers[i] = scale * y;
    if (i + 1 < count) numbers[i + 1] = scale * x;
  }
  return numbers;
}
