// Pictures that this browser draws itself: the model is fetched once, threads do the rest.
import { find } from "./dom.js";
import { serverPixels } from "./server.js";
import { NoPicture } from "./pixels.js";
import { readIdentifier, recipe } from "./picture.js";

/** @typedef {import("./live/studio.js").Paint} Paint */
/** @typedef {import("./live/studio.js").Painted} Painted */
/** @typedef {import("./live/studio.js").Way | "served"} Way */
/** @typedef {import("./pixels.js").Asked} Asked */
/** @typedef {import("./pixels.js").Drawn} Drawn */
/** @typedef {import("./pixels.js").Place} Place */
/** @typedef {import("./server.js").Model} Model */

const TILE = 128; // pixels a side: few enough that the first ones are there at once
const MOST_THREADS = 4;
const AT_ONCE = 4; // wishes that a GPU has before it has fulfilled the first
const PART = 256; // pixels a side of what files are put together from
const PREVIEW = 0.8; // quality of pictures that are only looked at
const NO_THREADS = "This browser cannot draw here: its threads do not start.";
const MOST_THUMBNAILS = 500;
/** @type {Record<string, string>} */
const MEDIA = { png: "image/png", jpg: "image/jpeg", webp: "image/webp" };

/**
 * How pictures are made: a word, and a sentence.
 * @type {Record<Way, [string, string]>}
 */
const WAYS = {
  gpu: ["WebGPU", "Drawn in this browser, by its graphics card (WebGPU)."],
  compiled: ["WebAssembly", "Drawn in this browser, by its processor (WebAssembly)."],
  plain: [
    "JavaScript",
    "Drawn in this browser without WebGPU and WebAssembly, so it takes longer.",
  ],
  served: ["server", "The server draws: this browser cannot."],
};

/**
 * @typedef {object} Job
 * @property {{start?: object, paint?: Paint}} message
 * @property {boolean} urgent
 * @property {AbortSignal | null} signal
 * @property {(painted: any) => void} resolve
 * @property {(error: Error) => void} reject
 */

/** What the page's address asks for: ?draw=gpu, ?draw=cpu, or whichever is faster. */
function gpuWanted() {
  const asked = new URLSearchParams(location.search).get("draw");
  return asked === "cpu" ? "never" : asked === "gpu" ? "always" : "fast";
}

/** Threads that draw one model; the first one uses the GPU if there is one. */
class Pool {
  /** @param {(way: Way, why: string) => void} tell */
  constructor(tell) {
    this.tell = tell;
    /** @type {Way} */
    this.way = "plain";
    /** @type {Job[]} */
    this.pending = [];
    this.number = 0;
    const cores = navigator.hardwareConcurrency || 2;
    const count = Math.min(Math.max(cores - 1, 2), MOST_THREADS);
    this.threads = Array.from({ length: count }, () => this.thread());
  }

  /**
   * Give the threads what they draw with.
   * @param {{model: ArrayBuffer, code: ArrayBuffer | null}} files
   * @returns {Promise<void>} kept when the first of them can draw
   * @throws {NoPicture} if none can
   */
  async start(files) {
    const opened = this.threads.map((thread, k) => {
      const start = { ...files, gpu: k === 0 ? gpuWanted() : "never" };
      const done = new Promise((resolve, reject) =>
        this.send(thread, { message: { start }, urgent: true, signal: null, resolve, reject }),
      );
      return done.finally(() => this.pump());
    });
    try {
      await Promise.any(opened);
    } catch (error) {
      throw /** @type {AggregateError} */ (error).errors[0];
    }
  }

  thread() {
    const worker = new Worker(new URL("./live/worker.js", import.meta.url), { type: "module" });
    /** @type {Map<number, Job>} */
    const jobs = new Map();
    const thread = { worker, jobs, broken: false };
    worker.onmessage = ({ data: { way, why, number, painted, error, plain } }) => {
      if (way) return this.goes(thread, way, why);
      const job = jobs.get(number);
      jobs.delete(number);
      if (error) job?.reject(new NoPicture(plain ? error : `It cannot be drawn here: ${error}.`));
      else job?.resolve(painted);
      this.pump();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      thread.broken = true;
      for (const job of jobs.values()) job.reject(new NoPicture(NO_THREADS));
      jobs.clear();
    };
    return thread;
  }

  /**
   * @param {ReturnType<Pool["thread"]>} thread
   * @param {Way} way
   * @param {string} why
   */
  goes(thread, way, why) {
    if (thread !== this.threads[0]) return;
    this.way = way;
    this.tell(way, why);
    this.pump();
  }

