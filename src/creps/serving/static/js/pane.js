// One view of the plane: an OpenSeadragon viewer that changes pictures without a flash.
import { calm } from "./dom.js";
import { gestures, twoFingers } from "./fingers.js";
import { NARROWEST, REACH, planeSource } from "./tiles.js";

/** @typedef {import("./link.js").View} View */

/**
 * Screen pixels a side that a tile pixel covers at least (and less than twice as many). A picture begins as a
 * sketch of a few tiles, so that something is there at once and sliders feel light, then it is rough, then fine.
 */
const SKETCH = 3;
const ROUGH = 1.5;
const FINE = 0.7;
/** Views are narrower by this: tiles that only touch the border of the whole picture are not asked for. */
const HAIR = 1 - 2 ** -11;
const STEADY = 220; // ms without a change before a picture is drawn finely
const LONGEST_WAIT = 4000; // ms until the old picture goes even if the new one is not complete
const WIDEST = 8; // plane units

// Tiles that are given up are no errors, and real troubles are told on the page.
const { console } = globalThis;
/** @type {any} */ (OpenSeadragon).console = {
  ...Object.fromEntries(
    Object.keys(console).map((name) => [name, /** @type {any} */ (console)[name].bind?.(console)]),
  ),
  error: (/** @type {unknown[]} */ ...words) =>
    String(words[0]).startsWith("Tile %s failed") || console.error(...words),
};

export class Pane {
  /**
   * @param {HTMLElement} element
   * @param {import("./stage.js").Source & {name: string}} options
   */
  constructor(element, { queue, pixelsOf, deepest, name }) {
    this.element = element;
    this.queue = queue;
    this.pixelsOf = pixelsOf;
    this.deepest = deepest;
    /** @type {any} OpenSeadragon's own types leave out some of what is used here */
    this.viewer = OpenSeadragon(
      /** @type {any} */ ({
        element,
        ...SETTINGS,
        minZoomLevel: 1 / WIDEST,
        maxZoomLevel: 1 / NARROWEST,
        animationTime: calm() ? 0 : 0.7,
        blendTime: calm() ? 0 : 0.15,
        ...gestures(),
      }),
    );
    this.viewer.canvas.setAttribute("role", "application");
    this.viewer.canvas.setAttribute("aria-roledescription", "zoomable picture");
    this.viewer.canvas.setAttribute(
      "aria-keyshortcuts",
      "ArrowUp ArrowDown ArrowLeft ArrowRight + - 0 R",
    );
    this.label(name);
    /** @type {Promise<void>} kept when there is a first picture, if only a sketch */
    this.sketched = new Promise((resolve) => {
      this.sketch = resolve;
    });
    /** @type {Promise<void>} kept when the first picture is more than a sketch */
    this.painted = new Promise((resolve) => {
      this.paint = resolve;
    });
    /** @type {string | null} */
    this.wish = null;
    this.busy = false;
    this.steady = 0;
    this.square = false; // whether the outline of the training square is shown
    /** @type {(() => void)[]} */
    this.listeners = [];
    // The page has its own keys.
    this.viewer.addHandler("canvas-key", (/** @type {any} */ event) => {
      event.preventDefaultAction = true;
    });
    for (const event of /** @type {const} */ (["viewport-change", "animation-finish"])) {
      this.viewer.addHandler(event, () => this.moved());
    }
    twoFingers(this.viewer);
    this.viewer.addHandler("rotate", () => this.moved());
    this.viewer.addHandler("flip", () => this.moved());
  }

  get viewport() {
    return this.viewer.viewport;
  }

  /** @param {string} text what screen readers call it */
  label(text) {
    this.viewer.canvas.setAttribute("aria-label", text);
  }

  /**
   * Show a picture: a sketch at once, finely as soon as nothing changes any more.
   * @param {string} id
   */
  show(id) {
    if (id === this.wish) return;
    this.wish = id;
    this.queue.forget();
    clearTimeout(this.steady);
    this.steady = window.setTimeout(() => {
      this.steady = 0;
      this.refine();
    }, STEADY);
    if (!this.busy) this.change();
  }

