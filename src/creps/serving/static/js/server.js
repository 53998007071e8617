// What the page asks of its server: models, jobs, and pictures. See docs/serving.md.
import { find } from "./dom.js";
import { NoPicture } from "./pixels.js";

/**
 * @typedef {object} Model
 * @property {string} name
 * @property {string} pin the first digits of the weights' hash
 * @property {number} resolution pixels a side of its own size
 * @property {number} trained pixels a side of whole pictures in its training
 * @property {number} detail pixels a plane unit of the finest detail it was trained on
 * @property {number} styles layers that take a style
 * @property {number} classes
 * @property {string[]} [class_names] of all of them, or none
 * @property {number | null} [default_class] the one that is drawn where none is chosen
 * @property {boolean} needs_class whether one must be chosen; otherwise latents decide on it
 * @property {string} credits
 * @property {string} license
 * @property {string | null} weights address of the model's file, if browsers may draw by themselves
 *
 * @typedef {object} Limits
 * @property {number} pixels of one direct answer
 * @property {number} side
 * @property {number} job_pixels
 * @property {string[]} job_formats
 * @property {[number, number]} plane_levels
 *
 * @typedef {object} Offer
 * @property {string} version
 * @property {Model[]} models
 * @property {Limits} limits
 * @property {boolean} jobs
 * @property {boolean} draws whether there is a server that draws
 *
 * @typedef {object} Job
 * @property {string} job
 * @property {"queued" | "running" | "writing" | "done" | "failed" | "cancelled"} state
 * @property {number} done pixels
 * @property {number} total pixels
 * @property {number | null} left seconds
 * @property {string} name
 * @property {number | null} bytes
 * @property {string | null} file
 * @property {string | null} error
 */

/** An answer that is no success; the message is the server's own sentence. */
export class ServerError extends Error {
  /**
   * @param {number} status 0: no answer at all
   * @param {string} message
   * @param {number} [retry] seconds until it may be asked again
   */
  constructor(status, message, retry = 0) {
    super(message);
    this.status = status;
    this.retry = retry;
  }
}

/**
 * An answer that is a success.
 * @param {string} path relative to the page
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 * @throws {ServerError}
 */
async function answer(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ServerError(0, "The server does not answer.");
  }
  if (response.ok) return response;
  const { error = `The server answered ${response.status}.` } = await response
    .json()
    .catch(() => ({}));
  const retry = Number(response.headers.get("Retry-After")) || 1;
  throw new ServerError(response.status, asSentence(error), retry);
}

/**
 * The server's words as a sentence of the page.
 * @param {string} words
 */
const asSentence = (words) =>
  `${words[0].toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;

/**
 * Ask for JSON.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 * @throws {ServerError}
 */
export const ask = async (path, options) => (await answer(path, options)).json();

/**
 * Ask for a picture as a file.
 * @param {string} path
 * @returns {Promise<{picture: Blob, name: string}>} `name`: what the server calls it
 * @throws {ServerError}
 */
async function askForFile(path) {
  const response = await answer(path);
  const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "");
  try {
    return { picture: await response.blob(), name: name?.[1] ?? "" };
  } catch {
    throw new ServerError(0, "The server does not answer.");
  }
}

/**
 * What there is to be seen. The page itself says where that is written: a server has it, and a folder
 * of files.
 * @returns {Promise<Offer>}
 */
export const offer = () => ask(find("meta[name=creps-offer]", HTMLMetaElement).content);

/**
 * @param {object} wish
 * @returns {Promise<Job>}
 */
export const startJob = (wish) =>
  ask("api/jobs", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(wish),
  });

/**
 * @param {string} job
 * @returns {Promise<Job>}
 */
export const job = (job) => ask(`api/jobs/${encodeURIComponent(job)}`);

/** @param {string} job */
export const dropJob = (job) => ask(`api/jobs/${encodeURIComponent(job)}`, { method: "DELETE" });

/**
 * An identifier as one segment of a path; what may stay as it is stays readable.
 * @param {string} id
 */
const segment = (id) => encodeURIComponent(id).replace(/%(3A|40|2C|2B|3D)/g, decodeURIComponent);

/**
 * One tile, as a file of the browser's.
 * @param {string} id
 * @param {import("./pixels.js").Place} place
 * @param {AbortSignal} [signal]
 */
async function tile(id, { level, x, y }, signal) {
  // An enlarged picture ends at its borders; beyond them it is transparent. (OpenSeadragon would draw PNG
  // tiles with seams when they are turned.)
  const format = id.includes(";by=") ? "webp" : "jpg";
  const response = await answer(`plane/${segment(id)}/${level}/${x}_${y}.${format}`, { signal });
  const evaluated = response.headers.get("Creps-Evaluated");
  return { data: await response.blob(), evaluated: evaluated === null ? null : Number(evaluated) };
}

/**
 * One view as a picture file.
 * @param {string} id
 * @param {Record<string, string | number>} parameters
 */
const viewAddress = (id, parameters) =>
  `view/${segment(id)}?${Object.entries(parameters)
    .map(([k, v]) => `${k}=${encodeURIComponent(v).replaceAll("%2C", ",")}`)
    .join("&")}`;

const PATIENCE = 1000; // ms before a tile is asked for again

/**
 * Pictures that the server draws.
 * @type {import("./pixels.js").Pixels}
 */
export const serverPixels = {
  tile: 256,
  async draw(id, place, signal) {
    try {
      return { ...(await tile(id, place, signal)), type: "rasterBlob" };
    } catch (error) {
      if (!(error instanceof ServerError))
        throw new NoPicture("The server does not answer; trying again.", { pause: PATIENCE });
      const { status, message, retry } = error;
      if (status === 0)
        throw new NoPicture("The server does not answer; trying again.", { pause: PATIENCE });
      if (status >= 500)
        throw new NoPicture("The server is busy; the picture follows.", { pause: 1000 * retry });
      throw new NoPicture(message);
    }
  },
  thumbnail: async (id) => `plane/${segment(id)}/0/0_0.jpg`,
  file: ({ id, window, height, width, turn, mirror, format, quick }) =>
    askForFile(
      viewAddress(id, {
        window: window.map(plain).join(","),
        height,
        width,
        ...(turn ? { rotation: plain(turn) } : {}),
        ...(mirror ? { mirror: 1 } : {}),
        format,
        ...(quick ? {} : { download: 1 }),
      }),
    ),
};

/**
 * A number with as many digits as the server reads.
 * @param {number} value
 */
const plain = (value) => String(Number(value.toFixed(16)));