  /**
   * Have something drawn.
   * @param {Paint} paint
   * @param {{urgent?: boolean, signal?: AbortSignal | null}} [how]
   * @returns {Promise<Painted>}
   */
  paint(paint, { urgent = false, signal = null } = {}) {
    return new Promise((resolve, reject) => {
      this.pending.push({ message: { paint }, urgent, signal, resolve, reject });
      this.pump();
    });
  }

  pump() {
    const working = this.threads.filter(({ broken }) => !broken);
    const threads = this.way === "gpu" ? working.slice(0, 1) : working;
    const room = this.way === "gpu" ? AT_ONCE : 1;
    for (;;) {
      this.pending = this.pending.filter(({ signal, reject }) => {
        if (signal?.aborted) reject(new NoPicture("given up", { quiet: true }));
        return !signal?.aborted;
      });
      const thread = threads.find(({ jobs }) => jobs.size < room);
      if (!thread || !this.pending.length) return;
      const first = this.pending.findIndex(({ urgent }) => urgent);
      this.send(thread, this.pending.splice(Math.max(first, 0), 1)[0]);
    }
  }

  /**
   * @param {ReturnType<Pool["thread"]>} thread
   * @param {Job} job
   */
  send(thread, job) {
    if (thread.broken) return job.reject(new NoPicture(NO_THREADS));
    const number = ++this.number;
    thread.jobs.set(number, job);
    thread.worker.postMessage({ number, ...job.message });
  }
}

/** Pictures of one model, as `Pixels`. */
export class LivePixels {
  /**
   * @param {Model} model
   * @param {object} options
   * @param {boolean} options.served whether a server can draw instead
   * @param {(way: Way, why: string) => void} options.tell told how pictures are made
   */
  constructor(model, { served, tell }) {
    this.model = model;
    this.served = served;
    this.tell = tell;
    this.tile = TILE;
    /** @type {Promise<Pool> | null} */
    this.opened = null;
    /** @type {Map<string, Promise<string>>} */
    this.thumbnails = new Map();
  }

  /** @returns {Promise<Pool>} */
  pool() {
    this.opened ??= this.open();
    return this.opened;
  }

  async open() {
    const pool = new Pool(this.tell); // its threads load their modules meanwhile
    const [model, code] = await Promise.all([
      fetched(/** @type {string} */ (this.model.weights)),
      fetched(new URL("./live/kernel.wasm", import.meta.url).href).catch(() => null),
    ]);
    await pool.start({ model, code });
    return pool;
  }

  /**
   * @returns {Promise<Pool | null>} null if the server is to draw
   * @throws {NoPicture} if nobody can
   */
  async poolIfAny() {
    try {
      return await this.pool();
    } catch (error) {
      if (!this.served) throw error;
      this.tell("served", "");
      return null;
    }
  }

  /**
   * @param {string} id
   * @param {Place} place
   * @param {AbortSignal} signal
   * @returns {Promise<Drawn>}
   */
  async draw(id, place, signal) {
    const pool = await this.poolIfAny();
    if (!pool) {
      const { data, evaluated } = await serverPixels.draw(id, place, signal);
      const size = { resizeWidth: TILE, resizeHeight: TILE };
      return { data: await createImageBitmap(data, size), type: "imageBitmap", evaluated };
    }
    const wanted = this.asked(id, place);
    const { pixels, evaluated } = await pool.paint(wanted, { urgent: true, signal });
    const data = await createImageBitmap(new ImageData(pixels, TILE, TILE));
    return { data, type: "imageBitmap", evaluated };
  }

  /** @param {string} id */
  thumbnail(id) {
    const known = this.thumbnails.get(id);
    if (known) return known;
    const made = this.small(id);
    this.thumbnails.set(id, made);
    made.catch(() => this.thumbnails.delete(id)); // may be asked for again
    if (this.thumbnails.size > MOST_THUMBNAILS) {
      const [[oldest, address]] = this.thumbnails;
      this.thumbnails.delete(oldest);
      void address.then(URL.revokeObjectURL, () => {});
    }
    return made;
  }

  /** @param {string} id */
  async small(id) {
    const pool = await this.poolIfAny();
    if (!pool) return serverPixels.thumbnail(id);
    const { pixels } = await pool.paint(this.asked(id, { level: 0, x: 0, y: 0 }));
    const canvas = new OffscreenCanvas(TILE, TILE);
    context(canvas).putImageData(new ImageData(pixels, TILE, TILE), 0, 0);
    return URL.createObjectURL(await canvas.convertToBlob());
  }