  /** Bring the newest wish on top; the picture below goes when the new one is there. */
  change() {
    const id = this.wish;
    if (id === null) return;
    this.busy = true;
    this.element.setAttribute("aria-busy", "true");
    this.viewer.addTiledImage({
      tileSource: planeSource(id, {
        queue: this.queue,
        pixels: this.pixelsOf(id),
        deepest: this.deepest,
        owner: this,
      }),
      x: -REACH,
      y: -REACH,
      width: 2 * REACH,
      success: (/** @type {any} */ { item }) => {
        let done = false;
        const settle = () => {
          if (done) return;
          // Without an answer the old picture is better than none.
          if (this.queue.trouble && !item.getFullyLoaded()) {
            limit = setTimeout(settle, LONGEST_WAIT);
            return;
          }
          done = true;
          clearTimeout(limit);
          this.dropBelow(item);
          this.busy = false;
          this.sketch?.();
          if (this.wish !== id) this.change();
          else this.refine();
        };
        let limit = setTimeout(settle, LONGEST_WAIT);
        item.addHandler("fully-loaded-change", (/** @type {any} */ event) => {
          if (event.fullyLoaded && done) this.refine();
          else if (event.fullyLoaded) settle();
          this.tell();
        });
      },
    });
  }

  /** Tell screen readers, and the line above the picture, whether all of it is there. */
  tell() {
    const { world } = this.viewer;
    const item = world.getItemCount() ? world.getItemAt(world.getItemCount() - 1) : null;
    const complete = item && !this.busy && item.minPixelRatio === FINE && item.getFullyLoaded();
    this.element.setAttribute("aria-busy", String(!complete));
  }

