// The plane as a tile source for OpenSeadragon, and the queue in which its tiles are fetched.
//
// The world is the part of the plane from -16 to 16 on both axes, laid down so that OpenSeadragon's
// coordinates are plane units. Its level 0 is one tile of 32 units, so plane level L is level L + 5.
import { NoPicture } from "./pixels.js";

const SIDE = 256; // pixels of a plane unit at level 0 of the server's tiles
export const REACH = 16;
const LEVEL_0 = 5;
/** The plane level of a view of many units. */
const COARSEST = -1;
/** Levels below this are finer than the pixels of any view that there is. */
const DEEPEST = 30;
/** OpenSeadragon takes rectangles below 1e-10 of the world, which is 32 units wide, for empty. */
export const NARROWEST = 2 ** -26; // plane units across a view

const AT_ONCE = 6; // what a browser keeps open to one server
const REMEMBERED = 4096; // tiles whose share of evaluated pixels is known

/**
 * @typedef {object} Wanted a tile that is asked for or on its way
 * @property {any} job OpenSeadragon's
 * @property {(signal: AbortSignal) => Promise<import("./pixels.js").Drawn>} draw
 * @property {AbortController | null} sent
 * @property {{y: number, x: number, side: number, level: number}} place plane units
 * @property {any} source
 */

/**
 * The deepest plane level to show.
 * @param {[number, number]} levels of the server
 */
export const deepest = (levels) => Math.min(levels[1], DEEPEST);

/**
 * Whether a tile comes before another: sharp ones first, then from the middle outwards.
 * @param {any} a OpenSeadragon's
 * @param {any} b
 */
const before = (a, b) =>
  a.visibility === b.visibility
    ? a.squaredDistance < b.squaredDistance
    : a.visibility > b.visibility;

/** Has tiles drawn, a few at a time, the best first; what is no longer in view is given up. */
export class TileQueue {
  constructor() {
    /** @type {Wanted[]} */
    this.waiting = [];
    /** @type {Set<Wanted>} */
    this.sent = new Set();
    /** @type {(trouble: string | null) => void} told when the server is in trouble, and when it is over */
    this.ontrouble = () => {};
    /** @type {string | null} */
    this.trouble = null;
    this.lasting = false; // whether it stays so, however often the picture is asked for
    this.rest = 0; // when the server is busy: not before this time
    /** @type {Map<string, number>} share of the pixels that were evaluated, by a tile's address */
    this.shares = new Map();
  }

  /** @param {Wanted} tile */
  add(tile) {
    this.waiting.push(tile);
    // Wait for the others of this frame, to begin in the middle of the view.
    queueMicrotask(() => this.pump());
  }

  /**
   * Give up the tiles that are not wanted any more.
   * @param {(tile: Wanted) => boolean} wanted
   */
  keep(wanted) {
    for (const tile of [...this.waiting, ...this.sent]) if (!wanted(tile)) this.drop(tile.job);
  }

  /** @param {any} job */
  drop(job) {
    const tile = [...this.waiting, ...this.sent].find((each) => each.job === job);
    if (!tile) return;
    this.waiting = this.waiting.filter((each) => each !== tile);
    this.sent.delete(tile);
    tile.sent?.abort();
    job.fail("given up");
    job.tile.exists = true; // may be asked for again
    this.pump();
  }

  pump() {
    const pause = this.rest - performance.now();
    if (pause > 0) {
      setTimeout(() => this.pump(), pause + 1);
      return;
    }
    while (this.sent.size < AT_ONCE && this.waiting.length) {
      const next = this.waiting.reduce((a, b) => (before(b.job.tile, a.job.tile) ? b : a));
      this.waiting.splice(this.waiting.indexOf(next), 1);
      this.sent.add(next);
      void this.draw(next);
    }
  }

  /** @param {Wanted} tile */
  async draw(tile) {
    const sent = new AbortController();
    tile.sent = sent;
    try {
      const { data, type, evaluated } = await tile.draw(sent.signal);
      if (!this.sent.delete(tile)) return;
      this.tell(null);
      if (evaluated !== null) this.remember(tile.job.src, evaluated);
      tile.job.finish(data, null, type);
    } catch (error) {
      if (sent.signal.aborted) return;
      const { message, pause, quiet } =
        error instanceof NoPicture ? error : new NoPicture(String(error));
      if (pause) this.later(tile, pause, message);
      else {
        if (this.sent.delete(tile)) tile.job.fail(message);
        if (!quiet) this.tell(message, true);
      }
    } finally {
      this.pump();
    }
  }

  /**
   * @param {string} address
   * @param {number} share
   */
  remember(address, share) {
    this.shares.set(address, share);
    if (this.shares.size > REMEMBERED) this.shares.delete([...this.shares.keys()][0]);
  }

  /**
   * @param {Wanted} tile
   * @param {number} pause ms
   * @param {string} why
   */
  later(tile, pause, why) {
    if (!this.sent.delete(tile)) return;
    tile.sent = null;
    this.waiting.push(tile);
    this.rest = performance.now() + pause;
    this.tell(why);
  }

  /** What is wrong with one picture need not be wrong with the next. */
  forget() {
    if (this.lasting) this.tell(null);
  }

  /**
   * @param {string | null} trouble
   * @param {boolean} [lasting]
   */
  tell(trouble, lasting = false) {
    this.lasting = lasting;
    if (trouble === this.trouble) return;
    this.trouble = trouble;
    this.ontrouble(trouble);
  }
}

/**
 * The tile source of a picture.
 * @param {string} id pinned, so that its tiles may be kept for ever
 * @param {{queue: TileQueue, pixels: import("./pixels.js").Pixels, deepest: number, owner: object}} options
 *   `owner`: the pane that shows it
 */
export function planeSource(id, { queue, pixels, deepest, owner }) {
  const { tile } = pixels;
  const levels = deepest + Math.log2(SIDE / tile) + LEVEL_0;
  const source = new OpenSeadragon.TileSource({
    width: tile * 2 ** levels,
    height: tile * 2 ** levels,
    tileSize: tile,
    tileOverlap: 0,
    minLevel: LEVEL_0 + COARSEST,
    maxLevel: levels,
  });
  const place = (/** @type {number} */ level, /** @type {number} */ index) =>
    index - REACH * 2 ** (level - LEVEL_0);
  return Object.assign(source, {
    owner,
    tile,
    // Never fetched by OpenSeadragon: what its cache knows a tile by.
    getTileUrl: (/** @type {number} */ level, /** @type {number} */ x, /** @type {number} */ y) =>
      `${id} ${level - LEVEL_0} ${place(level, x)} ${place(level, y)}`,
    downloadTileStart: (/** @type {any} */ job) => {
      const { level, x, y } = job.tile;
      const side = 2 ** (LEVEL_0 - level);
      const at = { level: level - LEVEL_0, x: place(level, x), y: place(level, y) };
      queue.add({
        job,
        source,
        draw: (signal) => pixels.draw(id, at, signal),
        sent: null,
        place: { y: at.y * side, x: at.x * side, side, level: at.level },
      });
    },
    downloadTileAbort: (/** @type {any} */ job) => queue.drop(job),
  });
}
