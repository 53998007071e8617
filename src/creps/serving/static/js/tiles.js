// The plane as a tile source for OpenSeadragon, and the queue in which its tiles are fetched.
//
// The world is the part of the plane from -16 to 16 on both axes, laid down so that OpenSeadragon's
// coordinates are plane units. Its level 0 is one tile of 32 units, so plane level L is level L + 5.
import { asSentence, segment } from "./server.js";

export const TILE = 256;
export const REACH = 16;
const LEVEL_0 = 5;
/** The plane level of a view of many units. */
const COARSEST = -1;
/** Deeper, float64 leaves too few digits between the pixels of a screen. */
const DEEPEST = 34;

const AT_ONCE = 6; // what a browser keeps open to one server
const PATIENCE = 1000; // ms before a tile is asked for again

/**
 * @typedef {object} Wanted a tile that is asked for or on its way
 * @property {any} job OpenSeadragon's
 * @property {string} url
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

/** Fetches tiles, a few at a time, the best first; what is no longer in view is given up. */
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
    this.rest = 0; // when the server is busy: not before this time
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
      void this.fetch(next);
    }
  }

  /** @param {Wanted} tile */
  async fetch(tile) {
    tile.sent = new AbortController();
    try {
      const response = await fetch(tile.url, { signal: tile.sent.signal });
      if (response.ok) {
        const blob = await response.blob();
        if (!this.sent.delete(tile)) return;
        this.tell(null);
        tile.job.finish(blob, null, "rasterBlob");
      } else if (response.status === 503 || response.status >= 500) {
        const seconds = Number(response.headers.get("Retry-After")) || 1;
        this.later(tile, seconds * 1000, "The server is busy; the picture follows.");
      } else {
        const { error = `The server answered ${response.status}.` } = await response
          .json()
          .catch(() => ({}));
        if (this.sent.delete(tile)) tile.job.fail(error);
        // 400: this far out or this deep there is nothing to be had; the rest of the picture is fine.
        if (response.status !== 400) this.tell(asSentence(error));
      }
    } catch {
      if (!tile.sent?.signal.aborted)
        this.later(tile, PATIENCE, "The server does not answer; trying again.");
    }
    this.pump();
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

  /** @param {string | null} trouble */
  tell(trouble) {
    if (trouble === this.trouble) return;
    this.trouble = trouble;
    this.ontrouble(trouble);
  }
}

/**
 * The tile source of a picture.
 * @param {string} id pinned, so that its tiles may be kept for ever
 * @param {{queue: TileQueue, deepest: number, owner: object}} options `owner`: the pane that shows it
 */
export function planeSource(id, { queue, deepest, owner }) {
  const levels = deepest + LEVEL_0;
  const source = new OpenSeadragon.TileSource({
    width: TILE * 2 ** levels,
    height: TILE * 2 ** levels,
    tileSize: TILE,
    tileOverlap: 0,
    minLevel: LEVEL_0 + COARSEST,
    maxLevel: levels,
  });
  const address = `plane/${segment(id)}`;
  // An enlarged picture ends at its borders; beyond them it is transparent. (OpenSeadragon would draw PNG
  // tiles with seams when they are turned.)
  const format = id.includes(";by=") ? "webp" : "jpg";
  const place = (/** @type {number} */ level, /** @type {number} */ index) =>
    index - REACH * 2 ** (level - LEVEL_0);
  return Object.assign(source, {
    owner,
    getTileUrl: (/** @type {number} */ level, /** @type {number} */ x, /** @type {number} */ y) =>
      `${address}/${level - LEVEL_0}/${place(level, x)}_${place(level, y)}.${format}`,
    downloadTileStart: (/** @type {any} */ job) => {
      const { level, x, y } = job.tile;
      const side = 2 ** (LEVEL_0 - level);
      queue.add({
        job,
        source,
        url: job.src,
        sent: null,
        place: {
          y: place(level, y) * side,
          x: place(level, x) * side,
          side,
          level: level - LEVEL_0,
        },
      });
    },
    downloadTileAbort: (/** @type {any} */ job) => queue.drop(job),
  });
}
