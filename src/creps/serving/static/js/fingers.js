// Two fingers on a picture: what lies under them stays under them, while it moves, grows and turns.
// (OpenSeadragon 6.1 alone turns twice as far as the fingers, and the wrong way when mirrored.)

import { calm } from "./dom.js";

/** @typedef {{x: number, y: number}} Place pixels from the middle of the picture */

/** What OpenSeadragon does by itself; a picture that is let go glides on, if things may move. */
export function gestures() {
  const each = { clickToZoom: false, dblClickToZoom: true, flickEnabled: !calm() };
  return { gestureSettingsMouse: each, gestureSettingsTouch: each, gestureSettingsPen: each };
}

/**
 * Let two fingers move a viewer.
 * @param {any} viewer OpenSeadragon's
 */
export function twoFingers(viewer) {
  /** @type {{ids: string, places: Place[]}} */
  let last = { ids: "", places: [] };
  viewer.addHandler("canvas-pinch", (/** @type {any} */ event) => {
    event.preventDefaultPanAction = true;
    event.preventDefaultZoomAction = true;
    event.preventDefaultRotateAction = true;
    const { left, top, width, height } = viewer.canvas.getBoundingClientRect();
    const place = (/** @type {Place} */ { x, y }) => ({
      x: x - window.scrollX - left - width / 2,
      y: y - window.scrollY - top - height / 2,
    });
    /** @type {{id: number, currentPos: Place, lastPos: Place}[]} */
    const points = event.gesturePoints;
    const ids = points.map(({ id }) => id).join();
    const before = ids === last.ids ? last.places : points.map(({ lastPos }) => place(lastPos));
    last = { ids, places: points.map(({ currentPos }) => place(currentPos)) };
    follow(viewer.viewport, before, last.places);
  });
}

/**
 * Bring what was under two places to two others.
 * @param {any} viewport
 * @param {Place[]} before
 * @param {Place[]} now
 */
function follow(viewport, before, now) {
  const [was, is] = [reach(before), reach(now)];
  if (!was.length || !is.length) return;
  const zoom = viewport.getZoom(true);
  const wanted = (zoom * is.length) / was.length;
  const next = Math.min(Math.max(wanted, viewport.getMinZoom()), viewport.getMaxZoom());
  const flip = viewport.getFlip() ? -1 : 1;
  const turn = (viewport.getRotation(true) * flip * Math.PI) / 180; // clockwise, as it is seen
  const turned = turn + is.angle - was.angle;
  const width = viewport.getContainerSize().x;
  const from = unturned(was.middle, turn, flip);
  const to = unturned(is.middle, turned, flip);
  const { x, y } = viewport.getCenter(true);
  const center = new OpenSeadragon.Point(
    x + from.x / (zoom * width) - to.x / (next * width),
    y + from.y / (zoom * width) - to.y / (next * width),
  );
  viewport.setRotation((turned * flip * 180) / Math.PI, true);
  viewport.zoomTo(next, undefined, true);
  viewport.panTo(center, true);
  viewport.applyConstraints(true);
}

/**
 * The vector from one finger to the other, and the place between them.
 * @param {Place[]} places
 */
function reach([a, b]) {
  return {
    length: Math.hypot(b.x - a.x, b.y - a.y),
    angle: Math.atan2(b.y - a.y, b.x - a.x),
    middle: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 },
  };
}

/**
 * A vector of the screen in the directions of the picture.
 * @param {Place} vector
 * @param {number} turn radians clockwise
 * @param {number} flip -1 if the picture is mirrored, else 1
 */
function unturned({ x, y }, turn, flip) {
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  return { x: flip * (x * cos + y * sin), y: y * cos - x * sin };
}