  /** Share of the pixels seen that the model evaluated, the others being interpolated; null: unknown. */
  evaluated() {
    const { world } = this.viewer;
    const item = world.getItemCount() ? world.getItemAt(world.getItemCount() - 1) : null;
    const shares = (item?.getTilesToDraw() ?? []).flatMap((/** @type {any} */ { tile }) => {
      const share = this.queue.shares.get(tile.getUrl());
      return share === undefined ? [] : [share];
    });
    if (!shares.length) return null;
    return (
      shares.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b) / shares.length
    );
  }

  /** @param {any} item */
  dropBelow(item) {
    const { world } = this.viewer;
    while (world.getItemCount() > 1 && world.getItemAt(0) !== item)
      world.removeItem(world.getItemAt(0));
    this.prune();
  }

  /** One step finer: from a sketch to rough as soon as it is there, and to fine when nothing changes. */
  refine() {
    const { world } = this.viewer;
    const item = world.getItemCount() ? world.getItemAt(world.getItemCount() - 1) : null;
    if (!item || this.busy) return;
    if (item.minPixelRatio === SKETCH) item.minPixelRatio = ROUGH;
    else if (item.minPixelRatio === ROUGH && !this.steady && item.getFullyLoaded()) {
      this.paint?.();
      item.minPixelRatio = FINE;
    } else return this.tell();
    item.update(true);
    this.viewer.forceRedraw();
    if (item.getFullyLoaded()) this.refine(); // a small or far view: the same tiles serve
  }

  /** @returns {View} where the picture is going, or with `now` where it is */
  view(now = false) {
    const bounds = this.viewport.getBoundsNoRotate(now);
    const center = this.viewport.getCenter(now);
    return {
      y: center.y,
      x: center.x,
      span: Math.min(bounds.width, bounds.height) / HAIR,
      turn: ((this.turn(now) % 360) + 360) % 360,
      mirror: this.viewport.getFlip(),
    };
  }

  /** Degrees clockwise as they are seen; OpenSeadragon counts them before it mirrors. */
  turn(now = false) {
    const degrees = this.viewport.getRotation(now);
    return this.viewport.getFlip() ? -degrees : degrees;
  }

  /** (height, width) of what is seen, plane units, before it is turned. */
  frame() {
    const { height, width } = this.viewport.getBoundsNoRotate(false);
    return { height, width };
  }

  /** Pixels of the screen that a plane unit covers now. */
  scale() {
    return (
      this.viewport.getZoom(true) *
      this.viewport.getContainerSize().x *
      OpenSeadragon.pixelDensityRatio
    );
  }

  /**
   * Go to a view; what is too far out or too deep goes as far as it can.
   * @param {View} view
   * @param {boolean} [now] without a way there
   */
  look(view, now = calm()) {
    const { x: width, y: height } = this.viewport.getContainerSize();
    if (!width || !height) return;
    const flipped = this.viewport.getFlip();
    this.viewport.setFlip(view.mirror);
    this.viewport.setRotation(view.mirror ? -view.turn : view.turn, now || view.mirror !== flipped);
    const within = (/** @type {number} */ value, /** @type {number} */ low, high = -low) =>
      Math.min(Math.max(value, low), high);
    const zoom = Math.min(width, height) / width / (view.span * HAIR);
    this.viewport.zoomTo(within(zoom, 1 / WIDEST, 1 / NARROWEST), undefined, now);
    const [x, y] = [view.x, view.y].map((place) => within(place, WIDEST - REACH));
    this.viewport.panTo(new OpenSeadragon.Point(x, y), now);
  }

  /** The shown element may have another size: look again at the same part. */
  resized() {
    const view = this.view();
    this.viewer.viewport.resize(
      new OpenSeadragon.Point(this.element.clientWidth, this.element.clientHeight),
      true,
    );
    this.look(view, true);
    this.viewer.forceRedraw();
  }

  moved() {
    this.prune();
    this.outline();
    for (const listener of this.listeners) listener();
  }

  /** Give up tiles that have left the view, or are finer than it. */
  prune() {
    const { world } = this.viewer;
    const own = new Set(
      Array.from({ length: world.getItemCount() }, (_, k) => world.getItemAt(k).source),
    );
    const seen = this.viewport.getBounds(false).getBoundingBox();
    const scale =
      this.viewport.getZoom(false) *
      this.viewport.getContainerSize().x *
      OpenSeadragon.pixelDensityRatio;
    this.queue.keep(({ source, place: { y, x, side, level } }) => {
      if (source.owner !== this) return true;
      if (!own.has(source) || level > Math.log2(scale / source.tile) + 2) return false;
      // Neighbors stay wanted: OpenSeadragon asks for tiles that only touch the view.
      const margin = side / 4;
      return (
        x < seen.x + seen.width + margin &&
        x + side > seen.x - margin &&
        y < seen.y + seen.height + margin &&
        y + side > seen.y - margin
      );
    });
  }

  /** Outline the square that the model was trained on, while there is more than it to be seen. */
  outline() {
    const shown = this.view(true).span > 1.02;
    if (shown === this.square) return;
    this.square = shown;
    if (!shown) return this.viewer.removeOverlay(`${this.element.id}-square`);
    const element = document.createElement("div");
    element.id = `${this.element.id}-square`;
    element.className = "training-square";
    this.viewer.addOverlay({
      element,
      location: new OpenSeadragon.Rect(0, 0, 1, 1),
      rotationMode: "exact",
    });
  }
}

const SETTINGS = {
  // The WebGL drawer computes places in float32: a deep zoom would tremble.
  drawer: "canvas",
  showNavigationControl: false,
  preserveViewport: true,
  autoResize: false,
  immediateRender: true,
  minPixelRatio: SKETCH, // how a picture begins; `refine` changes it
  maxTilesPerFrame: 64,
  imageLoaderLimit: 0,
  timeout: 2 ** 30,
  maxImageCacheCount: 1600,
  visibilityRatio: 1,
  zoomPerScroll: 1.35,
  zoomPerClick: 2,
  springStiffness: 8,
  minZoomImageRatio: 0,
  maxZoomPixelRatio: 4,
};
