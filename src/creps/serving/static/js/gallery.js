// A static gallery: a wall of thumbnails, and Deep Zoom pictures behind them. Reads site.json beside the page.
import { button, calm, find, make, paragraphs, part } from "./dom.js";
import { gestures, twoFingers } from "./fingers.js";
import { ask } from "./server.js";
import { themeSwitch } from "./theme.js";

/**
 * @typedef {{seed: number, name: string, dzi: string, thumbnail: string, height: number, width: number}} Shown
 * @typedef {{title: string, model: string, credits: string, license: string, size: number, trained: number, detail: number, made: string, pictures: Shown[]}} Site
 */

const STEP = 15; // degrees

themeSwitch();
ask("site.json").then(wall, (error) => {
  part("wait").textContent = `The list of pictures cannot be read: ${error.message}`;
});

/** @param {Site} site */
function wall(site) {
  part("wait").hidden = true;
  document.title = site.title;
  part("title").textContent = site.title;
  const count = site.pictures.length;
  part("about").textContent =
    `${count} ${count === 1 ? "picture" : "pictures"}, ${site.size.toLocaleString("en")} pixels a side, ` +
    `drawn by a model trained at ${site.trained} × ${site.trained}` +
    (site.detail > site.trained ? `, with windows of pictures of ${site.detail} pixels` : "") +
    ". Open one and go in.";
  const rest = [
    site.license && `License: ${site.license}.`,
    site.credits,
    `Made with ${site.made}; viewer: OpenSeadragon (BSD 3-Clause license).`,
  ];
  part("credits").replaceChildren(...paragraphs(rest));
  part("pictures").append(
    ...site.pictures.map((picture) => {
      const open = make(
        "button",
        { type: "button", "data-seed": `${picture.seed}` },
        make(
          "span",
          {},
          make("img", { src: picture.thumbnail, alt: "", loading: "lazy", decoding: "async" }),
        ),
        make("small", {}, picture.name),
      );
      open.addEventListener("click", () => {
        location.hash = `seed=${picture.seed}`;
      });
      return make("li", {}, open);
    }),
  );
  room(site);
}

/** @param {Site} site */
function room(site) {
  const dialog = find("#room", HTMLDialogElement);
  /** @type {OpenSeadragon.Viewer | null} */
  let viewer = null;
  let now = -1;

  const go = (/** @type {number} */ step) => {
    const next = site.pictures[(now + step + site.pictures.length) % site.pictures.length];
    location.replace(`#seed=${next.seed}`);
  };
  const turn = (/** @type {number} */ steps) =>
    viewer?.viewport.setRotation(viewer.viewport.getRotation() + steps * STEP, calm());
  const zoom = (/** @type {number} */ factor) => viewer?.viewport.zoomBy(factor, undefined, calm());
  const home = () => {
    viewer?.viewport.setRotation(0, calm());
    viewer?.viewport.goHome(calm());
  };
  const scale = () => {
    if (!viewer) return;
    const ratio =
      (viewer.viewport.getZoom(true) *
        viewer.viewport.getContainerSize().x *
        OpenSeadragon.pixelDensityRatio) /
      Math.max(site.detail, site.trained);
    part("room-scale").textContent =
      ratio > 1.05
        ? `${ratio.toFixed(ratio < 10 ? 1 : 0)}× beyond training size`
        : "at its training size or below";
  };
  const follow = () => {
    const seed = /^#seed=(\d+)$/.exec(location.hash)?.[1];
    now = site.pictures.findIndex((each) => `${each.seed}` === seed);
    if (now < 0) return dialog.close();
    const picture = site.pictures[now];
    part("room-title").textContent = picture.name;
    if (!dialog.open) dialog.showModal();
    if (!viewer) {
      viewer = OpenSeadragon({
        element: part("viewer"),
        drawer: "canvas",
        showNavigationControl: false,
        animationTime: calm() ? 0 : 0.7,
        maxZoomPixelRatio: 2,
        ...gestures(),
      });
      twoFingers(viewer);
      viewer.addHandler("canvas-key", (event) => {
        event.preventDefaultAction = true;
      });
      viewer.addHandler("viewport-change", scale);
      viewer.addHandler("open", scale);
    }
    viewer.canvas.setAttribute("role", "application");
    viewer.canvas.setAttribute("aria-roledescription", "zoomable picture");
    viewer.canvas.setAttribute("aria-label", picture.name);
    viewer.open(/** @type {any} */ (picture.dzi));
  };
  const closed = () => {
    if (location.hash) history.pushState(null, "", location.pathname + location.search);
    const last = site.pictures[now];
    now = -1;
    if (last)
      part("pictures")
        .querySelector(`[data-seed="${last.seed}"]`)
        ?.scrollIntoView({ block: "nearest" });
  };

  button("previous").addEventListener("click", () => go(-1));
  button("following").addEventListener("click", () => go(1));
  button("zoom-in").addEventListener("click", () => zoom(2));
  button("zoom-out").addEventListener("click", () => zoom(0.5));
  button("home").addEventListener("click", home);
  button("turn-right").addEventListener("click", () => turn(1));
  button("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", closed);
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const does = {
      n: () => go(1),
      p: () => go(-1),
      "+": () => zoom(1.5),
      "=": () => zoom(1.5),
      "-": () => zoom(1 / 1.5),
      0: home,
      r: () => turn(event.shiftKey ? -1 : 1),
      ArrowLeft: () => pan(-1, 0),
      ArrowRight: () => pan(1, 0),
      ArrowUp: () => pan(0, -1),
      ArrowDown: () => pan(0, 1),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });
  const pan = (/** @type {number} */ right, /** @type {number} */ down) => {
    if (!viewer) return;
    const size = viewer.viewport.getContainerSize();
    viewer.viewport.panBy(
      viewer.viewport.deltaPointsFromPixels(
        new OpenSeadragon.Point(right * size.x * 0.15, down * size.y * 0.15),
      ),
      calm(),
    );
  };
  window.addEventListener("hashchange", follow);
  follow();
}
