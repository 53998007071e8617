// What is shown: a picture, a view of it, perhaps a comparison; and the address that says so.
import { compareBar, rivalOf } from "./compare.js";
import { creditLine, make, paragraphs, part, say, select } from "./dom.js";
import { readLink, writeLink } from "./link.js";
import { panel } from "./panel.js";
import { LARGEST_SEED, PLAIN, fitting, identifier, inWords, readIdentifier } from "./picture.js";
import { readout } from "./readout.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./link.js").Comparison} Comparison */
/** @typedef {import("./server.js").Model} Model */

const QUIET = 300; // ms without a change until the address follows
const REFUSED = 2000; // ms until it is tried again where the browser has had too many of them
const FIRST = 7; // the seed that a visitor sees first
const SURPRISES = 100_000; // seeds among which one is drawn

export class Viewer {
  /** @param {{models: Model[], stage: import("./stage.js").Stage} & import("./stage.js").Source} options */
  constructor({ models, stage, deepest, pixelsOf }) {
    this.models = models;
    this.stage = stage;
    /** @type {Picture} */
    this.picture = fitting({ ...PLAIN, model: models[0].name, seed: FIRST }, models[0]);
    /** @type {Comparison | null} */
    this.comparison = null;
    this.waiting = 0;
    const model = () => this.model;
    this.showPanel = panel({
      state: () => this.picture,
      model,
      change: (patch, options) => this.change(patch, options),
      painted: stage.main.painted,
      thumbnail: (id) => pixelsOf(id).thumbnail(id),
    });
    this.showBar = compareBar({
      models,
      state: () => this,
      change: (comparison) => this.compare(comparison),
    });
    this.showScale = readout(stage, { deepest, model });
    this.modelChoice();
    stage.listeners.push(() => this.soon());
    stage.onsplit = (split) => {
      if (this.comparison) this.compare({ ...this.comparison, split });
    };
    window.addEventListener("popstate", () => this.follow());
    window.addEventListener("hashchange", () => this.follow());
  }

  get model() {
    return this.models.find(({ name }) => name === this.picture.model) ?? this.models[0];
  }

  /** What a download of the view needs to know. */
  get shot() {
    const { pin } = this.model;
    const id = identifier(this.picture, { pin });
    return { id, view: this.stage.view(), frame: this.stage.main.frame() };
  }

  /**
   * Change the picture.
   * @param {Partial<Picture>} patch
   * @param {{step?: boolean}} [options] `step`: "back" undoes it
   */
  change(patch, { step = false } = {}) {
    const next = { ...this.picture, ...patch };
    if (step && identifier(next) !== identifier(this.picture)) this.remember(true);
    this.picture = next;
    this.show();
  }

  /** @param {Comparison | null} comparison */
  compare(comparison) {
    this.comparison = comparison;
    this.show();
  }

  /** A picture that nobody has chosen. */
  surprise() {
    const seed = Math.floor(Math.random() * SURPRISES);
    this.change({ seed, towards: null, donor: null, custom: null }, { step: true });
  }

  /**
   * @param {number} step to the next seeds
   * @param {boolean} held one of many steps, which "back" undoes together
   */
  go(step, held) {
    const seed = Math.min(Math.max(this.picture.seed + step, 0), LARGEST_SEED);
    this.change({ seed, custom: null }, { step: !held });
  }

  show() {
    const { picture, model } = this;
    const rival = this.comparison && rivalOf(picture, this.comparison, this.models);
    if (!rival) this.comparison = null;
    const words = inWords(picture, model.class_names);
    this.stage.show(identifier(picture, { pin: model.pin }), `${model.name}, ${words}`, rival);
    this.showPanel();
    this.showBar();
    document.title = `${words[0].toUpperCase()}${words.slice(1)} · ${model.name} · creps`;
    this.soon();
  }

  /** The address follows when nothing moves any more. */
  soon() {
    clearTimeout(this.waiting);
    this.waiting = window.setTimeout(() => this.remember(), QUIET);
  }

  /**
   * Write down what is shown; with `step`, so that "back" leads here.
   * @returns {string} the address, from "#" on
   */
  remember(step = false) {
    clearTimeout(this.waiting);
    const id = identifier(this.picture);
    const address = writeLink(id, this.stage.view(), this.comparison);
    try {
      history.replaceState(null, "", address);
      if (step) history.pushState(null, "", address);
    } catch {
      this.waiting = window.setTimeout(() => this.remember(), REFUSED);
    }
    return address;
  }

  /** Show what the address says. */
  follow() {
    const { id, view, comparison } = readLink(location.hash);
    const read = readIdentifier(id);
    const known = read && this.models.find(({ name }) => name === read.picture.model);
    if (read && known) {
      this.picture = fitting(read.picture, known);
      if (read.pin && read.pin !== known.pin) {
        say("The link was made with other weights of this model; the picture differs.");
      }
    } else if (id) say(`There is no picture ${id} here.`);
    this.comparison = comparison;
    this.showModel();
    this.show();
    this.stage.look(view, true);
  }

  modelChoice() {
    const menu = select("model");
    menu.append(...this.models.map(({ name }) => make("option", { value: name }, name)));
    menu.disabled = this.models.length < 2;
    menu.addEventListener("change", () => {
      const next = this.models.find(({ name }) => name === menu.value) ?? this.models[0];
      this.remember(true);
      const { comparison, picture } = this;
      if (comparison?.rival === `model ${next.name}`)
        this.comparison = { ...comparison, rival: `model ${picture.model}` };
      this.picture = fitting({ ...PLAIN, model: next.name, seed: this.picture.seed }, next);
      this.showModel();
      this.show();
    });
  }

  showModel() {
    select("model").value = this.picture.model;
    credits(this.model);
    this.showScale();
  }
}

/** @param {import("./server.js").Model} model */
function credits({ name, credits, license }) {
  const line = creditLine(credits, license);
  part("credit").textContent = line || `Model ${name}`;
  const text = [
    `Model ${name}. ${license && `License: ${license}.`}`,
    credits,
    "Viewer: OpenSeadragon (BSD 3-Clause license) and creps (Apache License 2.0).",
  ];
  part("credits").replaceChildren(...paragraphs(text));
}
