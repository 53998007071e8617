// Pixels by WebGPU: lines come from the CPU, a compute kernel makes the rest.
import { exactLines, fewLines, wholeCells } from "./painting.js";
import { lanesOf, packedWeights, shader } from "./shader.js";

/** @typedef {import("./network.js").Network} Network */

/** The pictures of networks on one device. */
export class GpuPainter {
  /**
   * The device of this browser.
   * @param {(why: string) => void} onlost told if it is lost later
   * @returns {Promise<GpuPainter | null>} null where there is none
   */
  static async open(onlost) {
    try {
      const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
      const device = await adapter?.requestDevice();
      return device ? new GpuPainter(device, onlost) : null;
    } catch {
      return null;
    }
  }

  /**
   * @param {GPUDevice} device
   * @param {(why: string) => void} onlost
   */
  constructor(device, onlost) {
    this.device = device;
    /** @type {Map<string, Promise<GPUComputePipeline>>} */
    this.pipelines = new Map();
    /** @type {WeakMap<Network, {weights: GPUBuffer, biases: GPUBuffer}>} */
    this.weights = new WeakMap();
    void device.lost.then(({ reason, message }) => {
      if (reason !== "destroyed") onlost(message);
    });
  }

  /**
   * 8-bit pixels (height, width, 4), each evaluated.
   * @param {Network} network
   * @param {import("./painting.js").Field} field
   * @param {boolean} [exact] every line is computed, too
   * @returns {Promise<Uint8ClampedArray<ArrayBuffer>>}
   * @throws {Error} when the device is lost, has too little memory, or refuses the kernel
   */
  async paint(network, field, exact = false) {
    const { device } = this;
    const { height, width } = field;
    const [ys, xs] = exact
      ? exactLines(network, field, height, width)
      : fewLines(network, field, wholeCells(height), wholeCells(width));
    const { floats } = network.kernel;
    const linesOf = (/** @type {import("./network.js").Lines} */ { address, count }) =>
      floats.slice(address / 4, address / 4 + (count * network.lineBytes) / 4);
    const [rows, columns] = [linesOf(ys), linesOf(xs)]; // copies: the network may drop its own
    const pipeline = await this.pipeline(network);

    device.pushErrorScope("out-of-memory");
    device.pushErrorScope("validation");
    /** @type {GPUBuffer[]} */
    const own = [];
    const buffer = (/** @type {number} */ size, /** @type {number} */ usage) => {
      const made = device.createBuffer({ size, usage });
      own.push(made);
      return made;
    };
    const { STORAGE, UNIFORM, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage;
    const inputs = [
      { usage: UNIFORM, data: Uint32Array.of(height, width) },
      { usage: STORAGE, data: rows },
      { usage: STORAGE, data: columns },
    ].map(({ usage, data }) => {
      const made = buffer(data.byteLength, usage | COPY_DST);
      device.queue.writeBuffer(made, 0, data);
      return made;
    });
    const { weights, biases } = this.held(network);
    const pixels = buffer(4 * height * width, STORAGE | COPY_SRC);
    const read = buffer(4 * height * width, COPY_DST | MAP_READ);
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [...inputs, weights, biases, pixels].map((each, binding) => ({
        binding,
        resource: { buffer: each },
      })),
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(Math.ceil((height * width) / lanesOf(network.folded)));
    pass.end();
    encoder.copyBufferToBuffer(pixels, 0, read, 0, 4 * height * width);
    device.queue.submit([encoder.finish()]);
    const errors = [device.popErrorScope(), device.popErrorScope()];
    try {
      for (const error of await Promise.all(errors)) if (error) throw new Error(error.message);
      await read.mapAsync(GPUMapMode.READ);
      return new Uint8ClampedArray(read.getMappedRange().slice(0));
    } finally {
      for (const each of own) each.destroy();
    }
  }

  /** Leave the device to others. */
  close() {
    this.device.destroy();
  }

  /**
   * The kernel of a network's shape.
   * @param {Network} network
   */
  pipeline({ folded }) {
    const code = shader(folded);
    const made =
      this.pipelines.get(code) ??
      this.device.createComputePipelineAsync({
        layout: "auto",
        compute: { module: this.device.createShaderModule({ code }), entryPoint: "main" },
      });
    this.pipelines.set(code, made);
    return made;
  }

  /**
   * The weights of a network on the device.
   * @param {Network} network
   */
  held(network) {
    const known = this.weights.get(network);
    if (known) return known;
    const packed = packedWeights(network.folded);
    const [weights, biases] = [packed.weights, packed.biases].map((data) => {
      const made = this.device.createBuffer({
        size: data.byteLength,
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
      });
      this.device.queue.writeBuffer(made, 0, data);
      return made;
    });
    this.weights.set(network, { weights, biases });
    return { weights, biases };
  }
}