  /**
   * A view as a file: drawn upright part by part, then turned by the browser.
   * @param {Asked} asked
   */
  async file(asked) {
    if (this.served) return serverPixels.file(asked);
    const {
      id,
      window: [y0, x0, y1, x1],
      height,
      width,
      turn,
      mirror,
      format,
      quick,
    } = asked;
    const pool = await this.pool();
    const pitch = (y1 - y0) / height;
    // What the turned frame shows lies within this many pixels of its middle.
    const angle = (turn * Math.PI) / 180;
    const [cos, sin] = [Math.abs(Math.cos(angle)), Math.abs(Math.sin(angle))];
    const tall = turn ? Math.ceil(width * sin + height * cos) : height;
    const wide = turn ? Math.ceil(width * cos + height * sin) : width;
    const upright = new OffscreenCanvas(wide, tall);
    const ink = context(upright);
    const parts = [];
    for (let top = 0; top < tall; top += PART)
      for (let left = 0; left < wide; left += PART) {
        const field = {
          y0: (y0 + y1) / 2 + (top - tall / 2) * pitch,
          x0: (x0 + x1) / 2 + (left - wide / 2) * pitch,
          pitch,
          height: Math.min(PART, tall - top),
          width: Math.min(PART, wide - left),
        };
        const painted = pool.paint({ ...this.wished(id), field }, { urgent: quick });
        parts.push(
          painted.then(({ pixels }) =>
            ink.putImageData(new ImageData(pixels, field.width, field.height), left, top),
          ),
        );
      }
    await Promise.all(parts);
    const frame = new OffscreenCanvas(width, height);
    const drawn = context(frame);
    drawn.imageSmoothingQuality = "high";
    drawn.translate(width / 2, height / 2);
    drawn.rotate(angle);
    drawn.scale(mirror ? -1 : 1, 1);
    drawn.drawImage(upright, -wide / 2, -tall / 2);
    const type = MEDIA[format] ?? MEDIA.png;
    const picture = await frame.convertToBlob({ type, quality: quick ? PREVIEW : 0.95 });
    const name = `${id.replace(/@[0-9a-f]+:/, "-").replace(/[^\w.+-]+/g, "-")}-${width}x${height}`;
    return { picture, name: `${name}.${format}` };
  }

  /**
   * What a thread is asked for a tile.
   * @param {string} id
   * @param {Place} place
   * @returns {Paint}
   */
  asked(id, { level, x, y }) {
    const side = 2 ** -level;
    const { detail, resolution } = this.model;
    // Half the samples that would show the finest detail: it is the way to finer tiles, as a rule.
    const samples = Math.min(Math.max(Math.ceil((detail * side) / TILE / 2), 1), 4);
    const field = { y0: y * side, x0: x * side, pitch: side / TILE, height: TILE, width: TILE };
    const by = /;by=(\w+)/.exec(id)?.[1];
    const nativeSamples = Math.min(Math.max(Math.ceil(detail / resolution), 1), 8);
    return { ...this.wished(id), field, samples, by, nativeSamples };
  }

  /** @param {string} id */
  wished(id) {
    const read = readIdentifier(id);
    if (!read) throw new NoPicture("There is no such picture here.");
    const { picture } = read;
    const cutoff = picture.extra.find((word) => word.startsWith("k="))?.slice(2);
    return {
      wish: {
        recipe: recipe(picture),
        truncation: picture.truncation,
        cutoff: cutoff === undefined ? null : Number(cutoff),
        label: picture.label,
      },
    };
  }
}

/** @param {OffscreenCanvas} canvas */
function context(canvas) {
  const found = canvas.getContext("2d");
  if (!found) throw new NoPicture("This browser has too little memory for the picture.");
  return found;
}

/**
 * A file of the page's own.
 * @param {string} address
 */
async function fetched(address) {
  let response;
  try {
    response = await fetch(address);
    if (response.ok) return await response.arrayBuffer();
  } catch {
    // said below
  }
  const why = response && !response.ok ? ` (${response.status})` : "";
  throw new NoPicture(`The model does not arrive${why}. Reload the page to try again.`);
}

/** @param {Way} way */
export function showWay(way) {
  const [short, sentence] = WAYS[way];
  const line = find("#way", HTMLElement);
  line.textContent = sentence;
  line.hidden = false;
  find("#credit", HTMLElement).dataset.way = short;
}
