// The room of the picture: one pane, or two that move together, and what is written on them.
import { button, find, part } from "./dom.js";
import { Pane } from "./pane.js";
import { WHOLE } from "./link.js";

/** @typedef {import("./link.js").View} View */
/**
 * @typedef {object} Source where tiles come from
 * @property {import("./tiles.js").TileQueue} queue
 * @property {(id: string) => import("./pixels.js").Pixels} pixelsOf a picture
 * @property {number} deepest plane level
 */
/** @typedef {{layout: "beside" | "curtain", split: number, id: string, captions: [string, string]}} Rival */

const TURN = 15; // degrees
const PAN = 0.2; // of the shorter side

export class Stage {
  /** @param {Source} options */
  constructor(options) {
    this.options = options;
    this.panes = find(".panes", HTMLElement);
    this.main = new Pane(part("pane-main"), { ...options, name: "The picture" });
    /** @type {Pane | null} */
    this.other = null;
    this.leader = this.main;
    this.layout = "";
    /** @type {(() => void)[]} told when the view has changed */
    this.listeners = [];
    /** @type {(split: number) => void} told when the curtain was moved */
    this.onsplit = () => {};
    this.join(this.main);
    this.curtain();
    new ResizeObserver(() => this.resized()).observe(this.panes);
  }

  /**
   * Let a pane lead the other whenever it is touched.
   * @param {Pane} pane
   */
  join(pane) {
    for (const event of ["pointerdown", "wheel", "focusin"]) {
      pane.element.addEventListener(
        event,
        () => {
          this.leader = pane;
        },
        { capture: true, passive: true },
      );
    }
    pane.listeners.push(() => {
      if (pane !== this.leader) return;
      const follower = pane === this.main ? this.other : this.main;
      follower?.look(pane.view(true), true);
      for (const listener of this.listeners) listener();
    });
  }

  /**
   * Show a picture, and what it is compared with.
   * @param {string} id
   * @param {string} name
   * @param {Rival | null} rival
   */
  show(id, name, rival) {
    this.main.label(name);
    this.main.show(id);
    const layout = rival?.layout ?? "";
    if (rival && !this.other) {
      part("pane-other").hidden = false;
      this.other = new Pane(part("pane-other"), { ...this.options, name: "" });
      this.join(this.other);
      this.other.look(this.main.view(), true);
    }
    if (!rival && this.other) {
      this.leader = this.main;
      this.other.viewer.destroy();
      this.other = null;
      part("pane-other").hidden = true;
      part("pane-other").replaceChildren();
      this.options.queue.keep(({ source }) => source.owner === this.main);
    }
    this.captions(rival?.captions ?? null);
    this.panes.style.setProperty("--split", `${(rival?.split ?? 0.5) * 100}%`);
    part("divider").setAttribute("aria-valuenow", String(Math.round((rival?.split ?? 0.5) * 100)));
    part("divider").hidden = layout !== "curtain";
    this.panes.dataset.layout = layout;
    if (layout !== this.layout) this.resized();
    this.layout = layout;
    if (rival && this.other) {
      this.other.label(rival.captions[1]);
      this.other.show(rival.id);
    }
  }

  /** @param {[string, string] | null} words */
  captions(words) {
    part("caption-main").hidden = part("caption-other").hidden = words === null;
    [part("caption-main").textContent, part("caption-other").textContent] = words ?? ["", ""];
  }

  /** The two halves of the curtain meet where its handle is. */
  curtain() {
    const handle = part("divider");
    const move = (/** @type {number} */ split) => this.onsplit(Math.min(Math.max(split, 0), 1));
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      event.preventDefault();
      handle.focus();
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const { left, width } = this.panes.getBoundingClientRect();
      move((event.clientX - left) / width);
    });
    handle.addEventListener("keydown", (event) => {
      const now = Number(handle.getAttribute("aria-valuenow")) / 100;
      const to = {
        ArrowLeft: now - 0.02,
        ArrowRight: now + 0.02,
        ArrowDown: now - 0.02,
        ArrowUp: now + 0.02,
        Home: 0,
        End: 1,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      move(to);
    });
  }

  resized() {
    // In a frame that is hidden there is no size to go by; it has one when it is shown.
    if (!this.panes.clientWidth || !this.panes.clientHeight) return;
    const view = this.main.view();
    for (const pane of [this.main, this.other]) {
      if (!pane) continue;
      pane.resized();
      pane.look(view, true);
    }
    for (const listener of this.listeners) listener();
  }

  view() {
    return this.main.view();
  }

  /**
   * @param {View} view
   * @param {boolean} [now]
   */
  look(view, now) {
    this.leader = this.main;
    this.main.look(view, now);
    this.main.moved();
  }

  /** @param {number} factor above 1: closer */
  zoom(factor) {
    const view = this.view();
    this.look({ ...view, span: view.span / factor });
  }

  /** @param {number} steps to the right */
  turn(steps) {
    const view = this.view();
    // Not reduced to 0..360: the way there would go round the other side.
    const turn = this.main.turn() + steps * TURN;
    this.look({ ...view, turn: Math.round(turn / TURN) * TURN });
  }

  mirror() {
    const view = this.view();
    this.look({ ...view, mirror: !view.mirror });
  }

  /**
   * Move over the picture, as the visitor sees it.
   * @param {number} right
   * @param {number} down
   */
  pan(right, down) {
    const view = this.view();
    const angle = ((view.mirror ? view.turn : -view.turn) * Math.PI) / 180;
    const across = view.mirror ? -right : right;
    const step = view.span * PAN;
    const dx = across * Math.cos(angle) - down * Math.sin(angle);
    const dy = across * Math.sin(angle) + down * Math.cos(angle);
    this.look({ ...view, x: view.x + dx * step, y: view.y + dy * step });
  }

  home() {
    this.look({ ...WHOLE });
  }
}

/**
 * Buttons beside the picture.
 * @param {Stage} stage
 */
export function viewTools(stage) {
  button("zoom-in").addEventListener("click", () => stage.zoom(2));
  button("zoom-out").addEventListener("click", () => stage.zoom(0.5));
  button("home").addEventListener("click", () => stage.home());
  button("turn-left").addEventListener("click", () => stage.turn(-1));
  button("turn-right").addEventListener("click", () => stage.turn(1));
  button("mirror").addEventListener("click", () => stage.mirror());
  const full = button("full");
  full.addEventListener("click", () => fullScreen());
  document.addEventListener("fullscreenchange", () => alone(document.fullscreenElement !== null));
  stage.listeners.push(() =>
    button("mirror").setAttribute("aria-pressed", String(stage.view().mirror)),
  );
}

/**
 * The picture alone, or with everything around it.
 * @param {boolean} [on] without it: the other way than now
 */
export function alone(on) {
  const now = document.documentElement.classList.toggle("alone", on);
  button("full").setAttribute("aria-pressed", String(now));
}

/** The picture alone, on the whole screen; where there is no full screen, in the whole window. */
export function fullScreen() {
  if (document.fullscreenElement) void document.exitFullscreen();
  else if (document.documentElement.classList.contains("alone")) alone(false);
  else if (document.fullscreenEnabled)
    document.documentElement.requestFullscreen().catch(() => alone(true));
  else alone(true);
}
