// The viewer: its state, and who is told when it changes.
import { compareBar, rivalOf } from "./compare.js";
import { button, creditLine, find, make, paragraphs, part, say, select } from "./dom.js";
import { Tray, downloadDialog } from "./download.js";
import { standardKeys } from "./keys.js";
import { readLink, writeLink } from "./link.js";
import { panel } from "./panel.js";
import { LARGEST_SEED, PLAIN, identifier, inWords, readIdentifier } from "./picture.js";
import { readout } from "./readout.js";
import { ServerError, offer } from "./server.js";
import { Stage, fullScreen, viewTools } from "./stage.js";
import { themeSwitch } from "./theme.js";
import { TileQueue, deepest } from "./tiles.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./link.js").Comparison} Comparison */

const QUIET = 300; // ms without a change until the address follows
const RETRY = 2000;

themeSwitch();
void start();

/** Wait for the server, then build the page. */
async function start() {
  const wait = part("wait");
  for (;;) {
    try {
      const { models, limits, jobs } = await offer();
      wait.hidden = true;
      build(models, limits, jobs);
      return;
    } catch (error) {
      wait.hidden = false;
      wait.textContent = error instanceof Error ? error.message : String(error);
      if (!(error instanceof ServerError) || (error.status !== 0 && error.status !== 503)) throw error;
      wait.textContent += " Trying again.";
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }
}

/**
 * @param {import("./server.js").Model[]} models
 * @param {import("./server.js").Limits} limits
 * @param {boolean} jobs
 */
function build(models, limits, jobs) {
  const queue = new TileQueue();
  const levels = deepest(limits.plane_levels);
  const stage = new Stage({ queue, deepest: levels });
  /** @type {{picture: Picture, comparison: Comparison | null}} */
  const state = { picture: { ...PLAIN, model: models[0].name, seed: 7 }, comparison: null };
  const model = () => models.find(({ name }) => name === state.picture.model) ?? models[0];

  /** @param {Partial<Picture>} patch */
  const change = (patch, { step = false } = {}) => {
    if (step) remember(true);
    Object.assign(state.picture, patch);
    show();
  };
  const compare = (/** @type {Comparison | null} */ comparison) => {
    state.comparison = comparison;
    show();
  };
  const showPanel = panel({ state: () => state.picture, model, change, painted: stage.main.painted });
  const showBar = compareBar({ models, state: () => state, change: compare });
  const showScale = readout(stage, { deepest: levels, model });

  const show = () => {
    const { pin, classes } = model();
    const { picture } = state;
    const rival = state.comparison && rivalOf(picture, state.comparison, models);
    if (!rival) state.comparison = null;
    stage.show(identifier(picture, { pin, classes }), `${model().name}, ${inWords(picture)}`, rival);
    showPanel();
    showBar();
    document.title = `${inWords(picture).replace(/^./, (c) => c.toUpperCase())} · ${model().name} · creps`;
    later();
  };

  let waiting = 0;
  const later = () => {
    clearTimeout(waiting);
    waiting = window.setTimeout(() => remember(false), QUIET);
  };
  const address = () => writeLink(identifier(state.picture, { classes: model().classes }), stage.view(), state.comparison);
  const remember = (/** @type {boolean} */ step) => {
    clearTimeout(waiting);
    history.replaceState(null, "", address());
    if (step) history.pushState(null, "", address());
  };
  stage.listeners.push(later);
  stage.onsplit = (split) => { if (state.comparison) compare({ ...state.comparison, split }); };

  /** Show what the address says. */
  const follow = () => {
    const { id, view, comparison } = readLink(location.hash);
    const read = readIdentifier(id);
    const known = read && models.find(({ name }) => name === read.picture.model);
    if (read && known) {
      state.picture = fitting(read.picture, known);
      if (read.pin && read.pin !== known.pin) say("The link was made with other weights of this model; the picture differs.");
    } else if (id) say(`There is no picture ${id} here.`);
    state.comparison = comparison;
    if (select("model").value !== state.picture.model) select("model").value = state.picture.model;
    credits(model());
    showScale();
    show();
    stage.look(view, true);
  };

  select("model").append(...models.map(({ name }) => make("option", { value: name }, name)));
  select("model").disabled = models.length < 2;
  select("model").addEventListener("change", () => {
    const next = models.find(({ name }) => name === select("model").value) ?? models[0];
    remember(true);
    state.picture = fitting({ ...PLAIN, model: next.name, seed: state.picture.seed }, next);
    credits(next);
    showScale();
    show();
  });
  const surprise = () => change({ seed: Math.floor(Math.random() * 100_000), towards: null, donor: null, custom: null }, { step: true });
  const seed = (/** @type {number} */ step) =>
    change({ seed: Math.min(Math.max(state.picture.seed + step, 0), LARGEST_SEED), custom: null }, { step: true });
  button("surprise").addEventListener("click", surprise);
  const tray = new Tray();
  const shot = () => ({ id: identifier(state.picture, { pin: model().pin, classes: model().classes }), view: stage.view(), frame: stage.main.frame() });
  button("download").addEventListener("click", downloadDialog({ limits, jobs, shot, tray }));
  button("link").addEventListener("click", () => {
    remember(false);
    copy(location.href);
  });
  for (const id of ["help", "credit"]) button(id).addEventListener("click", () => find("#help-dialog", HTMLDialogElement).showModal());
  viewTools(stage);
  standardKeys({ stage, full: fullScreen, seed });
  window.addEventListener("popstate", follow);
  window.addEventListener("hashchange", follow);
  troubles(queue);
  follow();
}

/**
 * A picture within what its model has.
 * @param {Picture} picture
 * @param {import("./server.js").Model} model
 * @returns {Picture}
 */
function fitting(picture, { styles, classes }) {
  const within = (/** @type {number} */ value, /** @type {number} */ count) => Math.min(Math.max(Math.trunc(value), 0), Math.max(count - 1, 0));
  return { ...picture, label: within(picture.label, classes), first: within(picture.first, styles), last: within(picture.last, styles) };
}

/** @param {import("./server.js").Model} model */
function credits({ name, credits, license }) {
  const line = creditLine(credits, license);
  part("credit").textContent = line || `Model ${name}`;
  const text = [`Model ${name}. ${license && `Licence: ${license}.`}`, credits, "Viewer: OpenSeadragon (BSD 3-Clause licence) and creps (Apache License 2.0)."];
  part("credits").replaceChildren(...paragraphs(text));
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

/** @param {TileQueue} queue */
function troubles(queue) {
  const wait = part("wait");
  let last = /** @type {string | null} */ (null);
  queue.ontrouble = (trouble) => {
    if (trouble === last) return;
    last = trouble;
    wait.hidden = trouble === null;
    wait.textContent = trouble ?? "";
  };
}
