// The page: waits for the server, builds the viewer, and wires the buttons and keys.
import { button, find, part, say } from "./dom.js";
import { downloadDialog } from "./download.js";
import { standardKeys } from "./keys.js";
import { LivePixels, showWay } from "./live.js";
import { ServerError, offer, serverPixels } from "./server.js";
import { Stage, fullScreen, viewTools } from "./stage.js";
import { themeSwitch } from "./theme.js";
import { TileQueue, deepest } from "./tiles.js";
import { Tray } from "./tray.js";
import { Viewer } from "./viewer.js";

const RETRY = 2000; // ms
const SHORT = 400; // ms without a word

themeSwitch();
void start();

/** Wait for the server, then build the page. */
async function start() {
  const wait = part("wait");
  const late = setTimeout(() => {
    wait.textContent = "Looking for pictures";
    wait.hidden = false;
  }, SHORT);
  for (;;) {
    try {
      const offered = await offer();
      clearTimeout(late);
      wait.hidden = true;
      build(offered);
      return;
    } catch (error) {
      clearTimeout(late);
      wait.hidden = false;
      wait.textContent = error instanceof Error ? error.message : String(error);
      if (!(error instanceof ServerError)) throw error;
      if (error.status !== 0 && error.status !== 503) return;
      wait.textContent += " Trying again.";
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}

/** @param {import("./server.js").Offer} offered */
function build({ models, limits, jobs, draws }) {
  const queue = new TileQueue();
  const pixelsOf = sources(models, draws);
  const source = { queue, pixelsOf, deepest: deepest(limits.plane_levels) };
  const stage = new Stage(source);
  const viewer = new Viewer({ models, stage, ...source });
  troubles(queue, stage.main.sketched);
  viewTools(stage);
  standardKeys({ stage, full: fullScreen, seed: (step, held) => viewer.go(step, held) });
  button("surprise").addEventListener("click", () => viewer.surprise());
  const shot = () => viewer.shot;
  const download = downloadDialog({ limits, jobs, shot, tray: new Tray(), pixelsOf });
  button("download").addEventListener("click", download);
  button("link").addEventListener("click", () => {
    void copy(new URL(viewer.remember(), location.href).href);
  });
  for (const id of ["help", "credit"]) {
    button(id).addEventListener("click", () => find("#help-dialog", HTMLDialogElement).showModal());
  }
  find(".skip", HTMLAnchorElement).addEventListener("click", (event) => {
    event.preventDefault(); // what follows "#" is a picture here
    find("#pane-main .openseadragon-canvas", HTMLElement).focus();
  });
  viewer.follow();
}

/**
 * Where the pictures of each model come from: this browser, if it may have the weights, or the server.
 * @param {import("./server.js").Model[]} models
 * @param {boolean} served whether there is a server that draws
 * @returns {(id: string) => import("./pixels.js").Pixels}
 */
function sources(models, served) {
  let lost = false;
  const tell = (/** @type {import("./live.js").Way} */ way, /** @type {string} */ why) => {
    showWay(way);
    if (why && !lost) say("The graphics card is busy with other things; the processor draws on.");
    if (why) console.info(`WebGPU is lost: ${why}`);
    lost = why !== "";
  };
  const live = models
    .filter(({ weights }) => weights !== null)
    .map((model) => /** @type {const} */ ([model.name, new LivePixels(model, { served, tell })]));
  const byName = new Map(live);
  return (id) => byName.get(id.split(/[@:]/)[0]) ?? serverPixels;
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied: a link to exactly this view.");
  } catch {
    // Not allowed here (a page without TLS, for one): the address bar has the same link.
    say("The address bar has the link to exactly this view.");
  }
}

/**
 * One line above the picture: what is the matter, or that the first picture is on its way.
 * @param {TileQueue} queue
 * @param {Promise<void>} sketched
 */
function troubles(queue, sketched) {
  const line = part("wait");
  let drawing = true;
  const show = () => {
    const text = queue.trouble ?? (drawing ? "Drawing the picture" : "");
    line.textContent = text;
    line.hidden = text === "";
  };
  queue.ontrouble = show;
  const late = setTimeout(show, SHORT);
  void sketched.then(() => {
    clearTimeout(late);
    drawing = false;
    show();
  });
}
