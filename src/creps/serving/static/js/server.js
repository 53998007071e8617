// What the page asks of its server: models, jobs, and addresses of pictures. See docs/serving.md.

/**
 * @typedef {object} Model
 * @property {string} name
 * @property {string} pin the first digits of the weights' hash
 * @property {number} resolution pixels a side it was trained at
 * @property {number} detail pixels a plane unit of the finest detail it was trained on
 * @property {number} styles layers that take a style
 * @property {number} classes
 * @property {string} credits
 * @property {string} license
 *
 * @typedef {object} Limits
 * @property {number} pixels of one direct answer
 * @property {number} side
 * @property {number} job_pixels
 * @property {string[]} job_formats
 * @property {[number, number]} plane_levels
 *
 * @typedef {{version: string, models: Model[], limits: Limits, jobs: boolean}} Offer
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
   */
  constructor(status, message) {
    super(message);
    this.status = status;
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
  throw new ServerError(response.status, asSentence(error));
}

/**
 * The server's words as a sentence of the page.
 * @param {string} words
 */
export const asSentence = (words) =>
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
export async function askForFile(path) {
  const response = await answer(path);
  const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "");
  try {
    return { picture: await response.blob(), name: name?.[1] ?? "" };
  } catch {
    throw new ServerError(0, "The server does not answer.");
  }
}

/** @returns {Promise<Offer>} */
export const offer = () => ask("api/models");

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
export const segment = (id) =>
  encodeURIComponent(id).replace(/%(3A|40|2C|2B|3D)/g, decodeURIComponent);

/**
 * The picture on its unit square, 256 pixels a side.
 * @param {string} id
 */
export const thumbnail = (id) => `plane/${segment(id)}/0/0_0.jpg`;

/**
 * One view as a picture file.
 * @param {string} id
 * @param {Record<string, string | number>} parameters
 */
export const viewAddress = (id, parameters) =>
  `view/${segment(id)}?${Object.entries(parameters)
    .map(([k, v]) => `${k}=${encodeURIComponent(v).replaceAll("%2C", ",")}`)
    .join("&")}`;
