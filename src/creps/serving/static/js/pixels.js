// What the page takes pictures from: a server, or this browser itself.

/**
 * @typedef {{level: number, x: number, y: number}} Place a tile of the endless plane: at level L one of
 *   index x, y begins at (y / 2^L, x / 2^L) and is 1 / 2^L plane units a side
 *
 * @typedef {object} Drawn as OpenSeadragon has it
 * @property {Blob | ImageBitmap} data
 * @property {"rasterBlob" | "imageBitmap"} type
 * @property {number | null} evaluated share of the pixels that the model evaluated, the others being
 *   interpolated; null: unknown, or none
 *
 * @typedef {object} Asked a view as a file
 * @property {string} id
 * @property {number[]} window Y0, X0, Y1, X1 of the plane, before it is turned
 * @property {number} height pixels
 * @property {number} width
 * @property {number} turn degrees clockwise
 * @property {boolean} mirror
 * @property {string} format such as "png"
 * @property {boolean} [quick] a preview
 *
 * @typedef {object} Pixels
 * @property {number} tile pixels of a tile's side
 * @property {(id: string, place: Place, signal: AbortSignal) => Promise<Drawn>} draw throws NoPicture
 * @property {(id: string) => Promise<string>} thumbnail address of the picture on its unit square, small
 * @property {(asked: Asked) => Promise<{picture: Blob, name: string}>} file throws an Error for people
 */

/** Why there is no picture, in a sentence. */
export class NoPicture extends Error {
  /**
   * @param {string} message
   * @param {{pause?: number, quiet?: boolean}} [how] `pause`: ms until it may be asked for again;
   *   `quiet`: nothing that a visitor needs to know
   */
  constructor(message, { pause = 0, quiet = false } = {}) {
    super(message);
    this.pause = pause;
    this.quiet = quiet;
  }
}
